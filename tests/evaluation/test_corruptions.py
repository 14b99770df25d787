"""Every corruption has the kind and the strength that it names, at every image size."""

import cv2
import numpy as np
import pytest

from facemask.dataset.decode import resize
from facemask.evaluation.corruptions import CAMERA, FRAMING, LEVELS, TITLES, face_size, level_text, strengths

ALL = CAMERA | FRAMING
BY_CHANCE = ("noise", "motion_blur", "low_light")


def drawn(name: str, picture: np.ndarray, strength: int, seed: int = 1) -> np.ndarray:
    return ALL[name](picture, strength, np.random.default_rng(seed))


def flat(side: int, grey: int) -> np.ndarray:
    return np.full((side, side, 3), grey, np.uint8)


def point(side: int) -> np.ndarray:
    """A light point in the middle of a dark picture."""
    picture = flat(side, 0)
    picture[side // 2, side // 2] = 255
    return picture


def spread(picture: np.ndarray) -> tuple[float, float]:
    """Standard deviations, in pixels, of what is light: along its longest direction and across."""
    light = picture[..., 0].astype(float) / picture[..., 0].sum()
    y, x = np.indices(light.shape)
    offsets = np.stack([x - (light * x).sum(), y - (light * y).sum()])
    across, along = np.linalg.eigvalsh(np.einsum("ayx,byx,yx->ab", offsets, offsets, light))
    return float(np.sqrt(along)), float(np.sqrt(max(across, 0)))


@pytest.fixture
def photograph() -> np.ndarray:
    """Something with edges, shades and colours."""
    rng = np.random.default_rng(3)
    picture = cv2.resize(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8), (160, 160), interpolation=cv2.INTER_CUBIC)
    cv2.circle(picture, (80, 90), 30, (240, 240, 250), -1)
    return picture


def test_every_corruption_has_levels_and_a_title() -> None:
    assert list(ALL) == list(LEVELS) == list(TITLES)
    assert all(len(strengths(name)) == 5 for name in CAMERA)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(16, 16), (224, 224), (50, 91)])
