"""Leaving the doubtful to people: thresholds for a wanted precision, and what answering less is worth.

R. El-Yaniv and Y. Wiener, "On the Foundations of Noise-free Selective Classification", 2010.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.params import EvaluateParams
from facemask.dataset.predictions import PROBABILITIES, probabilities_of, truth_of
from facemask.evaluation.calibration import fit_temperature, scaled
from facemask.models.decision import Decision

_STEPS = 100
_LEAST = 0.5  # what is less likely than that is rather wrong than right


def choose_decision(rows: pd.DataFrame, settings: EvaluateParams) -> Decision:
    """Choose temperature and thresholds on images that the model was not trained on.

    Args:
        rows: predictions of the part val, uncalibrated.
        settings: the wanted precision and the costs.
    """
    truth = truth_of(rows)
    temperature = fit_temperature(probabilities_of(rows), truth, rows["group"].nunique())
    costs = cost_table(**settings.costs.model_dump())
    probabilities = scaled(probabilities_of(rows), temperature)
    open_ = Decision(temperature=temperature, costs=costs, thresholds=dict.fromkeys(CLASSES, 0.0))
    chosen = open_.choose(probabilities)
    thresholds = {
        name: choose_threshold(
            probabilities[chosen == place, place], truth[chosen == place] == place, settings.precision
        )
        for place, name in enumerate(CLASSES)
    }
    return Decision(temperature=temperature, costs=costs, thresholds=thresholds)


def decided(rows: pd.DataFrame, decision: Decision) -> pd.DataFrame:
    """Calibrate the probabilities of predictions, and choose the classes by their costs."""
    probabilities = scaled(probabilities_of(rows), decision.temperature)
    chosen = np.asarray(CLASSES)[decision.choose(probabilities)]
    return rows.assign(prediction=chosen, **dict(zip(PROBABILITIES, probabilities.T, strict=True)))


def cost_table(missed: float, false_alarm: float, mixed_up: float) -> dict[str, dict[str, float]]:
    """Return what each answer costs, by true class.

    Args:
        missed: a face without a mask, or with one worn wrong, is taken for a mask worn right.
        false_alarm: a mask worn right is taken for one worn wrong or for none.
        mixed_up: a mask worn wrong is taken for none, or the other way round.
    """
    right = "with_mask"

    def cost(actual: str, said: str) -> float:
        if actual == said:
            return 0.0
        return missed if said == right else false_alarm if actual == right else mixed_up

    return {actual: {said: cost(actual, said) for said in CLASSES} for actual in CLASSES}


def choose_threshold(confidence: NDArray[np.float64], is_right: NDArray[np.bool_], precision: float) -> float:
    """Find the lowest threshold from which on at least the share `precision` of the answers are right.

    Args:
        confidence: (n,) probability of the answer given, on images that the model was not trained on.
        is_right: (n,) whether it was right.
        precision: wanted share.

    Returns:
        At least 0.5; 1 if no threshold is high enough, so that no such answer is given.
    """
    order = np.argsort(-confidence, kind="stable")
    precisions = np.cumsum(is_right[order]) / np.arange(1, len(order) + 1)
    # A threshold lets all answers of equal confidence in, or none.
    ends = np.append(np.diff(confidence[order]) != 0, True) if len(order) else np.zeros(0, bool)
    enough = np.flatnonzero(ends & (precisions >= precision))
    if len(order) and not len(enough):
        return 1.0
    if len(enough) == 0 or enough[-1] == len(order) - 1:
        return _LEAST
    last, next_ = confidence[order][enough[-1]], confidence[order][enough[-1] + 1]
    return max(_LEAST, float((last + next_) / 2))


def risk_coverage_points(confidence: NDArray[np.float64], is_right: NDArray[np.bool_]) -> pd.DataFrame:
    """Give the share of errors among the surest answers, by how many are answered.

    Args:
        confidence: (n,) probability of the answer given.
        is_right: (n,) whether it was right.

    Returns:
        Columns `coverage`, in even steps from 0.01 to 1, rounded down to whole images but to one at
        least, and `errors`, the share of wrong answers among so many.
    """
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~is_right[order])
    coverage = np.arange(1, _STEPS + 1) / _STEPS
    answered = np.maximum((coverage * len(order) + 1e-9).astype(int), 1)
    return pd.DataFrame({"coverage": coverage, "errors": wrong[answered - 1] / answered})


def selective_figures(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], is_certain: NDArray[np.bool_]
) -> Mapping[str, float | None]:
    """Say how many images are answered and how many of these answers are wrong; None if none is answered."""
    points = risk_coverage_points(confidence, is_right).set_index("coverage")["errors"]
    return {
        "answered": float(is_certain.mean()),
        "errors_of_answered": float(1 - is_right[is_certain].mean()) if is_certain.any() else None,
        "errors_at_90_percent": float(points.loc[0.9]),
    }
