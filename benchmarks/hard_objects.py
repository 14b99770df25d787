"""Objects before a bare face that training never draws: two cut out of photographs, three painted here."""

from collections.abc import Callable

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from facemask.data.synthetic.compose import blend
from facemask.data.synthetic.fabric import Image
from facemask.data.synthetic.mask_geometry import Points
from facemask.data.synthetic.objects import is_no_mask
from facemask.data.synthetic.scene import Painting, Scene, brightness, curve, lit, look_at, mottle, polygon, tube

TRIES = 5
# Outlines in scikit-learn's picture of a dahlia and scikit-image's picture of an espresso, in pixels.
FLOWER = np.array(
    [[169, 215], [172, 160], [200, 118], [245, 95], [310, 85], [370, 105], [415, 140], [432, 200], [440, 240],
     [420, 295], [385, 330], [330, 352], [280, 352], [225, 335], [185, 285]]
)  # fmt: skip
ESPRESSO = np.array(
    [[173, 90], [190, 50], [230, 25], [290, 17], [350, 25], [395, 55], [408, 95], [400, 140], [385, 185], [365, 220],
     [330, 255], [300, 280], [258, 282], [225, 306], [200, 297], [197, 272], [218, 235], [190, 200], [178, 150]]
)  # fmt: skip
ICE = np.array(
    [[0.96, 0.92, 0.8], [0.35, 0.2, 0.13], [0.93, 0.6, 0.65], [0.65, 0.85, 0.65], [0.95, 0.8, 0.45]]
)  # fmt: skip


def draw_unseen(image: Image, points: NDArray[np.floating], name: str, rng: np.random.Generator) -> Image | None:
    """Draw one of `UNSEEN` before a bare face.

    Args:
        image: uint8 (height, width, 3), RGB.
        points: (468, 3) the face's mesh, in pixels.
        name: the object.
        rng: source of chance.

    Returns:
        uint8 (height, width, 3), or None if nothing came out that can be seen and leaves nose or mouth bare.
    """
    scene = look_at(image, points, rng)
    for _ in range(TRIES):
        layer = UNSEEN[name](scene, rng).layer()
        if is_no_mask(layer.opacity, points, name):
            return blend(image, layer, scene.frame, scene.light, rng)
    return None


def paint_flower(scene: Scene, rng: np.random.Generator) -> Painting:
    """Hold a flower, cut out of a photograph, before the mouth."""
    width = rng.uniform(0.35, 0.6)
    place = scene.at(14, rng.normal(0, 0.08), rng.uniform(0.0, 0.2))
    stem = tube(scene, np.stack([place, place + scene.moved(np.array([rng.normal(0, 0.15), 0.9]))]),
                np.full(2, 0.018) * scene.unit)  # fmt: skip
    painting = Painting(scene)
    painting.over(
        np.array([0.2, 0.35, 0.1], np.float32) * brightness(scene) * lit(scene, stem.height)[..., None], stem.mask
    )
    return pasted(painting, scene, load_sample_images().images[1], FLOWER, place, width, rng.uniform(-180, 180))


def paint_espresso(scene: Scene, rng: np.random.Generator) -> Painting:
    """Hold an espresso, cut out of a photograph, before the chin or the mouth."""
    width = rng.uniform(0.38, 0.55)
    place = scene.at(14, rng.normal(0, 0.08), rng.uniform(0.2, 0.35))
    return pasted(Painting(scene), scene, skimage.data.coffee(), ESPRESSO, place, width, rng.uniform(-25, 25))


def pasted(
    painting: Painting, scene: Scene, picture: Image, outline: Points, place: Points, width: float, angle: float
) -> Painting:
    """Paste what lies within an outline of a picture, in the light of the face.

    Args:
        painting: what is there.
        scene: the face.
        picture: uint8 (height, width, 3), RGB.
        outline: (n, 2) in its pixels.
        place: (2,) where the middle of the outline comes to lie.
        width: of the outline, in widths of the face.
        angle: by which it is turned, in degrees.
    """
    alpha = np.zeros(picture.shape[:2], np.float32)
    cv2.fillPoly(alpha, [np.round(curve(outline.astype(np.float64), 120)).astype(np.int32)], 1.0)
    scale = width * scene.unit / float(np.ptp(outline[:, 0]))
    middle = tuple(map(float, outline.mean(axis=0)))
    turn = cv2.getRotationMatrix2D(middle, angle, scale)
    turn[:, 2] += place - middle
    size = scene.shape[::-1]
    # Shrunk much, it would flicker: it is smoothed first.
    smooth = cv2.GaussianBlur(picture, (0, 0), max(0.45 / scale, 0.1))
    seen, share = (cv2.warpAffine(item, turn, size) for item in (smooth, alpha))
    painting.over(seen.astype(np.float32) / 255 * brightness(scene) * scene.shading[..., None], share)
    return painting