def test_a_picture_of_any_size_stays_a_picture_and_is_not_written_to(name: str, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = picture.copy()
    for strength in strengths(name):
        corrupted = drawn(name, picture, strength)
        assert corrupted.dtype == np.uint8
        assert corrupted.shape == picture.shape if name in CAMERA else corrupted.shape[2] == 3
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("name", ALL)
def test_each_strength_changes_the_picture_more_than_the_one_before(name: str, photograph: np.ndarray) -> None:
    changes = [
        np.abs(resize(drawn(name, photograph, strength), 160).astype(int) - photograph).mean()
        for strength in strengths(name)
    ]
    assert changes[0] > 0.5
    assert changes == sorted(set(changes))


@pytest.mark.parametrize("name", ALL)
def test_the_same_generator_gives_the_same_picture_and_another_one_differs_by_chance_only(
    name: str, photograph: np.ndarray
) -> None:
    assert np.array_equal(drawn(name, photograph, 2), drawn(name, photograph, 2))
    assert np.array_equal(drawn(name, photograph, 2), drawn(name, photograph, 2, seed=9)) == (name not in BY_CHANCE)


@pytest.mark.parametrize("name", ALL)
def test_a_strength_that_there_is_not_is_refused(name: str, photograph: np.ndarray) -> None:
    for strength in (0, len(LEVELS[name]) + 1):
        with pytest.raises(ValueError, match="range"):
            drawn(name, photograph, strength)


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_noise_is_as_strong_as_imagenet_c_has_it_at_224_pixels(strength: int) -> None:
    noisy = drawn("noise", flat(224, 128), strength)
    assert noisy.std() == pytest.approx(255 * (0.08, 0.12, 0.18)[strength - 1], rel=0.03)
    assert noisy.mean() == pytest.approx(128, abs=0.5)


@pytest.mark.parametrize("name", ["noise", "low_light"])
def test_noise_on_a_small_picture_is_what_is_left_of_it_when_a_large_one_is_shrunk(name: str) -> None:
    shrunk = resize(drawn(name, flat(224, 150), 2), 112)
    assert drawn(name, flat(112, 150), 2).std() == pytest.approx(shrunk.std(), rel=0.05)


@pytest.mark.parametrize("strength", [1, 3, 5])
@pytest.mark.parametrize("side", [112, 224])
def test_motion_blurs_along_a_line_as_long_as_its_level(strength: int, side: int) -> None:
    longest = [spread(drawn("motion_blur", point(side), strength, seed)) for seed in range(5)]
    expected = LEVELS["motion_blur"][strength - 1] * side / 224
    for along, across in longest:
        # Where the line fades, it is below the one grey level that can be told.
        assert along == pytest.approx(expected, rel=0.3, abs=0.35)
        assert across < 0.8


def test_motion_is_of_any_direction() -> None:
    ratios = []
    for seed in range(20):
        line = drawn("motion_blur", point(160), 4, seed)[..., 0] > 0
        ratios.append(line.any(axis=0).sum() / line.any(axis=1).sum())
    assert min(ratios) < 0.5
    assert max(ratios) > 2


@pytest.mark.parametrize(("side", "radius"), [(224, 6), (112, 3)])
def test_out_of_focus_a_point_becomes_a_disc_of_the_levels_radius(side: int, radius: int) -> None:
    disc = drawn("focus_blur", 255 - point(side), 3)[..., 0] < 255
    assert np.sqrt(disc.sum() / np.pi) == pytest.approx(radius, abs=0.6)
    assert disc.any(axis=0).sum() == disc.any(axis=1).sum() == 2 * radius + 1


@pytest.mark.parametrize("name", ["motion_blur", "focus_blur", "jpeg", "contrast", "pixelation"])
def test_light_and_colours_stay_on_average(name: str, photograph: np.ndarray) -> None:
    corrupted = drawn(name, photograph, 3)
    assert corrupted.mean(axis=(0, 1)) == pytest.approx(photograph.mean(axis=(0, 1)), abs=3)


def test_low_light_leaves_white_its_level_and_black_black() -> None:
    for strength, level in zip(strengths("low_light"), LEVELS["low_light"], strict=True):
        assert drawn("low_light", flat(160, 255), strength).mean() == pytest.approx(255 * level, rel=0.02)
        assert drawn("low_light", flat(160, 0), strength).mean() < 3


def test_low_light_darkens_shadows_more_than_lights() -> None:
    dark, light = (drawn("low_light", flat(160, grey), 1).mean() / grey for grey in (80, 240))
    assert dark < 0.5 * light


def test_contrast_leaves_its_level_of_the_differences(photograph: np.ndarray) -> None:
    for strength, level in zip(strengths("contrast"), LEVELS["contrast"], strict=True):
        assert drawn("contrast", photograph, strength).std(axis=(0, 1)) == pytest.approx(
            level * photograph.std(axis=(0, 1)), rel=0.1
        )


def test_pixelation_leaves_as_many_pixels_as_its_level_says(photograph: np.ndarray) -> None:
    for strength, level in zip(strengths("pixelation"), LEVELS["pixelation"], strict=True):
        columns = np.unique(drawn("pixelation", photograph, strength).reshape(160, -1), axis=0)
        assert len(columns) == round(160 * level)


def test_a_wider_crop_holds_the_picture_with_its_border_drawn_out_around_it() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    wider = drawn("crop_margin", picture, 2)
    assert wider.shape == (70, 112, 3)
    assert np.array_equal(wider[10:60, 16:96], picture)
    assert np.array_equal(wider[0, 16:96], picture[0])
    assert np.array_equal(wider[10:60, -1], picture[:, -1])


def test_a_smaller_face_has_its_levels_pixels_unless_it_has_no_more_anyway() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (300, 90, 3), dtype=np.uint8)
    sides = [face_size(picture, strength, np.random.default_rng(1)).shape[:2] for strength in strengths("face_size")]
    assert sides == [(300, 90), (64, 64), (32, 32), (16, 16)]


def test_levels_that_mean_something_to_people_are_named_in_their_unit() -> None:
    assert [level_text(name, 2) for name in ("noise", "crop_margin", "face_size")] == ["2", "20%", "64 px"]
