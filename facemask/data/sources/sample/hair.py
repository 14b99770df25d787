"""Hair: behind the head, on it, and locks over the ears."""

import math

import numpy as np

from facemask.data.sources.sample.canvas import Array, Canvas, Stencil, ellipse, mix, moved, rgb, ribbon, smooth
from facemask.data.sources.sample.face import Skin, lit, rounded
from facemask.data.sources.sample.head import Head

_COLOURS = {
    "black": ("#1d1a1b", "#241f20"),
    "dark": ("#33241c", "#3e2c22"),
    "brown": ("#5a3d29", "#6d4a30", "#7a4f33"),
    "blond": ("#c9a066", "#b58a50", "#dcbd84"),
    "red": ("#96492a", "#b0602f"),
    "grey": ("#8f8d8b", "#a5a3a0", "#77757a"),
    "white": ("#d3d0ca", "#c4c2c0"),
    "dyed": ("#2f7f86", "#a5476f", "#6a559c"),
}
_VOLUME = {
    "short": 0.09,
    "parted": 0.13,
    "buzz": 0.02,
    "curly": 0.20,
    "fringe": 0.12,
    "bob": 0.12,
    "long": 0.11,
    "bun": 0.07,
    "receding": 0.04,
}
COVERS_EARS = ("long", "bob")


def hair_colour(kind: str, rng: np.random.Generator) -> Array:
    """Return a shade of the named colour, float32 RGB."""
    shades = _COLOURS[kind]
    return rgb(shades[int(rng.integers(len(shades)))]) * np.float32(rng.uniform(0.92, 1.08))


def _hang(head: Head, points: Array, rim: bool) -> Array:
    """Place points of a lock: down to the ear it follows the head, below it falls straight down."""
    held = np.stack([points[..., 0], np.minimum(points[..., 1], 0.4)], axis=-1)
    placed = head.silhouette(held) if rim else head.surface(held)
    placed[..., 1] += head.scale * np.maximum(points[..., 1] - 0.4, 0)
    return placed


def _mass(canvas: Canvas, head: Head, stencil: Stencil, colour: Array, light: Array) -> Array:
    amount = rounded(head, stencil, light, (1.15, 1.6))
    shade = np.clip(0.52 + 0.62 * amount, 0.4, 1.18).astype(np.float32)
    canvas.paint(stencil, colour * shade[..., None])
    return canvas.spread(stencil)


def _strands(canvas: Canvas, paths: Array, colour: Array, unit: float, clip: Array) -> None:
    canvas.paint(canvas.lines(paths[::2], 0.014 * unit), colour * 0.5, 0.30, clip)
    canvas.paint(canvas.lines(paths[1::2], 0.010 * unit), mix(colour, "#ffe8cf", 0.30), 0.24, clip)


def paint_hair_behind(
    canvas: Canvas, head: Head, style: str, colour: Array, skin: Skin, light: Array, rng: np.random.Generator
) -> None:
    """Paint the back of the head and the hair that falls behind the neck."""
    turn, unit = np.sin(head.yaw), head.scale
    skull = canvas.stencil(head.flat(ellipse(-0.34 * turn, -0.28 + 0.08 * abs(turn), 0.80, 0.80)))
    if style in ("bald", "receding"):
        canvas.paint(skull, lit(skin, rounded(head, skull, light, (1.0, 1.45))))
    else:
        canvas.paint(skull, colour * 0.62)
    if style == "bun":
        bun = canvas.stencil(
            head.silhouette(
                smooth([(-0.05, -1.5), (0.25, -1.42), (0.3, -1.15), (0, -1.0), (-0.3, -1.15), (-0.27, -1.4)])
            )
        )
        clip = _mass(canvas, head, bun, colour * 0.92, light)
        rings = head.silhouette(np.stack([ellipse(0, -1.22, r, r * 0.8, 0.4) for r in np.linspace(0.06, 0.3, 8)]))
        _strands(canvas, rings, colour, unit, clip)
    if style in COVERS_EARS:
        low = 1.55 if style == "long" else 0.86
        half = smooth(
            [
                (0, -1.15),
                (0.60, -1.02),
                (0.90, -0.5),
                (0.97, 0.2),
                (0.98, 0.7 * low),
                (0.80, low),
                (0.3, low + 0.05),
                (0, low),
            ],
            closed=False,
        )
        outline = np.concatenate([half, half[::-1] * (-1, 1)])
        clip = _mass(canvas, head, canvas.stencil(_hang(head, outline, rim=True)), colour * 0.78, light)
        x, y = rng.uniform(-0.95, 0.95, (40, 1)), np.linspace(0.0, low, 6)
        falls = np.stack([x + 0.03 * np.sin(3 * y + 9 * x), np.broadcast_to(y, (40, 6))], axis=-1)
        _strands(canvas, _hang(head, falls, rim=True), colour * 0.6, unit, clip)


