"""Beards, and locks of hair before the face."""

from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.data.synthetic.fabric import Map
from facemask.data.synthetic.mask_geometry import Points
from facemask.data.synthetic.scene import Colour, Painting, Scene, brightness, curve, fixed, mottle, polygon
from facemask.faces import mesh as lm

BeardForm = Literal["full", "goatee", "moustache", "stubble", "jaw"]
BEARD_FORMS: tuple[BeardForm, ...] = get_args(BeardForm)

_JAW = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)
# From the right ear back to the left one, below the cheekbones and under the nose.
_CHEEKS = (454, 366, 376, 411, 427, 426, 391, 393, 164, 167, 165, 206, 207, 187, 147, 137, 234)
_CHIN_STRAP = (454, 401, 435, 367, 364, 394, 395, 369, 396, 175, 171, 140, 170, 169, 135, 138, 215, 177, 234)
_MOUSTACHE = (57, 186, 92, 165, 167, 164, 393, 391, 322, 410, 287, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_CHIN = (204, 211, 32, 208, 199, 428, 262, 431, 424, 418, 421, 200, 201, 194)
_BESIDE_THE_MOUTH = (57, 61, 91, 194, 204, 202, 212, 216)
_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
_COLOURS = np.array(
    [[0.03, 0.025, 0.022], [0.06, 0.045, 0.035], [0.14, 0.085, 0.05], [0.26, 0.16, 0.09], [0.42, 0.29, 0.16],
     [0.38, 0.17, 0.07], [0.30, 0.29, 0.28], [0.58, 0.57, 0.55], [0.80, 0.79, 0.77]]
)  # fmt: skip
_COMMON = np.array([4, 4, 3, 2, 1, 0.7, 1.5, 1.2, 1.2])
_SHADES = 9
_LENGTHS: dict[BeardForm, tuple[float, float]] = {  # in widths of the face
    "full": (0.03, 0.28),
    "goatee": (0.02, 0.09),
    "moustache": (0.03, 0.06),
    "stubble": (0.006, 0.015),
    "jaw": (0.015, 0.04),
}


def hair_colour(scene: Scene, rng: np.random.Generator) -> Colour:
    """Choose a colour of hair, as the camera sees it: often that of the brows."""
    if rng.random() < 0.5:
        return np.clip(scene.brows * rng.uniform(0.5, 0.9), 0.015, 0.6).astype(np.float32)
    colour = _COLOURS[rng.choice(len(_COLOURS), p=_COMMON / _COMMON.sum())]
    return (colour * rng.uniform(0.8, 1.2) * brightness(scene)).astype(np.float32)


def paint_beard(scene: Scene, form: BeardForm, rng: np.random.Generator) -> Painting:
    """Paint a beard; the lips stay free.

    Args:
        scene: the face.
        form: where it grows, and how long.
        rng: source of chance.
    """
    colour = hair_colour(scene, rng)
    shortest, longest = _LENGTHS[form]
    length = shortest + (longest - shortest) * rng.random() ** 2
    skin = _where(scene, form, rng)
    lips = polygon(scene, _grown(scene.points[list(_LIPS)], 0.98), 0.006)
    skin = skin * (1 - lips)
    ragged = 0.35 * mottle(scene.shape, (0.05 * scene.unit, 0.04 * scene.unit), rng)
    density = np.clip(skin * (1.15 + ragged), 0, 1) * rng.uniform(0.75, 1.0)
    painting = Painting(scene)
    clumps = 1 + 0.18 * mottle(scene.shape, (0.06 * scene.unit, 0.015 * scene.unit), rng)
    shaded = (scene.shading * clumps)[..., None]
    if form == "stubble":
        # Short hair is seen as a darker, bluer skin with dots.
        dots = np.clip(mottle(scene.shape, (2, 2), rng) * 0.5 + 0.4, 0, 1)
        painting.over(colour * shaded, density * (rng.uniform(0.15, 0.35) + rng.uniform(0.2, 0.4) * dots))
        return painting
    ground = cv2.GaussianBlur(density, (0, 0), 0.012 * scene.unit) * (1 - lips)
    painting.over(colour * 0.75 * shaded, ground * rng.uniform(0.6, 0.97))
    roots = _roots(density, int(density.sum() / (0.00035 * scene.unit**2)), rng)
    strands = _growing(scene, roots, length, rng)
    _comb(painting, scene, strands, colour, rng, gloss=rng.uniform(0.25, 0.7))
    mouth = polygon(scene, _grown(scene.points[list(_LIPS)], 0.8), 0.01)
    painting.without(mouth * (0.9 if form != "full" else rng.uniform(0.5, 0.95)))
    return painting


def _where(scene: Scene, form: BeardForm, rng: np.random.Generator) -> Map:
    """Where hair grows: float32 (height, width), from 0 to 1, with a soft upper edge."""
    points = scene.points
    if form in ("full", "stubble"):
        jaw = _grown(points[list(_JAW)], rng.uniform(1.0, 1.03))
        low = rng.uniform(0, 0.06)  # how far the shaved cheek reaches down
        cheeks = points[list(_CHEEKS)] + scene.moved(np.array([[0.0, low]])) * _middle_less(len(_CHEEKS))
        return polygon(scene, np.vstack([jaw, cheeks[1:-1]]), rng.uniform(0.008, 0.025))
    if form == "jaw":
        jaw = _grown(points[list(_JAW)], 1.03)
        strap = polygon(scene, np.vstack([jaw, points[list(_CHIN_STRAP[1:-1])]]), 0.012)
        return np.maximum(strap, _moustache(scene, rng)) if rng.random() < 0.5 else strap
    if form == "moustache":
        return _moustache(scene, rng)
    chin = points[list(_CHIN)]
    patch = polygon(scene, _grown(chin, rng.uniform(0.9, 1.25)), 0.015)
    if rng.random() < 0.7:
        patch = np.maximum(patch, _moustache(scene, rng))
        if rng.random() < 0.6:  # a circle around the mouth
            for mirrored in (False, True):
                beside = [_mirror(number) if mirrored else number for number in _BESIDE_THE_MOUTH]
                patch = np.maximum(patch, polygon(scene, points[beside], 0.012))
    return patch


def _middle_less(count: int) -> Points:
    """Weights (count, 1) that are 1 at the ends and 0 in the middle, under the nose."""
    return np.abs(np.linspace(-1, 1, count))[:, None]


def _moustache(scene: Scene, rng: np.random.Generator) -> Map:
    corners = _grown(scene.points[list(_MOUSTACHE)], rng.uniform(0.85, 1.12))
    return polygon(scene, corners, 0.008)


def _mirror(number: int) -> int:
    """Return the point on the other side of the mouth."""
    return {57: 287, 61: 291, 91: 321, 194: 418, 204: 424, 202: 422, 212: 432, 216: 436}[number]


def _grown(corners: Points, factor: float) -> Points:
    middle = corners.mean(axis=0)
    return middle + factor * (corners - middle)


def _roots(density: NDArray[np.floating], count: int, rng: np.random.Generator) -> Points:
    """Choose places (n, 2) by density."""
    total = np.cumsum(density, dtype=np.float64)
    if total[-1] <= 0:
        return np.zeros((0, 2))
    place = np.searchsorted(total / total[-1], rng.random(min(count, 9000)), side="right")
    y, x = np.divmod(np.minimum(place, density.size - 1), density.shape[1])
    return np.column_stack([x, y]) + rng.random((len(x), 2)) - 0.5


def _growing(scene: Scene, roots: Points, length: float, rng: np.random.Generator) -> Points:
    """Let hair grow down and away from the mouth: (n, 4, 2)."""
    mouth, chin = scene.points[13], scene.points[lm.CHIN]
    away = (roots - mouth) / scene.unit
    sideways = away @ scene.right
    low = np.clip((roots - mouth) @ scene.down / max(float((chin - mouth) @ scene.down), 1.0), 0, 1.3)
    swirl = 0.35 * rng.standard_normal(len(roots)) + 0.5 * rng.standard_normal()
    heading = np.column_stack([sideways * 1.6 + np.sign(sideways) * 0.25 * (low < 0.15), 0.75 + 0.2 * low])
    heading[:, 0] += 0.3 * swirl
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    long = length * (0.35 + 0.9 * low**2 + 0.15 * rng.random(len(roots))) * rng.uniform(0.7, 1.3, len(roots))
    bend = rng.normal(0, 0.35, (len(roots), 1)) * np.column_stack([-heading[:, 1], heading[:, 0]])
    t = np.linspace(0, 1, 4)[None, :, None]
    way = heading[:, None] * t + bend[:, None] * t**2 * 0.6
    return roots[:, None] + scene.moved(way * long[:, None, None])


def _comb(
    painting: Painting,
    scene: Scene,
    strands: Points,
    colour: Colour,
    rng: np.random.Generator,
    gloss: float,
    thickness: float = 0.004,
) -> None:
    """Draw strands (n, k, 2) of hair over each other, each of a shade of its own."""
    wide = max(round(thickness * scene.unit), 1)
    shade, drawn = np.zeros(scene.shape, np.uint8), np.zeros(scene.shape, np.uint8)
    for number, bundle in enumerate(np.array_split(fixed(strands), min(4 * _SHADES, max(len(strands), 1)))):
        level = int(rng.integers(60, 200)) if number % 4 else 235
        cv2.polylines(shade, list(bundle), False, level, wide, cv2.LINE_AA, 4)
        cv2.polylines(drawn, list(bundle), False, 255, wide, cv2.LINE_AA, 4)
    opacity = drawn.astype(np.float32) / 255
    # At the edge of a strand both are faint: their quotient is its shade.
    tone = shade.astype(np.float32) / np.maximum(drawn.astype(np.float32), 1)
    bright = 0.55 + 1.1 * tone**2 * gloss + 0.35 * tone
    shine = 0.05 * gloss * np.clip(tone - 0.7, 0, 1)[..., None] * brightness(scene)
    painting.over((colour * bright[..., None] + shine) * scene.shading[..., None], opacity * np.float32(0.9))


def paint_hair(scene: Scene, rng: np.random.Generator) -> Painting:
    """Paint locks of hair that fall over the cheeks, or are blown across the face."""
    painting = Painting(scene)
    colour = hair_colour(scene, rng)
    gloss = rng.uniform(0.3, 0.9)
    side = int(rng.choice([-1, 1]))
    blown = rng.random() < 0.35
    for _ in range(int(rng.integers(2, 7))):
        if rng.random() < 0.3 and not blown:
            side = -side
        knots = _blown(side, rng) if blown else _falling(side, rng)
        centre = scene.points[6] + scene.moved(knots)
        count = int(rng.integers(2, 14)) if blown else int(rng.integers(30, 160))
        spread = rng.uniform(0.015, 0.05) if blown else rng.uniform(0.03, 0.08)
        # A lock comes out of one place and parts towards its end.
        parting = np.linspace(rng.uniform(0.3, 1.0), rng.uniform(0.5, 1.6), len(knots))[None, :, None]
        offsets = rng.normal(0, spread, (count, 1, 2)) * parting + rng.normal(
            0, (0.5 if blown else 0.3) * spread, (count, len(knots), 2)
        )
        strands = np.stack([curve(centre + scene.moved(offset), 16) for offset in offsets])
        _comb(painting, scene, strands, colour * rng.uniform(0.85, 1.15), rng, gloss, 0.003)
    return painting


def _falling(side: int, rng: np.random.Generator) -> Points:
    """Return the axis (5, 2) of a lock that hangs from the crown past the cheek, in widths of the face."""
    inward = rng.uniform(-0.05, 0.24)
    x = np.array([0.15, 0.42, 0.46 - inward, 0.42 - inward * rng.uniform(0.6, 1.5), 0.4 + rng.normal(0, 0.12)])
    y = np.array([-0.75, -0.3, 0.15, 0.5, 0.5 + rng.uniform(0.2, 0.8)])
    return np.column_stack([side * (x + rng.normal(0, 0.03, 5)), y])


def _blown(side: int, rng: np.random.Generator) -> Points:
    """Return the axis (5, 2) of a lock that is blown over cheek, mouth or nose."""
    top = rng.uniform(-0.5, 0.2)
    drop = rng.uniform(0.1, 0.5)
    x = np.array([0.62, 0.4, 0.15, -0.12, -0.4]) + rng.normal(0, 0.02, 5)
    y = top + drop * np.array([0, 0.3, 0.65, 0.9, 1.1]) + rng.normal(0, 0.025, 5)
    return np.column_stack([side * x, y])
