"""Background, shoulders, neck and scarf."""

import cv2
import numpy as np

from facemask.data.sources.sample.canvas import Array, Canvas, ellipse, mix, moved, rgb, ribbon, smooth
from facemask.data.sources.sample.face import Skin
from facemask.data.sources.sample.head import Head

_WALLS = ("#cfd8dc", "#e7dfd3", "#b8c9d6", "#d9cfc1", "#9fb4a7", "#c8b6c9", "#8d9db0", "#e3c9b4", "#6f7f8f", "#a9a29a")
_CLOTHES = (
    "#2f4858",
    "#7a3b46",
    "#3c6e57",
    "#c9b38c",
    "#4a4e69",
    "#d4d7dd",
    "#22252b",
    "#8b5e3c",
    "#c4694a",
    "#5b7fa6",
    "#e2a93b",
    "#6b4f7d",
)
# Backgrounds are out of focus anyway: they are painted small and enlarged.
_SHRINK = 4


def paint_background(canvas: Canvas, kind: str, rng: np.random.Generator) -> None:
    """Paint a background: plain, gradient, indoor, bokeh or park."""
    height, width = canvas.picture.shape[:2]
    small = Canvas(-(-height // _SHRINK), -(-width // _SHRINK))
    h, w = small.picture.shape[:2]
    wall = rgb(_WALLS[int(rng.integers(len(_WALLS)))])
    other = rgb(_WALLS[int(rng.integers(len(_WALLS)))])
    down = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    across = np.linspace(0, 1, w, dtype=np.float32)[None, :, None]

    def box(x0: float, y0: float, x1: float, y1: float) -> Array:
        return np.array([(x0 * w, y0 * h), (x1 * w, y0 * h), (x1 * w, y1 * h), (x0 * w, y1 * h)])

    if kind == "plain":
        glow = (across - 0.5) ** 2 + (down - 0.4) ** 2
        small.picture[:] = wall * (1.05 - 0.35 * glow)
    elif kind == "gradient":
        tilt = np.float32(rng.uniform(-0.4, 0.4))
        small.picture[:] = wall + (other * 0.75 - wall) * np.clip(down + tilt * (across - 0.5), 0, 1)
    elif kind == "indoor":
        small.picture[:] = wall * (1 - 0.15 * down)
        left = rng.uniform(-0.2, 0.9)
        if rng.random() < 0.5:
            small.fill(box(left - 0.03, 0.04, left + 0.43, 0.66), "#f2efe9")
            small.fill(box(left, 0.07, left + 0.40, 0.63), "#dff0fa")
            small.fill(box(left, 0.40, left + 0.40, 0.63), "#b9d3b4", 0.8)
            small.fill(box(left + 0.19, 0.07, left + 0.21, 0.63), "#f2efe9")
        else:
            for shelf in (0.1, 0.38, 0.66):
                x = left - 0.1
                while x < left + 0.5:
                    thick = rng.uniform(0.03, 0.07)
                    small.fill(
                        box(x, shelf + rng.uniform(0, 0.08), x + thick, shelf + 0.22),
                        _CLOTHES[int(rng.integers(len(_CLOTHES)))],
                        0.85,
                    )
                    x += thick + 0.006
                small.fill(box(left - 0.14, shelf + 0.22, left + 0.56, shelf + 0.25), "#7c5a3e")
        small.picture[:] = cv2.GaussianBlur(small.picture, (0, 0), max(0.6, w * rng.uniform(0.008, 0.03)))
    elif kind == "bokeh":
        night = mix(wall * 0.35, other * 0.5, 0.5)
        small.picture[:] = night * (1.15 - 0.4 * down)
        for _ in range(16):
            x, y, r = rng.uniform(0, w), rng.uniform(0, 0.8 * h), w * rng.uniform(0.03, 0.09)
            small.fill(
                ellipse(x, y, r, r),
                mix(rng.choice(["#ffd28a", "#ff9f6b", "#9fd0ff", "#fff1d0", "#e58fb1"]), wall, 0.2),
                rng.uniform(0.25, 0.65),
                0.06 * r,
            )
    else:
        small.picture[:] = mix("#8fbfe6", "#dcebf2", 0.4) + (rgb("#e9f2ee") - mix("#8fbfe6", "#dcebf2", 0.4)) * down
        horizon = h * rng.uniform(0.5, 0.7)
        for _ in range(14):
            r = w * rng.uniform(0.08, 0.2)
            small.fill(
                ellipse(rng.uniform(0, w), horizon - rng.uniform(0, 0.25) * h, r, r * 0.9),
                mix(rng.choice(["#4d7a43", "#6b9a52", "#3b6440", "#8aae5c"]), "#cfe2ee", 0.2),
                0.9,
                0.15 * r,
            )
        small.fill(np.array([(0, horizon), (w, horizon), (w, h), (0, h)]), "#86a960", 1, 0.02 * w)
        small.picture[:] = cv2.GaussianBlur(small.picture, (0, 0), w * 0.02)
    canvas.picture[:] = cv2.resize(small.picture, (width, height), interpolation=cv2.INTER_CUBIC)


def paint_body(
    canvas: Canvas, body: Head, head: Head, skin: Skin, light: Array, child: bool, rng: np.random.Generator
) -> Array:
    """Paint neck and shoulders; return the colour of the clothes.

    `body` is the head's place with less tilt and no turn.
    """
    s, unit = head.shape, head.scale
    thick = (0.36 if child else 0.47) * s.jaw / 0.6
    chin = s.chin_y
    top, foot = (
        head.silhouette(np.array([(-thick, chin - 0.55), (thick, chin - 0.55)])),
        body.flat(
            np.array(
                [
                    (thick * 0.98, chin + 0.35),
                    (thick * 1.35, chin + 0.8),
                    (-thick * 1.35, chin + 0.8),
                    (-thick * 0.98, chin + 0.35),
                ]
            )
        ),
    )
    neck = canvas.stencil(np.concatenate([top, foot]))
    x, _ = body.local(*neck.pixels())
    side = np.clip(0.5 + 0.9 * x * light[0] / thick, 0, 1).astype(np.float32)[..., None]
    canvas.paint(neck, skin.shadow + (skin.base - skin.shadow) * (0.15 + 0.65 * side))
    inside = canvas.spread(neck)
    cast = head.silhouette(smooth([(-0.75, chin - 0.35), (0, chin + 0.32), (0.75, chin - 0.35)]))
    canvas.fill(cast, skin.deep, 0.55, 0.06 * unit, inside)
    for edge in (-1, 1):
        cord = smooth([(edge * 0.30, chin), (edge * 0.2, chin + 0.25), (edge * 0.07, chin + 0.5)], closed=False)
        canvas.fill(ribbon(body.flat(cord), 0.05 * unit), skin.deep, 0.16, 0.03 * unit, inside)

    colour = rgb(_CLOTHES[int(rng.integers(len(_CLOTHES)))])
    wide = (1.25 if child else 1.6) * rng.uniform(0.92, 1.06)
    collar = rng.choice(["round", "vee", "shirt", "polo"])
    dip = chin + (0.75 if collar == "vee" else 0.48)
    half = [
        (thick * 1.02, chin + 0.24),
        (thick * 1.5, chin + 0.34),
        (wide * 0.75, chin + 0.52),
        (wide, chin + 0.85),
        (wide * 1.1, chin + 1.8),
    ]
    curve = smooth(half, closed=False)
    opening = np.array([(-thick * 1.02, chin + 0.24), (-thick * 0.7, chin + 0.4), (0, dip), (thick * 0.7, chin + 0.4)])
    if collar != "vee":
        opening = smooth(opening, closed=False)
    shirt = canvas.stencil(body.flat(np.concatenate([curve, curve[::-1] * (-1, 1), opening])))
    x, y = body.local(*shirt.pixels())
    shade = np.clip(0.86 + 0.22 * x * light[0] - 0.22 * np.abs(x) ** 2 * 0.5 - 0.1 * (y - chin - 0.6), 0.5, 1.1)
    canvas.paint(shirt, colour * shade.astype(np.float32)[..., None])
    inside = canvas.spread(shirt)
    rim = np.concatenate([opening, [(thick * 1.02, chin + 0.24)]])
    canvas.fill(ribbon(body.flat(rim), 0.07 * unit), mix(colour, "#000000", 0.3), 0.7, 0.008 * unit)
    canvas.fill(ribbon(body.flat(moved(rim, 0, 0.015)), 0.035 * unit), mix(colour, "#ffffff", 0.18), 0.8)
    if collar in ("shirt", "polo"):
        for edge in (-1, 1):
            flap = np.array(
                [
                    (edge * thick * 1.08, chin + 0.17),
                    (edge * 0.03, dip + 0.04),
                    (edge * 0.26, dip + 0.22),
                    (edge * thick * 1.5, chin + 0.36),
                ]
            )
            canvas.fill(body.flat(moved(flap, 0, 0.02)), mix(colour, "#000000", 0.5), 0.5, 0.02 * unit)
            canvas.fill(body.flat(flap), mix(colour, "#ffffff", 0.14 + 0.1 * edge * light[0]))
    for edge in (-1, 1):
        fold = smooth([(edge * 0.9, chin + 0.6), (edge * 0.75, chin + 0.9), (edge * 0.8, chin + 1.3)], closed=False)
        canvas.fill(
            ribbon(body.flat(fold), np.array([0.01, 0.06, 0.02]) * unit),
            mix(colour, "#000000", 0.5),
            0.35,
            0.025 * unit,
            inside,
        )
    return colour


def paint_scarf(canvas: Canvas, body: Head, light: Array, rng: np.random.Generator) -> None:
    """Paint a thick scarf wound around the neck, up to the chin."""
    chin, unit = body.shape.chin_y, body.scale
    colour = rgb(("#a8423f", "#3f5f8a", "#d8c7a0", "#4e6b4a", "#8a8d93", "#c07f9c")[int(rng.integers(6))])
    for layer, (y, wide, thick) in enumerate([(chin + 0.46, 0.80, 0.34), (chin + 0.20, 0.70, 0.36)]):
        middle = smooth(
            [(-wide, y - 0.22), (-0.4, y + 0.01), (0, y + 0.08), (0.4, y + 0.01), (wide, y - 0.22)], closed=False
        )
        band = canvas.stencil(ribbon(body.flat(middle), np.array([0.6, 1, 1, 1, 0.6]) * thick * unit))
        canvas.fill(ribbon(body.flat(moved(middle, 0, 0.05)), thick * unit), colour * 0.2, 0.4, 0.04 * unit)
        x, v = body.local(*band.pixels())
        fall = np.clip(1.0 + 0.2 * x * light[0] - 0.9 * (v - y + 0.02) ** 2 / thick**2 - 0.08 * layer, 0.45, 1.15)
        canvas.paint(band, colour * fall.astype(np.float32)[..., None])
        inside = canvas.spread(band)
        for k in np.linspace(-0.42, 0.42, 5):
            fold = ribbon(body.flat(moved(middle, 0, k * thick)), np.array([0.005, 0.022, 0.005]) * unit)
            canvas.fill(fold, colour * 0.45, 0.45, 0.008 * unit, inside)
