"""Colours are read as colour management has written them: libvips encodes, and its own way back is the reference.

libvips shares no code with the decoder but LittleCMS, which both use for ICC profiles.
"""

import io
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import pyvips
import simplejpeg
from PIL import Image

from facemask.dataset.decode import UnusableImage, decode
from tests.bad_images import BACKGROUND, picture

SIZE = (600, 800)
MANAGED: dict[str, Any] = {"intent": "relative", "black_point_compensation": True}  # as image editors export
LOSSLESS: dict[str, dict[str, Any]] = {"jpeg": {"Q": 98, "subsample_mode": "off"}, "webp": {"lossless": True}}


def original() -> np.ndarray:
    """A uint8 (height, width, 3) picture in sRGB with colours that printing inks reach."""
    return (70 + 0.45 * picture(*SIZE).astype(float)).round().astype(np.uint8)


def image(pixels: np.ndarray) -> pyvips.Image:
    return pyvips.Image.new_from_array(pixels).copy(interpretation="srgb" if pixels.ndim == 3 else "b-w")


def encoded(converted: pyvips.Image, kind: str) -> bytes:
    return getattr(converted, f"{kind}save_buffer")(**LOSSLESS.get(kind, {}))


def read_back(data: bytes) -> np.ndarray:
    """What libvips makes of a file: uint8 RGB."""
    return pyvips.Image.new_from_buffer(data, "").icc_transform("srgb", embedded=True, **MANAGED).numpy()[..., :3]


