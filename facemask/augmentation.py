"""Varying training images as a camera, a crop and a hurried photographer would.

Everything works on one uint8 RGB image at the model's input size, with NumPy and OpenCV, so that it runs in the input
pipeline and no layer of it ends up in an export.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.params import AugmentationParams

Image = NDArray[np.uint8]

_SMALLEST_RESOLUTION = 24  # pixels: the size of a far face in a photograph of a crowd
_STRONGEST_NOISE = 20.0  # standard deviation in grey levels: a phone's picture of a dark room
_WORST_JPEG_QUALITY = 25


def augment(image: Image, settings: AugmentationParams, rng: np.random.Generator) -> Image:
    """Return a varied copy of `image`.

    Args:
        image: uint8 (side, side, 3).
        settings: how strong; see `AugmentationParams`.
        rng: source of every random choice.

    Returns:
        uint8 (side, side, 3).
    """
    image = _geometry(image, settings, rng)
    if rng.random() < settings.low_resolution:
        image = _low_resolution(image, rng)
    if rng.random() < settings.blur:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, image.shape[0] / 80))
    image = _light(image, settings, rng)
    if rng.random() < settings.grey:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < settings.noise:
        spread = rng.uniform(0, _STRONGEST_NOISE)
        noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(spread)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < settings.jpeg:
        image = _through_jpeg(image, int(rng.integers(_WORST_JPEG_QUALITY, 90)))
    return image


def _geometry(image: Image, settings: AugmentationParams, rng: np.random.Generator) -> Image:
    """Flip, rotate, zoom, shear and shift in one warp: one interpolation blurs less than five."""
    side = image.shape[0]
    angle, shear = np.deg2rad(
        [rng.uniform(-settings.rotation, settings.rotation), rng.uniform(-settings.shear, settings.shear)]
    )
    zoom = rng.uniform(1 - settings.zoom, 1 + settings.zoom)
    shift = rng.uniform(-settings.shift, settings.shift, size=2) * side
    mirror = -1.0 if rng.random() < settings.flip else 1.0
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = zoom * rotation @ np.array([[1.0, np.tan(shear)], [0.0, 1.0]]) @ np.diag([mirror, 1.0])
    centre = np.full(2, (side - 1) / 2)
    matrix = np.column_stack([linear, centre + shift - linear @ centre])
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _low_resolution(image: Image, rng: np.random.Generator) -> Image:
    side = image.shape[0]
    small = int(rng.integers(min(_SMALLEST_RESOLUTION, side), side + 1))
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_LINEAR)


def _through_jpeg(image: Image, quality: int) -> Image:
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)


def _light(image: Image, settings: AugmentationParams, rng: np.random.Generator) -> Image:
    """Brightness, contrast and a colour cast, as one table per channel."""
    brightness = rng.uniform(1 - settings.brightness, 1 + settings.brightness)
    contrast = rng.uniform(1 - settings.contrast, 1 + settings.contrast)
    cast = rng.uniform(1 - settings.colour, 1 + settings.colour, size=3)
    mean = image.mean()
    levels = (np.arange(256)[:, None] - mean) * contrast + mean
    table = np.clip(levels * brightness * cast, 0, 255).astype(np.uint8)
    return cv2.LUT(image, table[None])
