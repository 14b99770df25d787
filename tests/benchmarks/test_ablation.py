"""The ablation counts photographs once, and says how sure a difference is."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.ablation import CHOSEN, VARIANTS, changed, difference, figures, table_of
from facemask.core.classes import CLASSES
from facemask.core.params import TrainParams


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


def test_no_difference_has_an_interval_of_nothing_and_a_clear_one_leaves_out_zero() -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"label": np.repeat(CLASSES, 100), "group": [f"p{n}" for n in range(300)]})
    good = table.assign(prediction=np.where(rng.random(300) < 0.95, table["label"], "other"))
    poor = table.assign(prediction=np.where(rng.random(300) < 0.6, table["label"], "other"))
    assert difference(good, good, seed=1) == (0.0, 0.0)
    low, high = difference(poor, good, seed=1)
    assert low < high < 0


def test_every_row_is_a_setting_that_can_be_used() -> None:
    settings = TrainParams()
    for change in VARIANTS.values():
        assert isinstance(changed(settings, change), TrainParams)
    assert changed(settings, VARIANTS["twice the rate"]).learning_rate == 2 * settings.learning_rate
    assert changed(settings, VARIANTS["twice the draws"]).draws == 2 * settings.draws
    half = changed(settings, VARIANTS["light half as varied"]).augmentation
    assert (half.darker, half.grey) == (settings.augmentation.darker / 2, settings.augmentation.grey / 2)
    assert half.blur == settings.augmentation.blur
    assert changed(settings, VARIANTS["no varied light"]).augmentation.darker == 0
    assert changed(settings, VARIANTS["no varied light"]).augmentation.blur == settings.augmentation.blur


def test_the_table_has_a_row_for_each_training_and_compares_it_with_the_chosen_one() -> None:
    results = [
        {"run": {"variant": name, "source": "b"}, "figures": figures(rows), "rows": rows.to_dict("list")}
        for name, rows in ((CHOSEN, predictions(True, True, True)), ("no dropout", predictions(False, False, False)))
    ]
    lines = table_of(results, "b").splitlines()
    assert lines[0].startswith("| trained without b |")
    assert lines[2].startswith(f"| {CHOSEN} | 100.0 |")
    assert lines[2].endswith("|  |")
    assert "-16.7 (" in lines[3]
