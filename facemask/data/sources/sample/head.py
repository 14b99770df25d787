"""Three-dimensional head: proportions and projection into the picture.

Coordinates: x to the right and y down as the viewer sees it, 0 in the middle of the head; one unit is half the
height of an adult's head, so the chin is near y = 1.1 and the crown near y = -1.1.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from facemask.data.sources.sample.canvas import Array, mirrored, smooth

EAR_X = 0.79
# How far the outline of the head moves sideways, per sine of the turn, from crown to chin.
_SHIFT_Y = (-1.1, -0.5, 0.0, 0.4, 0.7, 1.1)
_SHIFT = (-0.15, -0.02, 0.10, 0.24, 0.42, 0.60)
# How far the middle of the face lies before the axis of the head, from crown to chin.
_DEPTH_Y = (-1.1, -0.6, 0.0, 0.5, 1.1)
_DEPTH = (0.45, 0.72, 0.80, 0.85, 0.68)
# From this angle on (radians) parts of the face may pass behind its outline.
_TURNED = 0.12


@dataclass(frozen=True)
class Proportions:
    """Sizes and places of the features, in head units."""

    cheek: float
    jaw: float
    chin: float
    chin_y: float
    eye_x: float
    eye_y: float
    eye_w: float
    eye_open: float
    eye_slant: float
    brow_y: float
    brow_thick: float
    nose_y: float
    nose_w: float
    mouth_y: float
    mouth_w: float
    lips: float
    smile: float
    hairline: float


def draw_proportions(rng: np.random.Generator, age: str, masculine: bool) -> Proportions:
    """Draw a face: children have low, large eyes and a small chin; the elderly thin lips."""
    child = age == "child"

    def around(middle: float, spread: float) -> float:
        return float(np.clip(rng.normal(middle, spread), middle - 2 * spread, middle + 2 * spread))

    eye_y = around(0.12 if child else 0.0, 0.02)
    return Proportions(
        cheek=around(0.76 if child else 0.735, 0.025),
        jaw=around(0.62 if child else 0.63 if masculine else 0.57, 0.035),
        chin=around(0.22 if child else 0.27 if masculine else 0.21, 0.03),
        chin_y=around(1.0 if child else 1.09, 0.035),
        eye_x=around(0.33, 0.015),
        eye_y=eye_y,
        eye_w=around(0.175 if child else 0.157, 0.008),
        eye_open=around(0.084 if child else 0.060 if masculine else 0.067, 0.009),
        eye_slant=around(0.012, 0.012),
        brow_y=eye_y - around(0.22 if child else 0.21, 0.02),
        brow_thick=around(0.04 if child else 0.072 if masculine else 0.05, 0.009),
        nose_y=around(0.45, 0.025),
        nose_w=around(0.115 if child else 0.16 if masculine else 0.14, 0.018),
        mouth_y=around(0.69 if child else 0.735, 0.015),
        mouth_w=around(0.21 if child else 0.27, 0.02),
        lips=around(0.062 if child else 0.05 if age == "elderly" else 0.07, 0.012),
        smile=around(0.035, 0.025),
        hairline=around(-0.52 if child else -0.62, 0.03),
    )


@dataclass(frozen=True)
class Head:
    """A head at a place in the picture. Angles are in radians; yaw > 0 turns the face to the right."""

    shape: Proportions
    x: float
    y: float
    scale: float
    yaw: float
    pitch: float
    roll: float

    @cached_property
    def _half_width(self) -> tuple[Array, Array]:
        """Heights, and half the width of the head there; below the jaw the jaw's."""
        outline = self.outline()
        right = outline[: len(outline) // 2]
        right = right[right[:, 1] < 0.8 * self.shape.chin_y]
        return right[:, 1], right[:, 0]

    def flat(self, points: Array) -> Array:
        """Place points that tilt with the head but do not turn with it; (..., 2) to pixels (..., 2)."""
        c, s = self.scale * math.cos(self.roll), self.scale * math.sin(self.roll)
        # The head tilts on the neck, not about the nose.
        return points @ np.array([(c, s), (-s, c)]) + (self.x + s, self.y + self.scale - c)

    def surface(self, points: Array, lift: float | Array = 0.0) -> Array:
        """Place points that lie on the face, `lift` before its skin; (..., 2) to pixels (..., 2)."""
        x, y = points[..., 0], points[..., 1]
        depth = np.interp(y, _DEPTH_Y, _DEPTH) * np.sqrt(np.maximum(1 - (x / 0.87) ** 2, 0)) + lift
        placed = np.empty_like(points)
        turned = x * math.cos(self.yaw) + depth * math.sin(self.yaw)
        if abs(self.yaw) > _TURNED:
            # What is turned away ends at the outline of the head.
            reach = np.interp(y, *self._half_width) * (1 - 0.1 * abs(math.sin(self.yaw))) + lift
            shift = np.interp(y, _SHIFT_Y, _SHIFT) * math.sin(self.yaw)
            turned = np.minimum(np.maximum(turned, shift - reach), shift + reach)
        placed[..., 0] = turned
        placed[..., 1] = y + (depth - 0.4) * math.sin(self.pitch)
        return self.flat(placed)

    def silhouette(self, points: Array) -> Array:
        """Place points of the head's outline or of what surrounds it, such as hair; (..., 2) to pixels (..., 2)."""
        turn = math.sin(self.yaw)
        shift = np.interp(points[..., 1], _SHIFT_Y, _SHIFT)
        placed = np.empty_like(points)
        placed[..., 0] = points[..., 0] * (1 - 0.1 * abs(turn)) + shift * turn
        placed[..., 1] = points[..., 1] + shift * (0.6 * math.sin(self.pitch))
        return self.flat(placed)

    def ear(self, side: int, points: Array) -> Array:
        """Place points of an ear (side -1 left, 1 right), given about the ear's middle; (n, 2) to pixels."""
        towards = side * np.sin(self.yaw)
        x = side * EAR_X * np.cos(self.yaw) - 0.05 * np.sin(self.yaw)
        wide = 1 - 1.1 * towards
        middle = self.shape.eye_y + 0.17
        return self.flat(np.stack([x + side * points[:, 0] * wide, points[:, 1] + middle], axis=1))

    def sees_ear(self, side: int) -> bool:
        """Say whether the ear is not turned away."""
        return side * np.sin(self.yaw) < 0.25

    def local(self, x: Any, y: Any) -> tuple[Array, Array]:
        """Return head coordinates (without turn) of pixels; undoes `flat`."""
        c, s = np.cos(self.roll), np.sin(self.roll)
        u, v = (x - self.x) / self.scale, (y - self.y) / self.scale - 1.0
        return c * u + s * v, c * v - s * u + 1.0

    def outline(self) -> Array:
        """Return the outline of the bare head in head units."""
        s = self.shape
        return smooth(
            mirrored(
                [
                    (0.0, -1.06),
                    (0.40, -0.97),
                    (0.67, -0.68),
                    (s.cheek, -0.25),
                    (s.cheek + 0.01, 0.12),
                    (s.cheek - 0.03, 0.42),
                    (s.jaw, 0.68 * s.chin_y),
                    (s.jaw * 0.70, 0.885 * s.chin_y),
                    (s.chin, 0.985 * s.chin_y),
                    (0.0, s.chin_y),
                ]
            )
        )
