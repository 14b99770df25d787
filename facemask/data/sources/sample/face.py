"""Skin, ears, eyes, nose, mouth, wrinkles and beards."""

from dataclasses import dataclass

import numpy as np

from facemask.data.sources.sample.canvas import Array, Canvas, Stencil, ellipse, mix, moved, rgb, ribbon, smooth
from facemask.data.sources.sample.head import Head
from facemask.data.sources.sample.plan import MONK_TONES

_IRIS = ("#4b2e1d", "#5b3a22", "#3a2418", "#6b4a2a", "#55704a", "#5a7f9c", "#7b8f96")


@dataclass(frozen=True)
class Skin:
    """The colours of one skin, float32 RGB 0..255."""

    base: Array
    shadow: Array
    deep: Array
    shine: Array
    blush: Array
    lip: Array
    line: Array


def skin_of(tone: int) -> Skin:
    """Return the colours for a tone 1..10 of the Monk scale."""
    # The scale's swatches are averages; a lit picture of the darkest needs some room below them.
    base = mix(mix(MONK_TONES[tone - 1], "#c98a62", 0.27 if tone <= 4 else 0.14), "#7a4a34", 0.18 if tone >= 9 else 0.0)
    depth = (tone - 1) / 9
    return Skin(
        base=base,
        shadow=base * rgb((0.74, 0.62, 0.57)) * (1 - 0.08 * depth),
        deep=base * rgb((0.45, 0.31, 0.28)),
        shine=mix(base, "#fff3e4", 0.55 - 0.2 * depth),
        blush=mix(base, "#d4553f", 0.42 - 0.14 * depth),
        lip=mix(base, "#b23a44" if tone <= 5 else "#8f3540", 0.46 - 0.12 * depth),
        line=base * rgb((0.38, 0.25, 0.22)),
    )


def rounded(head: Head, stencil: Stencil, light: Array, size: tuple[float, float]) -> Array:
    """Return how much light falls on an egg of half axes `size` (head units): (h, w), about -1..1.

    `light` is the unit vector towards the light. Lambert's cosine law.
    """
    x, y = head.local(*stencil.pixels())
    nx = np.clip((x - 0.25 * np.sin(head.yaw)) / size[0], -0.98, 0.98)
    ny = np.clip((y - 0.05) / size[1], -0.98, 0.98)
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.02, 1))
    norm = np.sqrt(nx**2 + ny**2 + nz**2)
    return (nx * light[0] + ny * light[1] + nz * light[2]) / norm


def lit(skin: Skin, amount: Array) -> Array:
    """Return the colour of skin under `amount` of light, (h, w) to (h, w, 3)."""
    t = np.clip((amount - 0.05) / 0.72, 0, 1).astype(np.float32)[..., None]
    bright = np.clip((amount - 0.80) / 0.25, 0, 1).astype(np.float32)[..., None]
    t = t * t * (3 - 2 * t)
    colour = skin.shadow + (skin.base - skin.shadow) * t
    return colour + (skin.shine - colour) * bright * np.float32(0.45)


