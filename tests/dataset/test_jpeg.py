"""A JPEG file that lacks only its end marker is told from one that lacks pixels, whoever encoded it."""

import io
import re
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import pyvips
from PIL import Image

from facemask.dataset.decode import UnusableImage, decode
from tests.photos import group


@cache
def photograph() -> np.ndarray:
    """1280 x 960 pixels, with the noise of a camera."""
    plain = group([(60, 120, 400), (560, 300, 260), (960, 200, 180)])
    noise = np.random.default_rng(1).normal(0, 6, plain.shape)
    return np.clip(plain + noise, 0, 255).astype(np.uint8)


def by_pillow(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def by_opencv(**options: int) -> bytes:
    flags = [number for name, value in options.items() for number in (getattr(cv2, f"IMWRITE_JPEG_{name}"), value)]
    return bytes(cv2.imencode(".jpg", photograph(), flags)[1].tobytes())


def by_libvips(**options: Any) -> bytes:
    return bytes(pyvips.Image.new_from_array(photograph()).copy(interpretation="srgb").jpegsave_buffer(**options))


@cache
def encoded(name: str) -> bytes:
    match name:
        case "plain":
            return by_pillow(photograph(), quality=90)
        case "plain, finest":
            return by_pillow(photograph(), quality=97, subsampling=0)
        case "grey":
            return by_pillow(photograph()[..., 0], quality=90)
        case "odd size":
            return by_pillow(photograph()[:477, :613], quality=88)
        case "small":
            return by_pillow(photograph()[:48, :64], quality=95)
        case "with a thumbnail":
            thumbnail = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + by_pillow(photograph()[::8, ::8])
            return by_pillow(photograph(), quality=90, exif=thumbnail)
        case "progressive":
            return by_opencv(QUALITY=92, PROGRESSIVE=1)
        case "restart markers":
            return by_opencv(QUALITY=92, RST_INTERVAL=8)
        case "progressive, restart markers":
            return by_libvips(Q=80, optimize_coding=True, interlace=True, restart_interval=10)
        case _:
            raise ValueError(name)


NAMES = (
    "plain", "plain, finest", "grey", "odd size", "small", "with a thumbnail", "progressive", "restart markers",
    "progressive, restart markers",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_without_end_marker_every_pixel_is_read_or_the_file_is_refused_for_that(name: str) -> None:
    whole = decode(encoded(name))
    for cut in (1, 2):
        data = encoded(name)[:-cut]
        assert np.array_equal(decode(data), whole)
        with pytest.raises(UnusableImage, match=r"^end marker is missing$"):
            decode(data, accept_missing_end=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_lacks_pixels_is_truncated(name: str) -> None:
    data = encoded(name)
    anywhere = np.random.default_rng(1).integers(len(data) // 3, len(data) - 20, 8).tolist()
    for end in (*anywhere, -3, -4, -6, -10, -30):
        with pytest.raises(UnusableImage, match=r"^truncated$"):
            decode(data[:end])


@pytest.mark.parametrize("name", ["progressive", "restart markers", "progressive, restart markers"])
def test_a_file_cut_off_between_two_of_its_parts_is_truncated(name: str) -> None:
    data = encoded(name)
    parts = [match.start() for match in re.finditer(rb"\xff[\xd0-\xd7\xda\xc4]", data) if match.start() > 1000]
    for end in [*parts[:: len(parts) // 10 + 1], *parts[-3:]]:
        for more in (0, 1, 2):
            with pytest.raises(UnusableImage, match=r"^truncated$"):
                decode(data[: end + more])


def test_what_follows_the_end_marker_does_not_matter() -> None:
    data = encoded("plain")
    for behind in (b"\0", b"\n", bytes(1000), data[:5000]):
        assert np.array_equal(decode(data + behind, accept_missing_end=False), decode(data))
