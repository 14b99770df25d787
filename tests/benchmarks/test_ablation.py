"""The ablation counts photographs once, and says how sure a difference is."""

from typing import Any

import pandas as pd
import pytest

from benchmarks.ablation import CHOSEN, VARIANTS, changed, figures, table_of
from facemask.core.classes import CLASSES
from facemask.core.params import load_params


def predictions(*right: bool) -> pd.DataFrame:
    """Two photographs of each class; the first of the first class has three copies, of which `right` are right."""
    rows = [(CLASSES[0], "many", CLASSES[0] if hit else CLASSES[1]) for hit in right]
    rows += [(label, f"{label}{n}", label) for label in CLASSES for n in range(2 if label != CLASSES[0] else 1)]
    return pd.DataFrame(rows, columns=["label", "group", "prediction"])


def test_a_photograph_with_many_copies_counts_once() -> None:
    found = figures(predictions(True, False, False))
    assert found[f"recall of `{CLASSES[0]}`"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["balanced accuracy"] == pytest.approx(((1 / 3 + 1) / 2 + 2) / 3)
    assert found["accuracy"] == pytest.approx((1 / 3 + 5) / 6)


def test_every_row_is_a_setting_that_can_be_used() -> None:
    params = load_params()
    train = params.train
    for change in VARIANTS.values():
        assert changed(params, change, seed=7).train.seed == 7
    assert changed(params, VARIANTS["twice the rate"]).train.learning_rate == 2 * train.learning_rate
    assert changed(params, VARIANTS["twice the draws"]).train.draws == 2 * train.draws
    half = changed(params, VARIANTS["light half as varied"]).train.augmentation
    assert (half.darker, half.grey) == (train.augmentation.darker / 2, train.augmentation.grey / 2)
    assert half.blur == train.augmentation.blur
    assert changed(params, VARIANTS["no varied light"]).train.augmentation.darker == 0
    assert changed(params, VARIANTS["no varied light"]).train.augmentation.blur == train.augmentation.blur
    assert changed(params, VARIANTS["no drawn masks"]).render.faces == 0


def results(**accuracies: tuple[float, ...]) -> list[dict[str, Any]]:
    return [
        {"run": {"variant": name, "source": "b"}, "figures": {"accuracy": value, "balanced accuracy": value}}
        for name, values in accuracies.items()
        for value in values
    ]


def test_the_table_has_mean_and_spread_of_each_row_and_calls_chance_what_may_be_chance() -> None:
    lines = table_of(
        results(**{CHOSEN: (0.90, 0.91, 0.92), "clear": (0.70, 0.71, 0.72), "near": (0.905, 0.915, 0.925)}), "b"
    ).splitlines()
    assert lines[0].startswith("| trained without b | accuracy | balanced accuracy |")
    assert lines[2] == f"| {CHOSEN} | 91.0 ± 1.0 | 91.0 ± 1.0 |  |"
    # 1 point of spread, 3 trainings each, 6 degrees of freedom: 2.447 x sqrt(2 / 3) = 2.0
    assert lines[3] == "| clear | 71.0 ± 1.0 | 71.0 ± 1.0 | -20.0 (-22.0 to -18.0) |"
    assert lines[4] == "| near | 91.5 ± 1.0 | 91.5 ± 1.0 | +0.5 (-1.5 to +2.5), chance |"


def test_a_row_of_one_training_has_no_spread_and_no_interval() -> None:
    lines = table_of(results(**{CHOSEN: (0.90, 0.92), "linear": (0.80,)}), "b").splitlines()
    assert lines[3] == "| linear | 80.0 | 80.0 | -11.0 |"