def paint_head(canvas: Canvas, head: Head, skin: Skin, light: Array) -> Array:
    """Paint the bare head with its shading; return its full-size alpha to clip with."""
    stencil = canvas.stencil(head.silhouette(head.outline()))
    canvas.paint(stencil, lit(skin, rounded(head, stencil, light, (1.0, 1.45))))
    clip = canvas.spread(stencil)
    s, unit = head.shape, head.scale
    for side in (-1, 1):
        towards = side * light[0]
        socket = head.surface(ellipse(side * s.eye_x * 0.95, s.eye_y - 0.06, 0.20, 0.12))
        canvas.fill(socket, skin.shadow, 0.50, 0.06 * unit, clip)
        cheek = head.surface(ellipse(side * 0.40, s.eye_y + 0.36, 0.17, 0.12))
        canvas.fill(cheek, skin.blush, 0.50, 0.07 * unit, clip)
        bone = head.surface(ellipse(side * 0.42, s.eye_y + 0.22, 0.12, 0.05, side * -0.3))
        canvas.fill(bone, skin.shine, 0.30 + 0.25 * max(towards, 0), 0.045 * unit, clip)
        hollow = head.surface(ellipse(side * 0.60, s.mouth_y - 0.05, 0.10, 0.28, side * 0.35))
        canvas.fill(hollow, skin.shadow, 0.25 - 0.25 * min(towards, 0), 0.08 * unit, clip)
    brow = head.surface(ellipse(0.12 * np.sign(light[0]), s.brow_y - 0.22, 0.30, 0.12))
    canvas.fill(brow, skin.shine, 0.30, 0.09 * unit, clip)
    chin = head.surface(ellipse(0, s.chin_y - 0.12, 0.12, 0.06))
    canvas.fill(chin, skin.shine, 0.25, 0.05 * unit, clip)
    under = head.silhouette(
        smooth([(-0.5, s.chin_y - 0.1), (0, s.chin_y + 0.06), (0.5, s.chin_y - 0.1), (0, s.chin_y - 0.03)])
    )
    canvas.fill(under, skin.shadow, 0.6, 0.04 * unit, clip)
    return clip


def paint_ear(canvas: Canvas, head: Head, skin: Skin, light: Array, side: int) -> None:
    """Paint one ear with its folds."""
    shape = [
        (-0.06, -0.22),
        (0.03, -0.27),
        (0.115, -0.20),
        (0.12, -0.04),
        (0.085, 0.12),
        (0.04, 0.23),
        (-0.03, 0.22),
        (-0.07, 0.1),
    ]
    base = mix(mix(skin.base, skin.shadow, 0.30 if side * light[0] > 0 else 0.65), skin.blush, 0.3)
    canvas.fill(head.ear(side, smooth(shape)), base)
    inner = [(-0.05, -0.13), (0.02, -0.19), (0.075, -0.13), (0.07, -0.02), (0.03, 0.08), (-0.04, 0.10)]
    canvas.fill(head.ear(side, smooth(inner)), skin.deep, 0.42, 0.018 * head.scale)
    fold = smooth([(0.0, -0.13), (0.045, -0.07), (0.03, 0.02), (-0.01, 0.06)], closed=False)
    canvas.fill(ribbon(head.ear(side, fold), np.array([0.01, 0.035, 0.01]) * head.scale), base, 0.8, 0.006 * head.scale)


