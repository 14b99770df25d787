"""The running average warms up, and does not depend on how the steps are grouped into updates."""

import numpy as np
import pytest

from facemask.training.averaging import WeightAverage


def averaged(decay: float, updates: list[tuple[float, int, int]]) -> float:
    """Average a single weight that starts at 0, over updates of (weight, step, steps since the last)."""
    average = WeightAverage([np.zeros(1, np.float32)], decay)
    for weight, step, since in updates:
        average.update([np.full(1, weight, np.float32)], step, since)
    assert average.weights[0].dtype == np.float32
    return float(average.weights[0][0])


def test_without_decay_the_average_is_the_last_weight() -> None:
    assert averaged(0.0, [(3.0, 1, 1), (5.0, 2, 1)]) == 5.0


def test_late_updates_move_the_average_by_the_given_decay() -> None:
    assert averaged(0.9, [(1.0, 10_000, 1)]) == pytest.approx(0.1)


def test_early_updates_move_it_further() -> None:
    assert averaged(0.999, [(1.0, 1, 1)]) == pytest.approx(1 - 2 / 11)


def test_several_steps_in_one_update_count_as_that_many() -> None:
    late = 10_000
    single = [(1.0, late + step, 1) for step in range(8)]
    assert averaged(0.9, [(1.0, late + 7, 8)]) == pytest.approx(averaged(0.9, single))


def test_the_weights_at_the_start_are_not_written_to() -> None:
    start = [np.zeros(3, np.float32)]
    WeightAverage(start, 0.5).update([np.ones(3, np.float32)], 1, 1)
    assert not start[0].any()
