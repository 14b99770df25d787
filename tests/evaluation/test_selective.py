"""Thresholds reach their precision on images like those that they were chosen on."""

import numpy as np
import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.core.params import CostParams, EvaluateParams
from facemask.dataset.predictions import PROBABILITIES
from facemask.evaluation.selective import (
    choose_decision,
    choose_threshold,
    cost_table,
    decided,
    risk_coverage_points,
    selective_figures,
)

INCORRECT, WITH, WITHOUT = CLASSES


def test_the_threshold_is_the_lowest_with_the_wanted_precision() -> None:
    confidence = np.array([0.95, 0.9, 0.85, 0.8, 0.7, 0.6])
    is_right = np.array([True, True, True, False, True, False])
    assert choose_threshold(confidence, is_right, np.ones(len(confidence)), 1.0) == pytest.approx(0.825)
    assert choose_threshold(confidence, is_right, np.ones(len(confidence)), 0.8) == pytest.approx(0.65)


def test_without_mistakes_every_answer_that_is_likelier_than_not_counts() -> None:
    assert choose_threshold(np.array([0.9, 0.7, 0.4]), np.array([True, True, True]), np.ones(3), 0.99) == 0.5
    assert choose_threshold(np.array([]), np.array([], dtype=bool), np.ones(0), 0.99) == 0.5


def test_a_precision_that_cannot_be_had_lets_no_answer_through() -> None:
    assert choose_threshold(np.array([0.9, 0.8]), np.array([False, True]), np.ones(2), 0.99) == 1.0


def test_answers_of_equal_confidence_are_not_parted() -> None:
    confidence, is_right = np.array([0.9, 0.8, 0.8, 0.8]), np.array([True, True, False, False])
    assert choose_threshold(confidence, is_right, np.ones(len(confidence)), 0.9) == pytest.approx(0.85)


def test_errors_are_counted_among_the_surest() -> None:
    confidence = np.linspace(0.99, 0.5, 50)
    is_right = np.array([True] * 45 + [False] * 5)
    points = risk_coverage_points(confidence, is_right, np.ones(50)).set_index("coverage")["errors"]
    assert points.loc[0.9] == 0.0
    assert points.loc[1.0] == pytest.approx(0.1)
    assert points.loc[0.01] == 0.0
    figures = selective_figures(confidence, is_right, confidence > 0.945, np.ones(50))
    assert figures == pytest.approx({"answered": 0.1, "errors_of_answered": 0.0, "errors_at_90_percent": 0.0})
    nothing = selective_figures(confidence, is_right, np.zeros(50, dtype=bool), np.ones(50))
    assert (nothing["answered"], nothing["errors_of_answered"]) == (0.0, None)


def test_copies_of_one_photograph_do_not_move_the_threshold() -> None:
    confidence = np.array([0.95, 0.9, 0.8, *[0.7] * 48])
    is_right = np.array([True, True, True, *[False] * 48])  # 48 copies of a photograph, all wrong
    weights = np.array([1.0, 1.0, 1.0, *[1 / 48] * 48])
    assert choose_threshold(confidence, is_right, weights, 0.75) == 0.5
    assert choose_threshold(confidence, is_right, np.ones(51), 0.75) == pytest.approx(0.75)
    points = risk_coverage_points(confidence, is_right, weights).set_index("coverage")["errors"]
    assert points.loc[0.75] == 0
    assert points.loc[1.0] == pytest.approx(0.25)


def test_each_kind_of_mistake_has_its_cost() -> None:
    costs = cost_table(missed=5, false_alarm=2, mixed_up=3)
    assert costs[WITHOUT][WITH] == costs[INCORRECT][WITH] == 5
    assert costs[WITH][WITHOUT] == costs[WITH][INCORRECT] == 2
    assert costs[WITHOUT][INCORRECT] == costs[INCORRECT][WITHOUT] == 3
    assert [costs[name][name] for name in CLASSES] == [0, 0, 0]


def noisy(images: int, seed: int) -> pd.DataFrame:
    """Predictions of a model that is surer than it is right."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, images)
    logits = rng.normal(0, 2.0, (images, 3))
    logits[np.arange(images), truth] += 5
    shares = np.exp(logits * 2) / np.exp(logits * 2).sum(axis=1, keepdims=True)
    return pd.DataFrame(shares, columns=list(PROBABILITIES)).assign(
        label=np.asarray(CLASSES)[truth], group=[f"g{number}" for number in range(images)]
    )


@pytest.mark.parametrize("precision", [0.95, 0.99])
def test_the_wanted_precision_holds_on_other_images(precision: float) -> None:
    decision = choose_decision([noisy(6000, 1)], EvaluateParams(precision=precision))
    other = decided(noisy(6000, 2), decision)
    answers = np.array(decision.answers(other[list(PROBABILITIES)].to_numpy()))
    assert decision.temperature > 1.2
    for name in CLASSES:
        given = other[answers == name]
        assert (given["label"] == name).mean() >= precision - 0.01
        assert len(given) > 1000


def test_costs_move_the_predictions() -> None:
    rows = noisy(3000, 1)
    plain = decided(rows, choose_decision([rows], EvaluateParams()))
    careful = decided(rows, choose_decision([rows], EvaluateParams(costs=CostParams(missed=20.0))))

    def missed(table: pd.DataFrame) -> int:
        return int(((table["label"] != WITH) & (table["prediction"] == WITH)).sum())

    assert missed(careful) < missed(plain) / 2
