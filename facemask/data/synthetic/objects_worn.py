"""What is worn about a bare face: scarves, collars, turbans, headscarves, spectacles and headsets."""

from typing import Literal, get_args

import cv2
import numpy as np

from facemask.data.synthetic.compose import OVAL
from facemask.data.synthetic.fabric import HEIGHT, WIDTH, Map, Style, draw_fabric
from facemask.data.synthetic.mask_geometry import Points
from facemask.data.synthetic.scene import (
    Colour,
    Painting,
    Scene,
    Solid,
    brightness,
    curve,
    line,
    lit,
    looked_up,
    mottle,
    polygon,
    tube,
)
from facemask.faces import mesh as lm

CollarForm = Literal["roll", "zip", "open"]
HeadwearForm = Literal["turban", "headscarf"]
COLLAR_FORMS: tuple[CollarForm, ...] = get_args(CollarForm)
HEADWEAR_FORMS: tuple[HeadwearForm, ...] = get_args(HeadwearForm)

_UNDER_LIP = 0.035  # widths of the face; no cloth is worn higher below the lower lip
_FRAMES = np.array(
    [[0.03, 0.03, 0.035], [0.05, 0.04, 0.04], [0.25, 0.13, 0.06], [0.72, 0.58, 0.32], [0.62, 0.63, 0.65],
     [0.55, 0.08, 0.1], [0.12, 0.18, 0.4], [0.85, 0.84, 0.82]]
)  # fmt: skip