def paint_eyes(
    canvas: Canvas, head: Head, skin: Skin, brow_colour: Array, rng: np.random.Generator, feminine: bool, old: bool
) -> None:
    """Paint both eyes with lids, lashes and brows."""
    s, unit = head.shape, head.scale
    iris_colour = rgb(_IRIS[int(rng.integers(0, 3 if skin.base[0] < 170 else len(_IRIS)))])
    gaze = moved(np.clip(rng.normal(0, 0.012, 2), -0.025, 0.025), 0.02 * np.sin(head.yaw), 0.0)
    arch, tilt = rng.uniform(0.012, 0.03), rng.uniform(-0.03, 0.0)
    for side in (-1, 1):

        def at(points: list[tuple[float, float]], side: int = side) -> Array:
            """Place points given about the eye, x growing outwards from the nose."""
            p = np.asarray(points)
            slant = s.eye_slant * p[:, 0] / s.eye_w
            return np.stack([side * (s.eye_x + p[:, 0]), s.eye_y + p[:, 1] - slant], axis=1)

        w, o = s.eye_w, s.eye_open
        upper = [(-w, 0.018), (-0.55 * w, -0.75 * o), (0.05 * w, -1.12 * o), (0.62 * w, -0.75 * o), (w, 0.0)]
        lower = [(w, 0.0), (0.5 * w, 0.66 * o), (-0.1 * w, 0.82 * o), (-0.66 * w, 0.55 * o), (-w, 0.018)]
        lid = smooth(at(upper), closed=False)
        under = smooth(at(lower), closed=False)
        almond = canvas.stencil(head.surface(np.concatenate([lid, under[1:-1]])))
        canvas.paint(almond, mix("#f4efea", skin.base, 0.08))
        inside = canvas.spread(almond)
        cx, cy = side * s.eye_x + gaze[0], s.eye_y + gaze[1] - 0.006
        radius = max(0.078, 0.98 * o)
        canvas.fill(head.surface(ellipse(cx, cy, radius, radius)), iris_colour * 0.5, 1, 0.004 * unit, inside)
        canvas.fill(
            head.surface(ellipse(cx, cy + 0.004, radius * 0.84, radius * 0.84)), iris_colour, 1, 0.006 * unit, inside
        )
        canvas.fill(
            head.surface(ellipse(cx, cy + 0.035, radius * 0.55, radius * 0.38)),
            mix(iris_colour, "#ffe9c8", 0.4),
            0.7,
            0.012 * unit,
            inside,
        )
        canvas.fill(head.surface(ellipse(cx, cy, radius * 0.42, radius * 0.42)), "#0d0908", 1, 0, inside)
        canvas.fill(ribbon(head.surface(moved(lid, 0, 0.022)), 0.05 * unit), skin.deep * 0.7, 0.55, 0.01 * unit, inside)
        canvas.fill(head.surface(ellipse(cx + 0.026, cy - 0.028, 0.019, 0.019)), "#ffffff", 0.95)
        corner = head.surface(ellipse(side * (s.eye_x - w * 0.93), s.eye_y + 0.014, 0.018, 0.013))
        canvas.fill(corner, skin.blush, 0.7, 0.004 * unit)
        lash = np.array([0.010, 0.026, 0.034, 0.022]) * unit * (1.25 if feminine else 0.9)
        reach = np.concatenate([lid, moved(lid[-1:], side * (0.03 if feminine else 0.012), -0.012)])
        canvas.fill(ribbon(head.surface(reach), lash), mix("#120b08", skin.line, 0.2))
        canvas.fill(ribbon(head.surface(under), np.array([0.012, 0.006, 0.003]) * unit), skin.line, 0.55)
        crease = smooth(at([(x * 0.95, y - 0.052 - 0.01 * (1 - abs(x) / w)) for x, y in upper]), closed=False)
        canvas.fill(
            ribbon(head.surface(crease), np.array([0.002, 0.015, 0.013, 0.003]) * unit), skin.line, 0.55, 0.004 * unit
        )
        if old:
            bag = smooth(at([(-0.8 * w, 0.09), (0, 0.145), (0.8 * w, 0.085)]), closed=False)
            canvas.fill(
                ribbon(head.surface(bag), np.array([0.003, 0.022, 0.003]) * unit), skin.deep, 0.45, 0.008 * unit
            )
            for angle in (-0.35, 0.05, 0.45):
                foot = np.array([(w + 0.05, 0.25 * angle * 0.1), (w + 0.15, 0.13 * angle)])
                canvas.fill(
                    ribbon(head.surface(at([tuple(p) for p in foot])), np.array([0.012, 0.003]) * unit),
                    skin.deep,
                    0.5,
                    0.003 * unit,
                )
        height = s.brow_y - s.eye_y
        brow = smooth(
            at([(-0.19, height + tilt), (-0.06, height - 0.018), (0.09, height - arch), (0.22, height + 0.045)]),
            closed=False,
        )
        thick = np.array([0.75, 1.0, 0.85, 0.2]) * s.brow_thick * unit
        canvas.fill(ribbon(head.surface(brow), thick), brow_colour, 0.82, 0.009 * unit)
        hairs = [
            head.surface(np.array([moved(p, 0, 0.35 * s.brow_thick), moved(p, side * 0.035, -0.42 * s.brow_thick)]))
            for p in brow[2:-5:2]
        ]
        canvas.paint(canvas.lines(hairs, 0.008 * unit), brow_colour * 0.7, 0.5)


