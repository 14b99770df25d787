"""A property that gives the class away is found, and chance is not reported as one."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.data.shortcuts import PROPERTIES, shortcuts

INCORRECT, WITH, WITHOUT = CLASSES


def images(per_class: int = 100, copies: dict[str, int] | None = None, seed: int = 0) -> pd.DataFrame:
    """Images whose properties have nothing to do with the class; `copies`: class -> images per group."""
    rng = np.random.default_rng(seed)
    count = 3 * per_class
    labels = np.repeat(CLASSES, per_class)
    number = np.tile(np.arange(per_class), 3)
    size = np.array([(copies or {}).get(label, 1) for label in labels])
    table = pd.DataFrame({"label": labels, "group": [f"{a}-{b}" for a, b in zip(labels, number // size, strict=True)]})
    for column in ("brightness", "contrast", "sharpness", "cast_red_green", "cast_yellow_blue", "border"):
        table[column] = rng.normal(size=count)
    table["width"], table["height"] = rng.integers(60, 400, (2, count))
    table["format"] = rng.choice(["JPEG", "PNG"], count)
    table["source"] = rng.choice(["a", "b", "c"], count)
    return table


def judged(table: pd.DataFrame, name: str) -> dict[str, Any]:
    return shortcuts(table, seed=1)[name]


def test_properties_without_meaning_raise_no_warning() -> None:
    found = shortcuts(images(300), seed=1)
    assert tuple(found) == tuple(PROPERTIES)
    for name, verdict in found.items():
        assert verdict["warning"] == 0, name
        assert 0.5 < verdict["chance"] < 0.6, name


def test_a_dark_class_is_found_with_the_auc_that_its_darkness_has() -> None:
    table = images(400)
    table.loc[table["label"] == INCORRECT, "brightness"] -= 1.2  # of two normal distributions: AUC 0.802
    found = judged(table, "brightness")
    assert found["auc"] == found["auc_by_class"][INCORRECT] == pytest.approx(0.80, abs=0.03)
    assert found["warning"] == 1


def test_a_class_that_is_either_dark_or_bright_is_found() -> None:
    table = images(200)
    both_ends = np.where(np.arange(200) % 2, 4.0, -4.0)
    table.loc[table["label"] == WITH, "brightness"] += both_ends
    assert judged(table, "brightness")["auc_by_class"][WITH] > 0.9


def test_two_columns_count_together_where_neither_tells_anything_alone() -> None:
    table = images(300)
    same_sign = (table["cast_red_green"] > 0) == (table["cast_yellow_blue"] > 0)
    table.loc[same_sign != (table["label"] == WITHOUT), "cast_yellow_blue"] *= -1
    assert judged(table, "colour_cast")["auc_by_class"][WITHOUT] > 0.8


def test_one_exact_size_among_similar_ones_is_found() -> None:
    table = images(200)
    table["width"] = np.random.default_rng(1).integers(200, 250, len(table))
    table["height"] = 224
    table.loc[table["label"] == INCORRECT, "width"] = 224
    assert judged(table, "image_size")["auc_by_class"][INCORRECT] > 0.95


def test_a_file_type_of_one_class_is_found() -> None:
    table = images(100)
    table["format"] = np.where(table["label"] == WITHOUT, "PNG", "JPEG")
    found = judged(table, "file_type")
    assert (found["auc"], found["auc_by_class"][WITHOUT], found["warning"]) == (1.0, 1.0, 1)


def test_a_property_that_never_varies_is_no_shortcut() -> None:
    table = images(50)
    table["format"], table["border"], table["width"], table["height"] = "PNG", 0.0, 128, 128
    for name in ("file_type", "border", "image_size"):
        assert judged(table, name) == {
            "auc": 0.5,
            "auc_by_class": dict.fromkeys(CLASSES, 0.5),
            "chance": 0.5,
            "warning": 0,
        }


def test_forty_copies_of_one_photograph_are_one_observation_and_not_forty() -> None:
    table = images(400, copies={INCORRECT: 40}, seed=4)
    incorrect = table["label"] == INCORRECT
    of_photograph = np.array([-1.5, -1.2, -1.0, -0.7, -0.5, -0.2, 0.0, 0.3, 0.6, 1.1])  # a draw that is a bit dark
    table.loc[incorrect, "brightness"] = np.repeat(of_photograph, 40)
    by_group = judged(table, "brightness")
    as_if_independent = judged(table.assign(group=np.arange(len(table)).astype(str)), "brightness")
    assert as_if_independent["warning"] == 1
    assert by_group["warning"] == 0
    assert by_group["chance"] > as_if_independent["chance"] + 0.1


def test_copies_are_not_recognised_across_folds() -> None:
    table = images(200, copies=dict.fromkeys(CLASSES, 10))
    table["source"] = table["group"]
    assert judged(table, "source")["auc"] < 0.6


def test_the_seed_alone_decides() -> None:
    table = images(60, copies={WITH: 4})
    assert shortcuts(table, seed=3) == shortcuts(table.copy(), seed=3)
    assert shortcuts(table, seed=3) != shortcuts(table, seed=4)


def test_very_many_images_are_judged_by_a_part_of_them_with_the_same_verdict() -> None:
    table = images(20_000, copies={WITH: 40})
    table.loc[table["label"] == WITHOUT, "brightness"] -= 1.5
    many, few = judged(table, "brightness"), judged(table.iloc[::2], "brightness")
    assert (many["warning"], few["warning"]) == (1, 1)
    assert many["auc"] == pytest.approx(few["auc"], abs=0.01)


def test_the_verdict_consists_of_numbers_that_json_can_hold() -> None:
    found = shortcuts(images(30), seed=1)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("per_class", [1, 2, 4])
def test_a_handful_of_images_is_judged_without_a_warning(per_class: int) -> None:
    assert all(verdict["warning"] == 0 for verdict in shortcuts(images(per_class), seed=1).values())


def test_a_class_without_images_is_neither_here_nor_there() -> None:
    table = images(100)
    found = judged(table[table["label"] != WITH], "brightness")
    assert found["auc_by_class"][WITH] == 0.5
