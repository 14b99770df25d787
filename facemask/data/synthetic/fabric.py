"""Procedural mask textures: colours, prints, pleats, seams and folds.

A fabric is a picture of the sheet laid flat, its upper edge at the top, with a height map of its folds.
"""

import math
from dataclasses import dataclass
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.core.params import MaskStyle as Style
from facemask.data.synthetic.face_prints import print_face

STYLES: tuple[Style, ...] = get_args(Style)

HEIGHT, WIDTH = 192, 288

Image = NDArray[np.uint8]
Map = NDArray[np.float32]

_SURGICAL = np.array(
    [[0.72, 0.86, 0.94], [0.58, 0.78, 0.91], [0.93, 0.94, 0.95], [0.62, 0.84, 0.78], [0.10, 0.10, 0.11],
     [0.93, 0.74, 0.80], [0.36, 0.62, 0.84], [0.74, 0.70, 0.86], [0.45, 0.75, 0.72]]
)  # fmt: skip
_CLOTH = np.array(
    [[0.05, 0.05, 0.06], [0.12, 0.13, 0.15], [0.92, 0.92, 0.90], [0.35, 0.36, 0.38], [0.62, 0.63, 0.64],
     [0.10, 0.14, 0.32], [0.55, 0.08, 0.12], [0.14, 0.34, 0.22], [0.80, 0.62, 0.48], [0.58, 0.40, 0.29],
     [0.86, 0.72, 0.60], [0.83, 0.45, 0.55], [0.45, 0.25, 0.50], [0.90, 0.78, 0.25], [0.85, 0.42, 0.16],
     [0.30, 0.55, 0.75], [0.76, 0.70, 0.58], [0.30, 0.33, 0.20]]
)  # fmt: skip
_CUP = np.array([[0.95, 0.95, 0.94], [0.92, 0.92, 0.93], [0.08, 0.08, 0.09], [0.68, 0.69, 0.70], [0.86, 0.82, 0.74],
                 [0.60, 0.75, 0.88]])  # fmt: skip


@dataclass(frozen=True)
class Fabric:
    """A flat piece of cloth.

    Attributes:
        colour: float32 (HEIGHT, WIDTH, 3) in [0, 1]: what it reflects, RGB.
        relief: float32 (HEIGHT, WIDTH): height of folds, in pixels of this picture.
        opacity: float32 (HEIGHT, WIDTH) in [0, 1], or None where nothing shows through.
    """

    colour: Map
    relief: Map
    opacity: Map | None = None


def draw_fabric(style: Style, dark: bool, rng: np.random.Generator) -> Fabric:
    """Paint a piece of cloth of a style other than `photographed`; everything else about it is chance.

    Args:
        style: how the mask is made.
        dark: whether it is black or nearly so, prints aside.
        rng: source of chance.
    """
    base = _black(rng) if dark else _base_colour(style, rng)
    colour = np.broadcast_to(base, (HEIGHT, WIDTH, 3)).astype(np.float32)
    relief = np.zeros((HEIGHT, WIDTH), np.float32)
    if style == "surgical":
        colour, relief = _pleated(colour, rng)
    elif style in ("printed", "bandana"):
        colour = _printed(base, rng)
    elif style == "face_print":
        colour = print_face(colour, rng)
    elif style == "cup":
        colour, relief = _cup(colour, rng)
    if style in ("cloth", "printed") and rng.random() < 0.5:
        colour, relief = _seamed(colour, relief, rng)
    if style != "cup" and rng.random() < 0.6:
        colour = _hemmed(colour, rng)
    relief = relief + _wrinkles(rng, rng.uniform(0.3, 2.8) * (0.3 if style == "cup" else 1))
    weave = rng.standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32) * rng.uniform(0.004, 0.02) * (0.4 if dark else 1)
    colour = np.clip(colour * (1 + _smooth_noise(rng, 60)[..., None] * 0.03) + weave, 0.01, 1)
    if dark:  # hardly a fold is seen
        relief = relief * rng.uniform(0.1, 0.8)
    fabric = Fabric(colour.astype(np.float32), relief.astype(np.float32))
    return _with_window(fabric, rng) if style == "window" else fabric


