"""Answers follow from probabilities, costs and thresholds, and the file that says how is checked."""

from pathlib import Path

import numpy as np
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.evaluation.selective import cost_table
from facemask.models.decision import UNCERTAIN, Decision, read_decision, write_decision

INCORRECT, WITH, WITHOUT = CLASSES


def decision(missed: float = 1, false_alarm: float = 1, **thresholds: float) -> Decision:
    return Decision(
        temperature=1.0,
        costs=cost_table(missed, false_alarm, 1),
        thresholds={**dict.fromkeys(CLASSES, 0.0), **thresholds},
    )


def test_with_equal_costs_the_likeliest_class_is_the_answer() -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(3), 200)
    assert (decision().choose(probabilities) == probabilities.argmax(axis=1)).all()


def test_where_a_missed_bare_face_is_dear_a_face_is_called_masked_only_when_that_is_sure() -> None:
    probabilities = np.array([[0.0, 0.8, 0.2], [0.0, 0.95, 0.05]])
    assert decision().answers(probabilities) == [WITH, WITH]
    assert decision(missed=10).answers(probabilities) == [WITHOUT, WITH]


def test_where_a_false_alarm_is_dear_a_bare_face_is_reported_only_when_that_is_sure() -> None:
    probabilities = np.array([[0.0, 0.2, 0.8], [0.0, 0.05, 0.95]])
    assert decision(false_alarm=10).answers(probabilities) == [WITH, WITHOUT]


def test_an_answer_below_its_threshold_is_uncertain() -> None:
    probabilities = np.array([[0.1, 0.7, 0.2], [0.1, 0.2, 0.7], [0.0, 0.8, 0.2]], dtype=np.float32)
    assert decision(with_mask=0.75).answers(probabilities) == [UNCERTAIN, WITHOUT, WITH]
    assert decision(with_mask=0.75).is_certain(probabilities).tolist() == [False, True, True]


def test_the_file_says_the_same_after_reading(tmp_path: Path) -> None:
    write_decision(tmp_path / "decision.json", decision(missed=3, with_mask=0.9))
    assert read_decision(tmp_path / "decision.json") == decision(missed=3, with_mask=0.9)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"temperature": 0, "costs": {}, "thresholds": {}}'])
def test_a_missing_or_broken_file_says_what_to_run(tmp_path: Path, content: str) -> None:
    with pytest.raises(FacemaskError, match="is missing; run `dvc repro evaluate`"):
        read_decision(tmp_path / "decision.json")
    (tmp_path / "decision.json").write_text(content, encoding="utf-8")
    with pytest.raises(FacemaskError, match=r"is invalid \(.*run `dvc repro evaluate`"):
        read_decision(tmp_path / "decision.json")


def test_a_decision_for_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="thresholds must have a value for each of"):
        Decision(temperature=1, costs=cost_table(1, 1, 1), thresholds={WITH: 0.5})
    with pytest.raises(ValueError, match="costs must have a value for each pair of"):
        Decision(temperature=1, costs={WITH: {}}, thresholds=dict.fromkeys(CLASSES, 0.5))
