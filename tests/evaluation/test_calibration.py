"""After calibration, four in five predictions with 80 % are right."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from facemask.evaluation.calibration import brier_score, calibration_error, fit_temperature, reliability_points, scaled

EQUAL = np.ones(6000)


def honest(images: int, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Probabilities that mean what they say, and true classes drawn by them."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(0, 2, (images, 3)), axis=1)
    return probabilities, np.array([rng.choice(3, p=row) for row in probabilities])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_applied_is_found_again(temperature: float) -> None:
    probabilities, truth = honest(6000)
    distorted = scaled(probabilities, 1 / temperature)
    assert fit_temperature(distorted, truth, EQUAL) == pytest.approx(temperature, rel=0.1)


def test_calibrated_probabilities_have_a_smaller_error_on_images_that_were_not_used_to_fit() -> None:
    probabilities, truth = honest(6000)
    distorted = scaled(probabilities, 0.4)
    half = slice(0, 3000), slice(3000, None)
    temperature = fit_temperature(distorted[half[0]], truth[half[0]], EQUAL[half[0]])
    after = scaled(distorted[half[1]], temperature)
    rest = truth[half[1]], EQUAL[half[1]]
    assert calibration_error(distorted[half[1]], *rest) > 0.1
    assert calibration_error(after, *rest) < 0.03
    assert brier_score(after, *rest) < brier_score(distorted[half[1]], *rest)


def test_scaling_changes_no_answer_and_keeps_sums() -> None:
    probabilities, _ = honest(500)
    for temperature in (0.3, 3.0):
        after = scaled(probabilities, temperature)
        assert (after.argmax(axis=1) == probabilities.argmax(axis=1)).all()
        assert after.sum(axis=1) == pytest.approx(1)
    assert scaled(probabilities, 1.0) == pytest.approx(probabilities)


def test_a_model_without_mistakes_is_not_made_surer_than_its_few_photographs_allow() -> None:
    probabilities = softmax(np.eye(3).repeat(10, axis=0) * 3, axis=1)
    truth = np.arange(3).repeat(10)
    few = scaled(probabilities, fit_temperature(probabilities, truth, np.ones(30))).max()
    many = scaled(probabilities, fit_temperature(probabilities, truth, np.full(30, 100.0))).max()
    assert few == pytest.approx(30.5 / 31, abs=1e-4)
    assert many == pytest.approx(3000.5 / 3001, abs=1e-4)


def test_a_probability_of_zero_is_accepted() -> None:
    assert np.isfinite(scaled(np.array([[0.0, 0.0, 1.0]]), 2.0)).all()


def test_the_figures_are_those_counted_by_hand() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1]] * 10)
    truth = np.array([0] * 6 + [1] * 4)
    assert calibration_error(probabilities, truth, np.ones(10)) == pytest.approx(0.2)
    assert brier_score(probabilities, truth, np.ones(10)) == pytest.approx(
        0.6 * (0.04 + 0.02) + 0.4 * (0.64 + 0.81 + 0.01)
    )
    (point,) = reliability_points(probabilities, truth, np.ones(10)).to_dict("records")
    assert point == pytest.approx({"confidence": 0.8, "accuracy": 0.6, "photographs": 10})


def test_a_photograph_with_many_copies_counts_once() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1]] * 10)
    truth = np.array([0] + [1] * 9)
    weights = np.array(
        [1.0] + [1 / 9] * 9
    )  # one photograph predicted correctly, and nine copies of another that is not
    assert calibration_error(probabilities, truth, weights) == pytest.approx(0.3)
    assert brier_score(probabilities, truth, weights) == pytest.approx((0.06 + 1.46) / 2)
    copied = fit_temperature(probabilities, truth, weights)
    assert copied == pytest.approx(fit_temperature(probabilities[:2], truth[:2], np.ones(2)), rel=1e-3)
