"""Folds keep a photograph together and share out every class."""

import numpy as np
import pandas as pd

from facemask.core.classes import CLASSES
from facemask.training.folds import arrange_by_fold, assign_folds, choose_held_out


def table(photographs: int, copies: int = 1, source: str = "s") -> pd.DataFrame:
    """As many photographs of each class, each with copies."""
    return pd.DataFrame(
        [
            (f"{source}/{label}/{number}-{copy}", source, label, f"{source} {label} {number}")
            for label in CLASSES
            for number in range(photographs)
            for copy in range(copies)
        ],
        columns=["id", "source", "label", "group"],
    )


def test_all_copies_of_a_photograph_and_the_masks_drawn_on_it_are_in_one_fold() -> None:
    photographs = table(20, copies=3)
    synthetic = photographs[photographs["label"] == "without_mask"].assign(source="rendered", label="with_mask")
    rows = pd.concat([photographs, synthetic], ignore_index=True)
    assert (rows.groupby("group")["id"].size() > 1).all()
    assert (pd.Series(assign_folds(rows, 3, seed=1)).groupby(rows["group"]).nunique() == 1).all()


def test_every_fold_has_its_share_of_every_class() -> None:
    rows = table(40)
    counts = pd.crosstab(rows["label"], assign_folds(rows, 3, seed=1))
    assert counts.to_numpy().min() >= 13
    assert counts.to_numpy().max() <= 14


def test_one_photograph_of_each_class_is_not_left_out_all_at_once() -> None:
    assert len(set(assign_folds(table(1), 3, seed=1))) == 3


def test_the_order_of_the_rows_does_not_matter_and_the_seed_does() -> None:
    rows = table(40)
    shuffled = rows.sample(frac=1, random_state=1)
    folds = pd.Series(assign_folds(rows, 3, seed=1), rows["id"])
    assert folds.equals(pd.Series(assign_folds(shuffled, 3, seed=1), shuffled["id"])[folds.index])
    assert not np.array_equal(folds, assign_folds(rows, 3, seed=2))


def test_batches_are_of_one_fold_and_full_and_no_sample_is_lost() -> None:
    folds = np.array([0, 1, 2, 0, 1, 2, 0, 1, 0, 0])
    order = np.random.default_rng(1).integers(0, 10, 100)
    places, of_batch = arrange_by_fold(order, folds, 8)
    assert len(places) == 8 * len(of_batch)
    assert np.array_equal(folds[places].reshape(-1, 8), np.tile(of_batch, (8, 1)).T)
    assert all((places == row).sum() >= (order == row).sum() for row in range(10))
    assert len(places) < len(order) + 3 * 8


def test_few_files_of_a_photograph_and_few_photographs_of_a_class_are_predicted_and_no_drawn_mask() -> None:
    many = pd.concat([table(500), table(10, copies=48, source="other"), table(5, source="rendered")])
    chosen = choose_held_out(many, seed=1)
    assert set(chosen["source"]) == {"s", "other"}
    assert (chosen[chosen["source"] == "s"].groupby("label")["group"].nunique() == 400).all()
    assert (chosen[chosen["source"] == "other"].groupby("group").size() == 4).all()
    assert chosen["id"].is_unique


def test_faces_of_one_picture_are_in_one_fold_with_the_masks_drawn_on_them() -> None:
    photographs = table(30).assign(picture=[f"s/{number % 30 // 2}" for number in range(90)])
    synthetic = photographs[photographs["label"] == "without_mask"].assign(source="rendered", label="with_mask")
    rows = pd.concat([photographs, synthetic.drop(columns="picture")], ignore_index=True)
    folds = pd.Series(assign_folds(rows, 3, seed=1))
    assert (folds.groupby(rows["picture"]).nunique() == 1).all()
    assert (folds.groupby(rows["group"]).nunique() == 1).all()
    assert folds.nunique() == 3
