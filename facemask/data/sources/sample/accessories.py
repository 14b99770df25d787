"""Glasses and hands in front of the face."""

import numpy as np

from facemask.data.sources.sample.canvas import Array, Canvas, mix, moved, rgb, ribbon, smooth
from facemask.data.sources.sample.face import Skin
from facemask.data.sources.sample.head import Head

_FRAMES = ("#1c1a1a", "#4a2f22", "#7d7f86", "#8c2f3a", "#b08d4a", "#23395b")


def paint_glasses(canvas: Canvas, head: Head, kind: str, rng: np.random.Generator, ears_seen: bool) -> None:
    """Paint glasses, "clear" or "dark", with their arms where the ears can be seen."""
    s, unit = head.shape, head.scale
    frame = rgb(_FRAMES[int(rng.integers(len(_FRAMES)))])
    square = rng.uniform(2.0, 4.5)
    thick = rng.uniform(0.028, 0.05) * unit
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    # A superellipse runs from round to square glasses.
    cos, sin = np.cos(angle), np.sin(angle)
    ring = np.stack([np.sign(cos) * np.abs(cos) ** (2 / square), np.sign(sin) * np.abs(sin) ** (2 / square)], axis=1)
    lens = ring * (0.245, 0.185)
    for side in (-1, 1):
        place = moved(lens, side * (s.eye_x + 0.01), s.eye_y + 0.03)
        outline = head.surface(place, 0.10)
        canvas.fill(moved(outline, 0, 0.03 * unit), "#1d0e0a", 0.10, 0.03 * unit)
        glass = canvas.stencil(outline)
        inside = canvas.spread(glass)
        if kind == "dark":
            canvas.paint(glass, frame * 0.25 + 12, 0.93)
        canvas.paint(glass, "#e8f2fa", 0.06)
        gleam = moved(
            np.array([(-0.14, -0.2), (-0.04, -0.2), (-0.16, 0.2), (-0.26, 0.2)]), side * s.eye_x, s.eye_y + 0.03
        )
        canvas.fill(head.surface(gleam, 0.10), "#ffffff", 0.16, 0.01 * unit, inside)
        closed = np.concatenate([outline, outline[:1]])
        canvas.fill(ribbon(closed, thick), frame)
        canvas.fill(ribbon(closed[22:36], thick * 0.35), mix(frame, "#ffffff", 0.45), 0.7)
        if ears_seen and head.sees_ear(side):
            hinge = head.surface(np.array([(side * (s.eye_x + 0.24), s.eye_y - 0.02)]), 0.10)
            ear = head.ear(side, np.array([(-0.03, -0.20)]))
            canvas.fill(ribbon(np.concatenate([hinge, ear]), thick * 0.85), frame)
    bridge = smooth([(-s.eye_x + 0.235, s.eye_y), (0, s.eye_y - 0.035), (s.eye_x - 0.235, s.eye_y)], closed=False)
    canvas.fill(ribbon(head.surface(bridge, 0.14), thick), frame)


