"""Decoding and resizing of images, shared by training, evaluation and prediction."""

import io
import re
import warnings
from contextlib import suppress
from typing import Literal, get_args

import cv2
import numpy as np
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

MAX_MEGAPIXELS = 50.0

Reason = Literal[
    "empty file",  # no bytes at all
    "not an image",  # text, a document, an archive: the signature of no format that is read here
    "HEIC is not supported",  # what iPhones write unless told otherwise; to be saved as JPEG
    "too large",  # more pixels than allowed, by its header; it was not decoded
    "too small",  # a side shorter than allowed
    "truncated",  # the data ends before the picture does
    "damaged",  # an image file whose header or data cannot be read
]
REASONS: tuple[Reason, ...] = get_args(Reason)

# Only what people keep photographs in. Pillow knows more, such as EPS, for which it would start Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "ICO", "JPEG2000", "AVIF")
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP")
_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# Mid-grey is close to the mean of a photograph and becomes 0 in the model's input range of -1 to 1. A white
# or black surrounding would be the strongest contrast in the picture and tell cut-out faces from others.
_BACKGROUND = (128, 128, 128)

_STRIP_PIXELS = 2**16

_PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


class UnusableImage(ValueError):  # noqa: N818 - a finding about a file, not a fault of the program
    """A file that cannot be used as an image; `reason` is one of `REASONS`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


def decode(data: bytes, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Read an image file (JPEG, PNG, WebP, BMP, GIF, TIFF, PPM, ICO, JPEG 2000, AVIF) as RGB.

    The picture is turned upright by its EXIF orientation; broken EXIF data counts as none. Transparency is
    laid on mid-grey. Of an animation or a file of several pages, the first picture is read. Grey levels of 16
    bits are scaled to 8; those of 32 bits and floats are taken as ranging over 0 to 1, 0 to 255 or 0 to
    65,535, whichever is the first to hold them all, else from their smallest to their largest. CMYK is turned
    into RGB by the plain formula, and colour profiles are not applied: both shift tints a little and cannot
    fail.

    A JPEG whose compressed data was altered in the middle is read as far as the decoder can make sense of it,
    and a wrong checksum in a PNG whose pixels can be unpacked is passed over: Pillow reports neither. Safe to
    call from several threads.

    Args:
        data: the whole file.
        max_megapixels: a picture of more pixels (in millions) by its header is refused without being decoded.
            Pillow itself refuses more than 178.

    Returns:
        uint8 array of shape (height, width, 3), RGB.

    Raises:
        UnusableImage: with the reason.
    """
    if not data:
        raise UnusableImage("empty file")
    _silence_pillow()
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if picture.width * picture.height > max_megapixels * 1e6:
                raise UnusableImage("too large")
            picture.load()
            with suppress(Exception):
                # In place, so that a picture is upright even if other tags of its EXIF data are broken.
                ImageOps.exif_transpose(picture, in_place=True)
            return _pixels(picture)
    except UnusableImage:
        raise
    except UnidentifiedImageError as error:
        raise UnusableImage(_unidentified(data)) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UnusableImage("too large") from error
    except Exception as error:
        # Pillow's decoders meet broken files with whatever their C libraries and parsers raise.
        raise UnusableImage("truncated" if "truncated" in str(error).lower() else "damaged") from error


def file_format(data: bytes) -> str:
    """Name the format of a file that `decode` has read, by its content: "JPEG", "PNG", "WEBP" ..."""
    _silence_pillow()
    with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
        # A JPEG with a second picture, such as a depth map, is an MPO; everybody calls it a JPEG.
        return "JPEG" if picture.format == "MPO" else str(picture.format)


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Stretch a whole picture to a square: averaging where it shrinks, bilinear where it grows.

    The whole picture, not a crop of its middle, which would cut off the chin and with it the mask.

    Args:
        image: uint8 array of shape (height, width, 3).
        size: side of the square, in pixels.

    Returns:
        uint8 array of shape (size, size, 3); `image` itself if it has this size already.
    """
    height, width = image.shape[:2]
    if height > size or width > size:
        # INTER_AREA averages only if no side grows, so a side that must grow waits for the second step.
        image = cv2.resize(image, (min(width, size), min(height, size)), interpolation=cv2.INTER_AREA)
    if height < size or width < size:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return image


def _silence_pillow() -> None:
    """Have Python not show Pillow's warnings: what they are about is mended here, or refused with a reason.

    A standing filter, since `warnings.catch_warnings` swaps the filters of all threads at once.
    """
    if _PILLOW_WARNINGS not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _unidentified(data: bytes) -> Reason:
    kind, brand = data[4:8], data[8:12]
    if kind == b"ftyp" and brand in _HEIC_BRANDS:
        return "HEIC is not supported"
    webp = data.startswith(b"RIFF") and brand == b"WEBP"
    avif = kind == b"ftyp" and brand in _AVIF_BRANDS
    if webp or avif or data.startswith(_SIGNATURES):
        return "damaged"
    return "not an image"


def _pixels(picture: Image.Image) -> np.ndarray:
    """Pixels of a loaded picture of any of Pillow's modes, as uint8 RGB."""
    if picture.mode in ("I", "F"):
        return _rgb_of_grey(_eight_bits(np.asarray(picture)))
    if picture.mode == "CMYK" and picture.format == "JPEG" and "adobe" not in picture.info:
        # Adobe stores inks inverted and marks its files; Pillow takes every CMYK JPEG for one of Adobe's.
        picture = ImageChops.invert(picture)
    width, height = picture.size
    rows = max(_STRIP_PIXELS // width, 1)
    if height <= rows:
        return _rgb(picture)
    # Pillow turns a picture into an array by way of two copies. Strip by strip those stay small, and memory is used
    # again instead of being given back and asked for anew, which took more time than decoding at 1024 x 1024.
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        pixels[top : top + rows] = _rgb(picture.crop((0, top, width, min(top + rows, height))))
    return pixels


def _rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        return _rgb_of_grey(np.round(np.asarray(picture) / np.float32(257)).astype(np.uint8))
    if picture.mode == "LAB":
        return cv2.cvtColor(np.asarray(picture), cv2.COLOR_LAB2RGB)
    if picture.has_transparency_data:
        layer = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.new("RGB", layer.size, _BACKGROUND)
        picture.paste(layer, mask=layer)
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _rgb_of_grey(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Scale grey levels of 32 bits or floats to uint8, as `decode` says."""
    values = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65_535:
        values = (values - low) * (255 / max(high - low, 1e-9))
    elif high > 255:
        values = values / 257
    elif high <= 1:
        values = values * 255
    return np.round(values).astype(np.uint8)
