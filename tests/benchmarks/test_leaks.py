"""The sets in which the leakage check is measured hold the leaks that are counted, and otherwise different pictures."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.composed import composed
from benchmarks.leaks import PARTS, Checked, planted_leaks, right, write_set
from facemask.dataset.archive import Archive
from facemask.dataset.decode import decode


@pytest.fixture(scope="module")
def base() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (128, 128, 3), dtype=np.uint8) for _ in range(5)]


def test_a_planted_leak_shows_a_training_image_that_no_other_shows() -> None:
    planted = planted_leaks(60)
    assert len(planted) == len(set(planted.values())) == 60
    assert {PARTS[number % len(PARTS)] for number in planted} == {"val", "test"}
    assert {PARTS[number % len(PARTS)] for number in planted.values()} == {"train"}


def test_a_picture_is_the_same_each_time_and_another_for_each_number(base: list[np.ndarray]) -> None:
    pictures = [composed(base, number, seed=1) for number in range(20)]
    assert all((composed(base, number, seed=1) == pixels).all() for number, pixels in enumerate(pictures))
    assert len({pixels.tobytes() for pixels in pictures}) == 20


def test_a_smaller_set_is_the_beginning_of_a_larger_one(tmp_path: Path, base: list[np.ndarray]) -> None:
    planted = planted_leaks(2)
    for count in (20, 40):
        write_set(tmp_path / f"{count}.zip", base, count, planted, seed=1)
    with Archive(tmp_path / "20.zip") as small, Archive(tmp_path / "40.zip") as large:
        assert small.names == large.names[:20]
        assert all(small.read(name) == large.read(name) for name in small.names)
        assert min(decode(small.read(name)).shape[0] for name in small.names) > 30


def test_a_leak_counts_as_found_only_with_the_right_training_image() -> None:
    checked = Checked({14: 4, 15: 9, 99: 1}, seconds=1, processor_seconds=1, megabytes=1)
    assert right(checked, {14: 4, 15: 5, 16: 6}) == {14}
