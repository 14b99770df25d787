"""Mouths, teeth, skulls and snouts printed on a mask, where the wearer's mouth is."""

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
Colour = tuple[float, float, float]

_FINER = 2  # drawn so much larger, then shrunk


def print_face(colour: Map, rng: np.random.Generator) -> Map:
    """Print the lower part of a face, or only its mouth, on cloth.

    Args:
        colour: float32 (height, width, 3) in [0, 1], RGB: the cloth laid flat.
        rng: source of chance.

    Returns:
        The printed cloth, of the same shape.
    """
    height, width = colour.shape[:2]
    canvas = cv2.resize(colour, None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_NEAREST)
    centre = np.array([width * rng.uniform(0.46, 0.54), height * rng.uniform(0.5, 0.68)]) * _FINER
    size = rng.uniform(34, 66) * _FINER  # half the width of the mouth
    draw = (_lips, _smile, _teeth, _skull, _snout, _fangs)[rng.integers(6)]
    draw(canvas, centre, size, rng)
    ink = rng.uniform(0.7, 1.0)  # prints fade
    return colour + ink * (cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA) - colour)


def _ink(canvas: Map, rng: np.random.Generator) -> Colour:
    """Black on light cloth and white on dark, or any other colour that is seen on it."""
    ground = float(canvas.mean())
    shade = rng.uniform(0.02, 0.12) if ground > 0.35 else rng.uniform(0.8, 0.98)
    if rng.random() < 0.7:
        return (shade, shade, shade)
    red, green, blue = np.clip(shade + rng.uniform(-0.1, 0.6, 3) * (1 if ground > 0.35 else -1), 0.02, 0.98).tolist()
    return (red, green, blue)


def _red(rng: np.random.Generator) -> Colour:
    red, other = rng.uniform(0.45, 0.85), rng.uniform(0.05, 0.35)
    return (red, other, other * rng.uniform(0.8, 1.3))


def _bow(centre: NDArray[np.float64], size: float, sag: float, drop: float = 0.0) -> NDArray[np.float64]:
    """Return a curve (n, 2) from corner to corner of a mouth, `sag` of its half width lower in the middle."""
    t = np.linspace(-1, 1, 25)
    return centre + size * np.stack([t, sag * (1 - t**2) + drop], axis=-1)


def _fill(canvas: Map, outline: NDArray[np.float64], colour: Colour) -> None:
    cv2.fillPoly(canvas, [np.round(outline).astype(np.int32)], colour, cv2.LINE_AA)


def _line(canvas: Map, curve: NDArray[np.float64], colour: Colour, thickness: float) -> None:
    cv2.polylines(canvas, [np.round(curve).astype(np.int32)], False, colour, max(round(thickness), 1), cv2.LINE_AA)


def _lips(canvas: Map, centre: NDArray[np.float64], size: float, rng: np.random.Generator) -> None:
    red = _red(rng)
    sag, full = rng.uniform(-0.1, 0.2), rng.uniform(0.2, 0.45)
    t = np.linspace(-1, 1, 25)
    middle = _bow(centre, size, sag)
    bow = middle - np.outer(full * size * (1 - t**2) * (0.85 + 0.25 * np.cos(3 * np.pi * t + np.pi)), [0, 1])
    lower = middle + np.outer(1.2 * full * size * (1 - t**2) ** 0.8, [0, 1])
    _fill(canvas, np.vstack([bow, lower[::-1]]), red)
    _line(canvas, middle, (red[0] * 0.4, red[1] * 0.4, red[2] * 0.4), 0.06 * size)


def _smile(canvas: Map, centre: NDArray[np.float64], size: float, rng: np.random.Generator) -> None:
    sag = rng.uniform(0.25, 0.7) * rng.choice([1, 1, 1, -1])
    _line(canvas, _bow(centre, size, sag), _ink(canvas, rng), size * rng.uniform(0.05, 0.14))


