"""The spread over repeats is that of the figures, and shrinks with their number."""

import numpy as np
import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.evaluation.training_spread import training_spread

INCORRECT, WITH, WITHOUT = CLASSES


def answers(mistakes: int) -> pd.DataFrame:
    """Answers to ten photographs of each class; so many of `with_mask` are wrong."""
    rows = [(f"{label} {number}", label, label) for label in CLASSES for number in range(10)]
    table = pd.DataFrame(rows, columns=["group", "label", "prediction"])
    table.loc[table[table["label"] == WITH].index[:mistakes], "prediction"] = WITHOUT
    return table


def test_it_is_the_standard_deviation_of_each_figure() -> None:
    spread = training_spread([answers(0), answers(1), answers(3)])
    assert spread["repeats"] == 3
    assert spread["recall"][WITH] == pytest.approx(np.std([1.0, 0.9, 0.7], ddof=1))
    assert spread["accuracy"] == pytest.approx(spread["recall"][WITH] / 3)
    assert spread["balanced_accuracy"] == pytest.approx(spread["recall"][WITH] / 3)
    assert spread["recall"][INCORRECT] == 0


def test_copies_of_a_photograph_count_once() -> None:
    copied = [pd.concat([one, *[one[one["group"] == f"{WITH} 0"]] * 47]) for one in (answers(0), answers(1))]
    expected = training_spread([answers(0), answers(1)])
    found = training_spread(copied)
    assert found["recall"] == pytest.approx(expected["recall"])
    assert found["accuracy"] == pytest.approx(expected["accuracy"])


def test_a_single_training_has_no_spread() -> None:
    assert training_spread([answers(1)]) == {"repeats": 1}