class Cloth:
    """A woven or knitted material whose pattern can be looked up anywhere; all about it is chance."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        """Choose colours, pattern and weave."""
        style: Style = "printed" if rng.random() < 0.45 else "cloth"
        self._colour = cv2.GaussianBlur(draw_fabric(style, bool(rng.random() < 0.2), rng).colour, (0, 0), 1)
        self._scale = rng.uniform(150, 330) / scene.unit  # pixels of the pattern per pixel of the canvas
        self._offset = rng.uniform(0, (WIDTH, HEIGHT))
        self._knit = rng.uniform(0.018, 0.04) if rng.random() < 0.5 else 0.0
        self._unit = scene.unit

    def seen(self, along: Map, aside: Map) -> Colour:
        """Return what it reflects, (height, width, 3), at places in pixels of the canvas."""
        u, v = along * self._scale + self._offset[0], aside * self._scale + self._offset[1]
        return looked_up(self._colour, u % (2 * WIDTH), v % (2 * HEIGHT)) * self._stitches(along, aside)[..., None]

    def _stitches(self, along: Map, aside: Map) -> Map:
        if not self._knit:
            return np.ones_like(along)
        size = self._knit * self._unit
        column = aside / size
        slanted = along / (0.7 * size) + np.abs((column % 1) - 0.5) * 1.6  # a V for each stitch
        groove = np.abs(((column % 1) - 0.5) * 2) ** 4
        return (1 - 0.12 * (0.5 + 0.5 * np.cos(2 * np.pi * slanted)) - 0.16 * groove).astype(np.float32)


def paint_scarf(scene: Scene, rng: np.random.Generator) -> Painting:
    """Paint a scarf wound about the neck, at most up to below the lower lip."""
    painting = Painting(scene)
    cloth = Cloth(scene, rng)
    top = _highest(scene, rng)
    middle = scene.at(lm.CHIN)
    count = int(rng.integers(2, 5))
    thick = rng.uniform(0.1, 0.17, count)
    fold = rng.uniform(0.01, 0.045)
    rolls = []
    height = top
    for number in range(count):
        radius = thick[number]
        lift = rng.uniform(0.1, 0.3) + 0.06 * number  # of its ends, behind the neck
        knots = np.array([[-0.95, -0.1 - lift], [-0.5, 0.02 - 0.6 * lift], [0, 0], [0.5, 0.02 - 0.6 * lift],
                          [0.95, -0.1 - lift]])  # fmt: skip
        knots[:, 1] += rng.normal(0, 0.03, 5) + np.linspace(-1, 1, 5) * rng.normal(0, 0.07)
        knots[2, 1] = 0
        path = curve(middle + scene.moved(knots + np.array([rng.normal(0, 0.04), height + radius])), 20)
        rolls.append(tube(scene, path, np.full(20, radius) * scene.unit, 0.6))
        height += radius * rng.uniform(0.9, 1.5)
    below = polygon(scene, _down_to_the_end(scene, middle + scene.moved(np.array([0.0, top + 0.25])), 1.2))
    _paint_cloth(painting, scene, Solid(below, *_flat(scene)), cloth, below * 0.8, fold, rng)
    order = rolls[::-1] if rng.random() < 0.7 else rolls
    for roll in order:
        _paint_cloth(painting, scene, roll, cloth, np.ones(scene.shape, np.float32), fold, rng)
    if rng.random() < 0.5:  # an end that hangs down
        start = middle + scene.moved(np.array([rng.uniform(-0.35, 0.35), top + 0.25]))
        path = np.stack([start, start + scene.moved(np.array([rng.normal(0, 0.08), 0.9]))])
        end = tube(scene, path, np.array([0.13, 0.2]) * scene.unit, 0.4)
        _paint_cloth(painting, scene, end, cloth, np.ones(scene.shape, np.float32), fold, rng)
    _behind_the_face(painting, scene, top, rng)
    return painting


def paint_collar(scene: Scene, form: CollarForm, rng: np.random.Generator) -> Painting:
    """Paint a high collar, at most up to below the lower lip.

    Args:
        scene: the face.
        form: rolled as of a pullover, zipped up as of a jacket, or open in front.
        rng: source of chance.
    """
    painting = Painting(scene)
    cloth = Cloth(scene, rng)
    top = _highest(scene, rng)
    middle = scene.at(lm.CHIN)
    wide = rng.uniform(0.34, 0.5)
    rise = rng.uniform(0.03, 0.14)  # of the edge towards the sides
    t = np.linspace(-1, 1, 21)
    gap = rng.uniform(0.05, 0.2) if form == "open" else 0.0
    dip = gap * 2.2 * np.clip(1 - np.abs(t) / 0.45, 0, 1)
    edge = np.column_stack([wide * np.sin(t * np.pi / 2), top - rise * t**2 + dip])
    flare = rng.uniform(1.05, 1.5)
    low = np.array([[wide * flare, top + 0.45], [1.1, top + 0.75], [1.1, 2.0], [-1.1, 2.0], [-1.1, top + 0.75],
                    [-wide * flare, top + 0.45]])  # fmt: skip
    body = polygon(scene, middle + scene.moved(np.vstack([edge, low])))
    across, down = _local(scene, middle)
    round_ = np.sqrt(np.clip(1 - (across / (wide * flare * 1.15)) ** 2, 0, 1)).astype(np.float32)
    relief = round_ * 0.45 * scene.unit
    shade = np.ones(scene.shape, np.float32)
    if form == "roll":
        rib = rng.uniform(0.012, 0.03)
        angle = np.arcsin(np.clip(across / (wide * flare * 1.15), -1, 1)) * wide
        shade *= 0.86 + 0.14 * np.cos(2 * np.pi * angle / rib)
        turn = rng.uniform(0.14, 0.3)
        relief = relief + 0.03 * scene.unit * np.clip(1 - (down - top) / turn, 0, None) ** 0.5
        shade *= 1 - 0.35 * np.exp(-(((down - top - turn - 0.01) / 0.018) ** 2))
    elif form == "zip":
        shade *= 1 - 0.5 * np.exp(-((across / 0.012) ** 2)) * (0.6 + 0.4 * np.sign(np.sin(down * 220)))
        shade *= 1 - 0.12 * np.exp(-(((down - top - rng.uniform(0.15, 0.25)) / 0.01) ** 2))
    solid = Solid(
        relief * (body > 0.5), (down * scene.unit).astype(np.float32), (across * scene.unit).astype(np.float32)
    )
    # The chin keeps light from it.
    shade *= 1 - rng.uniform(0.1, 0.4) * np.exp(-np.clip(down - top, 0, None) / 0.1) * round_
    _paint_cloth(painting, scene, solid, cloth, shade.astype(np.float32), rng.uniform(0.0, 0.03), rng, opacity=body)
    _behind_the_face(painting, scene, top, rng)
    return painting


def paint_headwear(scene: Scene, form: HeadwearForm, rng: np.random.Generator) -> Painting:
    """Paint a turban over the forehead, or a headscarf about the face that leaves it free from brows to lips.

    Args:
        scene: the face.
        form: which of them.
        rng: source of chance.
    """
    painting = Painting(scene)
    cloth = Cloth(scene, rng)
    fold = rng.uniform(0.01, 0.03)
    one = np.ones(scene.shape, np.float32)
    if form == "turban":
        brow = scene.at(9, 0, rng.uniform(-0.16, -0.05))
        top = polygon(scene, brow + scene.moved(np.array([[-0.68, -0.1], [0.68, -0.1], [0.6, -1.2], [-0.6, -1.2]])))
        _paint_cloth(painting, scene, Solid(top * 0.1 * scene.unit, *_flat(scene)), cloth, one, fold, rng, opacity=top)
        for number in range(6, -1, -1):
            side = (-1) ** number
            height = -0.12 * number
            knots = np.array([[-0.62, 0.12 - 0.03 * number], [-0.3, -0.02], [0.05, -0.13], [0.36, -0.22], [0.62, -0.2]])
            knots = (knots + rng.normal(0, 0.02, knots.shape)) * [side, 1] + [0, height - 0.02]
            band = tube(
                scene, curve(brow + scene.moved(knots), 20), np.full(20, rng.uniform(0.09, 0.13)) * scene.unit, 0.5
            )
            _paint_cloth(painting, scene, band, cloth, one, fold, rng)
        return painting
    oval = scene.points[list(OVAL)]
    middle = oval.mean(axis=0)
    inner = middle + (oval - middle) * rng.uniform(0.86, 1.0)
    lowest = scene.at(lm.CHIN, 0, _highest(scene, rng))
    depth = (inner - lowest) @ scene.down
    inner = inner - np.clip(depth, 0, None)[:, None] * scene.down
    opening = polygon(scene, curve(np.vstack([inner, inner[:1]]), 90), 0.004)
    outer = middle + (oval - middle) * rng.uniform(1.35, 1.6)
    shoulders = _down_to_the_end(scene, scene.at(lm.CHIN, 0, -0.1), 0.95)
    hull = cv2.convexHull(np.vstack([outer, shoulders]).astype(np.float32))[:, 0]
    shape = polygon(scene, hull.astype(np.float64))
    distance = cv2.distanceTransform((opening < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    across, down = _local(scene, middle)
    angle = (np.arctan2(across, -down) * 0.5 * scene.unit).astype(np.float32)
    rim = (0.16 - 0.1 * np.exp(-distance / (0.05 * scene.unit)) - 0.2 * (distance / scene.unit) ** 2) * scene.unit
    solid = Solid(np.maximum(rim, 0.001) * (shape > 0.5), angle, distance)
    visible = (shape * (1 - opening)).astype(np.float32)
    _paint_cloth(painting, scene, solid, cloth, one, fold * 1.4, rng, opacity=visible)
    return painting


def paint_spectacles(scene: Scene, low: bool, rng: np.random.Generator) -> Painting:
    """Paint spectacles, on the tip of the nose or where they belong.

    Args:
        scene: the face.
        low: whether they have slid down to the tip of the nose.
        rng: source of chance.
    """
    painting = Painting(scene)
    mesh = scene.frame.points
    eyes = float(mesh[[33, 133, 263, 362], 1].mean())
    tip = float(mesh[lm.NOSE_TIP, 1])
    bridge = eyes + (tip - eyes) * (rng.uniform(0.5, 0.8) if low else rng.uniform(-0.05, 0.3))
    ridge = mesh[[168, 6, 197, 195, 5, 4]]
    front = float(np.interp(bridge, ridge[:, 1], ridge[:, 2])) - 0.015
    half, tall = rng.uniform(0.16, 0.22), rng.uniform(0.08, 0.16)
    gap, squareness = rng.uniform(0.035, 0.06), rng.uniform(2.0, 4.5)
    bow = rng.uniform(0.02, 0.1)  # how far the outer ends lie behind the bridge
    around = np.linspace(0, 2 * np.pi, 48)
    tilt = np.deg2rad(rng.normal(0, 3))
    colour = (_FRAMES[rng.integers(len(_FRAMES))] * rng.uniform(0.8, 1.2)).astype(np.float32) * brightness(scene)
    thick = rng.uniform(0.006, 0.026)
    dark = rng.random() < 0.25
    tint = rng.uniform(0.02, 0.15, 3).astype(np.float32) if dark else np.full(3, rng.uniform(0.6, 1), np.float32)
    shaded = scene.shading[..., None]
    across, down = _local(scene, scene.points[6])
    frame = np.zeros(scene.shape, np.float32)
    centre_x = float(mesh[lm.NOSE_TIP, 0] if low else mesh[6, 0])
    for side in (-1, 1):
        x = side * (gap + half) + half * _power(np.cos(around), 2 / squareness)
        y = bridge + 0.25 * tall + tall * _power(np.sin(around), 2 / squareness)
        z = front + 0.03 + bow * (np.abs(x) / (gap + 2 * half)) ** 2
        rim = scene.seen(np.column_stack([centre_x + x * np.cos(tilt), y + x * np.sin(tilt), z]))
        glass = polygon(scene, rim)
        sheen = 0.5 + 0.5 * np.sin(6 * (across + 0.7 * down) + rng.uniform(0, 6))
        if dark:
            painting.over(tint * brightness(scene) * (1 + 2.5 * sheen[..., None]) * shaded, glass * np.float32(0.85))
        else:
            strength = rng.uniform(0.0, 0.16)
            painting.over(brightness(scene) * tint * shaded, glass * (strength * sheen**3).astype(np.float32))
        frame = np.maximum(frame, line(scene, rim, thick))
        outer = np.array(
            [centre_x + side * (gap + 1.95 * half) * np.cos(tilt), bridge - 0.3 * tall, front + 0.03 + bow]
        )
        ear = mesh[lm.RIGHT_EAR if side > 0 else lm.LEFT_EAR] + np.array([0.02 * side, -0.1, 0.1])
        frame = np.maximum(frame, line(scene, scene.seen(np.stack([outer, ear])), thick * 0.8))
    x = np.linspace(-gap, gap, 9)
    arch = np.column_stack([centre_x + x, bridge + 0.02 - 0.03 * (1 - (x / gap) ** 2), np.full(9, front)])
    frame = np.maximum(frame, line(scene, scene.seen(arch), thick))
    shade = lit(scene, cv2.GaussianBlur(frame, (0, 0), 1.0) * 0.02 * scene.unit, 0.6)
    # Polished frames show a light somewhere.
    gleam = np.clip(mottle(scene.shape, (0.1 * scene.unit, 0.1 * scene.unit), rng) - 1, 0, 1)[..., None] * 0.25
    painting.over(colour * shade[..., None] * 1.1 + gleam * brightness(scene), frame)
    return painting


def paint_headset(scene: Scene, rng: np.random.Generator) -> Painting:
    """Paint the thin arm of a headset, or of a singer's microphone, from an ear to the corner of the mouth."""
    painting = Painting(scene)
    side = int(rng.choice([-1, 1]))
    ear, corner = (lm.RIGHT_EAR, 291) if side > 0 else (lm.LEFT_EAR, 61)
    start = scene.at(ear, side * 0.02, rng.uniform(-0.02, 0.08))
    end = scene.at(corner, side * rng.uniform(-0.12, 0.08), rng.uniform(0.0, 0.1))
    path = curve(
        np.stack([start, (start + end) / 2 + scene.moved(np.array([side * 0.05, rng.uniform(0.05, 0.15)])), end])
    )
    colour = rng.choice([0.03, 0.05, 0.12, 0.65]) * np.ones(3, np.float32) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    arm = tube(scene, path, np.full(len(path), rng.uniform(0.008, 0.018)) * scene.unit)
    shade = lit(scene, arm.height)[..., None]
    painting.over(colour * brightness(scene) * (shade + 0.3 * np.clip(shade - 0.9, 0, 1)), arm.mask)
    foam = tube(scene, np.stack([end, end + scene.moved(np.array([-side * 0.03, 0.01]))]),
                np.full(2, rng.uniform(0.022, 0.055)) * scene.unit)  # fmt: skip
    grainy = 1 + 0.2 * mottle(scene.shape, (2, 2), rng)[..., None]
    painting.over(colour * brightness(scene) * lit(scene, foam.height)[..., None] * grainy, foam.mask)
    if rng.random() < 0.6:
        pad = tube(scene, np.stack([start + scene.moved(np.array([side * 0.05, -0.12])), start]),
                   np.full(2, rng.uniform(0.07, 0.12)) * scene.unit, 0.5)  # fmt: skip
        painting.over(colour * brightness(scene) * lit(scene, pad.height)[..., None], pad.mask)
    return painting