def paint_nose(canvas: Canvas, head: Head, skin: Skin, light: Array, clip: Array) -> None:
    """Paint the nose: bridge, tip, wings and nostrils."""
    s, unit = head.shape, head.scale
    w, y = s.nose_w, s.nose_y
    dark_side = -1 if light[0] > 0 else 1
    ridge_y = np.array([s.eye_y - 0.10, s.eye_y + 0.1, y - 0.12, y + 0.02])
    for side in (-1, 1):
        strength = 0.62 if side == dark_side else 0.25
        flank = np.array(
            [(side * 0.10, s.eye_y - 0.10), (side * 0.09, s.eye_y + 0.1), (side * 0.11, y - 0.14), (side * w, y - 0.04)]
        )
        canvas.fill(
            ribbon(head.surface(smooth(flank, closed=False), 0.06), np.array([0.05, 0.05, 0.07, 0.07]) * unit),
            skin.shadow, strength, 0.03 * unit, clip,
        )  # fmt: skip
    shade = smooth([(-w, y + 0.01), (0, y + 0.09), (w, y + 0.01), (0, y - 0.0)])
    canvas.fill(head.surface(shade, 0.08), skin.deep, 0.45, 0.022 * unit, clip)
    for side in (-1, 1):
        wing = smooth(
            [
                (side * (w - 0.05), y - 0.085),
                (side * (w + 0.005), y - 0.035),
                (side * (w - 0.012), y + 0.015),
                (side * (w - 0.06), y + 0.02),
            ],
            closed=False,
        )
        canvas.fill(
            ribbon(head.surface(wing, 0.09), np.array([0.004, 0.02, 0.016, 0.004]) * unit),
            skin.deep,
            0.55,
            0.006 * unit,
        )
        hole = head.surface(ellipse(side * 0.42 * w, y + 0.012, 0.27 * w, 0.019, side * -0.25), 0.13)
        canvas.fill(hole, skin.line * 0.7, 0.85, 0.006 * unit)
    bottom = smooth([(-0.35 * w, y + 0.022), (0, y + 0.042), (0.35 * w, y + 0.022)], closed=False)
    canvas.fill(
        ribbon(head.surface(bottom, 0.17), np.array([0.002, 0.014, 0.002]) * unit), skin.deep, 0.6, 0.005 * unit
    )
    bridge = np.stack([np.full(4, -0.018 * dark_side), ridge_y], axis=1)[1:3]
    canvas.fill(ribbon(head.surface(bridge, np.array([0.08, 0.18])), 0.045 * unit), skin.shine, 0.42, 0.018 * unit)
    tip = head.surface(ellipse(-0.02 * dark_side, y - 0.065, 0.045, 0.038), 0.21)
    canvas.fill(tip, skin.shine, 0.60, 0.016 * unit)


