"""Augmentation of training images: geometry, blur, light, colour, noise, JPEG.

Works on one uint8 RGB image at the model's input size, with NumPy and OpenCV, so that it runs in the input pipeline
and adds no layers to the exported model. docs/training.md has the measured effect of each step.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.core.params import AugmentationParams

Image = NDArray[np.uint8]

_SMALLEST_RESOLUTION = 24  # pixels: a distant face in a photograph of a crowd
_STRONGEST_NOISE = 22.0  # standard deviation in grey levels: a phone in a dark room
_WORST_JPEG_QUALITY = 20
_BORDERS = (cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT)
_ENLARGERS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)  # common upscaling methods


def augment(image: Image, settings: AugmentationParams, rng: np.random.Generator) -> Image:
    """Return a randomly augmented copy of `image`.

    The steps follow the order in which a photograph is made: position of the face in the crop, lens and resolution,
    light and colour, noise, file format.

    Args:
        image: uint8 (side, side, 3).
        settings: strength or probability of each step.
        rng: random generator for all choices.

    Returns:
        uint8 (side, side, 3).
    """
    image = _geometry(image, settings, rng)
    if rng.random() < settings.low_resolution:
        image = _low_resolution(image, rng)
    if rng.random() < settings.blur:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, image.shape[0] / 70))
    if rng.random() < settings.motion:
        image = _motion_blur(image, rng)
    image = _light(image, settings, rng)
    if rng.random() < settings.side_light:
        image = _side_light(image, rng)
    if rng.random() < settings.grey:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < settings.noise:
        spread = rng.uniform(0, _STRONGEST_NOISE)
        noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(spread)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < settings.jpeg:
        image = _compress(image, int(rng.integers(_WORST_JPEG_QUALITY, 90)))
    return image


def _geometry(image: Image, settings: AugmentationParams, rng: np.random.Generator) -> Image:
    """Flip, rotate, zoom, stretch, shear and shift in a single warp, which blurs less than six."""
    side = image.shape[0]
    angle, shear = np.deg2rad(
        [rng.uniform(-settings.rotation, settings.rotation), rng.uniform(-settings.shear, settings.shear)]
    )
    zoom = np.exp(rng.uniform(-np.log1p(settings.zoom_out), np.log1p(settings.zoom_in)))
    stretch = np.exp(rng.uniform(-settings.stretch, settings.stretch) / 2)
    shift = rng.uniform(-settings.shift, settings.shift, size=2) * side
    mirror = -1.0 if rng.random() < settings.flip else 1.0
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    scaling = np.diag([mirror * stretch, 1 / stretch])
    linear = zoom * rotation @ np.array([[1.0, np.tan(shear)], [0.0, 1.0]]) @ scaling
    centre = np.full(2, (side - 1) / 2)
    matrix = np.column_stack([linear, centre + shift - linear @ centre])
    # Half of the time the margin continues the image; otherwise it is filled as image editors do.
    border = _BORDERS[rng.choice(len(_BORDERS), p=[0.5, 0.25, 0.25])]
    fill = rng.integers(0, 256, size=3).tolist()
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=fill)


def _low_resolution(image: Image, rng: np.random.Generator) -> Image:
    """Downscale to a random size, and back."""
    side = image.shape[0]
    small = int(np.exp(rng.uniform(np.log(min(_SMALLEST_RESOLUTION, side)), np.log(side))))
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (side, side), interpolation=_ENLARGERS[rng.choice(len(_ENLARGERS), p=[0.5, 0.4, 0.1])])


def _motion_blur(image: Image, rng: np.random.Generator) -> Image:
    """Blur along a random line, like camera shake or a moving face."""
    length = int(rng.integers(3, max(4, image.shape[0] // 16)))
    middle, angle = (length - 1) / 2, rng.uniform(0, np.pi)
    along = np.linspace(-middle, middle, 3 * length)
    kernel = np.zeros((length, length), np.float32)
    kernel[np.rint(middle + along * np.sin(angle)).astype(int), np.rint(middle + along * np.cos(angle)).astype(int)] = 1
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _light(image: Image, settings: AugmentationParams, rng: np.random.Generator) -> Image:
    """Change contrast, brightness, colour cast and gamma, with one lookup table per channel."""
    # Log-uniform: half the light is as likely as twice the light.
    brightness = np.exp(rng.uniform(np.log1p(-settings.darker), np.log1p(settings.brighter)))
    contrast = rng.uniform(1 - settings.contrast, 1 + settings.contrast)
    cast = rng.uniform(1 - settings.colour, 1 + settings.colour, size=3)
    gamma = np.exp(rng.uniform(-settings.gamma, settings.gamma))
    mean = image.mean()
    levels = (np.arange(256)[:, None] - mean) * contrast + mean
    table = 255 * (np.clip(levels * brightness * cast, 0, 255) / 255) ** gamma
    return cv2.LUT(image, table.astype(np.uint8)[None])


def _side_light(image: Image, rng: np.random.Generator) -> Image:
    """Brighten one side and darken the other, like a window or a lamp."""
    along = np.linspace(-1, 1, image.shape[0], dtype=np.float32)
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6)
    light = 1 + strength * (np.cos(angle) * along[None, :] + np.sin(angle) * along[:, None])
    return np.clip(image * light[..., None], 0, 255).astype(np.uint8)


def _compress(image: Image, quality: int) -> Image:
    """Encode as JPEG and decode again."""
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
