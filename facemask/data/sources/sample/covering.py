"""Head coverings: caps, hats, turbans, hijabs and hoods."""

import numpy as np

from facemask.data.sources.sample.canvas import (
    Array,
    Canvas,
    Stencil,
    ellipse,
    mirrored,
    mix,
    moved,
    rgb,
    ribbon,
    smooth,
)
from facemask.data.sources.sample.face import rounded
from facemask.data.sources.sample.head import Head

_COLOURS = (
    "#2d3e50",
    "#7d2f3a",
    "#3a5a40",
    "#c8b28a",
    "#1f2126",
    "#8c6b9e",
    "#b9bfc7",
    "#b5683c",
    "#3b6ea5",
    "#e4dccf",
    "#6b7b5b",
    "#d28fa0",
)
COVERS_EARS = ("hijab", "hood")
COVERS_HAIR = ("hijab", "turban")


def _cloth(canvas: Canvas, head: Head, stencil: Stencil, colour: Array, light: Array) -> Array:
    amount = rounded(head, stencil, light, (1.2, 1.7))
    canvas.paint(stencil, colour * np.clip(0.5 + 0.62 * amount, 0.38, 1.14).astype(np.float32)[..., None])
    return canvas.spread(stencil)


def covering_colour(rng: np.random.Generator) -> Array:
    """Return a colour for a covering, float32 RGB."""
    return rgb(_COLOURS[int(rng.integers(len(_COLOURS)))])


def paint_covering_behind(canvas: Canvas, head: Head, kind: str, colour: Array, light: Array) -> None:
    """Paint the part of a hijab, hood or brimmed hat that lies behind the head."""
    if kind in COVERS_EARS:
        wide = 0.90 if kind == "hijab" else 1.02
        half = smooth(
            [(0, -1.18), (0.58, -1.04), (wide, -0.4), (wide + 0.02, 0.4), (wide - 0.1, 1.1), (0, 1.5)], closed=False
        )
        outline = np.concatenate([half, half[::-1] * (-1, 1)])
        _cloth(canvas, head, canvas.stencil(head.silhouette(outline)), colour * 0.5, light)


def paint_covering(
    canvas: Canvas, head: Head, kind: str, colour: Array, light: Array, rng: np.random.Generator
) -> None:
    """Paint a covering of `kind` (cap, hat, turban, hijab or hood) over head and hair."""
    {"cap": _cap, "hat": _hat, "turban": _turban, "hijab": _hijab, "hood": _hood}[kind](
        canvas, head, colour, light, rng
    )


def _dome(head: Head, height: float, wide: float, edge: float, sag: float) -> Array:
    """Return the outline of a crown whose lower edge runs across the forehead at `edge`."""
    half = smooth(
        [
            (0, -1.06 - height),
            (0.44, -0.98 - 0.85 * height),
            (0.72 + wide, -0.66 - 0.4 * height),
            (0.76 + wide, edge - 0.12),
            (0.76 + wide, edge + 0.02),
        ],
        closed=False,
    )
    rim = head.silhouette(np.concatenate([half[::-1] * (-1, 1), half[1:]]))
    lower = smooth(
        [(0.76, edge + 0.02), (0.5, edge + 0.5 * sag), (0, edge + sag), (-0.5, edge + 0.5 * sag), (-0.76, edge + 0.02)],
        closed=False,
    )
    return np.concatenate([rim, head.surface(lower, 0.06)])


def _shadow(canvas: Canvas, head: Head, outline: Array, drop: float, opacity: float) -> None:
    skull = canvas.spread(canvas.stencil(head.silhouette(head.outline())))
    lowered = moved(outline, 0, drop * head.scale)
    canvas.fill(lowered, "#1d0e0a", opacity, 0.04 * head.scale, skull)