def distance(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def profile(space: bytes, curve: float, primaries: tuple[tuple[float, float], ...] = ()) -> bytes:
    """An ICC profile of version 2: a gamma curve, and for RGB the chromaticities of its primaries under D65."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d50, d65 = np.array([0.9642, 1.0, 0.8249]), np.array([0.95047, 1.0, 1.08883])
    adapted = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ d65)) @ bradford
    tags = {b"desc": b"desc\0\0\0\0\0\0\0\5test\0" + bytes(78), b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz(d50)}
    gamma = b"curv\0\0\0\0\0\0\0\1" + struct.pack(">H", round(curve * 256))
    if primaries:
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
        columns = adapted @ (columns * np.linalg.solve(columns, d65))
        tags |= {tag: xyz(column) for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma)
    else:
        tags[b"kTRC"] = gamma
    place, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += tag + struct.pack(">II", place + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(body), b"", 0x02400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + table + body


def xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


ADOBE_RGB = profile(b"RGB ", 563 / 256, ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)))
DARK_GREY = profile(b"GRAY", 1.4)


def with_profile(converted: pyvips.Image, content: bytes) -> pyvips.Image:
    """The image with a profile attached, its pixels converted from sRGB to it."""
    converted = converted.copy()
    converted.set_type(pyvips.GValue.blob_type, "icc-profile-data", content)
    return converted


@pytest.mark.parametrize("kind", ["jpeg", "tiff", "png", "webp"])
@pytest.mark.parametrize("name", ["p3", "adobe rgb"])
def test_wide_gamut_photographs_are_converted(name: str, kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = name
    if name == "adobe rgb":
        path = tmp_path_factory.mktemp("profile") / "adobe.icc"
        path.write_bytes(ADOBE_RGB)
        target = str(path)
    data = encoded(image(original()).icc_transform(target, input_profile="srgb", **MANAGED), kind)
    with Image.open(io.BytesIO(data)) as stored:
        assert distance(np.asarray(stored), original()) > 10  # what reading without the profile would give
    assert distance(decode(data), read_back(data)) <= 1
    assert distance(decode(data), original()) <= (8 if kind == "jpeg" else 2)
    assert np.abs(decode(data).astype(int) - original()).mean() < 1


@pytest.mark.parametrize("kind", ["jpeg", "tiff"])
def test_printing_inks_with_a_profile_are_converted(kind: str) -> None:
    inks = image(original()).icc_transform("cmyk", input_profile="srgb", **MANAGED)
    data = encoded(inks, kind)
    assert distance(decode(data), read_back(data)) <= 2
    # Once more: the colours that libvips has read back are sure to be those that inks reach.
    reached = read_back(data)
    data = encoded(image(reached).icc_transform("cmyk", input_profile="srgb", **MANAGED), kind)
    assert np.abs(decode(data).astype(int) - reached).mean() < 2


@pytest.mark.parametrize("subsampling", ["444", "420"])
def test_printing_inks_as_luma_and_chroma_are_read(subsampling: str) -> None:
    """YCCK, which libjpeg-turbo writes as Photoshop does: with Adobe's marker, and all inks inverted."""
    inks = image(original()).icc_transform("cmyk", input_profile="srgb", **MANAGED).numpy()
    data = simplejpeg.encode_jpeg(255 - inks, quality=98, colorspace="CMYK", colorsubsampling=subsampling)
    with Image.open(io.BytesIO(data)) as stored:
        assert (stored.mode, stored.info["adobe_transform"]) == ("CMYK", 2)
    paper = (255 - inks.astype(float)) / 255
    assert np.abs(decode(data) - 255 * paper[..., :3] * paper[..., 3:]).mean() < 2


def test_lab_of_eight_bits_is_converted() -> None:
    lab = image(original()).icc_import(input_profile="srgb", pcs="lab", intent="relative")
    data = lab.colourspace("labq").tiffsave_buffer()
    with Image.open(io.BytesIO(data)) as stored:
        assert stored.mode == "LAB"
    assert np.abs(decode(data).astype(int) - original()).mean() < 2
    # Grey is free of a and b, whose steps of 1 in 8 bits are several grey levels of a colour.
    grey = image(np.repeat(original()[..., :1], 3, axis=2)).icc_import(input_profile="srgb", pcs="lab")
    assert distance(decode(grey.colourspace("labq").tiffsave_buffer()), np.repeat(original()[..., :1], 3, axis=2)) <= 2


@pytest.mark.parametrize("kind", ["jpeg", "tiff", "png"])
def test_grey_with_a_profile_is_converted(kind: str) -> None:
    level = original()[..., 0]
    data = encoded(with_profile(image(level), DARK_GREY), kind)
    linear = (level / 255) ** 1.4
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert distance(decode(data)[..., 0], expected.round()) <= (6 if kind == "jpeg" else 2)
    assert np.ptp(decode(data), axis=2).max() == 0


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_read_to_the_level(kind: str) -> None:
    assert distance(decode(encoded(image(original()).colourspace("rgb16"), kind)), original()) <= 1
    level = original()[..., 0]
    grey = decode(encoded(image(level).colourspace("grey16"), kind))
    assert distance(grey, np.repeat(level[..., None], 3, axis=2)) <= 1
    wide = image(original()).icc_transform("p3", input_profile="srgb", depth=16, **MANAGED)
    assert distance(decode(encoded(wide, kind)), original()) <= 2


@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
def test_transparency_of_a_managed_picture_shows_the_background(kind: str) -> None:
    wide = image(original()).icc_transform("p3", input_profile="srgb", **MANAGED)
    alpha = np.full(SIZE, 255, np.uint8)
    alpha[:, SIZE[1] // 2 :] = 0
    pixels = decode(encoded(wide.bandjoin(image(alpha)), kind))
    assert distance(pixels[:, : SIZE[1] // 2], original()[:, : SIZE[1] // 2]) <= 2
    assert np.all(pixels[:, SIZE[1] // 2 :] == BACKGROUND)


def test_grey_with_alpha_and_a_palette_are_read() -> None:
    level = original()[..., 0]
    grey = image(level).bandjoin(255)
    assert distance(decode(encoded(grey, "png")), np.repeat(level[..., None], 3, axis=2)) == 0
    wide = image(original()).icc_transform("p3", input_profile="srgb", **MANAGED)
    palette = wide.pngsave_buffer(palette=True, dither=0, Q=100)
    with Image.open(io.BytesIO(palette)) as stored:
        assert stored.mode == "P"
    assert distance(decode(palette), read_back(palette)) <= 1


@pytest.mark.parametrize("kind", ["jpeg", "tiff", "png", "webp"])
def test_a_profile_that_is_that_of_srgb_changes_no_pixel(kind: str) -> None:
    managed = image(original()).icc_transform("srgb", input_profile="srgb")
    assert b"icc-profile-data" in " ".join(managed.get_fields()).encode()
    with Image.open(io.BytesIO(encoded(managed, kind))) as stored:
        assert "icc_profile" in stored.info
        assert np.array_equal(decode(encoded(managed, kind)), np.asarray(stored))


@pytest.mark.parametrize("content", [b"no profile", ADOBE_RGB[:200], DARK_GREY, ADOBE_RGB.replace(b"mntr", b"link")])
def test_a_profile_that_is_broken_or_of_another_kind_is_ignored(content: bytes) -> None:
    buffer = io.BytesIO()
    Image.fromarray(original()).save(buffer, "PNG", icc_profile=content)
    assert np.array_equal(decode(buffer.getvalue()), original())


def test_conversions_in_threads_give_the_same_pixels_as_one_after_another() -> None:
    names = ("p3", "cmyk", "p3", "srgb")
    managed = [
        encoded(image(original()[::-step, ::step]).icc_transform(name, input_profile="srgb", **MANAGED), "tiff")
        for step, name in enumerate(names * 3, start=1)
    ]
    alone = [decode(data) for data in managed]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, managed))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize(
    ("convert", "named"),
    [
        (lambda one: one.colourspace("scrgb"), "32-bit float, RGB"),
        (lambda one: one.colourspace("lab"), "32-bit float, Lab"),
        (lambda one: one.colourspace("labs"), "16-bit signed, Lab"),
        (lambda one: one.colourspace("b-w").cast("double"), "64-bit float, grey"),
    ],
)
def test_pixels_that_are_not_read_are_named(convert: Callable[[pyvips.Image], pyvips.Image], named: str) -> None:
    with pytest.raises(UnusableImage) as refused:
        decode(convert(image(original())).tiffsave_buffer())
    assert refused.value.reason == f"pixel format is not supported: {named}"
