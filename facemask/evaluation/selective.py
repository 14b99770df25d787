"""Selective classification: abstain below a confidence threshold.

R. El-Yaniv and Y. Wiener, "On the Foundations of Noise-free Selective Classification", 2010.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.params import EvaluateParams
from facemask.dataset.predictions import PROBABILITIES, photograph_weights, probabilities_of, truth_of
from facemask.evaluation.calibration import fit_temperature, scaled
from facemask.models.decision import Decision

_STEPS = 100
_LEAST = 0.5  # a less likely class is more likely wrong than right


def choose_decision(tables: Sequence[pd.DataFrame], settings: EvaluateParams) -> Decision:
    """Choose temperature and thresholds on images that the model was not trained on.

    Args:
        tables: uncalibrated predictions of the part val by the model, and of training images by the repeats that left
            them out.
        settings: the target precision and the costs.
    """
    rows = pd.concat(tables, ignore_index=True)
    truth, weights = truth_of(rows), photograph_weights(rows)
    temperature = fit_temperature(probabilities_of(rows), truth, weights)
    costs = cost_table(**settings.costs.model_dump())
    probabilities = scaled(probabilities_of(rows), temperature)
    open_ = Decision(temperature=temperature, costs=costs, thresholds=dict.fromkeys(CLASSES, 0.0))
    chosen = open_.choose(probabilities)
    thresholds = {
        name: choose_threshold(
            probabilities[chosen == place, place],
            truth[chosen == place] == place,
            weights[chosen == place],
            settings.precision,
        )
        for place, name in enumerate(CLASSES)
    }
    return Decision(temperature=temperature, costs=costs, thresholds=thresholds)


def decided(rows: pd.DataFrame, decision: Decision) -> pd.DataFrame:
    """Return predictions with calibrated probabilities and the classes of lowest expected cost."""
    probabilities = scaled(probabilities_of(rows), decision.temperature)
    chosen = np.asarray(CLASSES)[decision.choose(probabilities)]
    return rows.assign(prediction=chosen, **dict(zip(PROBABILITIES, probabilities.T, strict=True)))


def cost_table(missed: float, false_alarm: float, mixed_up: float) -> dict[str, dict[str, float]]:
    """Return the cost of each prediction, by true class.

    Args:
        missed: no mask, or one worn incorrectly, is predicted as worn correctly.
        false_alarm: a mask worn correctly is predicted as another class.
        mixed_up: a mask worn incorrectly is predicted as no mask, or the reverse.
    """
    right = "with_mask"

    def cost(actual: str, predicted: str) -> float:
        if actual == predicted:
            return 0.0
        return missed if predicted == right else false_alarm if actual == right else mixed_up

    return {actual: {predicted: cost(actual, predicted) for predicted in CLASSES} for actual in CLASSES}


def choose_threshold(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], weights: NDArray[np.float64], precision: float
) -> float:
    """Return the lowest confidence threshold that reaches a precision.

    Args:
        confidence: (n,) probability of the predicted class, on images that the model was not trained on.
        is_right: (n,) whether the prediction is right.
        weights: (n,) of the images; see `photograph_weights`.
        precision: target share of right predictions above the threshold.

    Returns:
        At least 0.5; 1 if no threshold reaches the precision, so that the class is never predicted.
    """
    order = np.argsort(-confidence, kind="stable")
    precisions = np.cumsum((is_right * weights)[order]) / np.cumsum(weights[order])
    # A threshold accepts all predictions of equal confidence, or none.
    ends = np.append(np.diff(confidence[order]) != 0, True) if len(order) else np.zeros(0, bool)
    enough = np.flatnonzero(ends & (precisions >= precision - 1e-9))  # weights are rounded fractions
    if len(order) and not len(enough):
        return 1.0
    if len(enough) == 0 or enough[-1] == len(order) - 1:
        return _LEAST
    last, next_ = confidence[order][enough[-1]], confidence[order][enough[-1] + 1]
    return max(_LEAST, float((last + next_) / 2))


def risk_coverage_points(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], weights: NDArray[np.float64]
) -> pd.DataFrame:
    """Compute the risk-coverage curve: errors among the most confident predictions.

    Args:
        confidence: (n,) probability of the predicted class.
        is_right: (n,) whether the prediction is right.
        weights: (n,) of the images; see `photograph_weights`.

    Returns:
        Columns `coverage`, a share of the weight, evenly spaced from 0.01 to 1, rounded down to whole images, at least
        one; and `errors`, the share of wrong predictions among them.
    """
    order = np.argsort(-confidence, kind="stable")
    answered, wrong = np.cumsum(weights[order]), np.cumsum((~is_right * weights)[order])
    coverage = np.arange(1, _STEPS + 1) / _STEPS
    last = np.searchsorted(answered, coverage * answered[-1] + 1e-9, side="right") - 1
    return pd.DataFrame({"coverage": coverage, "errors": (wrong / answered)[np.maximum(last, 0)]})


def selective_figures(
    confidence: NDArray[np.float64],
    is_right: NDArray[np.bool_],
    is_certain: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> Mapping[str, float | None]:
    """Return coverage and error rates of selective classification; the error rate is None at zero coverage."""
    points = risk_coverage_points(confidence, is_right, weights).set_index("coverage")["errors"]
    answered = is_certain * weights
    return {
        "answered": float(answered.sum() / weights.sum()),
        "errors_of_answered": float(1 - np.average(is_right, weights=answered)) if is_certain.any() else None,
        "errors_at_90_percent": float(points.loc[0.9]),
    }