def paint_hand(canvas: Canvas, head: Head, skin: Skin, sleeve: Array, side: int, rng: np.random.Generator) -> None:
    """Paint a hand held before the mouth, coming from the lower left (side -1) or right (side 1)."""
    unit = head.scale
    shift = (
        head.surface(np.array([(0.0, head.shape.mouth_y)]), 0.1)[0]
        - head.flat(np.array([(0.0, head.shape.mouth_y)]))[0]
    )
    rise = head.shape.mouth_y + rng.uniform(-0.02, 0.04)

    def at(points: list[tuple[float, float]]) -> Array:
        p = np.asarray(points, dtype=np.float64)
        return head.flat(np.stack([side * p[:, 0], p[:, 1] + rise], axis=1)) + shift

    arm = smooth([(0.58, 0.25), (0.95, 0.62), (1.6, 1.5), (1.0, 2.0), (0.55, 1.2), (0.30, 0.62)])
    palm = smooth(
        [
            (0.20, -0.24),
            (0.44, -0.26),
            (0.64, -0.02),
            (0.74, 0.30),
            (0.62, 0.62),
            (0.36, 0.62),
            (0.18, 0.38),
            (0.12, 0.05),
        ]
    )
    canvas.fill(moved(at([tuple(p) for p in palm]), 0, 0.05 * unit), "#1d0e0a", 0.45, 0.06 * unit)
    canvas.fill(at([tuple(p) for p in arm]), mix(skin.base, skin.shadow, 0.35))
    cuff = smooth([(0.62, 0.92), (0.98, 0.70), (1.9, 1.6), (1.2, 2.6), (0.5, 1.7)])
    fingers = []
    for k, length in enumerate((0.50, 0.60, 0.55, 0.40)):
        y = -0.175 + 0.135 * k
        fingers.append(
            [(0.36, y + 0.03), (0.16, y - 0.005), (0.02 - 0.3 * length, y - 0.012), (0.10 - length, y + 0.035)]
        )
    hand = canvas.stencil(at([tuple(p) for p in palm]))
    canvas.paint(hand, mix(skin.base, skin.shadow, 0.12))
    inside = canvas.spread(hand)
    canvas.fill(at([(0.55, 0.1), (0.75, 0.3), (0.6, 0.65), (0.4, 0.65)]), skin.shadow, 0.6, 0.08 * unit, inside)
    for k, finger in reversed(list(enumerate(fingers))):
        path = at([tuple(p) for p in smooth(finger, closed=False)])
        wide = np.array([0.145, 0.15, 0.14, 0.125, 0.055]) * unit
        canvas.fill(ribbon(moved(path, 0, 0.03 * unit), wide * 1.02), skin.deep, 0.55, 0.02 * unit)
        shape = canvas.stencil(ribbon(path, wide))
        canvas.paint(shape, skin.base)
        clip = canvas.spread(shape)
        canvas.fill(ribbon(moved(path, 0, 0.055 * unit), 0.06 * unit), skin.shadow, 0.75, 0.022 * unit, clip)
        canvas.fill(ribbon(path - (0, 0.03 * unit), 0.035 * unit), skin.shine, 0.45, 0.02 * unit, clip)
        knuckle = path[len(path) // 2 + (1, 3, 2, -1)[k]]
        for d in (-0.012, 0.014):
            crease = np.array([(d, -0.04), (d + 0.006, 0.0), (d, 0.04)]) * unit + knuckle
            canvas.fill(ribbon(crease, 0.010 * unit), skin.deep, 0.25, 0.004 * unit, clip)
        tip = finger[-1]
        nail = smooth(
            [
                (tip[0] + 0.075, tip[1] - 0.052),
                (tip[0] + 0.03, tip[1] - 0.05),
                (tip[0] + 0.005, tip[1] - 0.018),
                (tip[0] + 0.03, tip[1] + 0.006),
                (tip[0] + 0.08, tip[1] - 0.008),
            ]
        )
        canvas.fill(at([tuple(p) for p in nail]), mix(skin.shine, "#f0b8ae", 0.5), 0.75, 0.004 * unit, clip)
    for finger in fingers:
        x, y = finger[0]
        canvas.fill(
            at([(x + 0.02, y - 0.03), (x - 0.03, y), (x + 0.02, y + 0.04), (x + 0.05, y)]),
            skin.shine,
            0.35,
            0.02 * unit,
            inside,
        )
    thumb = at([tuple(p) for p in smooth([(0.50, 0.16), (0.53, -0.10), (0.47, -0.30), (0.42, -0.42)], closed=False)])
    wide = np.array([0.19, 0.165, 0.145, 0.06]) * unit
    canvas.fill(ribbon(moved(thumb, 0.01 * unit, 0.025 * unit), wide), skin.deep, 0.45, 0.025 * unit)
    shape = canvas.stencil(ribbon(thumb, wide))
    canvas.paint(shape, skin.base)
    clip = canvas.spread(shape)
    canvas.fill(ribbon(moved(thumb, side * 0.05 * unit, 0), 0.06 * unit), skin.shadow, 0.55, 0.025 * unit, clip)
    canvas.fill(at([tuple(p) for p in cuff]), sleeve * 0.82)
    canvas.fill(
        ribbon(at([tuple(p) for p in smooth([(0.62, 0.92), (0.78, 0.78), (0.98, 0.70)], closed=False)]), 0.07 * unit),
        sleeve,
        1,
        0.006 * unit,
    )
