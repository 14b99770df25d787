"""Train, validation and test hold what they should, and never the same picture."""

import itertools

import numpy as np
import pandas as pd
import pytest

from facemask.duplicates import flag_copies
from facemask.errors import FacemaskError
from facemask.labels import CLASSES
from facemask.params import SplitParams
from facemask.splitting import DROPPED, PARTS, check_split, count_parts, split

SETTINGS = SplitParams(val=0.15, test=0.15, seed=1)


def manifest(per_class: int = 100, copies: int = 1, sources: tuple[str, ...] = ("a", "b")) -> pd.DataFrame:
    """A manifest in which every group holds `copies` files with equal bytes."""
    rows = [
        {
            "id": f"{source}/{label}/{image}-{copy}",
            "source": source,
            "label": label,
            "group": group,
            "sha256": group,
            "flags": "",
        }
        for source, label, image in itertools.product(sources, CLASSES, range(per_class))
        for copy in range(copies)
        for group in [f"{source}-{label}-{image}"]
    ]
    return pd.DataFrame(rows)


def test_every_image_stands_in_exactly_one_part() -> None:
    images = manifest()
    table = split(images, SETTINGS)
    assert list(table["id"]) == list(images["id"])
    assert set(table["part"]) == set(PARTS)


def test_shares_hold_within_every_class_and_source() -> None:
    table = split(manifest(per_class=200), SETTINGS)
    shares = pd.crosstab([table["label"], table["source"]], table["part"], normalize="index")
    assert np.allclose(shares["test"], 0.15, atol=0.01)
    assert np.allclose(shares["val"], 0.15, atol=0.01)


@pytest.mark.parametrize("copies", [2, 7, 40])
def test_copies_of_one_picture_stay_on_one_side(copies: int) -> None:
    images = manifest(per_class=30, copies=copies)
    table = split(images, SETTINGS)
    assert table.groupby("group")["part"].nunique().max() == 1
    assert check_split(table, images) == {"groups_in_two_parts": 0, "equal_files_in_two_parts": 0}


def test_one_group_far_larger_than_the_others_does_not_spoil_the_shares() -> None:
    images = manifest(per_class=100, sources=("a",))
    images.loc[images["id"].str.startswith("a/with_mask/1"), "group"] = "large"  # 11 files
    table = split(images, SETTINGS)
    rows = table[table["label"] == "with_mask"]
    assert abs((rows["part"] == "test").mean() - 0.15) <= 0.01


def test_the_seed_alone_decides_which_images_are_tested_on() -> None:
    images = manifest()
    again, other = split(images, SETTINGS), split(images, SplitParams(val=0.15, test=0.15, seed=2))
    pd.testing.assert_frame_equal(split(images, SETTINGS), again)
    assert (again["part"] != other["part"]).any()


def test_equal_files_with_two_labels_are_dropped_with_the_reason() -> None:
    images = manifest()
    pair = ["a/with_mask/3-0", "a/mask_weared_incorrect/7-0"]
    images.loc[images["id"].isin(pair), ["group", "sha256"]] = "same"
    images["flags"] = flag_copies(images)
    table = split(images, SETTINGS).set_index("id")
    assert list(table.loc[pair, "part"]) == [DROPPED, DROPPED]
    assert list(table.loc[pair, "reason"]) == ["contradicting labels"] * 2
    assert (table.drop(pair)["reason"] == "").all()


def test_a_group_on_two_sides_stops_the_stage() -> None:
    images = manifest(copies=2)
    table = split(images, SETTINGS)
    first = table.index[table["part"] == "train"][0]
    table.loc[first, "part"] = "test"
    with pytest.raises(FacemaskError, match="the split leaks"):
        check_split(table, images)


def test_equal_files_on_two_sides_stop_the_stage_even_where_the_groups_miss_them() -> None:
    images = manifest()
    table = split(images, SETTINGS)
    one_each = table.drop_duplicates("part").index
    images.loc[one_each, "sha256"] = "same bytes"
    with pytest.raises(FacemaskError, match="'equal_files_in_two_parts': 1"):
        check_split(table, images)


def test_a_class_that_is_missing_in_a_part_is_named_with_what_to_do() -> None:
    images = manifest()
    few = images[(images["label"] != "with_mask") | images["id"].str.endswith("/1-0")].reset_index(drop=True)
    with pytest.raises(FacemaskError, match=r"no with_mask image is left for \w+ \(2 in all\)"):
        check_split(split(few, SETTINGS), few)


def test_counts_add_up() -> None:
    images = manifest(copies=3)
    counts = count_parts(split(images, SETTINGS))
    assert sum(counts["images"].values()) == len(images)
    assert sum(counts["groups"].values()) == images["group"].nunique()
    assert sum(sum(row.values()) for row in counts["label"].values()) == len(images)
    assert sum(sum(row.values()) for row in counts["source"].values()) == len(images)
