"""Training images are varied as asked, and only by the seed."""

import numpy as np
import pytest

from facemask.augmentation import augment
from facemask.params import AugmentationParams

STEPS = tuple(AugmentationParams.model_fields)
OFF = AugmentationParams(**dict.fromkeys(STEPS, 0.0))


@pytest.fixture
def image() -> np.ndarray:
    """A picture with a different content in every corner, and in every colour."""
    side = np.linspace(20, 220, 64)
    return np.stack(np.broadcast_arrays(side[:, None], side[None, :], side[::-1, None]), axis=2).astype(np.uint8)


def test_with_everything_off_the_image_stays_as_it_is(image: np.ndarray) -> None:
    assert np.array_equal(augment(image, OFF, np.random.default_rng(1)), image)


@pytest.mark.parametrize("step", STEPS)
def test_every_setting_changes_the_image(image: np.ndarray, step: str) -> None:
    strong = {"rotation": 20.0, "shear": 20.0, "zoom": 0.3, "shift": 0.3}.get(step, 0.9999)
    settings = OFF.model_copy(update={step: strong})
    varied = [augment(image, settings, np.random.default_rng(seed)) for seed in range(5)]
    assert any(not np.array_equal(result, image) for result in varied)
    assert all(result.shape == image.shape and result.dtype == np.uint8 for result in varied)


def test_a_flip_is_a_mirror_image(image: np.ndarray) -> None:
    flipped = augment(image, OFF.model_copy(update={"flip": 1.0}), np.random.default_rng(1))
    assert np.abs(flipped.astype(int) - image[:, ::-1]).max() <= 1


def test_grey_keeps_no_colour(image: np.ndarray) -> None:
    grey = augment(image, OFF.model_copy(update={"grey": 1.0}), np.random.default_rng(1))
    assert (grey == grey[..., :1]).all()


def test_brightness_stays_within_its_share(image: np.ndarray) -> None:
    settings = OFF.model_copy(update={"brightness": 0.5})
    means = [augment(image, settings, np.random.default_rng(seed)).mean() / image.mean() for seed in range(50)]
    assert 0.48 <= min(means) < 0.7
    assert 1.2 < max(means) <= 1.5


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
