"""A picture's measures say what an eye sees, and only that."""

import itertools
import math

import cv2
import numpy as np
import pytest

from facemask.dataset.image_stats import MEASURES, measure


def photograph(height: int = 128, width: int = 128, seed: int = 0) -> np.ndarray:
    """Something with structure at every scale, as photographs have."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (3, 6, 12, 24, 48, 96):
        blobs = rng.normal(0, 60 / cells**0.5, (cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + 120, 0, 255).astype(np.uint8)


def darkened(pixels: np.ndarray, factor: float) -> np.ndarray:
    return np.round(pixels * factor).astype(np.uint8)


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    decoded = cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def test_there_is_a_plain_finite_number_for_each_measure() -> None:
    found = measure(photograph())
    assert tuple(found) == MEASURES
    assert all(type(value) is float and math.isfinite(value) for value in found.values())


def test_brightness_and_contrast_are_mean_and_spread_of_the_grey_levels() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 30:] = 200
    found = measure(pixels)
    assert (found["brightness"], found["contrast"]) == (100.0, 100.0)


def test_blur_lowers_sharpness_step_by_step() -> None:
    pixels = photograph()
    found = [measure(pixels)["sharpness"]]
    found += [measure(cv2.GaussianBlur(pixels, (0, 0), sigma))["sharpness"] for sigma in (1, 2, 4, 8)]
    assert all(more > 1.2 * less for more, less in itertools.pairwise(found)), found


@pytest.mark.parametrize("factor", [0.15, 0.4])
def test_a_darkened_picture_is_as_sharp_or_as_blurred_as_before(factor: float) -> None:
    sharp = photograph()
    for pixels in (sharp, cv2.GaussianBlur(sharp, (0, 0), 3)):
        assert measure(darkened(pixels, factor))["sharpness"] == pytest.approx(measure(pixels)["sharpness"], rel=0.2)


def test_sharpness_does_not_depend_on_the_size_of_the_file() -> None:
    large = photograph(1024, 1024)
    small = cv2.resize(large, (256, 256), interpolation=cv2.INTER_AREA)
    assert measure(small)["sharpness"] == pytest.approx(measure(large)["sharpness"], rel=0.05)


def test_a_face_of_few_pixels_that_was_enlarged_is_blurred() -> None:
    few = cv2.resize(photograph(), (10, 10), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(few, (128, 128), interpolation=cv2.INTER_CUBIC)
    assert measure(enlarged)["sharpness"] < measure(photograph())["sharpness"] / 3


@pytest.mark.parametrize(
    ("colour", "red_green", "yellow_blue"),
    [((160, 120, 120), 1, 0), ((110, 150, 110), -1, 0), ((150, 145, 100), 0, 1), ((100, 110, 160), 0, -1)],
)
def test_the_colour_cast_has_the_sign_of_the_tint(
    colour: tuple[int, int, int], red_green: int, yellow_blue: int
) -> None:
    found = measure(np.full((20, 20, 3), colour, np.uint8))
    for value, sign in ((found["cast_red_green"], red_green), (found["cast_yellow_blue"], yellow_blue)):
        assert sign == 0 or sign * value > 5, found


def test_a_grey_picture_has_no_colour_cast() -> None:
    grey = np.repeat(photograph()[..., :1], 3, axis=2)
    found = measure(grey)
    assert (found["cast_red_green"], found["cast_yellow_blue"]) == (0, 0)


def test_what_turning_and_letterboxing_leave_behind_is_found_in_the_frame() -> None:
    pixels = photograph()
    turned = cv2.warpAffine(pixels, cv2.getRotationMatrix2D((64, 64), 20, 1.0), (128, 128))
    boxed = pixels.copy()
    boxed[:20] = boxed[-20:] = (250, 250, 250)
    assert measure(pixels)["border"] < 0.3
    assert measure(turned)["border"] > 0.4
    assert 0.5 < measure(boxed)["border"] < 0.8
    assert measure(np.full((64, 64, 3), 30, np.uint8))["border"] == 1


def test_jpeg_compression_does_not_hide_a_border() -> None:
    turned = cv2.warpAffine(photograph(), cv2.getRotationMatrix2D((64, 64), 20, 1.0), (128, 128))
    assert measure(through_jpeg(turned, 80))["border"] == pytest.approx(measure(turned)["border"], abs=0.1)


def test_a_dark_picture_does_not_count_as_all_border() -> None:
    assert measure(darkened(photograph(), 0.15))["border"] < 0.3


@pytest.mark.parametrize("levels", [2, 4, 8])
def test_a_posterised_picture_is_told_from_a_photograph(levels: int) -> None:
    posterised = (photograph() // (256 // levels) * (255 // (levels - 1))).astype(np.uint8)
    assert measure(posterised)["posterisation"] > 1.6


def test_a_large_posterised_picture_is_found_too() -> None:
    grainy = photograph(1500, 1100) + np.random.default_rng(2).normal(0, 20, (1500, 1100, 3))
    posterised = np.clip(grainy, 0, 255).astype(np.uint8) // 64 * 85
    assert measure(posterised)["posterisation"] > 1.6


def test_neither_darkness_nor_a_plain_backdrop_nor_clipping_nor_brightening_is_taken_for_posterisation() -> None:
    pixels = photograph()
    backdrop = pixels.copy()
    backdrop[:, :70] = (114, 114, 114)
    clipped = np.clip((pixels.astype(int) - 120) * 3 + 128, 0, 255).astype(np.uint8)
    doubled = darkened(pixels, 0.4) * 2
    for picture in (pixels, darkened(pixels, 0.15), backdrop, through_jpeg(backdrop, 80), clipped, doubled):
        assert measure(picture)["posterisation"] < 1.6


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (16, 5000), (3000, 20), (2, 2)])
def test_a_picture_of_any_shape_is_measured(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for pixels in (noise, np.zeros_like(noise)):
        found = measure(pixels)
        assert all(math.isfinite(value) for value in found.values())
        assert 0 <= found["border"] <= 1
        assert 0 <= found["posterisation"] <= 8
