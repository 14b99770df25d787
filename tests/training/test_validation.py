"""Validation weights classes and photographs equally."""

import pandas as pd
import pytest

from facemask.training.validation import balanced_weights


def test_each_class_counts_the_same_and_within_it_each_photograph_however_many_copies_it_has() -> None:
    groups = {"mask_weared_incorrect": ["a"] * 48 + ["b"], "with_mask": ["c", "d", "e"], "without_mask": ["f"]}
    rows = pd.DataFrame([(label, group) for label, names in groups.items() for group in names])
    rows.columns = ["label", "group"]
    weights = balanced_weights(rows)
    assert weights.sum() == pytest.approx(1)
    sums = rows.assign(weight=weights).groupby("group")["weight"].sum()
    assert dict(sums) == pytest.approx({"a": 1 / 6, "b": 1 / 6, "c": 1 / 9, "d": 1 / 9, "e": 1 / 9, "f": 1 / 3})
