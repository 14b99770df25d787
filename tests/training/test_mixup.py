"""Mixup blends neighbours, maps and labels alike."""

import numpy as np
import pytest

from facemask.training.mixup import mixup, mixup_shares


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_both_examples_of_a_pair_keep_the_same_share_of_at_least_half(size: int) -> None:
    shares = mixup_shares(0.4, size, np.random.default_rng(1))
    assert shares.shape == (size,)
    assert shares.dtype == np.float32
    assert (shares >= 0.5).all()
    assert (shares <= 1).all()
    assert np.array_equal(shares[: size // 2 * 2 : 2], shares[1::2])


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_blended_labels_stay_distributions_and_follow_their_pictures(size: int) -> None:
    rng = np.random.default_rng(1)
    labels = np.eye(3, dtype=np.float32)[rng.integers(3, size=size)]
    maps = labels[:, None, None, :] * np.ones((1, 2, 2, 1), np.float32)  # maps that say the label
    own = rng.uniform(0.5, 1, size).astype(np.float32)
    blended, targets = mixup(maps, labels, own)
    assert blended.shape == maps.shape
    assert blended.dtype == targets.dtype == np.float32
    assert np.allclose(targets.sum(axis=1), 1)
    assert (targets >= 0).all()
    assert np.allclose(blended, targets[:, None, None, :])
    assert np.array_equal(targets.argmax(axis=1), labels.argmax(axis=1))


def test_each_is_blended_with_its_neighbour() -> None:
    maps = np.array([[0.0], [1.0], [10.0], [20.0]], np.float32)
    blended, _ = mixup(maps, np.eye(3, dtype=np.float32)[[0, 1, 2, 0]], np.array([0.75, 0.75, 1.0, 1.0], np.float32))
    assert blended.ravel().tolist() == [0.25, 0.75, 10.0, 20.0]
