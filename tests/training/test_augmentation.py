"""Training images are varied as asked, and only by the seed."""

import numpy as np
import pytest

from facemask.core.params import AugmentationParams
from facemask.training.augmentation import augment

STEPS = tuple(AugmentationParams.model_fields)
PROBABILITIES = {"flip", "side_light", "grey", "blur", "motion", "low_resolution", "noise", "jpeg"}
OFF = AugmentationParams(**dict.fromkeys(STEPS, 0.0))


@pytest.fixture
def image() -> np.ndarray:
    """A picture with a different content in every corner, and in every colour."""
    side = np.linspace(20, 220, 64)
    return np.stack(np.broadcast_arrays(side[:, None], side[None, :], side[::-1, None]), axis=2).astype(np.uint8)


def test_with_everything_off_the_image_stays_as_it_is(image: np.ndarray) -> None:
    assert np.array_equal(augment(image, OFF, np.random.default_rng(1)), image)


@pytest.mark.parametrize("step", STEPS)
def test_every_setting_changes_the_image_and_the_same_generator_changes_it_alike(step: str) -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    strong = {"rotation": 20.0, "shear": 20.0}.get(step, 1.0 if step in PROBABILITIES else 0.3)
    settings = OFF.model_copy(update={step: strong})
    varied = [augment(image, settings, np.random.default_rng(seed)) for seed in range(5)]
    assert sum(not np.array_equal(result, image) for result in varied) >= 4
    assert all(result.shape == image.shape and result.dtype == np.uint8 for result in varied)
    again = [augment(image, settings, np.random.default_rng(seed)) for seed in range(5)]
    assert all(np.array_equal(*pair) for pair in zip(varied, again, strict=True))
    if step not in ("flip", "grey"):  # there is but one way to do these
        assert len({result.tobytes() for result in varied}) > 1


@pytest.mark.parametrize("side", [32, 96, 224])
def test_with_everything_at_its_strongest_any_size_stays_a_picture_of_its_size(side: int) -> None:
    strongest = {"rotation": 180.0, "shear": 45.0, "zoom_in": 3.0, "zoom_out": 3.0, "brighter": 3.0, "gamma": 2.0}
    settings = AugmentationParams(**(dict.fromkeys(STEPS, 0.99) | dict.fromkeys(PROBABILITIES, 1.0) | strongest))
    picture = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    for seed in range(30):
        varied = augment(picture, settings, np.random.default_rng(seed))
        assert varied.shape == (side, side, 3)
        assert varied.dtype == np.uint8


def test_a_flip_is_a_mirror_image(image: np.ndarray) -> None:
    flipped = augment(image, OFF.model_copy(update={"flip": 1.0}), np.random.default_rng(1))
    assert np.abs(flipped.astype(int) - image[:, ::-1]).max() <= 1


def test_grey_keeps_no_colour(image: np.ndarray) -> None:
    grey = augment(image, OFF.model_copy(update={"grey": 1.0}), np.random.default_rng(1))
    assert (grey == grey[..., :1]).all()


def test_brightness_stays_within_its_bounds_and_is_drawn_by_factor(image: np.ndarray) -> None:
    settings = OFF.model_copy(update={"darker": 0.5, "brighter": 0.3})
    means = [augment(image, settings, np.random.default_rng(seed)).mean() / image.mean() for seed in range(200)]
    assert 0.49 <= min(means) < 0.55
    assert 1.2 < max(means) <= 1.3
    assert np.median(means) == pytest.approx(np.sqrt(0.5 * 1.3), abs=0.06)


def test_zooming_out_shows_the_whole_picture_smaller_and_zooming_in_a_part_of_it_larger() -> None:
    square = np.zeros((64, 64, 3), np.uint8)
    square[20:44, 20:44] = 200
    out = [augment(square, OFF.model_copy(update={"zoom_out": 1.0}), np.random.default_rng(seed)) for seed in range(20)]
    into = [augment(square, OFF.model_copy(update={"zoom_in": 1.0}), np.random.default_rng(seed)) for seed in range(20)]
    middle = [(picture[16:48, 16:48] > 100).mean() for picture in [square, *out, *into]]
    assert all(share < middle[0] + 0.01 for share in middle[1:21])
    assert min(middle[1:21]) < middle[0] / 2
    assert all(share > middle[0] - 0.01 for share in middle[21:])
    assert max(middle[21:]) > 0.95


def test_motion_blurs_along_a_line_and_keeps_the_light(image: np.ndarray) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    settings = OFF.model_copy(update={"motion": 1.0})
    ratios = []
    for seed in range(20):
        moved = augment(noise, settings, np.random.default_rng(seed)).astype(float)
        assert moved.std() < 0.8 * noise.std()
        ratios.append(np.abs(np.diff(moved, axis=0)).mean() / np.abs(np.diff(moved, axis=1)).mean())
    assert min(ratios) < 0.8
    assert max(ratios) > 1.25
    assert augment(image, settings, np.random.default_rng(1)).mean() == pytest.approx(image.mean(), abs=2)


def test_light_from_one_side_brightens_it_and_darkens_the_other() -> None:
    grey = np.full((64, 64, 3), 100, np.uint8)
    for seed in range(10):
        lit = augment(grey, OFF.model_copy(update={"side_light": 1.0}), np.random.default_rng(seed)).astype(float)
        corners = [lit[y, x].mean() for y in (0, -1) for x in (0, -1)]
        assert min(corners) < 100 < max(corners)
        assert lit[30:34, 30:34].mean() == pytest.approx(100, abs=3)


def test_the_same_seed_gives_the_same_image_and_another_seed_another(image: np.ndarray) -> None:
    settings = AugmentationParams()
    one, again, other = (augment(image, settings, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_original_is_not_written_to(image: np.ndarray) -> None:
    before = image.copy()
    for seed in range(10):
        augment(image, AugmentationParams(), np.random.default_rng(seed))
    assert np.array_equal(image, before)
