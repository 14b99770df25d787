"""Broken and odd image files, each with what must come of it: the known picture, or the reason for leaving it out."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from facemask.dataset.decode import Reason

HEIGHT, WIDTH = 48, 64
BACKGROUND = 128
ORIENTATION = 0x0112
JPEG_APP14 = b"\xff\xee"

# What a camera does to a picture so that a viewer who obeys the tag sees it upright again.
STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A smooth uint8 (height, width, 3) RGB picture of which no turned or mirrored copy looks alike."""
    rows, columns = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    channels = (40 + 190 * columns, 30 + 180 * rows, 210 - 150 * rows * columns)
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def grey() -> np.ndarray:
    return np.repeat(picture()[..., :1], 3, axis=2)


def left_half_on_background() -> np.ndarray:
    pixels = picture()
    pixels[:, WIDTH // 2 :] = BACKGROUND
    return pixels


def grey_left_half_on_background() -> np.ndarray:
    pixels = grey()
    pixels[:, WIDTH // 2 :] = BACKGROUND
    return pixels


def half_mixed_with_background() -> np.ndarray:
    return np.round(picture() * (128 / 255) + BACKGROUND * (127 / 255)).astype(np.uint8)


def black_and_white() -> np.ndarray:
    return np.where(grey() > 128, 255, 0).astype(np.uint8)


def saved(pixels: np.ndarray | Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if kind == "JPEG":
        options = {"quality": 95, "subsampling": 0, **options}
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file, with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, content: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


def alpha_channel(value: int = 255) -> np.ndarray:
    """Alpha of a picture whose left half is `value` and whose right half cannot be seen."""
    alpha = np.full((HEIGHT, WIDTH, 1), value, np.uint8)
    alpha[:, WIDTH // 2 :] = 0
    return alpha


def png_with_a_wrong_checksum() -> bytes:
    data = bytearray(saved(picture(), "PNG"))
    end = data.index(b"IEND") - 4
    data[end - 4 : end] = b"\0\0\0\0"
    return bytes(data)


def png_with_broken_compressed_data() -> bytes:
    whole = saved(picture(), "PNG")
    start = whole.index(b"IDAT") + 4
    length = struct.unpack(">I", whole[start - 8 : start - 4])[0]
    content = bytearray(whole[start : start + length])
    content[length // 3 : length // 3 + 40] = b"\xff" * 40
    return whole[: start - 8] + chunk(b"IDAT", bytes(content)) + chunk(b"IEND", b"")


def png_of_16_bits(channels: int) -> bytes:
    pixels = picture()[..., :channels].astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return png(WIDTH, HEIGHT, rows, depth=16, colour={1: 0, 3: 2}[channels])


def png_with_a_colour_key() -> bytes:
    pixels = picture()
    pixels[:, WIDTH // 2 :] = (1, 2, 3)
    return saved(pixels, "PNG", transparency=(1, 2, 3))


def palette_picture() -> Image.Image:
    return Image.fromarray(picture()).quantize(255, dither=Image.Dither.NONE)


def see_through_palette_picture() -> Image.Image:
    """Its right half has palette index 0, which the savers are told to make transparent."""
    image = palette_picture()
    indices = np.array(image) + 1
    indices[:, WIDTH // 2 :] = 0
    see_through = Image.fromarray(indices)
    see_through.putpalette([0, 0, 0, *(image.getpalette() or [])])
    return see_through


def animation(kind: str, **options: object) -> bytes:
    later = [Image.fromarray(255 - picture()), Image.fromarray(picture()[::-1].copy())]
    return saved(picture(), kind, save_all=True, append_images=later, duration=100, **options)


def inks() -> np.ndarray:
    """The picture as uint8 (height, width, 4): cyan, magenta, yellow and black, 255 being full ink."""
    rgb = picture().astype(float)
    brightest = rgb.max(axis=2, keepdims=True)
    coloured = 255 * (1 - rgb / brightest)
    return np.concatenate([coloured, 255 - brightest], axis=2).round().astype(np.uint8)


def cmyk(values: np.ndarray) -> Image.Image:
    return Image.frombytes("CMYK", (WIDTH, HEIGHT), values.tobytes())


def without_adobe_marker(data: bytes) -> bytes:
    start = data.index(JPEG_APP14)
    length = struct.unpack(">H", data[start + 2 : start + 4])[0]
    return data[:start] + data[start + 2 + length :]


def cmyk_jpeg_without_adobe_marker() -> bytes:
    # Pillow inverts what it saves, as Adobe does; inverted beforehand, the inks are stored as they are.
    return without_adobe_marker(saved(cmyk(255 - inks())))


def turned(orientation: int, kind: str = "JPEG", **options: object) -> bytes:
    """The picture as stored by a camera that was held so, with the EXIF tag that says how."""
    image = Image.fromarray(picture())
    if orientation in STORED_AS:
        image = image.transpose(STORED_AS[orientation])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(image, kind, exif=exif, **options)


def turned_tiff(compression: str) -> bytes:
    image = Image.fromarray(picture()).transpose(STORED_AS[6])
    return saved(image, "TIFF", compression=compression, tiffinfo={ORIENTATION: 6})


def turned_with_another_tag_broken() -> bytes:
    """EXIF data with orientation 6 and a camera model whose text lies beyond the end."""
    tags = struct.pack("<HHII", 0x0110, 2, 1000, 0xFFFF) + struct.pack("<HHIHH", ORIENTATION, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + tags + b"\0\0\0\0"
    return saved(Image.fromarray(picture()).transpose(STORED_AS[6]), exif=exif)


def jpeg_with_garbage_in_the_middle() -> bytes:
    """Some rows are lost, but the decoder goes on without a word: the size is known, the pixels are not."""
    data = bytearray(saved(picture(480, 640), quality=90))
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(range(64))
    return bytes(data)


def jpeg_that_claims_to_be_huge() -> bytes:
    data = bytearray(saved(picture()))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 65_000, 65_000)
    return bytes(data)


def gif_that_claims_to_be_huge() -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + saved(picture(), "GIF")[13:]


def bmp(rows: bytes, bits: int, height: int = HEIGHT, compression: int = 0, masks: bytes = b"") -> bytes:
    start = 14 + 40 + len(masks)
    information = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, bits, compression, len(rows), 2835, 2835, 0, 0)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + information + masks + rows


def bmp_top_down() -> bytes:
    return bmp(picture()[..., ::-1].tobytes(), bits=24, height=-HEIGHT)


def bmp_of_16_bits() -> bytes:
    red, green, blue = np.moveaxis(picture()[::-1].astype(np.uint16), 2, 0)
    values = (red >> 3 << 11) | (green >> 2 << 5) | (blue >> 3)
    return bmp(values.astype("<u2").tobytes(), bits=16, compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))


def bmp_run_length_encoded() -> bytes:
    """Grey levels as runs of one pixel each."""
    palette = b"".join(bytes([level, level, level, 0]) for level in range(256))
    rows = b"".join(b"".join(bytes([1, level]) for level in row) + b"\0\0" for row in grey()[::-1, :, 0])
    return bmp(rows + b"\0\1", bits=8, compression=1, masks=palette)


def zip_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("1.png", saved(picture(), "PNG"))
    return buffer.getvalue()


def noise(size: int) -> bytes:
    return np.random.default_rng(1).bytes(size)


@dataclass(frozen=True)
class Case:
    """A file, and the picture it must be read as (with the largest mean difference) or the reason against it."""

    name: str
    build: Callable[[], bytes]
    expected: Reason | Callable[[], np.ndarray]
    tolerance: float = 0.5


LOSSY = 3.0

CASES = (
    # No image at all
    Case("empty", lambda: b"", "empty file"),
    Case("text named .jpg", lambda: b"This file was moved.\n", "not an image"),
    Case("text in UTF-16", lambda: "Quota exceeded".encode("utf-16"), "not an image"),
    Case("HTML error page", lambda: b"<!DOCTYPE html><title>404 Not Found</title>", "not an image"),
    Case("Git LFS pointer", lambda: b"version https://git-lfs.github.com/spec/v1\n", "not an image"),
    Case("random bytes", lambda: noise(5000), "not an image"),
    Case("zero bytes", lambda: bytes(4096), "not an image"),
    Case("macOS resource fork", lambda: b"\0\x05\x16\x07\0\x02\0\0Mac OS X" + bytes(100), "not an image"),
    Case("SVG", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not an image"),
    Case("PDF", lambda: saved(picture(), "PDF"), "not an image"),
    Case("EPS", lambda: saved(picture(), "EPS"), "not an image"),
    Case("zip named .png", zip_archive, "not an image"),
    Case("HEIC", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + noise(200), "HEIC is not supported"),
    # Broken images
    Case("JPEG cut in its signature", lambda: saved(picture())[:3], "damaged"),
    Case("JPEG cut in its header", lambda: saved(picture())[:120], "truncated"),
    Case("JPEG cut in the middle", lambda: cut(saved(picture()), 0.6), "truncated"),
    Case("JPEG cut near its end", lambda: saved(picture(), quality=95)[:-40], "truncated"),
    Case("progressive JPEG cut", lambda: cut(saved(picture(), progressive=True), 0.8), "truncated"),
    Case("PNG cut in its header", lambda: saved(picture(), "PNG")[:20], "truncated"),
    Case("PNG cut in the middle", lambda: cut(saved(picture(), "PNG"), 0.6), "truncated"),
    Case("PNG with a wrong checksum", png_with_a_wrong_checksum, picture),
    Case("PNG with broken compressed data", png_with_broken_compressed_data, "damaged"),
    Case("PNG without pixels", lambda: png(WIDTH, HEIGHT, b""), "truncated"),
    Case("PNG of no width", lambda: png(0, HEIGHT, b""), "damaged"),
    Case("GIF cut in the middle", lambda: cut(saved(picture(), "GIF"), 0.6), "truncated"),
    Case("GIF with broken data", lambda: saved(picture(), "GIF")[:800] + b"\x0c" + noise(900), "damaged"),
    Case("WebP cut in the middle", lambda: cut(saved(picture(), "WEBP"), 0.6), "damaged"),
    Case("BMP cut in the middle", lambda: cut(saved(picture(), "BMP"), 0.6), "truncated"),
    Case("BMP with an unknown header", lambda: bmp(b"", bits=77), "damaged"),
    Case("TIFF cut in the middle", lambda: cut(saved(picture(), "TIFF"), 0.6), "truncated"),
    Case("TIFF without a directory", lambda: b"II*\0\xff\xff\0\0" + bytes(50), "damaged"),
    Case("AVIF cut in the middle", lambda: cut(saved(picture(), "AVIF"), 0.6), "damaged"),
    Case("JPEG 2000 cut in the middle", lambda: cut(saved(picture(), "JPEG2000"), 0.3), "damaged"),
    # Too large
    Case("PNG of 3,600 megapixels", lambda: png(60_000, 60_000, b""), "too large"),
    Case("PNG of 100 megapixels", lambda: png(10_000, 10_000, b""), "too large"),
    Case("JPEG of 4,225 megapixels", jpeg_that_claims_to_be_huge, "too large"),
    Case("GIF of 3,600 megapixels", gif_that_claims_to_be_huge, "too large"),
    # Odd but sound
    Case("JPEG", lambda: saved(picture()), picture, LOSSY),
    Case("grey JPEG", lambda: saved(grey()[..., 0]), grey, LOSSY),
    Case("progressive JPEG", lambda: saved(picture(), progressive=True), picture, LOSSY),
    Case("JPEG without end marker", lambda: saved(picture())[:-2], picture, LOSSY),
    Case("JPEG with trailing garbage", lambda: saved(picture()) + noise(999), picture, LOSSY),
    Case("JPEG with a broken colour profile", lambda: saved(picture(), icc_profile=noise(50)), picture, LOSSY),
    Case("JPEG of two pictures", lambda: animation("MPO", quality=95), picture, LOSSY),
    Case("JPEG in CMYK by Adobe", lambda: saved(cmyk(inks())), picture, LOSSY),
    Case("JPEG in CMYK without marker", cmyk_jpeg_without_adobe_marker, picture, LOSSY),
    *(
        Case(f"JPEG with orientation {number}", lambda number=number: turned(number), picture, LOSSY)  # type: ignore[misc]
        for number in range(10)
    ),
    Case("JPEG with broken EXIF data", lambda: saved(picture(), exif=b"Exif\0\0" + noise(60)), picture, LOSSY),
    Case("JPEG turned, another EXIF tag broken", turned_with_another_tag_broken, picture, LOSSY),
    Case("PNG turned by EXIF", lambda: turned(6, "PNG"), picture),
    Case("WebP turned by EXIF", lambda: turned(6, "WEBP", lossless=True), picture),
    Case("TIFF turned, raw", lambda: turned_tiff("raw"), picture),
    Case("TIFF turned, compressed", lambda: turned_tiff("tiff_lzw"), picture),
    Case("PNG", lambda: saved(picture(), "PNG"), picture),
    Case("PNG with trailing garbage", lambda: saved(picture(), "PNG") + noise(999), picture),
    Case("PNG with a broken profile", lambda: saved(picture(), "PNG", icc_profile=noise(50)), picture),
    Case("PNG of 1 bit", lambda: saved(Image.fromarray(grey()[..., 0] > 128), "PNG"), black_and_white),
    Case("PNG in grey", lambda: saved(grey()[..., 0], "PNG"), grey),
    Case("PNG of 16 bits in grey", lambda: png_of_16_bits(1), grey),
    Case("PNG of 16 bits in colour", lambda: png_of_16_bits(3), picture),
    Case("PNG with a palette", lambda: saved(palette_picture(), "PNG"), picture, 6),
    Case(
        "PNG with a palette and transparency",
        lambda: saved(see_through_palette_picture(), "PNG", transparency=bytes([0] + [255] * 255)),
        left_half_on_background,
        6,
    ),
    Case("PNG with a colour key", png_with_a_colour_key, left_half_on_background),
    Case(
        "PNG in grey with alpha",
        lambda: saved(np.concatenate([grey()[..., :1], alpha_channel()], axis=2), "PNG"),
        grey_left_half_on_background,
    ),
    Case(
        "PNG with alpha",
        lambda: saved(np.concatenate([picture(), alpha_channel()], axis=2), "PNG"),
        left_half_on_background,
    ),
    Case(
        "PNG half transparent",
        lambda: saved(np.concatenate([picture(), np.full((HEIGHT, WIDTH, 1), 128, np.uint8)], axis=2), "PNG"),
        half_mixed_with_background,
        1,
    ),
    Case("animated PNG", lambda: animation("PNG"), picture),
    Case("animated GIF", lambda: animation("GIF"), picture, 6),
    Case(
        "GIF with transparency",
        lambda: saved(see_through_palette_picture(), "GIF", transparency=0),
        left_half_on_background,
        6,
    ),
    Case("animated WebP", lambda: animation("WEBP", lossless=True), picture),
    Case(
        "WebP with alpha",
        lambda: saved(np.concatenate([picture(), alpha_channel()], axis=2), "WEBP", lossless=True),
        left_half_on_background,
    ),
    Case("TIFF of several pages", lambda: animation("TIFF"), picture),
    Case("TIFF as JPEG", lambda: saved(picture(), "TIFF", compression="jpeg", quality=95), picture, LOSSY),
    Case("TIFF in CMYK", lambda: saved(cmyk(inks()), "TIFF"), picture, 1),
    Case("TIFF of 16 bits", lambda: saved(grey()[..., 0].astype(np.uint16) * 257, "TIFF"), grey),
    Case("TIFF of 32 bits", lambda: saved(grey()[..., 0].astype(np.int32) * 257 + 90, "TIFF"), grey),
    Case("TIFF of floats up to 1", lambda: saved(grey()[..., 0].astype(np.float32) / 255, "TIFF"), grey),
    Case("TIFF of floats up to 255", lambda: saved(grey()[..., 0].astype(np.float32), "TIFF"), grey),
    Case("BMP", lambda: saved(picture(), "BMP"), picture),
    Case("BMP top down", bmp_top_down, picture),
    Case("BMP of 16 bits", bmp_of_16_bits, picture, 6),
    Case("BMP run-length encoded", bmp_run_length_encoded, grey),
    Case("ICO", lambda: saved(picture(), "ICO", sizes=[(WIDTH, HEIGHT)]), picture),
    Case("PPM", lambda: saved(picture(), "PPM"), picture),
    Case("JPEG 2000", lambda: saved(picture(), "JPEG2000"), picture),
    Case("AVIF", lambda: saved(picture(), "AVIF", quality=95), picture, LOSSY),
)
