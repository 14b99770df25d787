"""What a data set consists of is counted right, and a set that cannot be learned from is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.data.shortcuts import PROPERTIES
from facemask.data.summary import describe
from facemask.dataset.image_stats import MEASURES
from facemask.dataset.manifest import LEFT_OUT

NOTHING = pd.DataFrame({"source": [], "path": [], "reason": []}, dtype="str")


def manifest(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    """Rows of (source, label, group, flags), whose pictures are of all sizes and of any brightness."""
    table = pd.DataFrame(rows, columns=["source", "label", "group", "flags"])
    table["id"] = [f"{row.source}/{row.label}/{number:03}.png" for number, row in enumerate(table.itertuples())]
    table["width"] = 50 + np.arange(len(table))
    table["height"] = 200
    table["format"] = ["JPEG" if number % 3 else "PNG" for number in range(len(table))]
    rng = np.random.default_rng(1)
    for name in MEASURES:
        table[name] = rng.uniform(0, 100, len(table)).round(2)
    return table


def one_of_each(source: str = "mine", flags: str = "") -> list[tuple[str, str, str, str]]:
    return [(source, label, f"{source} {label}", flags) for label in CLASSES]


def test_images_and_photographs_are_counted_by_class_and_source() -> None:
    table = manifest(
        *one_of_each(),
        ("mine", "with_mask", "mine with_mask", "duplicate"),
        ("mine", "with_mask", "mine with_mask", ""),
        ("other", "with_mask", "other", ""),
        ("other", "without_mask", "mine without_mask", ""),
    )
    summary = describe(table, NOTHING, seed=1)
    assert list(summary) == [
        "images", "groups", "duplicates", "contradictions", "junk", "left_out",
        "label", "groups_by_label", "source", "width", "height", "format", "shortcuts",
    ]  # fmt: skip
    assert (summary["images"], summary["groups"], summary["duplicates"]) == (7, 4, 1)
    assert summary["label"] == {"mask_weared_incorrect": 1, "with_mask": 4, "without_mask": 2}
    assert summary["groups_by_label"] == {"mask_weared_incorrect": 1, "with_mask": 2, "without_mask": 1}
    assert summary["source"] == {
        "mine": {"mask_weared_incorrect": 1, "with_mask": 3, "without_mask": 1},
        "other": {"mask_weared_incorrect": 0, "with_mask": 1, "without_mask": 1},
    }
    assert summary["width"] == {"min": 50, "median": 53.0, "max": 56}
    assert summary["height"] == {"min": 200, "median": 200.0, "max": 200}
    assert summary["format"] == {"JPEG": 4, "PNG": 3}


def test_a_photograph_with_two_labels_counts_in_both_classes_but_once_in_all() -> None:
    table = manifest(
        *one_of_each(),
        ("mine", "with_mask", "both", "contradiction"),
        ("mine", "without_mask", "both", "duplicate contradiction"),
    )
    summary = describe(table, NOTHING, seed=1)
    assert (summary["groups"], summary["contradictions"], summary["duplicates"]) == (4, 2, 1)
    assert summary["groups_by_label"] == {"mask_weared_incorrect": 1, "with_mask": 2, "without_mask": 2}


def test_junk_is_counted_by_reason_and_an_image_with_two_reasons_twice() -> None:
    table = manifest(
        *one_of_each(),
        ("mine", "with_mask", "1", "too_small blurred"),
        ("mine", "with_mask", "2", "duplicate blurred"),
        ("mine", "with_mask", "3", "near_constant"),
    )
    junk = describe(table, NOTHING, seed=1)["junk"]
    assert junk == {"near_constant": 1, "posterised": 0, "too_small": 1, "blurred": 2}
    assert describe(manifest(*one_of_each()), NOTHING, seed=1)["junk"] == dict.fromkeys(junk, 0)


def test_files_left_out_are_counted_by_reason(tmp_path: Path) -> None:
    rows = "a,1.jpg,empty file\na,NA,truncated\nb,1.jpg,empty file\n"
    (tmp_path / "left_out.csv").write_text("source,path,reason\n" + rows, encoding="utf-8")
    left_out = LEFT_OUT.read(tmp_path / "left_out.csv")
    assert list(left_out["path"]) == ["1.jpg", "NA", "1.jpg"]
    summary = describe(manifest(*one_of_each()), left_out, seed=1)
    assert summary["left_out"] == {"total": 3, "empty file": 2, "truncated": 1}
    assert describe(manifest(*one_of_each()), NOTHING, seed=1)["left_out"] == {"total": 0}


def test_a_missing_list_of_what_was_left_out_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"left_out\.csv is missing; run `dvc repro merge`"):
        LEFT_OUT.read(tmp_path / "left_out.csv")


def test_every_shortcut_has_its_numbers() -> None:
    table = manifest(*(("mine", label, f"{label} {number}", "") for label in CLASSES for number in range(20)))
    found = describe(table, NOTHING, seed=1)["shortcuts"]
    assert list(found) == list(PROPERTIES)
    assert {"brightness", "contrast", "sharpness", "colour_cast", "image_size", "file_type", "border", "source"} == set(
        found
    )
    for numbers in found.values():
        assert list(numbers) == ["auc", "auc_by_class", "chance", "warning"]
        assert set(numbers["auc_by_class"]) == set(CLASSES)
        assert numbers["auc"] == max(numbers["auc_by_class"].values())
        assert numbers["warning"] in (0, 1)


def test_images_whose_label_is_in_doubt_have_no_say_in_shortcuts() -> None:
    sound = [("mine", label, f"{label} {number}", "") for label in CLASSES for number in range(20)]
    table = manifest(*sound, *(("mine", label, f"{n}", "contradiction") for label in CLASSES for n in range(20)))
    with_doubtful = describe(table, NOTHING, seed=1)["shortcuts"]
    assert with_doubtful == describe(table[: len(sound)], NOTHING, seed=1)["shortcuts"]


def test_the_order_of_the_sources_and_a_second_run_make_no_difference() -> None:
    table = manifest(*one_of_each("b"), *one_of_each("a"))
    assert list(describe(table, NOTHING, seed=1)["source"]) == ["a", "b"]
    assert describe(table, NOTHING, seed=1) == describe(table, NOTHING, seed=1)


def test_if_every_photograph_stands_under_two_labels_it_says_what_to_do() -> None:
    with pytest.raises(FacemaskError, match=r"every photograph has two labels.*the folder of its class"):
        describe(manifest(*one_of_each(flags="contradiction")), NOTHING, seed=1)
    almost = manifest(*one_of_each(flags="contradiction"), ("mine", "with_mask", "sound", ""))
    assert describe(almost, NOTHING, seed=1)["contradictions"] == 3
