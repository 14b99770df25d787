"""Random heavy copies of a photograph, as data sets get inflated with them: for benchmarks and tests of grouping."""

import cv2
import numpy as np


def heavy_copy(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one copy of a photograph, changed in several ways at once.

    Each copy is turned (to 30 degrees, one in four by a quarter turn or more before), sheared, zoomed, cropped,
    shifted, one in two mirrored, and made darker or brighter (factor 0.15 to 2); some are blurred, turned grey,
    resized and compressed.

    Args:
        pixels: uint8 array of shape (height, width, 3), RGB.
        rng: every choice comes from it.

    Returns:
        uint8 array of shape (height', width', 3); the sides are 0.4 to 1.5 times the original's, or changed about.
    """
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    if rng.random() < 0.25:
        pixels = np.rot90(pixels, int(rng.integers(1, 4)))
    pixels = _warp(np.ascontiguousarray(pixels), rng)
    pixels = _light(pixels, rng)
    if rng.random() < 0.3:
        pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.5, 2.0)) * pixels.shape[0] / 128)
    if rng.random() < 0.2:
        pixels = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    scale = float(rng.uniform(0.5, 1.5)) if rng.random() < 0.5 else 1.0
    size = (max(round(pixels.shape[1] * scale), 16), max(round(pixels.shape[0] * scale), 16))
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return _jpeg(pixels, int(rng.integers(30, 96)))


def _warp(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotate, shear, zoom (0.8 to 1.4), shift, and cut off up to a tenth on each side."""
    height, width = pixels.shape[:2]
    angle, shear = np.deg2rad(rng.uniform(-30, 30)), np.tan(np.deg2rad(rng.uniform(-12, 12)))
    zoom = rng.uniform(0.8, 1.4)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = zoom * rotation @ np.array([[1, shear], [0, 1]])
    middle = np.array([width / 2, height / 2])
    shift = rng.uniform(-0.1, 0.1, 2) * (width, height)
    matrix = np.hstack([linear, (middle + shift - linear @ middle)[:, np.newaxis]])
    border = [cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT][int(rng.integers(3))]
    pixels = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=border)
    top, bottom = (round(share * height) for share in rng.uniform(0, 0.1, 2))
    left, right = (round(share * width) for share in rng.uniform(0, 0.1, 2))
    return pixels[top : height - bottom, left : width - right]


def _light(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Multiply by 0.15 to 2, evenly in the logarithm."""
    factor = np.exp(rng.uniform(np.log(0.15), np.log(2)))
    return np.clip(pixels * factor, 0, 255).astype(np.uint8)


def _jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
