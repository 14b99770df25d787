"""The figures are those of the textbook, on cases small enough to count by hand."""

from typing import Any

import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.dataset.predictions import chosen_probability, is_right
from facemask.evaluation.metrics import (
    MOST_PAIRS,
    MOST_VALUES,
    confusion_pairs,
    evaluate,
    evaluate_slices,
    precision_recall_points,
    reliability,
    risk_coverage,
    roc_points,
)
from facemask.evaluation.selective import cost_table
from facemask.models.decision import Decision

INCORRECT, WITH, WITHOUT = CLASSES


def predictions(pairs: list[tuple[str, str]], part: str = "test") -> pd.DataFrame:
    """Rows for (true, predicted) pairs, 0.8 for the predicted class and 0.1 for the others."""
    rows = [
        {
            "id": f"s/{label}/{number}.png",
            "part": part,
            "source": "s",
            "group": f"g{number}",
            "label": label,
            "prediction": predicted,
            **{f"p_{name}": 0.8 if name == predicted else 0.1 for name in CLASSES},
        }
        for number, (label, predicted) in enumerate(pairs)
    ]
    return pd.DataFrame(rows)


def manifest_of(table: pd.DataFrame, **attributes: list[str]) -> pd.DataFrame:
    measured = table[["id"]].assign(brightness=100.0, sharpness=0.1, width=64, height=80)
    return measured.assign(**{f"attr_{name}": values for name, values in attributes.items()})


def evaluated(table: pd.DataFrame) -> dict[str, Any]:
    thresholds = dict.fromkeys(CLASSES, 0.5)
    return evaluate(table, table, Decision(temperature=1.0, costs=cost_table(1, 1, 1), thresholds=thresholds))


PAIRS = [
    (INCORRECT, INCORRECT),
    (INCORRECT, WITH),
    (WITH, WITH),
    (WITH, WITH),
    (WITHOUT, WITHOUT),
    (WITHOUT, INCORRECT),
]


