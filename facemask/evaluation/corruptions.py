"""Camera troubles, each in several strengths: what a poor sensor, a shaking hand or a distant face does to a picture.

The troubles of a camera and their levels follow ImageNet-C (D. Hendrycks and T. Dietterich, "Benchmarking Neural
Network Robustness to Common Corruptions and Perturbations", 2019, https://arxiv.org/abs/1903.12261, and the code that
goes with it), but for low light, which ImageNet-C lacks. Those levels are meant for pictures of 224 pixels. What is
measured in pixels - the width of a blur, the grain of noise - is carried over to a picture of another size, so that it
does as much harm to the face as there. How a face is cut out, and how many pixels it has, are levels of this project.

Every function takes a picture, uint8 (height, width, 3) RGB, a strength from 1 on (see `strengths`) and the source of
its random choices, and returns a picture, uint8 RGB; of the same size, but for those that change the framing.
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
    "low_light": (0.6, 0.5, 0.4, 0.3, 0.2),  # brightness that white is left with; Kar et al., see `low_light`
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),  # share that is left; ImageNet-C
    "pixelation": (0.6, 0.5, 0.4, 0.3, 0.25),  # share of the side that is left; ImageNet-C
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

_SIDE = 224  # pixels; the size of ImageNet-C's pictures
_PHOTONS = 120  # that make white in low light; Kar et al.
_READ_NOISE = 0.018  # standard deviation as a share of the range, in low light; Kar et al.


def noise(image: Image, strength: int, rng: np.random.Generator) -> Image:
    """Add Gaussian noise to every value."""
    return _noisy(image.astype(np.float32), 255 * _level("noise", strength) * _scale(image), rng)


def motion_blur(image: Image, strength: int, rng: np.random.Generator) -> Image:
    """Blur along a line of any direction, as a hand that shakes or a face that moves does."""
    spread, angle = _level("motion_blur", strength) * _scale(image), rng.uniform(0, np.pi)
    x, y = _offsets(2.5 * spread)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-0.5 * (along / spread) ** 2) * np.clip(1 - np.abs(across), 0, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def focus_blur(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001 - nothing left to chance
    """Blur with a disc, as a lens that is out of focus does."""
    radius = _level("focus_blur", strength) * _scale(image)
    kernel = np.clip(radius + 0.5 - np.hypot(*_offsets(radius + 0.5)), 0, 1)  # a disc with a soft edge of one pixel
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def jpeg(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001
    """Save as a JPEG file of low quality and read that."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, int(_level("jpeg", strength))]
    _, packed = cv2.imencode(".jpg", image[..., ::-1], settings)
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1].copy()


def low_light(image: Image, strength: int, rng: np.random.Generator) -> Image:
    """Take light away: less brightness, darker shadows, and the noise of few photons and of the sensor.

    After O. Kar et al., "3D Common Corruptions and Data Augmentation", 2022, https://arxiv.org/abs/2203.01441; here
    without stretching the picture's range first, which would lighten a dark picture. The photons' Poisson noise is
    drawn as a normal one of equal variance.
    """
    light = _level("low_light", strength) * (np.arange(256) / 255) ** 2
    spread = np.sqrt(light / _PHOTONS + _READ_NOISE**2) * _scale(image)
    values, spreads = (cv2.LUT(image, (255 * table).astype(np.float32)[None]) for table in (light, spread))
    return _noisy(values, spreads, rng)


def contrast(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001
    """Draw all values towards the mean of their channel, as mist or a dirty lens does."""
    mean = np.array(cv2.mean(image)[:3])
    table = (np.arange(256)[:, None] - mean) * _level("contrast", strength) + mean
    return cv2.LUT(image, np.rint(table).astype(np.uint8)[None])


def pixelation(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001
    """Shrink and enlarge by repeating pixels, as programs and thrifty video calls do."""
    height, width = image.shape[:2]
    share = _level("pixelation", strength)
    small = cv2.resize(
        image, (max(round(width * share), 1), max(round(height * share), 1)), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def crop_margin(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001
    """Widen a tight crop; gives a larger picture.

    For want of the photograph around it, its border is drawn out. A reflection would show parts of the face twice.
    """
    height, width = image.shape[:2]
    margin = _level("crop_margin", strength)
    down, across = round(height * margin), round(width * margin)
    return cv2.copyMakeBorder(image, down, down, across, across, cv2.BORDER_REPLICATE)


def face_size(image: Image, strength: int, rng: np.random.Generator) -> Image:  # noqa: ARG001
    """Shrink to a square, as if the face were far away; a picture that has no more pixels stays as it is."""
    side = int(_level("face_size", strength))
    return image if min(image.shape[:2]) <= side else resize(image, side)


# What befalls the picture on its way, of which the mean corruption accuracy is made; and how the face is framed in it.
CAMERA: dict[str, Corruption] = {
    function.__name__: function for function in (noise, motion_blur, focus_blur, jpeg, low_light, contrast, pixelation)
}
FRAMING: dict[str, Corruption] = {function.__name__: function for function in (crop_margin, face_size)}


def strengths(name: str) -> range:
    """Return the strengths of a trouble, the mildest first."""
    return range(1, len(LEVELS[name]) + 1)


def level_text(name: str, strength: int) -> str:
    """Say how strong: in its own unit where that means something to people, else by number."""
    level = LEVELS[name][strength - 1]
    return {"crop_margin": f"{level:.0%}", "face_size": f"{level:.0f} px"}.get(name, f"{strength}")


def _level(name: str, strength: int) -> float:
    return LEVELS[name][strengths(name).index(strength)]


def _scale(image: Image) -> float:
    """How many pixels of this picture are one pixel of ImageNet-C's."""
    return min(image.shape[:2]) / _SIDE


def _offsets(reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances from the middle of a kernel, across and down, that covers at least `reach` to all sides."""
    steps = np.arange(-np.ceil(reach), np.ceil(reach) + 1)
    return steps[None, :], steps[:, None]


def _noisy(values: NDArray[Any], spread: NDArray[Any] | float, rng: np.random.Generator) -> Image:
    """Add normal noise, which averages out as pixels are merged, and make it a picture again."""
    noisy = values + np.asarray(spread, np.float32) * rng.standard_normal(values.shape, dtype=np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