def vary_cut_out(fabric: Fabric, dark: bool, rng: np.random.Generator) -> Fabric:
    """Return a variation of cloth from a photograph: mirrored, dyed, with a few more folds."""
    colour = fabric.colour[:, ::-1] if rng.random() < 0.5 else fabric.colour
    if dark or rng.random() < 0.5:
        grey = colour.mean(axis=2, keepdims=True)
        base = _black(rng) if dark else _base_colour(("surgical", "cloth", "cup")[rng.integers(3)], rng)
        # Folds of dark cloth differ by less, and its crests shine.
        contrast = rng.uniform(0.3, 0.9) if dark else rng.uniform(0.8, 1.6)
        colour = np.clip(grey / max(float(np.percentile(grey, 80)), 0.05), 0, 1.3) ** contrast * base
    weave = rng.standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32) * rng.uniform(0.004, 0.015) * (0.4 if dark else 1)
    relief = fabric.relief + _wrinkles(rng, rng.uniform(0.0, 1.0) * (0.4 if dark else 1))
    return Fabric(np.clip(colour * rng.uniform(0.9, 1.05) + weave, 0.01, 1).astype(np.float32), relief)


def _black(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.clip(rng.uniform(0.025, 0.13) * (1 + rng.normal(0, 0.06, 3)), 0.015, 0.2)


def _with_window(fabric: Fabric, rng: np.random.Generator) -> Fabric:
    """Replace the cloth before the mouth by clear plastic with a seam around it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    centre, half = (WIDTH / 2, HEIGHT * rng.uniform(0.5, 0.62)), (rng.uniform(48, 80), rng.uniform(30, 52))
    corner = rng.uniform(2, 5)
    from_edge = 1 - (np.abs((x - centre[0]) / half[0]) ** corner + np.abs((y - centre[1]) / half[1]) ** corner)
    clear = np.clip(0.5 + 6 * from_edge, 0, 1)
    seam = np.exp(-((from_edge / rng.uniform(0.06, 0.2)) ** 2)) * rng.uniform(0.1, 0.5)
    shine = np.clip(0.4 * _smooth_noise(rng, 70) + 0.25 * _smooth_noise(rng, 25), 0, 1) * rng.uniform(0.2, 0.8)
    haze = rng.uniform(0.08, 0.3)
    colour = fabric.colour * (1 - seam)[..., None]
    colour = colour + clear[..., None] * (np.float32(0.95) - colour)
    opacity = 1 - clear * (1 - np.clip(haze + shine, 0, 0.8))
    return Fabric(colour.astype(np.float32), fabric.relief * (1 - clear), opacity.astype(np.float32))


def _base_colour(style: Style, rng: np.random.Generator) -> NDArray[np.float64]:
    palette = {"surgical": _SURGICAL, "cup": _CUP}.get(style, _CLOTH)
    if style in ("cloth", "printed", "face_print", "window", "bandana") and rng.random() < 0.3:
        base = rng.uniform(0.05, 0.95, 3)
    else:
        weights = np.ones(len(palette))
        if style == "surgical":
            weights[:3] = 3
        if style in ("cloth", "face_print"):
            weights[:2] = 4
        base = palette[rng.choice(len(palette), p=weights / weights.sum())]
    return np.clip(base * rng.uniform(0.88, 1.08) + rng.normal(0, 0.02, 3), 0.03, 0.98)


def _smooth_noise(rng: np.random.Generator, scale: float) -> Map:
    """Noise of mean 0 and spread 1 whose spots are about `scale` pixels wide."""
    rows, columns = max(int(HEIGHT / scale), 1) + 3, max(int(WIDTH / scale), 1) + 3
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    fine = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return (fine - fine.mean()) / max(float(fine.std()), 1e-6)


def _pleated(colour: Map, rng: np.random.Generator) -> tuple[Map, Map]:
    """Three or so folds from side to side that lie over each other like shingles."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    relief = np.zeros((HEIGHT, WIDTH), np.float32)
    colour = colour.copy()
    count, depth = int(rng.integers(2, 5)), rng.uniform(1.0, 4.0)
    gaps = np.linspace(rng.uniform(0.16, 0.3), rng.uniform(0.68, 0.84), count) + rng.normal(0, 0.02, count)
    fan = rng.uniform(0.0, 0.5)  # pleats open in the middle
    crease = rng.uniform(0.04, 0.3)
    for gap in gaps.tolist():
        bow = (gap - 0.5) * fan * (1 - ((x / WIDTH) * 2 - 1) ** 2) * HEIGHT
        line = gap * HEIGHT + bow + 2 * _smooth_noise(rng, 120)
        below = y - line
        step = 0.5 + 0.5 * np.tanh(below / rng.uniform(1.4, 4.4))
        relief += depth * (step - np.clip(below / (HEIGHT / (count + 1)), 0, 1))
        dark = np.exp(-np.maximum(below / 5, -below / 1.2))
        colour *= (1 - crease * dark * rng.uniform(0.6, 1.0))[..., None]
    for edge in (0.045, 0.955):
        if rng.random() < 0.7:
            row = int(edge * HEIGHT)
            colour[row - 1 : row + 1] *= rng.uniform(0.85, 0.97)
    if rng.random() < 0.6:
        wire = np.exp(-(((y / HEIGHT - 0.06) / 0.02) ** 2)) * (np.abs(x / WIDTH - 0.5) < rng.uniform(0.1, 0.25))
        relief += 1.5 * wire
    return colour, relief


def _cup(colour: Map, rng: np.random.Generator) -> tuple[Map, Map]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    relief = np.zeros((HEIGHT, WIDTH), np.float32)
    colour = colour.copy()
    build = rng.random()
    if build < 0.4:  # folded flat, with an upright keel
        relief += rng.uniform(3, 8) * np.exp(-np.abs(x / WIDTH - 0.5) / 0.03)
        colour[:, WIDTH // 2 - 1 : WIDTH // 2 + 1] *= rng.uniform(0.75, 0.95)
    elif build < 0.8:  # three panels
        for gap in (rng.uniform(0.2, 0.32), rng.uniform(0.64, 0.78)):
            line = gap * HEIGHT + (0.5 - gap) * 30 * (1 - ((x / WIDTH) * 2 - 1) ** 2)
            relief += rng.uniform(1.5, 4) * np.exp(-(((y - line) / 3) ** 2))
    else:  # moulded, rough
        relief += 0.4 * _smooth_noise(rng, 5)
    inside = (x[:1] / WIDTH * 2 - 1) ** 6 + (y[:, :1] / HEIGHT * 2 - 1) ** 6 < 0.62
    relief += 1.5 * cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 3)
    if rng.random() < 0.25:
        centre = (
            int(WIDTH * (0.5 + rng.choice([-1, 1]) * rng.uniform(0.12, 0.2))),
            int(HEIGHT * rng.uniform(0.5, 0.68)),
        )
        radius = int(rng.uniform(16, 26))
        shade = rng.uniform(0.1, 0.95)
        cv2.circle(colour, centre, radius, (shade, shade, shade), -1, cv2.LINE_AA)
        cv2.circle(colour, centre, radius, (shade * 0.7, shade * 0.7, shade * 0.7), 2, cv2.LINE_AA)
        for offset in range(-radius + 6, radius - 4, 6):
            left, right = (centre[0] - radius // 2, centre[1] + offset), (centre[0] + radius // 2, centre[1] + offset)
            cv2.line(colour, left, right, (shade * 0.75, shade * 0.75, shade * 0.75), 1, cv2.LINE_AA)
    return colour, relief


def _printed(base: NDArray[np.float64], rng: np.random.Generator) -> Map:
    second = np.clip(rng.uniform(0.02, 0.98, 3) if rng.random() < 0.6 else np.full(3, rng.choice([0.05, 0.95])), 0, 1)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    angle = (0.0, math.pi / 2, rng.uniform(0, math.pi))[rng.integers(3)]
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    period = rng.uniform(10, 50)
    ink = np.zeros((HEIGHT, WIDTH), np.float32)
    motif = rng.integers(6)
    if motif == 0:  # stripes
        ink = ((u / period) % 1 < rng.uniform(0.15, 0.6)).astype(np.float32)
    elif motif == 1:  # checks
        share = rng.uniform(0.2, 0.6)
        ink = (((u / period) % 1 < share) * 0.5 + ((v / period) % 1 < share) * 0.5).astype(np.float32)
    elif motif == 2:  # dots
        row = np.floor(v / period)
        du, dv = ((u / period + 0.5 * (row % 2)) % 1) - 0.5, (v / period) % 1 - 0.5
        ink = (du**2 + dv**2 < rng.uniform(0.15, 0.4) ** 2).astype(np.float32)
    elif motif == 3:  # blots, leaves, camouflage
        ink = (_smooth_noise(rng, period) > rng.uniform(-0.3, 0.9)).astype(np.float32)
    elif motif == 4:  # a fine print
        ink = np.clip(_smooth_noise(rng, period / 3) * 0.8 + 0.5 * _smooth_noise(rng, period / 8), 0, 1)
    else:  # one badge
        centre = (rng.uniform(0.25, 0.75) * WIDTH, rng.uniform(0.3, 0.7) * HEIGHT)
        wide, high = rng.uniform(15, 60), rng.uniform(8, 40)
        badge = (np.abs((x - centre[0]) / wide) ** 4 + np.abs((y - centre[1]) / high) ** 4) < 1
        ink = (badge * (np.sin(x / rng.uniform(1.5, 4)) * np.sin(y / rng.uniform(2, 6)) > -0.3)).astype(np.float32)
    third = np.clip(rng.uniform(0.02, 0.98, 3), 0, 1)
    more = (_smooth_noise(rng, rng.uniform(8, 30)) > 1.0).astype(np.float32) * float(rng.random() < 0.35)
    colour = base + ink[..., None] * (second - base)
    return (colour + more[..., None] * (third - colour)).astype(np.float32)


def _seamed(colour: Map, relief: Map, rng: np.random.Generator) -> tuple[Map, Map]:
    """Add a seam down the middle, as sewn and moulded cloth masks have."""
    x = np.arange(WIDTH, dtype=np.float32) - WIDTH / 2
    relief = relief + rng.uniform(1, 4) * np.exp(-np.abs(x) / rng.uniform(3, 10))[None]
    line = 1 - rng.uniform(0.05, 0.3) * np.exp(-((x / 1.5) ** 2))
    return colour * line[None, :, None].astype(np.float32), relief


def _hemmed(colour: Map, rng: np.random.Generator) -> Map:
    """Add a border or a stitched line along the edges."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    inset = np.minimum(np.minimum(y, HEIGHT - 1 - y), np.minimum(x, WIDTH - 1 - x) * 0.7)
    width = rng.uniform(3, 11)
    if rng.random() < 0.4:
        tint = np.clip(rng.uniform(0.05, 0.95, 3) if rng.random() < 0.4 else np.full(3, rng.choice([0.06, 0.92])), 0, 1)
        return np.where((inset < width)[..., None], tint, colour).astype(np.float32)
    line = np.exp(-(((inset - width) / 1.2) ** 2)) * rng.uniform(0.05, 0.25)
    return colour * (1 - line[..., None]).astype(np.float32)


def _wrinkles(rng: np.random.Generator, strength: float) -> Map:
    """Folds in all directions, longer than wide; many run towards the corners, where the loops pull."""
    # Every other pixel will do: no fold is narrower than a few.
    y, x = (2 * np.mgrid[0 : HEIGHT // 2, 0 : WIDTH // 2]).astype(np.float32)
    relief = np.zeros_like(x)
    for _ in range(int(rng.integers(2, 9))):
        left, top = float(rng.uniform(0.05, 0.95)) * WIDTH, float(rng.uniform(0.1, 0.9)) * HEIGHT
        corner = rng.integers(2) * WIDTH, rng.integers(2) * HEIGHT
        angle = math.atan2(corner[1] - top, corner[0] - left) + rng.normal(0, 0.25)
        u = (x - left) * math.cos(angle) + (y - top) * math.sin(angle)
        v = (y - top) * math.cos(angle) - (x - left) * math.sin(angle)
        long, wide = rng.uniform(20, 80), rng.uniform(3, 9)
        relief += rng.normal(0, 1.6) * np.exp(-((u / long) ** 2) - (v / wide) ** 2)
    relief = cv2.resize(relief, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    return (relief + 0.8 * _smooth_noise(rng, 45)) * np.float32(strength)
