import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from facemask.dataset.decode import REASONS, UnusableImage, decode, file_format, resize
from tests.bad_images import BACKGROUND, CASES, Case, animation, jpeg_with_garbage_in_the_middle, picture, png, saved


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_read_as_the_picture_it_shows_or_refused_with_the_reason(
    case: Case, capfd: pytest.CaptureFixture[str]
) -> None:
    data = case.build()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if isinstance(case.expected, str):
            with pytest.raises(UnusableImage) as refusal:
                decode(data)
            assert refusal.value.reason == case.expected
            assert refusal.value.reason.startswith(REASONS)
        else:
            pixels = decode(data)
            expected = case.expected()
            assert pixels.dtype == np.uint8
            assert pixels.shape == expected.shape
            assert pixels.flags.writeable
            assert np.abs(pixels.astype(int) - expected.astype(int)).mean() <= case.tolerance
    assert [str(warning.message) for warning in caught] == []
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_with_garbage_in_the_middle_is_read_as_far_as_it_makes_sense() -> None:
    pixels = decode(jpeg_with_garbage_in_the_middle())
    assert pixels.shape == (480, 640, 3)
    assert np.abs(pixels[:200].astype(int) - picture(480, 640)[:200]).mean() < 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "ICO", "JPEG2000", "AVIF"])
def test_cut_and_altered_files_of_any_format_are_read_or_refused_and_nothing_else(kind: str) -> None:
    random = np.random.default_rng(1)
    whole = saved(picture(), kind)
    for _ in range(60):
        data = bytearray(whole[: random.integers(1, len(whole) + 1)])
        for _ in range(random.integers(0, 5)):
            data[random.integers(len(data))] = random.integers(256)
        with suppress(UnusableImage):
            pixels = decode(bytes(data), max_megapixels=1)
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_large_picture_is_read_whole(kind: str) -> None:
    large = picture(1200, 1700)
    assert np.abs(decode(saved(large, kind)).astype(int) - large).mean() < 1


def test_a_large_picture_with_alpha_is_laid_on_the_background_everywhere() -> None:
    clear = np.zeros((1200, 1700, 4), np.uint8)
    assert np.all(decode(saved(clear, "PNG")) == BACKGROUND)


def test_the_format_of_a_file_is_told_by_its_content() -> None:
    assert [file_format(saved(picture(), kind)) for kind in ("JPEG", "PNG", "WEBP")] == ["JPEG", "PNG", "WEBP"]
    assert file_format(animation("MPO")) == "JPEG"


def test_a_picture_of_more_megapixels_than_allowed_is_refused_and_one_of_as_many_is_read() -> None:
    data = saved(picture(100, 200), "PNG")
    assert decode(data, max_megapixels=0.02).shape == (100, 200, 3)
    with pytest.raises(UnusableImage, match="too large"):
        decode(data, max_megapixels=0.0199)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux' /proc")
def test_a_huge_picture_is_refused_without_being_decoded() -> None:
    """54 megapixels would take 162 MB as an array and 216 MB in Pillow."""
    code = """
import re, sys
from facemask.dataset.decode import (UnusableImage, decode)
try:
    decode(sys.stdin.buffer.read())
except UnusableImage as refusal:
    print(refusal.reason, re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
    rows = bytes(9_000 * 3 + 1) * 6_000
    run = subprocess.run([sys.executable, "-c", code], input=png(9_000, 6_000, rows), capture_output=True, check=True)
    reason, kilobytes = run.stdout.decode().rsplit(maxsplit=1)
    assert reason == "too large"
    assert int(kilobytes) < 200_000


def test_decoding_in_threads_gives_the_same_pixels_as_decoding_one_after_another() -> None:
    files = [saved(noise_picture(seed), kind) for seed in range(30) for kind in ("JPEG", "PNG", "WEBP")]
    alone = [decode(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, files))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def noise_picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (60, 50, 3), np.uint8)


@pytest.mark.parametrize(
    ("height", "width"),
    [(48, 64), (64, 48), (200, 300), (30, 300), (300, 30), (32, 32), (32, 40), (1, 1), (1, 4000), (16, 16)],
)
def test_any_picture_becomes_a_square_of_the_size_asked_for(height: int, width: int) -> None:
    small = resize(picture(height, width), 32)
    assert small.shape == (32, 32, 3)
    assert small.dtype == np.uint8


def test_a_picture_of_the_right_size_is_not_changed() -> None:
    image = picture(32, 32)
    assert np.array_equal(resize(image, 32), image)


def test_shrinking_averages_so_that_fine_stripes_become_grey() -> None:
    for height, width in ((64, 320), (16, 320)):
        stripes = np.zeros((height, width, 3), np.uint8)
        for column in range(3):
            stripes[:, column::10] = 200
        assert np.abs(resize(stripes, 32).astype(int) - 60).max() <= 1


def test_resizing_keeps_what_stands_at_the_lower_edge() -> None:
    image = np.zeros((300, 100, 3), np.uint8)
    image[-10:] = 255
    assert resize(image, 30)[-1].min() == 255


def test_enlarging_interpolates_between_pixels() -> None:
    image = np.array([[[0, 0, 0], [200, 200, 200]]], np.uint8)
    row = resize(image, 8)[0, :, 0].astype(int)
    assert np.all(np.diff(row) >= 0)
    assert len(set(row)) > 4