def _power(values: Points, exponent: float) -> Points:
    return np.sign(values) * np.abs(values) ** exponent


def _highest(scene: Scene, rng: np.random.Generator) -> float:
    """Choose how high cloth reaches: in widths of the face below the chin; above it where negative."""
    lip = float((scene.points[17] - scene.points[lm.CHIN]) @ scene.down) / scene.unit + _UNDER_LIP
    # Mostly over the chin: there it is taken for a mask. On a bowed head the lip may be below the chin.
    return rng.uniform(min(lip, -0.02), -0.02) if rng.random() < 0.7 else rng.uniform(-0.05, 0.1)


def _down_to_the_end(scene: Scene, middle: Points, wide: float) -> Points:
    return middle + scene.moved(np.array([[-wide * 0.7, 0.0], [wide * 0.7, 0.0], [wide, 0.6], [wide, 3.0], [-wide, 3.0],
                                          [-wide, 0.6]]))  # fmt: skip


def _local(scene: Scene, middle: Points) -> tuple[Points, Points]:
    """Return for each pixel how far right of and below `middle` it is, in widths of the face."""
    y, x = np.mgrid[0 : scene.shape[0], 0 : scene.shape[1]]
    across = ((x - middle[0]) * scene.right[0] + (y - middle[1]) * scene.right[1]) / scene.unit
    down = ((x - middle[0]) * scene.down[0] + (y - middle[1]) * scene.down[1]) / scene.unit
    return across.astype(np.float32), down.astype(np.float32)