def _hairline(head: Head, style: str, rng: np.random.Generator) -> Array:
    """Return the edge of the hair on the face, right to left, in head units."""
    s = head.shape
    top = s.hairline
    temple = [(0.74, s.eye_y + 0.16), (0.685, s.eye_y + 0.10), (0.665, s.eye_y - 0.12), (0.64, -0.36)]
    if style == "fringe":
        y = s.brow_y - 0.05
        middle = [
            (0.60, y - 0.02),
            (0.36, y + 0.01),
            (0.12, y - 0.02),
            (-0.12, y + 0.01),
            (-0.36, y - 0.02),
            (-0.60, y),
        ]
    elif style == "receding":
        middle = [(0.56, -0.70), (0.40, -0.92), (0.16, -0.84), (-0.16, -0.84), (-0.40, -0.92), (-0.56, -0.70)]
    elif style in ("parted", "long", "bob"):
        part = rng.uniform(0.05, 0.32)
        middle = [
            (0.56, top + 0.06),
            (0.42, top - 0.12),
            (part, top - 0.24),
            (-0.1, top - 0.05),
            (-0.38, top + 0.06),
            (-0.58, top + 0.16),
        ]
    elif style == "bun":
        middle = [(0.54, top + 0.03), (0.3, top - 0.05), (0, top - 0.08), (-0.3, top - 0.05), (-0.54, top + 0.03)]
    else:
        jag = rng.uniform(-0.03, 0.03, 5)
        middle = [
            (0.54, top + 0.05 + jag[0]),
            (0.32, top - 0.03 + jag[1]),
            (0, top + jag[2]),
            (-0.32, top - 0.02 + jag[3]),
            (-0.54, top + 0.06 + jag[4]),
        ]
    return smooth(temple + middle + [(-x, y) for x, y in temple[::-1]], closed=False)