def paint_mouth(canvas: Canvas, head: Head, skin: Skin, rng: np.random.Generator, feminine: bool) -> None:
    """Paint the lips, closed or showing teeth."""
    s, unit = head.shape, head.scale
    w, y, lips = s.mouth_w, s.mouth_y, s.lips
    corner = y - s.smile
    open_by = 0.075 if rng.random() < 0.28 and s.smile > 0.02 else 0.0
    lipstick = mix(skin.lip, "#a3182f", 0.45) if feminine and rng.random() < 0.35 else skin.lip
    philtrum = head.surface(ellipse(0, y - lips - 0.06, 0.035, 0.05), 0.04)
    canvas.fill(philtrum, skin.shadow, 0.35, 0.018 * unit)
    below = head.surface(ellipse(0, y + open_by + 1.25 * lips + 0.045, 0.15, 0.028), 0.02)
    canvas.fill(below, skin.deep, 0.38, 0.03 * unit)
    top = [
        (-w, corner),
        (-0.5 * w, y - 0.75 * lips),
        (-0.16 * w, y - 1.05 * lips),
        (0, y - 0.82 * lips),
        (0.16 * w, y - 1.05 * lips),
        (0.5 * w, y - 0.75 * lips),
        (w, corner),
    ]
    middle = [(w, corner), (0.45 * w, y + 0.004), (0, y + 0.012), (-0.45 * w, y + 0.004), (-w, corner)]
    gape = [
        (w, corner),
        (0.5 * w, y + 0.75 * open_by),
        (0, y + open_by + 0.012),
        (-0.5 * w, y + 0.75 * open_by),
        (-w, corner),
    ]
    bottom = [
        (-w, corner),
        (-0.55 * w, y + open_by + 0.72 * lips),
        (0, y + open_by + 1.25 * lips),
        (0.55 * w, y + open_by + 0.72 * lips),
        (w, corner),
    ]

    def between(first: list[tuple[float, float]], second: list[tuple[float, float]]) -> Array:
        return head.surface(np.concatenate([smooth(first, closed=False), smooth(second, closed=False)]), 0.05)

    if open_by:
        inside = canvas.stencil(between([(-x, v) for x, v in middle], gape))
        canvas.paint(inside, "#3a1013")
        clip = canvas.spread(inside)
        teeth = between([(-x, v) for x, v in middle], [(x * 0.93, v - 0.28 * open_by) for x, v in gape])
        canvas.fill(teeth, mix("#f6f1e8", skin.shadow, 0.06), 1, 0.006 * unit, clip)
    canvas.fill(between(top, middle), mix(lipstick, skin.deep, 0.22), 0.95, 0.005 * unit)
    canvas.fill(between(bottom, gape), lipstick, 0.95, 0.006 * unit)
    gloss = head.surface(ellipse(0, y + open_by + 0.62 * lips, 0.42 * w, 0.2 * lips), 0.06)
    canvas.fill(gloss, mix(lipstick, "#fff0ea", 0.5), 0.55, 0.014 * unit)
    line = smooth([(x, v) for x, v in middle], closed=False)
    canvas.fill(
        ribbon(head.surface(line, 0.05), np.array([0.012, 0.016, 0.022, 0.016, 0.012]) * unit),
        skin.line * 0.75,
        0.85,
        0.004 * unit,
    )
    for side in (-1, 1):
        canvas.fill(
            head.surface(ellipse(side * (w + 0.015), corner, 0.022, 0.018), 0.03), skin.deep, 0.45, 0.012 * unit
        )


def paint_wrinkles(canvas: Canvas, head: Head, skin: Skin) -> None:
    """Paint the lines of an old face: forehead, and from nose to mouth."""
    s, unit = head.shape, head.scale
    for k in range(3):
        y = s.brow_y - 0.13 - 0.085 * k
        width = 0.36 - 0.05 * k
        fold = smooth([(-width, y + 0.02), (-0.12, y - 0.01), (0.1, y + 0.006), (width, y + 0.015)], closed=False)
        canvas.fill(
            ribbon(head.surface(fold), np.array([0.002, 0.016, 0.016, 0.002]) * unit), skin.deep, 0.45, 0.005 * unit
        )
    for side in (-1, 1):
        fold = smooth(
            [
                (side * (s.nose_w + 0.03), s.nose_y - 0.03),
                (side * 0.28, s.nose_y + 0.12),
                (side * (s.mouth_w + 0.08), s.mouth_y + 0.03),
            ],
            closed=False,
        )
        canvas.fill(
            ribbon(head.surface(fold, 0.02), np.array([0.004, 0.028, 0.006]) * unit), skin.deep, 0.45, 0.008 * unit
        )
        jowl = smooth(
            [(side * (s.mouth_w + 0.05), s.mouth_y + 0.1), (side * (s.mouth_w + 0.07), s.mouth_y + 0.22)], closed=False
        )
        canvas.fill(ribbon(head.surface(jowl), np.array([0.003, 0.02, 0.003]) * unit), skin.deep, 0.35, 0.008 * unit)