def _flat(scene: Scene) -> tuple[Map, Map]:
    across, down = _local(scene, scene.points[lm.CHIN])
    return (across * scene.unit).astype(np.float32), (down * scene.unit).astype(np.float32)


def _behind_the_face(painting: Painting, scene: Scene, top: float, rng: np.random.Generator) -> None:
    """Let the jaw stand before cloth that ends at the chin; cloth that reaches higher lies before the jaw."""
    if top > -0.03 and rng.random() < 0.8:
        painting.without(polygon(scene, scene.points[list(OVAL)], 0.006))


def _paint_cloth(
    painting: Painting,
    scene: Scene,
    solid: Solid,
    cloth: Cloth,
    shade: Map,
    fold: float,
    rng: np.random.Generator,
    opacity: Map | None = None,
) -> None:
    """Paint cloth over what is there.

    Args:
        painting: what is there.
        scene: the face.
        solid: the body of the cloth; `across` in radii (or pixels).
        cloth: its material.
        shade: float32 (height, width), light that is kept from it.
        fold: depth of its folds, in widths of the face.
        rng: source of chance.
        opacity: where it is; None for where the body is.
    """
    aside = solid.across * (0.13 * scene.unit) if np.abs(solid.across).max() <= 1.001 else solid.across
    # Folds run along the cloth, long and narrow.
    coarse = mottle((96, 96), (9, 40), rng)
    folds = looked_up(coarse, 48 + solid.along / (0.012 * scene.unit), 48 + aside / (0.006 * scene.unit))
    wrinkles = mottle(scene.shape, (0.05 * scene.unit, 0.12 * scene.unit), rng)
    height = solid.height + (folds + 0.4 * wrinkles) * fold * scene.unit * 0.6
    mask = solid.mask if opacity is None else opacity
    light = lit(scene, height, 0.5) * shade
    # Its edge throws a shadow on what lies below.
    drop = np.array([[1, 0, 0], [0, 1, 0.03 * scene.unit]], dtype=np.float32)
    shadow = cv2.warpAffine(cv2.GaussianBlur(mask, (0, 0), 0.03 * scene.unit), drop, mask.shape[::-1])
    painting.colour *= (1 - 0.5 * shadow)[..., None]
    fibres = 1 + 0.035 * rng.standard_normal(scene.shape, dtype=np.float32)
    painting.over(cloth.seen(solid.along, aside) * brightness(scene) * (light * fibres)[..., None] * 1.1, mask)
