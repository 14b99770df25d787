"""The figures are those of the textbook, on cases small enough to count by hand."""

from pathlib import Path

import pandas as pd
import pytest

from facemask.errors import FacemaskError
from facemask.evaluation import (
    PROBABILITIES,
    evaluate,
    evaluate_slices,
    precision_recall_points,
    read_predictions,
    roc_points,
    write_predictions,
)
from facemask.labels import CLASSES

INCORRECT, WITH, WITHOUT = CLASSES


def predictions(pairs: list[tuple[str, str]], part: str = "test") -> pd.DataFrame:
    """Rows for (true, predicted) pairs, 0.8 for the predicted class and 0.1 for the others."""
    rows = [
        {
            "id": f"s/{label}/{number}.png",
            "part": part,
            "source": "s",
            "label": label,
            "prediction": predicted,
            **{f"p_{name}": 0.8 if name == predicted else 0.1 for name in CLASSES},
        }
        for number, (label, predicted) in enumerate(pairs)
    ]
    return pd.DataFrame(rows)


def manifest_of(table: pd.DataFrame, **attributes: list[str]) -> pd.DataFrame:
    return table[["id"]].assign(**{f"attr_{name}": values for name, values in attributes.items()})


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
    test = evaluate(table)["test"]
    assert test["images"] == 6
    assert test["accuracy"] == pytest.approx(4 / 6)
    assert test["balanced_accuracy"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert test["macro_f1"] == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)
    assert test["class"][WITH] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2})
    assert test["class"][INCORRECT] == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2})
    assert test["confusion"][WITHOUT] == {INCORRECT: 1, WITH: 0, WITHOUT: 1}


def test_balanced_accuracy_does_not_hide_a_class_that_is_never_found() -> None:
    table = predictions([(WITH, WITH)] * 98 + [(INCORRECT, WITH), (WITHOUT, WITH)])
    test = evaluate(table)["test"]
    assert test["accuracy"] == pytest.approx(0.98)
    assert test["balanced_accuracy"] == pytest.approx(1 / 3)


def test_validation_and_test_are_told_apart() -> None:
    good, bad = predictions(PAIRS[:1], "val"), predictions(PAIRS[1:2], "test")
    bad["id"] = "s/other.png"
    table = pd.concat([good, bad], ignore_index=True)
    figures = evaluate(table)
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
    assert evaluate_slices(table, manifest_of(table))["test"]["source"]["s"] == evaluate(table)["test"]


def test_an_attribute_that_names_images_is_no_slice() -> None:
    table = predictions(PAIRS * 6)
    manifest = manifest_of(table, file=[f"{number}.png" for number in range(36)], light=["dark", "normal"] * 18)
    assert set(evaluate_slices(table, manifest)["test"]["attribute"]) == {"light"}


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


def test_predictions_survive_writing_and_reading(tmp_path: Path) -> None:
    table = predictions(PAIRS).assign(source="2024")  # looks like a number, is a name
    write_predictions(tmp_path / "p.csv", table)
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "p.csv"), table, check_dtype=False)
    assert read_predictions(tmp_path / "p.csv")[list(PROBABILITIES)].dtypes.eq("float64").all()


def test_missing_or_foreign_predictions_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match="run `dvc repro evaluate`"):
        read_predictions(tmp_path / "p.csv")
    (tmp_path / "p.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(FacemaskError, match="run `dvc repro evaluate`"):
        read_predictions(tmp_path / "p.csv")
