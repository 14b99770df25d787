"""One number for how far a sample is from the training data, and how often it is called unlike by mistake."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from facemask.review.drift import Drift, drift, energy_coefficients, ks_distances

Values = dict[str, NDArray[np.floating]]


def chosen(length: int, number: int) -> NDArray[np.bool_]:
    return (np.arange(length) < number)[np.newaxis]


def photographs(rng: np.random.Generator, shift: float = 0, **sizes: int) -> Values:
    """Draw a brightness for so many photographs of each class; the classes differ in it, more than by `shift`."""
    return {label: rng.normal(100 + 40 * place + shift, 20, size) for place, (label, size) in enumerate(sizes.items())}


@pytest.mark.parametrize("decimals", [0, 8])
def test_the_distance_of_a_measure_is_that_of_kolmogorov_and_smirnov_with_ties_too(decimals: int) -> None:
    values = np.round(np.random.default_rng(1).normal(size=60), decimals)
    expected = ks_2samp(values[:20], values[20:]).statistic
    assert ks_distances(values, chosen(60, 20))[0] == pytest.approx(expected)


def test_the_distance_of_features_is_the_energy_coefficient_by_its_definition() -> None:
    values = np.random.default_rng(1).normal(size=(30, 5))
    one, other = values[:10], values[10:]

    def mean_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
        return float(np.mean([np.linalg.norm(x - y) for x in first for y in second]))

    between = 2 * mean_distance(one, other)
    expected = (between - mean_distance(one, one) - mean_distance(other, other)) / between
    assert energy_coefficients(values, chosen(30, 10))[0] == pytest.approx(expected)


def test_equal_rows_are_no_distance_apart_and_two_points_are_as_far_apart_as_can_be() -> None:
    assert energy_coefficients(np.ones((6, 4)), chosen(6, 2))[0] == 0
    assert energy_coefficients(np.repeat([[0.0, 0], [3, 4]], 5, axis=0), chosen(10, 5))[0] == 1
    assert ks_distances(np.repeat([1.0, 2], 5), chosen(10, 5))[0] == 1


def test_photographs_of_the_same_kind_are_called_unlike_no_more_often_than_one_in_twenty_times_for_three_numbers() -> (
    None
):
    rng = np.random.default_rng(1)
    alarms = sum(drift(photographs(rng, a=30, b=20), photographs(rng, a=80, b=100), seed).unlike for seed in range(300))
    assert alarms <= 11  # 1.7 % are expected, 5 % / 3; more than 11 would come once in 100 times


def test_new_photographs_that_outnumber_those_of_training_are_compared_too() -> None:
    rng = np.random.default_rng(2)
    found = [drift(photographs(rng, a=400), photographs(rng, a=60), seed) for seed in range(100)]
    assert found[0].photographs == {"a": 30}
    assert sum(one.unlike for one in found) <= 6


@pytest.mark.parametrize("shift", [-20, 20])
def test_photographs_that_are_darker_or_brighter_are_called_unlike(shift: float) -> None:
    rng = np.random.default_rng(3)
    found = [drift(photographs(rng, shift, a=30, b=30), photographs(rng, a=80, b=80), seed) for seed in range(20)]
    assert sum(one.unlike for one in found) >= 19


def test_features_that_moved_are_called_unlike_and_others_are_not() -> None:
    rng = np.random.default_rng(4)
    training = {"a": rng.normal(size=(100, 50))}
    assert not drift({"a": rng.normal(size=(30, 50))}, training, 1).unlike
    assert drift({"a": rng.normal(0.5, 1, size=(30, 50))}, training, 1).unlike


def test_another_mix_of_classes_or_a_single_class_is_no_drift() -> None:
    rng = np.random.default_rng(5)
    training = photographs(rng, a=100, b=100, c=100)
    mixed = photographs(rng, a=3, b=0, c=60)
    found = drift(mixed, training, 1)
    assert not found.unlike
    assert found.photographs == {"a": 3, "c": 50}
    assert not drift({"c": mixed["c"]}, training, 1).unlike
    assert drift({"a": mixed["c"]}, training, 1).unlike


def test_the_same_seed_gives_the_same_numbers() -> None:
    rng = np.random.default_rng(6)
    new, training = photographs(rng, a=10), photographs(rng, a=50)
    assert drift(new, training, 1) == drift(new, training, 1)


def test_the_bound_is_lower_for_more_photographs() -> None:
    rng = np.random.default_rng(7)
    few, many = (drift(photographs(rng, a=number), photographs(rng, a=400), 1).usual for number in (10, 200))
    assert many < few / 2


@pytest.mark.parametrize("training", [{}, {"a": np.ones(1)}, {"b": np.ones(9)}])
def test_without_anything_to_compare_with_there_is_no_number(training: Values) -> None:
    with pytest.raises(ValueError, match="no class"):
        drift({"a": np.ones(5)}, training, 1)


def test_a_distance_at_the_bound_is_usual() -> None:
    assert not Drift(0.2, 0.2, {"a": 5}).unlike
