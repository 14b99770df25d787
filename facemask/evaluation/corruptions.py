"""Image corruptions at several strengths: those of a camera, and changed framing of the face.

Camera corruptions and their levels follow ImageNet-C (D. Hendrycks and T. Dietterich, "Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations", 2019, https://arxiv.org/abs/1903.12261, and its code), except low
light, which ImageNet-C lacks. Its levels are for images of 224 pixels; lengths in pixels (blur width, noise grain) are
scaled to the size of the image, so that the effect on the face is the same. The levels of crop margin and face size are
this project's own.

Every function takes an image, uint8 (height, width, 3) RGB, a strength from 1 up (see `strengths`) and a random
generator, and returns an image, uint8 RGB, of the same size unless it changes the framing.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.dataset.decode import resize

Image = NDArray[np.uint8]
Corruption = Callable[[Image, int, np.random.Generator], Image]

LEVELS: dict[str, tuple[float, ...]] = {
    "noise": (0.08, 0.12, 0.18, 0.26, 0.38),  # standard deviation as a share of the range; ImageNet-C
    # Standard deviation in pixels of 224; that of ImageNet-C's trails, which fade to one side: 0.6 of their sigma.
    "motion_blur": (1.8, 3.0, 4.8, 7.2, 9.0),
    "focus_blur": (3, 4, 6, 8, 10),  # radius in pixels of 224; ImageNet-C
    "jpeg": (25, 18, 15, 10, 7),  # quality; ImageNet-C
    "low_light": (0.6, 0.5, 0.4, 0.3, 0.2),  # remaining brightness of white; Kar et al., see `low_light`
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),  # remaining share; ImageNet-C
    "pixelation": (0.6, 0.5, 0.4, 0.3, 0.25),  # remaining share of the side; ImageNet-C
    "crop_margin": (0.1, 0.2, 0.3, 0.4),  # share of the side, added on each side
    "face_size": (128, 64, 32, 16),  # pixels of the shorter side
}

TITLES = {
    "noise": "Noise",
    "motion_blur": "Motion blur",
    "focus_blur": "Out of focus",
    "jpeg": "JPEG",
    "low_light": "Low light",
    "contrast": "Low contrast",
    "pixelation": "Pixelation",
    "crop_margin": "Wider crop",
    "face_size": "Smaller face",
}

_SIDE = 224  # pixels; image size in ImageNet-C
_PHOTONS = 120  # of white in low light; Kar et al.
_READ_NOISE = 0.018  # standard deviation as a share of the range, in low light; Kar et al.


def noise(image: Image, strength: int, rng: np.random.Generator) -> Image:
    """Add Gaussian noise to every value."""
    return _noisy(image.astype(np.float32), 255 * _level("noise", strength) * _scale(image), rng)


def motion_blur(image: Image, strength: int, rng: np.random.Generator) -> Image:
    """Blur along a line of random direction, as from camera shake."""
    spread, angle = _level("motion_blur", strength) * _scale(image), rng.uniform(0, np.pi)
    x, y = _offsets(2.5 * spread)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-0.5 * (along / spread) ** 2) * np.clip(1 - np.abs(across), 0, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def focus_blur(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001 - every corruption has one signature
    """Blur with a disc, as an unfocused lens does."""
    radius = _level("focus_blur", strength) * _scale(image)
    kernel = np.clip(radius + 0.5 - np.hypot(*_offsets(radius + 0.5)), 0, 1)  # a disc with a soft edge of one pixel
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def jpeg(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001
    """Compress as JPEG of low quality."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, int(_level("jpeg", strength))]
    _, packed = cv2.imencode(".jpg", image[..., ::-1], settings)
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1].copy()


def low_light(image: Image, strength: int, rng: np.random.Generator) -> Image:
    """Darken, with darker shadows, photon noise and sensor noise.

    After O. Kar et al., "3D Common Corruptions and Data Augmentation", 2022, https://arxiv.org/abs/2203.01441; here
    without stretching the range first, which would lighten a dark image. Poisson noise of the photons is approximated
    by normal noise of equal variance.
    """
    light = _level("low_light", strength) * (np.arange(256) / 255) ** 2
    spread = np.sqrt(light / _PHOTONS + _READ_NOISE**2) * _scale(image)
    values, spreads = (cv2.LUT(image, (255 * table).astype(np.float32)[None]) for table in (light, spread))
    return _noisy(values, spreads, rng)


def contrast(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001
    """Move all values towards the mean of their channel, as fog or a dirty lens does."""
    mean = np.array(cv2.mean(image)[:3])
    table = (np.arange(256)[:, None] - mean) * _level("contrast", strength) + mean
    return cv2.LUT(image, np.rint(table).astype(np.uint8)[None])


def pixelation(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001
    """Shrink, then enlarge by repeating pixels, as low-bandwidth video calls do."""
    height, width = image.shape[:2]
    share = _level("pixelation", strength)
    small = cv2.resize(
        image, (max(round(width * share), 1), max(round(height * share), 1)), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def crop_margin(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001
    """Widen a tight crop; the returned image is larger.

    The photograph around the crop is unknown, so the border pixels are repeated. A reflection would repeat parts of the
    face.
    """
    height, width = image.shape[:2]
    margin = _level("crop_margin", strength)
    down, across = round(height * margin), round(width * margin)
    return cv2.copyMakeBorder(image, down, down, across, across, cv2.BORDER_REPLICATE)


def face_size(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001
    """Shrink to a square, as if the face were far away; smaller images are returned unchanged."""
    side = int(_level("face_size", strength))
    return image if min(image.shape[:2]) <= side else resize(image, side)


# The mean corruption accuracy is computed over CAMERA.
CAMERA: dict[str, Corruption] = {
    function.__name__: function for function in (noise, motion_blur, focus_blur, jpeg, low_light, contrast, pixelation)
}
FRAMING: dict[str, Corruption] = {function.__name__: function for function in (crop_margin, face_size)}


def strengths(name: str) -> range:
    """Return the strengths of a corruption, mildest first."""
    return range(1, len(LEVELS[name]) + 1)


def level_text(name: str, strength: int) -> str:
    """Return a strength as text: in its own unit for the framing, else as a number."""
    level = LEVELS[name][strength - 1]
    return {"crop_margin": f"{level:.0%}", "face_size": f"{level:.0f} px"}.get(name, f"{strength}")


def _level(name: str, strength: int) -> float:
    return LEVELS[name][strengths(name).index(strength)]


def _scale(image: Image) -> float:
    """Return the pixels of this image that correspond to one pixel of ImageNet-C."""
    return min(image.shape[:2]) / _SIDE


def _offsets(reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return horizontal and vertical offsets from the centre of a kernel reaching at least `reach` to each side."""
    steps = np.arange(-np.ceil(reach), np.ceil(reach) + 1)
    return steps[None, :], steps[:, None]


def _noisy(values: NDArray[Any], spread: NDArray[Any] | float, rng: np.random.Generator) -> Image:
    """Add normal noise, then round and clip to uint8."""
    noisy = values + np.asarray(spread, np.float32) * rng.standard_normal(values.shape, dtype=np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
