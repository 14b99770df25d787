"""Image statistics: brightness, contrast, sharpness and others.

| measure | meaning |
| --- | --- |
| `brightness` | mean grey level, 0 to 255 |
| `contrast` | standard deviation of the grey level |
| `sharpness` | how much of the contrast is fine detail, whatever the brightness: 0.1 is usual, 0.02 a smear |
| `cast_red_green` | mean a* of CIE Lab: above 0 towards red, below 0 towards green |
| `cast_yellow_blue` | mean b* of CIE Lab: above 0 towards yellow, below 0 towards blue |
| `border` | share of the outer frame that is of its most common colour, 0 to 1: what turning and padding leave behind |
| `posterisation` | bits lost to gaps between grey levels, 0 to 8: 0.1 is usual, 1 after brightening twofold |
"""

import cv2
import numpy as np

MEASURES: tuple[str, ...] = (
    "brightness",
    "contrast",
    "sharpness",
    "cast_red_green",
    "cast_yellow_blue",
    "border",
    "posterisation",
)

_SIDE = 128  # pixels of the longer side at which pictures are compared; smaller ones are left as they are
_FRAME = 1 / 32  # width of the outer frame, as a share of each side
_HISTOGRAM_SIDE = 256
_CLIPPED = 4  # levels at either end, where a photograph may have a spike
_JPEG_SMEAR = 3  # levels by which JPEG spreads a flat colour
_SMOOTHING = 8.0  # levels


def measure(pixels: np.ndarray) -> dict[str, float]:
    """Measure a picture; a single-coloured one has contrast and sharpness 0.

    Sharpness is the standard deviation of a difference of Gaussians (1 and 2 pixels wide with the longer side at
    128 pixels; Marr and Hildreth, Theory of Edge Detection, 1980), divided by the contrast. The Laplacian's variance
    itself (Pech-Pacheco and others, 2000) cannot be used: in a darkened picture it measures rounding, and calls it
    sharp. As measured, enlarging blurs, shrinking sharpens, and the file's size alone makes no difference.

    A posterised picture is only found as long as its levels survive: JPEG compression, and resizing, fill the gaps.

    Args:
        pixels: uint8 array of shape (height, width, 3), RGB, contiguous.

    Returns:
        A number for each of `MEASURES`, rounded to 2 decimals (brightness, contrast, cast) or 4.
    """
    small = _shrink(pixels)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrast = float(grey.std())
    _, red_green, yellow_blue, _ = cv2.mean(cv2.cvtColor(small, cv2.COLOR_RGB2LAB))
    return {
        "brightness": _rounded(float(grey.mean()), 2),
        "contrast": _rounded(contrast, 2),
        "sharpness": _rounded(_sharpness(grey, contrast), 4),
        "cast_red_green": _rounded(red_green - 128, 2),  # OpenCV stores a* and b* with 128 added
        "cast_yellow_blue": _rounded(yellow_blue - 128, 2),
        "border": _rounded(_border(small, contrast), 4),
        "posterisation": _rounded(_posterisation(pixels), 4),
    }


def _shrink(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = _SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _sharpness(grey: np.ndarray, contrast: float) -> float:
    if contrast == 0:
        return 0.0
    detail = cv2.GaussianBlur(grey, (0, 0), 1.0) - cv2.GaussianBlur(grey, (0, 0), 2.0)
    return float(detail.std()) / contrast


def _border(pixels: np.ndarray, contrast: float) -> float:
    """Share of the frame that is of one colour, within a tolerance that shrinks with the picture's contrast.

    With a fixed tolerance, everything in a darkened picture would count as one colour.
    """
    height, width = pixels.shape[:2]
    rows, columns = max(round(height * _FRAME), 1), max(round(width * _FRAME), 1)
    strips = (pixels[:rows], pixels[-rows:], pixels[rows:-rows, :columns], pixels[rows:-rows, -columns:])
    frame = np.concatenate([strip.reshape(-1, 3) for strip in strips]).astype(np.int32)
    tolerance = int(np.clip(contrast / 8, 2, 8))
    cells = (frame // (2 * tolerance)) @ (2**16, 2**8, 1)
    found, counts = np.unique(cells, return_counts=True)
    commonest = frame[cells == found[counts.argmax()]].mean(axis=0)
    return float((np.abs(frame - commonest) <= tolerance).all(axis=1).mean())


def _posterisation(pixels: np.ndarray) -> float:
    """Entropy that the histogram of a channel, smoothed, has more than as it is; mean of the three channels.

    Smoothing adds little to a histogram without gaps, whatever its width. One flat area, such as a plain backdrop, and
    black and white, which photographs are clipped to, don't make a picture posterised: their spikes are first cut down
    to the highest other level.
    """
    step = max(max(pixels.shape[:2]) // _HISTOGRAM_SIDE, 1)
    part = np.ascontiguousarray(pixels[::step, ::step])  # leaving out pixels keeps the levels; averaging would not
    return float(np.mean([_lost_bits(cv2.calcHist([part], [channel], None, [256], [0, 256])) for channel in range(3)]))


def _lost_bits(counts: np.ndarray) -> float:
    histogram = counts.ravel().astype(np.float64)
    others = histogram.copy()
    others[:_CLIPPED] = others[-_CLIPPED:] = 0
    mode = int(others.argmax())
    others[max(mode - _JPEG_SMEAR, 0) : mode + _JPEG_SMEAR + 1] = 0
    if not others.any():
        return 8.0  # black, white and one level between them
    share = np.minimum(histogram, others.max())
    share /= share.sum()
    levels = np.arange(256)
    spread = np.sqrt(max(share @ levels**2 - (share @ levels) ** 2, 0.0))
    return _entropy(_smoothed(share, float(np.clip(spread / 2, 0.5, _SMOOTHING)))) - _entropy(share)


def _smoothed(share: np.ndarray, sigma: float) -> np.ndarray:
    kernel = cv2.getGaussianKernel(2 * int(4 * sigma) + 1, sigma).ravel()
    smoothed = np.convolve(share, kernel, mode="same")
    return smoothed / smoothed.sum()


def _entropy(share: np.ndarray) -> float:
    used = share[share > 0]
    return -float(used @ np.log2(used))


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) + 0.0  # turns -0.0 into 0.0
