"""Any number of different pictures, composed of a few drawn or given ones: for benchmarks of large sets.

Drawing a portrait takes long. A picture is composed of two: of each a crop, turned and often mirrored, on either side
of a line drawn at random. Some of them share more than drawn portraits or photographs do.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 96
BASE_SIDE = 128

Pixels = NDArray[np.uint8]


def composed(base: list[Pixels], number: int, seed: int) -> Pixels:
    """Compose the picture of a number from crops of two others: uint8 (SIDE, SIDE, 3), RGB.

    Args:
        base: pictures to compose from, at least two: uint8 (BASE_SIDE, BASE_SIDE, 3), RGB.
        number: which picture.
        seed: of all pictures.
    """
    rng = np.random.default_rng([seed, number])
    one, other = (_crop(base[place], rng) for place in rng.choice(len(base), 2, replace=False))
    grid = np.linspace(-1, 1, SIDE, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    distance = np.cos(angle) * grid + np.sin(angle) * grid[:, np.newaxis] - rng.uniform(-0.3, 0.3)
    share = np.clip(4 * distance + 0.5, 0, 1)[..., np.newaxis]
    return (share * one + (1 - share) * other).astype(np.uint8)


def _crop(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Cut out half of the side or more, turned by up to 23 degrees, one in two mirrored."""
    share, angle = rng.uniform(0.5, 1), rng.uniform(-0.4, 0.4)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = share * BASE_SIDE / SIDE * rotation @ np.diag([rng.choice([-1, 1]), 1])
    middle = BASE_SIDE / 2 * (1 + rng.uniform(-1, 1, 2) * (1 - share))
    matrix = np.column_stack([linear, middle - linear @ np.full(2, (SIDE - 1) / 2)])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pixels, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REFLECT)


def jpeg(pixels: Pixels) -> bytes:
    """Encode a picture as JPEG of quality 90."""
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