def paint_beard(canvas: Canvas, head: Head, colour: Array, kind: str, bare: Array, rng: np.random.Generator) -> None:
    """Paint a beard of `kind`: stubble, moustache, goatee, full or long; `bare` is the alpha of the head."""
    s, unit = head.shape, head.scale
    lip = s.mouth_y - s.lips
    base = s.mouth_y + 1.3 * s.lips + 0.04
    moustache = smooth(
        [(0, s.nose_y + 0.075), (0.15, s.nose_y + 0.085), (0.27, lip + 0.03), (s.mouth_w + 0.045, s.mouth_y + 0.05),
         (s.mouth_w - 0.02, s.mouth_y + 0.005), (0.12, lip + 0.012), (0, lip + 0.025)], closed=False,
    )  # fmt: skip
    moustache = np.concatenate([moustache, moustache[::-1] * (-1, 1)])
    drop = {"long": 0.42, "full": 0.07}.get(kind, 0.02)
    jaw = [
        (0.745, s.eye_y + 0.16),
        (s.cheek + 0.02, 0.42),
        (s.jaw + 0.05, 0.68 * s.chin_y),
        (s.jaw * 0.74 + 0.02, 0.89 * s.chin_y + 0.4 * drop),
        (s.chin + 0.03, s.chin_y + 0.9 * drop),
        (0, s.chin_y + drop),
    ]
    cheek = [
        (0, base),
        (0.2, base - 0.015),
        (s.mouth_w + 0.05, s.mouth_y + 0.03),
        (s.mouth_w + 0.12, s.mouth_y - 0.09),
        (0.55, 0.42),
        (0.66, s.eye_y + 0.2),
    ]
    parts: list[Array] = []
    if kind in ("stubble", "full", "long"):
        right = np.concatenate([smooth(cheek, closed=False), smooth(jaw, closed=False)])
        outer = len(smooth(cheek, closed=False))
        for side in (-1, 1):
            half = right * (side, 1)
            placed = head.surface(half)
            # The rim of the beard is the rim of the head; only its inner edge lies on the face.
            placed[outer:] = head.silhouette(half[outer:])
            parts.append(placed)
    if kind == "goatee":
        chin = [
            (0, base),
            (0.17, base - 0.01),
            (s.mouth_w + 0.03, s.mouth_y + 0.03),
            (s.mouth_w + 0.01, s.chin_y - 0.12),
            (0.14, s.chin_y + 0.03),
            (0, s.chin_y + 0.05),
        ]
        half = smooth(chin, closed=False)
        parts.append(head.surface(np.concatenate([half, half[::-1] * (-1, 1)])))
    parts.append(head.surface(moustache, 0.06))
    stencils = [canvas.stencil(part, blur=(0.05 if kind == "stubble" else 0.016) * unit) for part in parts]
    clip = np.zeros(canvas.picture.shape[:2], np.float32)
    for stencil in stencils:
        if stencil.alpha.size:
            np.maximum(clip[stencil.window], stencil.alpha, out=clip[stencil.window])
    if kind == "stubble":
        canvas.paint(Stencil(clip * bare, 0, 0), colour * 0.8, 0.34)
        return
    canvas.paint(Stencil(clip, 0, 0), colour, 0.93)
    count = 170
    x, y, length = rng.uniform((-0.8, 0.2, 0.05), (0.8, s.chin_y + drop, 0.11), (count, 3)).T
    lean = 0.35 * x * length
    strokes = np.stack([x, y, x + lean, y + 0.6 * length, x + 0.5 * lean, y + length], axis=1).reshape(count, 3, 2)
    hairs = head.surface(strokes) if kind == "goatee" else head.silhouette(strokes)
    canvas.paint(canvas.lines(hairs[::2], 0.012 * unit), colour * 0.55, 0.5, clip)
    canvas.paint(canvas.lines(hairs[1::2], 0.010 * unit), mix(colour, "#e8d2b8", 0.35), 0.35, clip)