def paint_hair(
    canvas: Canvas, head: Head, style: str, colour: Array, light: Array, rng: np.random.Generator, pressed: bool
) -> None:
    """Paint the hair on the head; `pressed` flattens it under a covering."""
    if style == "bald":
        return
    unit, s = head.scale, head.shape
    v = _VOLUME[style] * (0.25 if pressed else 1.0)
    side = rng.choice([-1, 1])
    inner = _hairline(head, style, rng) * (side, 1)
    inner = inner if side > 0 else inner[::-1]
    c = s.cheek
    half = smooth(
        [
            (0, -1.06 - v),
            (0.42, -0.97 - 0.9 * v),
            (0.70 + 0.5 * v, -0.67 - 0.5 * v),
            (c + 0.03 + 0.5 * v, -0.25),
            (c + 0.02 + 0.3 * v, 0.0),
            (c, s.eye_y + 0.16),
        ],
        closed=False,
    )
    outer = np.concatenate([half[::-1] * (-1, 1), half[1:]])
    rim, line = head.silhouette(outer), head.surface(inner, 0.02)
    if style == "receding":
        for edge in (-1, 1):
            patch = [
                (c - 0.02, s.eye_y + 0.22),
                (c - 0.08, s.eye_y),
                (c - 0.10, -0.30),
                (c - 0.19, -0.62),
                (c - 0.03, -0.62),
                (c + 0.06, -0.25),
                (c + 0.05, s.eye_y + 0.1),
            ]
            place = smooth(patch) * (edge, 1)
            clip = _mass(canvas, head, canvas.stencil(head.silhouette(place), blur=0.02 * unit), colour, light)
            wisps = [
                [(edge * (c - 0.15 + d), -0.6 + d), (edge * (c - 0.02), -0.2 + d), (edge * (c - 0.03 + 0.2 * d), 0.2)]
                for d in np.linspace(0, 0.25, 12)
            ]
            _strands(canvas, head.silhouette(np.array(wisps)), colour, unit, clip)
        thin = canvas.stencil(
            head.silhouette(
                smooth([(-0.5, -0.8), (-0.2, -1.04), (0.2, -1.04), (0.5, -0.8), (0.2, -0.9), (-0.2, -0.9)])
            ),
            blur=0.05 * unit,
        )
        canvas.paint(thin, colour, 0.55)
        return
    edges = [np.concatenate([rim, line])]
    if style == "curly":
        for x, y in outer[::3]:
            if x * math.sin(head.yaw) > 0.15 and y > -0.45:
                continue  # behind the far temple
            r = rng.uniform(0.10, 0.16) * (0.4 if pressed and y < -0.4 else 1.0)
            edges.append(head.silhouette(ellipse(x * 0.97, y * 0.97, r, r)))
        for x, y in inner[np.abs(inner[:, 0]) < 0.5][::5]:
            edges.append(head.surface(ellipse(x, y - 0.03, 0.075, 0.065)))
    face_shadow = head.surface(moved(inner, 0, 0.06), 0.02)
    under = canvas.stencil(np.concatenate([rim, face_shadow]), blur=0.03 * unit)
    skull = canvas.spread(canvas.stencil(head.silhouette(head.outline())))
    canvas.paint(under, "#2a1410", 0.30, skull)
    soft = {"buzz": 0.03}.get(style, 0.008)
    clip = _mass(canvas, head, canvas.stencil(*edges, blur=soft * unit), colour, light)
    if style == "curly":
        x, y, r, start = rng.uniform((-1.05, -1.35, 0.025, 0), (1.05, 0.1, 0.06, 6.28), (220, 4)).T[..., None]
        angle = start + np.linspace(0, 4.0, 8)
        curls = np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], axis=-1)
        _strands(canvas, head.silhouette(curls), colour, unit * 1.5, clip)
        return
    crown = np.array([side * {"parted": 0.3, "long": 0.2, "bob": 0.2}.get(style, 0.0), -1.02 - v])
    if style == "bun":
        crown = np.array([0.0, -1.15])
    t = rng.uniform(0.02, 0.98, 30 if style == "buzz" else 90)
    end = inner[(t * (len(inner) - 1)).astype(int)]
    begin = crown + rng.normal(0, (0.05, 0.02), (len(t), 2))
    bulge = outer[((1 - t) * (len(outer) - 1)).astype(int)]
    middle = 0.5 * (begin + end)
    bend = middle + (0.25 + 0.175 * (np.arange(len(t)) % 3))[:, None] * (bulge - middle)
    paths = head.silhouette(smooth(np.stack([begin, bend, end], axis=1), closed=False, steps=5))
    _strands(canvas, paths, colour, unit, clip)
    arc = smooth(
        [(-0.62, -0.62 - 0.6 * v), (-0.35, -0.84 - v), (0, -0.92 - v), (0.35, -0.84 - v), (0.62, -0.62 - 0.6 * v)],
        closed=False,
    )
    shine = ribbon(
        head.silhouette(moved(arc, 0.12 * np.sign(light[0]), 0)), np.array([0.02, 0.10, 0.13, 0.10, 0.02]) * unit
    )
    canvas.fill(shine, mix(colour, "#fff2e2", 0.5), 0.20 if style == "buzz" else 0.36, 0.035 * unit, clip)


def paint_locks(canvas: Canvas, head: Head, style: str, colour: Array, light: Array, rng: np.random.Generator) -> None:
    """Paint the locks before the ears of long and bobbed hair; they cover the ends of a mask's straps."""
    low = 1.5 if style == "long" else 0.86
    wave = rng.uniform(0.0, 0.05)
    unit = head.scale
    for side in (-1, 1):
        y = np.linspace(-0.62, low, 12)
        sway = wave * np.sin(5 * y)
        inside = np.interp(y, [-0.62, -0.3, 0.2, 0.7, low], [0.50, 0.665, 0.72, 0.735, 0.70]) + sway
        outside = np.interp(y, [-0.62, -0.3, 0.2, 0.7, low], [0.76, 0.89, 0.97, 1.0, 0.86]) + sway
        left, right = np.stack([side * inside, y], axis=1), np.stack([side * outside, y], axis=1)
        shape = np.concatenate([_hang(head, left, rim=False), _hang(head, right, rim=True)[::-1]])
        canvas.fill(moved(shape, 0, 0.02 * unit), "#1a0d0a", 0.28, 0.03 * unit)
        clip = _mass(canvas, head, canvas.stencil(shape, blur=0.008 * unit), colour, light)
        a, b = _hang(head, left, rim=False), _hang(head, right, rim=True)
        t = rng.uniform(0, 1, (26, 1))
        falls = a + (b - a) * (t + 0.06 * np.sin(2 * y + 6 * t))[..., None]
        _strands(canvas, falls, colour, unit, clip)