def _cap(canvas: Canvas, head: Head, colour: Array, light: Array, rng: np.random.Generator) -> None:
    unit = head.scale
    dome = _dome(head, 0.15, 0.06, -0.55, 0.06)
    _shadow(canvas, head, dome, 0.17, 0.5)
    clip = _cloth(canvas, head, canvas.stencil(dome), colour, light)
    for x in (-0.42, 0.0, 0.42):
        seam = smooth([(x * 0.15, -1.2), (x * 1.0, -0.95), (x * 1.25, -0.5)], closed=False)
        canvas.fill(ribbon(head.surface(seam, 0.08), 0.012 * unit), colour * 0.45, 0.6, 0.003 * unit, clip)
    if rng.random() < 0.6:
        badge = head.surface(ellipse(0, -0.80, 0.15, 0.12), 0.14)
        canvas.fill(badge, mix(colour, "#ffffff", 0.75) if colour.mean() < 140 else mix(colour, "#222222", 0.7), 0.95)
        canvas.fill(head.surface(ellipse(0, -0.80, 0.09, 0.06), 0.14), colour, 0.9)
    back, front = (
        [(-0.70, -0.53), (-0.4, -0.50), (0, -0.48), (0.4, -0.50), (0.70, -0.53)],
        [(0.72, -0.46), (0.5, -0.34), (0, -0.27), (-0.5, -0.34), (-0.72, -0.46)],
    )
    visor = np.concatenate(
        [head.surface(smooth(back, closed=False), 0.08), head.surface(smooth(front, closed=False), 0.34)]
    )
    clip = _cloth(canvas, head, canvas.stencil(visor), colour * 0.82, light)
    edge = ribbon(head.surface(smooth(front, closed=False), 0.34), 0.03 * unit)
    canvas.fill(edge, mix(colour, "#ffffff", 0.25), 0.6, 0.006 * unit)
    canvas.fill(
        ribbon(head.surface(smooth(back, closed=False), 0.08), 0.05 * unit), colour * 0.3, 0.55, 0.015 * unit, clip
    )


def _hat(canvas: Canvas, head: Head, colour: Array, light: Array, rng: np.random.Generator) -> None:
    unit = head.scale
    if rng.random() < 0.6:
        dome = _dome(head, 0.22, 0.08, -0.48, 0.05)
        _shadow(canvas, head, dome, 0.05, 0.4)
        if rng.random() < 0.4:
            pompom = canvas.stencil(head.silhouette(ellipse(0, -1.36, 0.2, 0.18)), blur=0.02 * unit)
            _cloth(canvas, head, pompom, mix(colour, "#ffffff", 0.5), light)
        clip = _cloth(canvas, head, canvas.stencil(dome), colour, light)
        for x in np.linspace(-0.8, 0.8, 13):
            rib = smooth([(x * 0.35, -1.3), (x * 0.85, -0.95), (x, -0.4)], closed=False)
            canvas.fill(ribbon(head.silhouette(rib), 0.03 * unit), colour * 0.5, 0.35, 0.008 * unit, clip)
        low = smooth([(-0.82, -0.52), (-0.5, -0.50), (0, -0.48), (0.5, -0.50), (0.82, -0.52)], closed=False)
        cuff = canvas.stencil(ribbon(head.silhouette(moved(low, 0, -0.06)), 0.24 * unit))
        clip = _cloth(canvas, head, cuff, mix(colour, "#ffffff", 0.1), light)
        for x in np.linspace(-0.8, 0.8, 21):
            rib = np.array([(x, -0.72), (x, -0.36)])
            canvas.fill(ribbon(head.surface(rib, 0.1), 0.022 * unit), colour * 0.5, 0.35, 0.006 * unit, clip)
        return
    brim = head.silhouette(
        smooth(
            [
                (-1.12, -0.60),
                (-0.6, -0.46),
                (0, -0.40),
                (0.6, -0.46),
                (1.12, -0.60),
                (0.6, -0.74),
                (0, -0.78),
                (-0.6, -0.74),
            ]
        )
    )
    _shadow(canvas, head, brim, 0.16, 0.5)
    _cloth(canvas, head, canvas.stencil(brim), colour * 0.85, light)
    crown = head.silhouette(
        smooth(
            [
                (-0.70, -0.62),
                (-0.66, -1.1),
                (-0.4, -1.32),
                (0, -1.27),
                (0.4, -1.32),
                (0.66, -1.1),
                (0.70, -0.62),
                (0, -0.53),
            ]
        )
    )
    clip = _cloth(canvas, head, canvas.stencil(crown), colour, light)
    band = smooth([(-0.72, -0.72), (-0.35, -0.64), (0, -0.62), (0.35, -0.64), (0.72, -0.72)], closed=False)
    canvas.fill(ribbon(head.silhouette(band), 0.15 * unit), colour * 0.35, 0.9, 0.004 * unit, clip)
    canvas.fill(
        ribbon(head.silhouette(smooth([(-0.15, -1.3), (0, -1.15), (0.15, -1.3)], closed=False)), 0.05 * unit),
        colour * 0.4,
        0.5,
        0.03 * unit,
        clip,
    )


