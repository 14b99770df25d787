"""Anti-aliased painting of curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_SUBPIXEL_BITS = 4


@lru_cache(maxsize=256)
def _spline(count: int, closed: bool, steps: int) -> Array:
    """Return the matrix that takes `count` points to the curve through them."""
    identity = np.eye(count)
    if closed:
        padded = np.concatenate([identity[-1:], identity, identity[:2]])
    else:
        first, last = 2 * identity[:1] - identity[1:2], 2 * identity[-1:] - identity[-2:-1]
        padded = np.concatenate([first, identity, last])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    basis = np.concatenate(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], axis=1
    )
    windows = np.stack([padded[i : i + len(padded) - 3] for i in range(4)], axis=1)
    curve = 0.5 * np.einsum("sk,nkd->nsd", basis, windows).reshape(-1, count)
    return curve if closed else np.concatenate([curve, identity[-1:]])


def smooth(points: Any, closed: bool = True, steps: int = 8) -> Array:
    """Return the Catmull-Rom curve through `points`, or many at once: (..., n, 2) to (..., about n * steps, 2).

    Source: E. Catmull, R. Rom, "A class of local interpolating splines", 1974.
    """
    p = np.asarray(points, dtype=np.float64)
    return _spline(p.shape[-2], closed, steps) @ p


def mirrored(right_half: Any) -> Array:
    """Close a right half (x >= 0, listed top to bottom) with its mirror image; (n, 2) becomes (up to 2n, 2)."""
    right = np.asarray(right_half, dtype=np.float64)
    left = right[::-1] * (-1, 1)
    return np.concatenate([right, left[np.abs(left[:, 0]) > 1e-9]])


def moved(points: Array, x: float, y: float) -> Array:
    """Return the points (..., 2) moved by (x, y)."""
    return points + np.array((x, y))


def ribbon(path: Array, widths: Any) -> Array:
    """Return the outline of a stroke along `path` (n, 2); `widths` are given at equal steps along it."""
    n = len(path)
    along = np.empty_like(path)
    along[1:-1] = path[2:] - path[:-2]
    along[0], along[-1] = path[1] - path[0], path[-1] - path[-2]
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    half = np.asarray(widths, dtype=np.float64) / 2
    if half.ndim:
        half = np.interp(_steps(n), _steps(len(half)), half)
    reach = half / length
    outline = np.empty((2 * n, 2))
    across = outline[:n]
    across[:, 0], across[:, 1] = -along[:, 1] * reach, along[:, 0] * reach
    outline[n:] = (path - across)[::-1]
    across += path
    return outline


@lru_cache(maxsize=256)
def _steps(count: int) -> Array:
    return np.linspace(0, 1, count)


@lru_cache(maxsize=1)
def _circle() -> Array:
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> Array:
    """Return 28 points of an ellipse, turned by `turn` radians."""
    c, s = math.cos(turn), math.sin(turn)
    return _circle() @ np.array([(rx * c, rx * s), (-ry * s, ry * c)]) + (x, y)


def rgb(colour: Any) -> Array:
    """Return a colour, given as "#rrggbb" or three numbers, as float32 RGB 0..255."""
    if isinstance(colour, str):
        colour = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return np.asarray(colour, dtype=np.float32)


def mix(first: Any, second: Any, share: float) -> Array:
    """Return `first` moved towards `second` by `share` 0..1."""
    a, b = rgb(first), rgb(second)
    return a + (b - a) * np.float32(share)


@dataclass(frozen=True)
class Stencil:
    """Where paint goes: `alpha` float32 0..1 of shape (h, w), its corner at row `top`, column `left`."""

    alpha: Array
    top: int
    left: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the picture under the stencil."""
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def pixels(self) -> tuple[Array, Array]:
        """Return x and y of its pixels, float32 of shapes (1, w) and (h, 1)."""
        rows, columns = self.window
        return (
            np.arange(columns.start, columns.stop, dtype=np.float32)[None, :],
            np.arange(rows.start, rows.stop, dtype=np.float32)[:, None],
        )