def _teeth(canvas: Map, centre: NDArray[np.float64], size: float, rng: np.random.Generator) -> None:
    sag, high = rng.uniform(0.1, 0.4), rng.uniform(0.2, 0.5)
    upper, lower = _bow(centre, size, sag * 0.4, -high / 2), _bow(centre, size, sag + high, 0)
    white, dark = rng.uniform(0.8, 0.97), rng.uniform(0.03, 0.2)
    outline = np.vstack([upper, lower[::-1]])
    _fill(canvas, outline, (white, white, white * 0.97))
    for step in range(3, 24, int(rng.integers(2, 5))):
        _line(canvas, np.stack([upper[step], lower[step]]), (dark, dark, dark), 0.02 * size)
    _line(canvas, (upper + lower) / 2, (dark, dark, dark), 0.04 * size)
    edge = _red(rng) if rng.random() < 0.6 else (dark, dark, dark)
    _line(canvas, np.vstack([outline, outline[:1]]), edge, size * rng.uniform(0.04, 0.16))


def _skull(canvas: Map, centre: NDArray[np.float64], size: float, rng: np.random.Generator) -> None:
    ink = _ink(canvas, rng)
    wide, high = size * rng.uniform(1.0, 1.5), size * rng.uniform(0.3, 0.42)
    count = int(rng.integers(5, 10))
    for row in (-1, 1):
        for number in range(count):
            at = (number + 0.5) / count * 2 - 1
            middle = centre + np.array([at * wide, row * high * 0.55 - 0.15 * high * at**2 * row])
            half = (round(0.8 * wide / count), round(high * 0.5))
            cv2.ellipse(canvas, np.round(middle).astype(int).tolist(), half, 0, 0, 360, ink, -1, cv2.LINE_AA)
    hole = centre - [0, high * rng.uniform(1.7, 2.0)]
    for side in (-1, 1):
        cheek = np.array([[side * wide, -high], [side * wide * 1.5, -2.2 * high], [side * wide * 1.1, 0.4 * high]])
        _fill(canvas, centre + cheek, ink)
        nostril = hole + np.array([[side * 0.04, -0.3], [side * 0.22, 0.25], [side * 0.05, 0.2]]) * size
        _fill(canvas, nostril, ink)


def _snout(canvas: Map, centre: NDArray[np.float64], size: float, rng: np.random.Generator) -> None:
    ink = _ink(canvas, rng)
    nose = centre - [0, size * rng.uniform(0.5, 0.8)]
    colour = ink if rng.random() < 0.6 else (0.9, rng.uniform(0.4, 0.7), rng.uniform(0.5, 0.7))
    half = (round(size * rng.uniform(0.2, 0.4)), round(size * rng.uniform(0.14, 0.28)))
    cv2.ellipse(canvas, np.round(nose).astype(int).tolist(), half, 0, 0, 360, colour, -1, cv2.LINE_AA)
    thick = size * rng.uniform(0.03, 0.08)
    _line(canvas, np.stack([nose, centre]), ink, thick)
    for side in (-1, 1):
        half_mouth = _bow(centre + np.array([side * 0.35 * size, 0]), 0.35 * size, 0.7)
        _line(canvas, half_mouth, ink, thick)
        for rise in (-0.25, 0.0, 0.25) if rng.random() < 0.7 else ():
            start = centre + np.array([side * 0.75, -0.25 + rise * 0.5]) * size
            _line(canvas, np.stack([start, start + np.array([side * 0.8, rise]) * size]), ink, thick * 0.6)


def _fangs(canvas: Map, centre: NDArray[np.float64], size: float, rng: np.random.Generator) -> None:
    sag, high = rng.uniform(0.2, 0.5), rng.uniform(0.3, 0.6)
    upper, lower = _bow(centre, size, sag * 0.5, -high / 2), _bow(centre, size, sag + high, 0)
    _fill(canvas, np.vstack([upper, lower[::-1]]), _red(rng) if rng.random() < 0.5 else (0.04, 0.04, 0.04))
    white = rng.uniform(0.8, 0.97)
    for start in range(0, 24, 3):
        for curve, other in ((upper, lower), (lower, upper)):
            middle = (start + 1.5) / 24
            tip = curve[start + 1] + (other[start + 1] - curve[start + 1]) * (0.5 if 0.1 < middle < 0.9 else 0.2)
            _fill(canvas, np.stack([curve[start], curve[start + 3], tip]), (white, white, white * 0.95))
