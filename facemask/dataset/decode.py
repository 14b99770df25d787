"""Decoding and resizing of images, shared by training, evaluation and prediction."""

import io
import re
import warnings
from contextlib import suppress
from typing import Literal, get_args

import cv2
import numpy as np
from PIL import Image, ImageChops, ImageOps, TiffImagePlugin, UnidentifiedImageError

from facemask.dataset.colour import Conversion, lab_to_srgb, to_srgb
from facemask.dataset.jpeg import MAX_SCANS, count_scans, endings, has_all_scans, has_end

MAX_MEGAPIXELS = 50.0

Reason = Literal[
    "empty file",  # no bytes at all
    "not an image",  # text, a document, an archive: the signature of no format that is read here
    "HEIC is not supported",  # what iPhones write unless told otherwise; to be saved as JPEG
    "too large",  # more pixels than allowed, by its header; it was not decoded
    "too small",  # a side shorter than allowed
    "too many scans",  # a JPEG of more passes over its pixels than programs write, which may take hours to decode
    "truncated",  # the data ends before the picture does
    "end marker is missing",  # of a JPEG with every pixel: somebody stopped copying it a little too early
    "pixel format is not supported",  # which one, follows after a colon
    "damaged",  # an image file whose header or data cannot be read
]
REASONS: tuple[Reason, ...] = get_args(Reason)

# Only what people keep photographs in. Pillow knows more, such as EPS, for which it would start Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "ICO", "JPEG2000", "AVIF")
_JPEG, _TIFF = b"\xff\xd8\xff", (b"II*\0", b"MM\0*")
_SIGNATURES = (_JPEG, b"\x89PNG", b"GIF8", *_TIFF, b"\0\0\0\x0cjP")
# Values of the tags SampleFormat and PhotometricInterpretation.
_TIFF_NUMBERS = {2: " signed", 3: " float", 5: " complex", 6: " complex float"}
_TIFF_COLOURS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab", 9: "ICC Lab"}
_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# Mid-grey is close to the mean of a photograph and becomes 0 in the model's input range of -1 to 1. A white
# or black surrounding would be the strongest contrast in the picture and tell cut-out faces from others.
_BACKGROUND = (128, 128, 128)

_STRIP_PIXELS = 2**16

_PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


class UnusableImage(ValueError):  # noqa: N818 - a finding about a file, not a fault of the program
    """A file that cannot be used as an image; `reason` is one of `REASONS`, with details after a colon."""

    def __init__(self, reason: Reason, details: str = "") -> None:
        self.reason = f"{reason}: {details}" if details else reason
        super().__init__(self.reason)


def decode(data: bytes, max_megapixels: float = MAX_MEGAPIXELS, *, accept_missing_end: bool = True) -> np.ndarray:
    """Read an image file (JPEG, PNG, WebP, BMP, GIF, TIFF, PPM, ICO, JPEG 2000, AVIF) as RGB.

    The picture is turned upright by its EXIF orientation; broken EXIF data counts as none. Transparency is
    laid on mid-grey. Of an animation or a file of several pages, the first picture is read. Grey levels of 16
    bits are scaled to 8; those of 32 bits and floats are taken as ranging over 0 to 1, 0 to 255 or 0 to
    65,535, whichever is the first to hold them all, else from their smallest to their largest. Colours are
    converted to sRGB by the embedded ICC profile (`facemask.dataset.colour`); without one, RGB is taken for sRGB
    and CMYK is turned into RGB by the plain formula.

    A JPEG whose compressed data was altered in the middle is read as far as the decoder can make sense of it,
    and a wrong checksum in a PNG whose pixels can be unpacked is passed over: Pillow reports neither. Safe to
    call from several threads.

    Args:
        data: the whole file.
        max_megapixels: a picture of more pixels (in millions) by its header is refused without being decoded.
            Pillow itself refuses more than 178.
        accept_missing_end: whether to read a JPEG that lacks its end marker, but no pixel.

    Returns:
        uint8 array of shape (height, width, 3), RGB.

    Raises:
        UnusableImage: with the reason.
    """
    if not data:
        raise UnusableImage("empty file")
    _silence_pillow()
    if count_scans(data) > MAX_SCANS:
        raise UnusableImage("too many scans")
    if data.startswith(_JPEG) and not has_end(data):
        return _without_end(data, max_megapixels, accept_missing_end)
    return _decoded(data, max_megapixels)