def test_figures_are_those_counted_by_hand() -> None:
    table = predictions(PAIRS)
    test = evaluated(table)["test"]
    assert test["images"] == 6
    assert test["accuracy"] == pytest.approx(4 / 6)
    assert test["balanced_accuracy"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert test["macro_f1"] == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)
    assert test["class"][WITH] == pytest.approx(
        {"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2, "photographs": 2}
    )
    assert test["class"][INCORRECT] == pytest.approx(
        {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2, "photographs": 2}
    )
    assert test["confusion"][WITHOUT] == {INCORRECT: 1, WITH: 0, WITHOUT: 1}


def test_balanced_accuracy_does_not_hide_a_class_that_is_never_found() -> None:
    table = predictions([(WITH, WITH)] * 98 + [(INCORRECT, WITH), (WITHOUT, WITH)])
    test = evaluated(table)["test"]
    assert test["accuracy"] == pytest.approx(0.98)
    assert test["balanced_accuracy"] == pytest.approx(1 / 3)


def test_a_photograph_counts_once_however_many_copies_it_has() -> None:
    table = predictions([(WITH, WITH), (WITHOUT, WITHOUT), *[(WITHOUT, WITH)] * 48])
    table.loc[2:, "group"] = "one photograph"
    test = evaluated(table)["test"]
    assert (test["images"], test["photographs"]) == (50, 3)
    assert test["accuracy"] == pytest.approx(2 / 3)
    assert test["by_file"]["accuracy"] == pytest.approx(2 / 50)
    assert test["class"][WITHOUT]["recall"] == pytest.approx(1 / 2)
    assert test["class"][WITHOUT]["photographs"] == 2
    assert test["confusion"][WITHOUT] == pytest.approx({INCORRECT: 0, WITH: 1, WITHOUT: 1})


def test_validation_and_test_are_separate() -> None:
    good, bad = predictions(PAIRS[:1], "val"), predictions(PAIRS[1:2], "test")
    bad["id"] = "s/other.png"
    table = pd.concat([good, bad], ignore_index=True)
    figures = evaluated(table)
    assert (figures["val"]["accuracy"], figures["test"]["accuracy"]) == (1.0, 0.0)


def test_slices_by_attribute_leave_out_images_of_which_it_is_not_known() -> None:
    table = predictions(PAIRS)
    manifest = manifest_of(table, beard=["full", "full", "none", "none", "", ""])
    slices = evaluate_slices(table, manifest)["test"]["attribute"]["beard"]
    assert {name: (row["images"], row["accuracy"]) for name, row in slices.items()} == {
        "full": (2, 0.5),
        "none": (2, 1),
    }


def test_slices_by_source_add_up() -> None:
    table = predictions(PAIRS)
    table["source"] = ["a", "a", "a", "b", "b", "b"]
    slices = evaluate_slices(table, manifest_of(table))["test"]["source"]
    assert {name: row["images"] for name, row in slices.items()} == {"a": 3, "b": 3}


def test_a_slice_has_the_same_figures_as_the_whole() -> None:
    table = predictions(PAIRS)
    slice_, whole = evaluate_slices(table, manifest_of(table))["test"]["source"]["s"], evaluated(table)["test"]
    assert slice_.pop("interval") == whole["interval"]["accuracy"]
    assert slice_ == {name: whole[name] for name in slice_}


def test_an_almost_unique_attribute_is_not_sliced() -> None:
    table = predictions(PAIRS * 6)
    manifest = manifest_of(table, file=[f"{number}.png" for number in range(36)], light=["dark", "normal"] * 18)
    assert set(evaluate_slices(table, manifest)["test"]["attribute"]) == {"light"}


def test_of_an_attribute_with_many_values_the_most_frequent_ones_are_sliced() -> None:
    table = predictions(PAIRS * 60)
    towns = ["capital"] * 20 + [f"town {number // 2:03}" for number in range(340)]
    slices = evaluate_slices(table, manifest_of(table, town=towns))["test"]["attribute"]["town"]
    assert list(slices) == ["capital", *(f"town {number:03}" for number in range(MOST_VALUES - 1))]


def test_charts_that_count_rows_have_few_of_them_with_the_shares_of_all_and_no_pair_missing() -> None:
    few = predictions(PAIRS)
    assert list(confusion_pairs(few).itertuples(index=False, name=None)) == PAIRS
    many = pd.concat([few] * MOST_PAIRS + [predictions([(WITH, INCORRECT)])], ignore_index=True)
    pairs = confusion_pairs(many)
    shares = (pairs["actual"] + " " + pairs["predicted"]).value_counts()
    assert len(pairs) == pytest.approx(MOST_PAIRS, abs=5)
    assert shares[f"{WITH} {INCORRECT}"] == 1
    assert shares[f"{WITH} {WITH}"] / len(pairs) == pytest.approx(2 / 6, abs=0.001)


def test_curves_of_a_perfect_model_touch_the_corner() -> None:
    table = predictions([(name, name) for name in CLASSES] * 5)
    precision_recall, roc = precision_recall_points(table), roc_points(table)
    assert (precision_recall[list(CLASSES)] == 1.0).all(axis=None)
    assert (roc[list(CLASSES)] == 1.0).all(axis=None)


def test_no_step_of_recall_is_skipped_by_rounding() -> None:
    # Of ten true images the seven surest come first: precision is 1 up to a recall of 7 in 10, and lower beyond.
    sure, other, unsure = [(WITH, WITH)] * 7, [(WITHOUT, WITHOUT)] * 5, [(WITH, WITHOUT)] * 3
    table = predictions([*sure, *other, *unsure, (INCORRECT, INCORRECT)])
    curve = precision_recall_points(table)
    at_seven_tenths = curve.loc[(curve["recall"] - 0.7).abs().idxmin(), WITH]
    assert at_seven_tenths == 1.0
    assert curve[WITH].iloc[-1] < 1.0


def test_precision_falls_to_the_share_of_the_class_where_scores_say_nothing() -> None:
    table = predictions([(name, WITH) for name in CLASSES] * 10)
    last = precision_recall_points(table).iloc[-1]
    assert last["recall"] == 1.0
    assert last[WITH] == pytest.approx(1 / 3)


def test_every_headline_figure_lies_in_its_interval() -> None:
    test = evaluated(predictions(PAIRS * 5))["test"]
    headline = {name: test[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    for label in CLASSES:
        of_class = test["class"][label]
        headline |= {f"{label} {name}": of_class[name] for name in ("precision", "recall", "f1")}
    bounds = dict(test["interval"])
    for label, of_class in bounds.pop("class").items():
        bounds |= {f"{label} {name}": interval for name, interval in of_class.items()}
    assert set(bounds) == set(headline)
    for name, figure in headline.items():
        assert 0 <= bounds[name]["low"] < figure <= bounds[name]["high"] <= 1


def test_copies_of_a_photograph_make_no_figure_surer() -> None:
    once = predictions(PAIRS * 3)
    copied = pd.concat([once.assign(id=once["id"] + str(number)) for number in range(10)], ignore_index=True)
    assert evaluated(copied)["test"]["interval"] == evaluated(once)["test"]["interval"]
    assert evaluated(copied)["test"]["photographs"] == len(once)


def test_pictures_are_sliced_by_what_can_be_measured_of_them() -> None:
    table = predictions([(WITH, WITH)] * 40 + [(WITH, WITHOUT)] * 10)
    manifest = manifest_of(table).assign(brightness=[100.0 + place for place in range(40)] + [10.0] * 10)
    brightness = evaluate_slices(table, manifest)["test"]["measure"]["brightness"]
    darkest = next(iter(brightness))
    assert darkest.startswith("1: 10 to ")
    assert (brightness[darkest]["images"], brightness[darkest]["accuracy"]) == (10, 0.0)
    assert [row["accuracy"] for row in brightness.values()] == [0.0, 1.0, 1.0, 1.0, 1.0]
    assert sum(row["images"] for row in brightness.values()) == 50


def test_a_measure_that_is_the_same_for_all_is_one_slice() -> None:
    table = predictions(PAIRS)
    assert list(evaluate_slices(table, manifest_of(table))["test"]["measure"]["side"]) == ["64"]


def test_the_worst_slice_is_named_but_none_of_few_photographs() -> None:
    table = predictions([(WITH, WITH)] * 60 + [(WITH, WITHOUT), (WITH, WITH)] * 20 + [(WITH, WITHOUT)] * 5)
    beard = ["none"] * 60 + ["full"] * 40 + ["stubble"] * 5
    worst = evaluate_slices(table, manifest_of(table, beard=beard))["test"]["worst"]
    assert (worst["of"], worst["value"], worst["images"], worst["accuracy"]) == ("beard", "full", 40, 0.5)
    few = predictions(PAIRS)
    assert evaluate_slices(few, manifest_of(few))["test"]["worst"] is None


def test_calibration_is_compared_with_what_it_was_before() -> None:
    table = predictions([(WITH, WITH)] * 9 + [(WITHOUT, WITH)])
    sure = table.assign(p_mask_weared_incorrect=0.0, p_with_mask=1.0, p_without_mask=0.0)
    decision = Decision(temperature=2.0, costs=cost_table(1, 1, 1), thresholds=dict.fromkeys(CLASSES, 0.5))
    calibration = evaluate(table, sure, decision)["test"]["calibration"]
    assert calibration["temperature"] == 2.0
    assert calibration["calibration_error"] == pytest.approx(0.9 - 0.8)
    assert calibration["before"]["calibration_error"] == pytest.approx(1.0 - 0.9)
    assert calibration["before"]["brier_score"] == pytest.approx(0.1 * 2)
    points = reliability(sure, table)
    assert list(points["calibration"]) == ["before", "after"]
    assert points["confidence"].to_list() == pytest.approx([1.0, 0.8])
    assert points["accuracy"].to_list() == pytest.approx([0.9, 0.9])


def test_uncertain_predictions_are_not_answered() -> None:
    table = predictions([(WITH, WITH)] * 8 + [(WITHOUT, WITH)] * 2)
    table.loc[7:, "p_with_mask"] = 0.45
    decision = evaluated(table)["test"]["decision"]
    assert decision["answered"] == pytest.approx(0.7)
    assert decision["errors_of_answered"] == 0.0
    assert decision["errors_at_90_percent"] == pytest.approx(1 / 9)
    assert risk_coverage(table)["errors"].iloc[-1] == pytest.approx(0.2)


def test_the_probability_of_an_answer_is_that_of_the_class_that_was_chosen() -> None:
    table = predictions(PAIRS).assign(p_with_mask=0.3)
    assert chosen_probability(table).tolist() == pytest.approx([0.8, 0.3, 0.3, 0.3, 0.8, 0.8])
    assert is_right(table).tolist() == [True, False, True, True, True, False]
