"""The copies that benchmarks and tests hide: every one is different, and made again from the same seed."""

import numpy as np
import pytest

from benchmarks.copies import heavy_copy


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (90, 120, 3), np.uint8)


def test_the_same_seed_gives_the_same_copy_and_another_seed_another(photograph: np.ndarray) -> None:
    first, again, other = (heavy_copy(photograph, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()


def test_copies_are_rgb_pictures_of_about_the_size_of_the_photograph(photograph: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    copies = [heavy_copy(photograph, rng) for _ in range(100)]
    assert {copy.dtype.name for copy in copies} == {"uint8"}
    assert {copy.shape[2:] for copy in copies} == {(3,)}
    sides = np.array([copy.shape[:2] for copy in copies])
    assert 90 * 0.8 * 0.5 - 1 <= sides.min() < sides.max() <= 120 * 1.5


def test_copies_range_from_very_dark_to_brighter_than_the_photograph(photograph: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    means = np.array([heavy_copy(photograph, rng).mean() for _ in range(100)]) / photograph.mean()
    assert means.min() < 0.2
    assert means.max() > 1.2


def test_the_photograph_itself_is_not_changed(photograph: np.ndarray) -> None:
    before = photograph.copy()
    heavy_copy(photograph, np.random.default_rng(1))
    np.testing.assert_array_equal(photograph, before)