class Canvas:
    """A float32 RGB picture, 0..255, of shape (height, width, 3). All points are (x, y) in pixels."""

    def __init__(self, height: int, width: int) -> None:
        self.picture = np.zeros((height, width, 3), dtype=np.float32)

    def stencil(self, *outlines: Array, blur: float = 0.0) -> Stencil:
        """Return the union of filled outlines, blurred by `blur` pixels (sigma). May be empty."""
        height, width = self.picture.shape[:2]
        everything = outlines[0] if len(outlines) == 1 else np.concatenate(outlines)
        # A wide blur hides all detail, so it is drawn small: cost stays flat.
        shrink = 1 if blur < 2.5 else 2 if blur < 6 else 4
        margin = 3 * blur + 2
        x, y, across, down = cv2.boundingRect(everything.astype(np.int32))
        left, right = max(0, math.floor(x - margin)), min(width, math.ceil(x + across + margin))
        top, bottom = max(0, math.floor(y - margin)), min(height, math.ceil(y + down + margin))
        if right - left < 1 or bottom - top < 1:
            return Stencil(np.zeros((0, 0), np.float32), 0, 0)
        # Blurring must see what lies beyond the border of the picture, or edges there would glow.
        rim = int(margin) if blur else 0
        small = np.zeros((-(-(bottom - top + 2 * rim) // shrink), -(-(right - left + 2 * rim) // shrink)), np.uint8)
        origin = (left - rim, top - rim)
        # OpenCV counts from pixel centres.
        step = (1 << _SUBPIXEL_BITS) / shrink
        offset = (0.5 - np.array(origin)) * step - 0.5 * (1 << _SUBPIXEL_BITS)
        for outline in outlines:
            polygon = np.rint(outline * step + offset).astype(np.int32)
            cv2.fillPoly(small, [polygon], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
        if blur:
            small = cv2.GaussianBlur(small, (0, 0), blur / shrink)
        if shrink > 1:
            small = cv2.resize(small, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_LINEAR)
        alpha = small[rim : rim + bottom - top, rim : rim + right - left] * np.float32(1 / 255)
        return Stencil(alpha, top, left)

    def lines(self, paths: Sequence[Array] | Array, thickness: float) -> Stencil:
        """Return a stencil of open lines, `thickness` in pixels (at least 1)."""
        height, width = self.picture.shape[:2]
        alpha = np.zeros((height, width), np.uint8)
        fixed = [np.round(path * (1 << _SUBPIXEL_BITS)).astype(np.int32) for path in paths]
        cv2.polylines(alpha, fixed, False, 255, max(1, round(thickness)), cv2.LINE_AA, _SUBPIXEL_BITS)
        left, top, w, h = cv2.boundingRect(alpha)
        return Stencil(alpha[top : top + h, left : left + w].astype(np.float32) / np.float32(255), top, left)

    def paint(self, stencil: Stencil, colour: Any, opacity: float = 1.0, clip: Array | None = None) -> None:
        """Blend `colour` (three numbers, "#rrggbb" or (h, w, 3)) through the stencil.

        `clip` is a full-size float32 alpha that limits it.
        """
        if not stencil.alpha.size:
            return
        alpha = stencil.alpha * np.float32(opacity)
        if clip is not None:
            alpha *= clip[stencil.window]
        under = self.picture[stencil.window]
        paint = rgb(colour)
        # OpenCV blends several times faster than broadcasting over three channels does.
        excess = cv2.subtract(under, paint if paint.ndim == 3 else (*paint.tolist(), 0.0))
        cv2.subtract(under, cv2.multiply(excess, cv2.merge([alpha, alpha, alpha])), dst=under)

    def fill(
        self, outline: Array, colour: Any, opacity: float = 1.0, blur: float = 0.0, clip: Array | None = None
    ) -> None:
        """Fill one outline; see `stencil` and `paint`."""
        self.paint(self.stencil(outline, blur=blur), colour, opacity, clip)

    def spread(self, stencil: Stencil) -> Array:
        """Return the stencil as a full-size float32 alpha, to clip with."""
        full = np.zeros(self.picture.shape[:2], np.float32)
        if stencil.alpha.size:
            full[stencil.window] = stencil.alpha
        return full