def _turban(canvas: Canvas, head: Head, colour: Array, light: Array, rng: np.random.Generator) -> None:
    unit = head.scale
    side = rng.choice([-1, 1])
    half = [(0, -1.42), (0.5, -1.32), (0.86, -0.98), (0.95, -0.58), (0.86, -0.24), (0.76, -0.1)]
    curve = smooth(half, closed=False)
    rim = head.silhouette(np.concatenate([curve[::-1] * (-1, 1), curve[1:]]))
    lower = smooth([(0.74, -0.12), (0.55, -0.38), (0.05, -0.62), (-0.5, -0.40), (-0.74, -0.12)], closed=False)
    outline = np.concatenate([rim, head.surface(lower, 0.05)])
    _shadow(canvas, head, outline, 0.06, 0.45)
    clip = _cloth(canvas, head, canvas.stencil(outline), colour, light)
    for k in range(6):
        y = -0.50 - 0.14 * k
        for way in (1, -1):
            wrap = smooth(
                [(way * side * -0.1, y - 0.10), (way * side * 0.4, y - 0.02), (way * side * 0.98, y + 0.30)],
                closed=False,
            )
            placed = head.silhouette(wrap)
            canvas.fill(ribbon(placed, np.array([0.02, 0.06, 0.05]) * unit), colour * 0.38, 0.5, 0.014 * unit, clip)
            canvas.fill(
                ribbon(placed - (0, 0.05 * unit), np.array([0.01, 0.04, 0.03]) * unit),
                mix(colour, "#ffffff", 0.4),
                0.35,
                0.014 * unit,
                clip,
            )


def _ring(canvas: Canvas, head: Head, outer: Array, hole: Array) -> tuple[Stencil, Array]:
    """Return cloth around a face opening as a full-size stencil, and the alpha of the opening."""
    whole = canvas.spread(canvas.stencil(outer))
    opening = canvas.spread(canvas.stencil(hole, blur=0.004 * head.scale))
    return Stencil(whole * (1 - opening), 0, 0), opening


def _drape(head: Head, half: list[tuple[float, float]]) -> Array:
    curve = smooth(half, closed=False)
    return head.silhouette(np.concatenate([curve, curve[::-1] * (-1, 1)]))