def paint_paper(scene: Scene, rng: np.random.Generator) -> Painting:
    """Hold a sheet of printed paper before the mouth and what lies below."""
    painting = Painting(scene)
    top = scene.at(2, rng.normal(0, 0.1), rng.uniform(0.02, 0.15))
    lean = np.deg2rad(rng.normal(0, 8))
    along, down = np.array([np.cos(lean), np.sin(lean)]), np.array([-np.sin(lean), np.cos(lean)])
    wide = rng.uniform(0.35, 0.8)
    corners = top + scene.moved(
        np.stack([-wide * along, wide * along, wide * along + 1.6 * down, 1.6 * down - wide * along])
    )
    sheet = polygon(scene, corners)
    bend = np.cumsum(mottle(scene.shape, (0.6 * scene.unit, 0.3 * scene.unit), rng), axis=1).astype(np.float32) * 0.02
    shade = lit(scene, bend * sheet, 0.6)[..., None]
    paper = np.full(3, 0.95, np.float32) if rng.random() < 0.7 else rng.uniform(0.5, 0.95, 3).astype(np.float32)
    painting.over(paper * brightness(scene) * shade, sheet)
    ink = np.zeros(scene.shape, np.float32)
    for number in range(12):
        start = top + scene.moved((-0.85 * wide) * along + (0.1 + 0.07 * number) * down)
        for word in range(14):
            left = start + scene.moved((0.125 * wide * word) * along)
            right = left + scene.moved(rng.uniform(0.03, 0.11) * wide * along)
            ink = np.maximum(ink, tube(scene, np.stack([left, right]), np.full(2, 0.007) * scene.unit).mask)
    painting.over(np.full(3, 0.12, np.float32) * shade, ink * sheet * np.float32(0.8 if rng.random() < 0.7 else 0.0))
    return painting


def paint_ice_cream(scene: Scene, rng: np.random.Generator) -> Painting:
    """Hold an ice cream in a cone at the mouth."""
    painting = Painting(scene)
    lean = np.deg2rad(rng.normal(0, 18))
    down = np.array([-np.sin(lean), np.cos(lean)])
    radius = rng.uniform(0.12, 0.19)
    mouth = scene.at(14, rng.normal(0, 0.05), rng.uniform(0.3, 0.6) * radius)
    white = brightness(scene)
    tip = np.stack([0.8 * radius * down, (0.8 * radius + 0.55) * down])
    cone = tube(scene, mouth + scene.moved(tip), np.array([0.85 * radius, 0.03]) * scene.unit)
    waffle = 0.85 + 0.15 * np.sign(np.sin(cone.along / (0.022 * scene.unit)) * np.sin(cone.across * 9))
    painting.over(
        np.array([0.8, 0.55, 0.3], np.float32) * white * (lit(scene, cone.height) * waffle)[..., None], cone.mask
    )
    for number in range(int(rng.integers(1, 3))):
        middle = mouth + scene.moved((0.9 - 1.1 * number) * 0.4 * radius * down)
        ball = tube(scene, np.stack([middle, middle + 0.5]), np.full(2, radius * (1 - 0.1 * number)) * scene.unit)
        rough = mottle(scene.shape, (0.025 * scene.unit, 0.04 * scene.unit), rng) * 0.012 * scene.unit
        shade = lit(scene, ball.height + rough * ball.mask, 0.55)[..., None]
        painting.over(ICE[rng.integers(len(ICE))].astype(np.float32) * white * shade * 1.1, ball.mask)
    return painting


def paint_burger(scene: Scene, rng: np.random.Generator) -> Painting:
    """Hold a burger at the mouth."""
    painting = Painting(scene)
    middle = scene.at(14, rng.normal(0, 0.05), rng.uniform(0.04, 0.16))
    half, white = rng.uniform(0.2, 0.3), brightness(scene)
    layers: tuple[tuple[float, float, tuple[float, float, float]], ...] = (
        (0.13, 0.07, (0.78, 0.52, 0.25)), (0.07, 0.045, (0.25, 0.13, 0.07)), (0.035, 0.025, (0.95, 0.72, 0.2)),
        (0.01, 0.025, (0.35, 0.6, 0.18)), (-0.05, 0.085, (0.76, 0.47, 0.2)),
    )  # fmt: skip
    for height, thick, colour in layers:
        wave = rng.normal(0, 0.012, 5) if 0 < height < 0.05 else np.zeros(5)
        knots = np.column_stack([np.linspace(-half, half, 5), height + wave])
        body = tube(scene, curve(middle + scene.moved(knots)), np.full(24, thick) * scene.unit)
        rough = mottle(scene.shape, (0.02 * scene.unit, 0.03 * scene.unit), rng) * 0.008 * scene.unit
        shade = lit(scene, body.height + rough * body.mask, 0.5) * (1 + 0.06 * mottle(scene.shape, (5, 5), rng))
        painting.over(np.array(colour, np.float32) * white * shade[..., None] * 1.15, body.mask)
    return painting


UNSEEN: dict[str, Callable[[Scene, np.random.Generator], Painting]] = {
    "flower, of a photograph": paint_flower,
    "espresso, of a photograph": paint_espresso,
    "sheet of paper": paint_paper,
    "ice cream": paint_ice_cream,
    "burger": paint_burger,
}