def _without_end(data: bytes, max_megapixels: float, accept: bool) -> np.ndarray:
    """Read a JPEG without end marker as `decode` does."""
    completed, *others = endings(data)
    try:
        pixels = _decoded(completed, max_megapixels)
        whole = has_all_scans(data) and all(np.array_equal(pixels, _decoded(one, max_megapixels)) for one in others)
    except UnusableImage:
        _decoded(data, max_megapixels)  # raises with the reason
        raise
    if not whole:
        raise UnusableImage("truncated")
    if not accept:
        raise UnusableImage("end marker is missing")
    return pixels


def _decoded(data: bytes, max_megapixels: float) -> np.ndarray:
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
        raise _unidentified(data) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UnusableImage("too large") from error
    except Exception as error:
        # Pillow's decoders meet broken files with whatever their C libraries and parsers raise.
        raise UnusableImage("truncated" if "truncated" in str(error).lower() else "damaged") from error


def is_image(head: bytes) -> bool:
    """Check whether a file begins like an image, though perhaps one that `decode` refuses.

    Args:
        head: the first 4096 bytes, or the whole file.
    """
    _silence_pillow()
    try:
        with Image.open(io.BytesIO(head), formats=_FORMATS):
            return True
    except UnidentifiedImageError:
        return _unidentified(head).reason != "not an image"
    except Exception:  # as in `_decoded`
        return True


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


def _unidentified(data: bytes) -> UnusableImage:
    kind, brand = data[4:8], data[8:12]
    if kind == b"ftyp" and brand in _HEIC_BRANDS:
        return UnusableImage("HEIC is not supported")
    if data.startswith(_TIFF) and (details := _tiff_pixels(data)):
        return UnusableImage("pixel format is not supported", details)
    webp = data.startswith(b"RIFF") and brand == b"WEBP"
    avif = kind == b"ftyp" and brand in _AVIF_BRANDS
    return UnusableImage("damaged" if webp or avif or data.startswith(_SIGNATURES) else "not an image")


def _tiff_pixels(data: bytes) -> str:
    """Describe the pixels of a TIFF file by its tags, such as "32-bit float, RGB"; "" if it has none."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        bits = tags[TiffImagePlugin.BITSPERSAMPLE][0]
        number = _TIFF_NUMBERS.get(tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0], "")
        colours = _TIFF_COLOURS.get(tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION], "unknown colours")
    except Exception:  # as in `_decoded`
        return ""
    return f"{bits}-bit{number}, {colours}"


def _pixels(picture: Image.Image) -> np.ndarray:
    """Pixels of a loaded picture of any of Pillow's modes, as uint8 RGB."""
    if picture.mode in ("I", "F"):
        return _rgb_of_grey(_eight_bits(np.asarray(picture)))
    conversion = _conversion(picture)
    if picture.mode == "CMYK" and picture.format == "JPEG" and "adobe" not in picture.info:
        # Adobe stores inks inverted and marks its files; Pillow takes every CMYK JPEG for one of Adobe's.
        picture = ImageChops.invert(picture)
    width, height = picture.size
    rows = max(_STRIP_PIXELS // width, 1)
    if height <= rows:
        return _rgb(picture, conversion)
    # Pillow turns a picture into an array by way of two copies. Strip by strip those stay small, and memory is used
    # again instead of being given back and asked for anew, which took more time than decoding at 1024 x 1024.
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        pixels[top : top + rows] = _rgb(picture.crop((0, top, width, min(top + rows, height))), conversion)
    return pixels


def _conversion(picture: Image.Image) -> Conversion | None:
    """Return the conversion to sRGB that a picture in its plain mode needs."""
    mode = _plain_mode(picture)
    return lab_to_srgb() if mode == "LAB" else to_srgb(picture.info.get("icc_profile"), mode)


def _plain_mode(picture: Image.Image) -> str:
    """Name the mode of the picture without alpha, palette or bits beyond 8."""
    if picture.mode in ("CMYK", "LAB"):
        return picture.mode
    return "L" if picture.mode in ("1", "L", "LA", "La") or picture.mode.startswith("I;16") else "RGB"


def _rgb(picture: Image.Image, conversion: Conversion | None) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray(np.round(np.asarray(picture) / np.float32(257)).astype(np.uint8))
    layer = None
    if picture.has_transparency_data:
        layer = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    if conversion:
        mode = _plain_mode(picture)
        picture = conversion(picture if picture.mode == mode else picture.convert(mode))
    if layer:
        background = Image.new("RGB", layer.size, _BACKGROUND)
        background.paste(picture if conversion else layer, mask=layer)
        picture = background
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