def _hijab(canvas: Canvas, head: Head, colour: Array, light: Array, rng: np.random.Generator) -> None:
    unit, chin = head.scale, head.shape.chin_y
    outer = _drape(
        head,
        [
            (0, -1.17),
            (0.55, -1.03),
            (0.87, -0.5),
            (0.91, 0.2),
            (0.86, 0.75),
            (1.0, chin + 0.35),
            (1.35, chin + 0.75),
            (1.3, 2.6),
            (0, 2.6),
        ],
    )
    hole = head.surface(
        smooth(
            mirrored(
                [
                    (0, -0.66),
                    (0.38, -0.57),
                    (0.61, -0.22),
                    (0.675, 0.2),
                    (0.60, 0.62),
                    (0.36, chin - 0.07),
                    (0, chin + 0.02),
                ]
            )
        ),
        0.03,
    )
    _, opening = _ring(canvas, head, outer, hole)
    canvas.fill(ribbon(np.concatenate([hole, hole[:1]]), 0.16 * unit), "#1d0e0a", 0.38, 0.04 * unit, opening)
    stencil, _ = _ring(canvas, head, outer, hole)
    clip = _cloth(canvas, head, stencil, colour, light)
    rim = smooth(
        mirrored(
            [
                (0, -0.71),
                (0.40, -0.62),
                (0.655, -0.24),
                (0.72, 0.2),
                (0.64, 0.66),
                (0.38, chin - 0.02),
                (0, chin + 0.08),
            ]
        )
    )
    canvas.fill(ribbon(head.surface(rim, 0.02), 0.025 * unit), colour * 0.4, 0.5, 0.01 * unit, clip)
    canvas.fill(
        ribbon(head.surface(rim, 0.02), 0.012 * unit) - (0, 0.02 * unit),
        mix(colour, "#ffffff", 0.4),
        0.4,
        0.006 * unit,
        clip,
    )
    way = rng.choice([-1, 1])
    for k in range(6):
        y = chin + 0.02 + 0.13 * k
        fold = smooth(
            [
                (way * -0.80, y - 0.75),
                (way * -0.55, y - 0.05),
                (0, y + 0.12),
                (way * 0.6, y + 0.02),
                (way * 0.95, y - 0.15),
            ],
            closed=False,
        )
        placed = head.silhouette(fold)
        canvas.fill(ribbon(placed, np.array([0.005, 0.07, 0.07, 0.02]) * unit), colour * 0.35, 0.45, 0.022 * unit, clip)
        canvas.fill(
            ribbon(placed - (0, 0.055 * unit), np.array([0.005, 0.045, 0.04, 0.01]) * unit),
            mix(colour, "#ffffff", 0.4),
            0.30,
            0.018 * unit,
            clip,
        )
    for x in (0.2, -0.25):
        fold = smooth([(x, -1.1), (x * 2.6, -0.85), (x * 3.3, -0.3)], closed=False)
        canvas.fill(
            ribbon(head.silhouette(fold), np.array([0.005, 0.05, 0.01]) * unit), colour * 0.4, 0.4, 0.02 * unit, clip
        )


def _hood(canvas: Canvas, head: Head, colour: Array, light: Array, rng: np.random.Generator) -> None:
    unit, chin = head.scale, head.shape.chin_y
    outer = _drape(
        head,
        [
            (0, -1.30),
            (0.6, -1.14),
            (0.98, -0.6),
            (1.05, 0.2),
            (0.98, 0.8),
            (1.15, chin + 0.3),
            (1.55, chin + 0.7),
            (1.5, 2.6),
            (0, 2.6),
        ],
    )
    hole = head.silhouette(
        smooth(
            mirrored(
                [
                    (0, -0.97),
                    (0.46, -0.86),
                    (0.76, -0.45),
                    (0.83, 0.15),
                    (0.76, 0.66),
                    (0.48, chin + 0.14),
                    (0, chin + 0.42),
                ]
            )
        )
    )
    _, opening = _ring(canvas, head, outer, hole)
    canvas.fill(ribbon(np.concatenate([hole, hole[:1]]), 0.26 * unit), "#120a08", 0.5, 0.07 * unit, opening)
    stencil, _ = _ring(canvas, head, outer, hole)
    clip = _cloth(canvas, head, stencil, colour, light)
    canvas.fill(
        ribbon(np.concatenate([hole, hole[:1]]), 0.15 * unit), mix(colour, "#ffffff", 0.12), 0.8, 0.01 * unit, clip
    )
    canvas.fill(ribbon(np.concatenate([hole, hole[:1]]), 0.02 * unit), colour * 0.4, 0.7, 0.008 * unit, clip)
    for side in (-1, 1):
        cord = smooth(
            [(side * 0.34, chin + 0.3), (side * 0.36, chin + 0.6), (side * (0.33 + 0.05 * rng.random()), chin + 0.95)],
            closed=False,
        )
        canvas.fill(ribbon(head.silhouette(cord), 0.04 * unit), mix(colour, "#ffffff", 0.75), 0.9)
        fold = smooth([(side * 0.6, -1.05), (side * 0.93, -0.45), (side * 0.95, 0.5)], closed=False)
        canvas.fill(
            ribbon(head.silhouette(fold), np.array([0.01, 0.05, 0.01]) * unit), colour * 0.4, 0.4, 0.025 * unit, clip
        )
