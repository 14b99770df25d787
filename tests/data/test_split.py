"""Train, validation and test hold what they should, and never the same picture."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import SplitParams
from facemask.data.duplicates.conflicts import flag_copies
from facemask.data.split import check_split, count_parts, split
from facemask.dataset.split import DROPPED, PARTS, SPLIT

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


def test_a_photograph_counts_once_in_the_shares_however_many_copies_it_has() -> None:
    images = manifest(per_class=100, sources=("a",))
    images.loc[images["id"].str.startswith("a/with_mask/1"), "group"] = "large"  # 11 files
    table = split(images, SETTINGS)
    photographs = table[table["label"] == "with_mask"].drop_duplicates("group")
    assert abs((photographs["part"] == "test").sum() - 0.15 * len(photographs)) <= 0.5


@pytest.mark.parametrize("seed", range(20))
def test_a_dozen_photographs_of_each_class_give_all_three_parts(seed: int) -> None:
    table = split(manifest(per_class=12, sources=("a",)), SplitParams(val=0.15, test=0.15, seed=seed))
    assert pd.crosstab(table["label"], table["part"])[list(PARTS)].to_numpy().min() >= 1


def test_three_photographs_of_each_class_give_all_three_parts() -> None:
    table = split(manifest(per_class=3, sources=("a",)), SETTINGS)
    assert (pd.crosstab(table["label"], table["part"])[list(PARTS)] == 1).all(axis=None)


def varied(seed: int) -> pd.DataFrame:
    """A manifest with photographs of one to fifty copies, as data sets have them."""
    generator = np.random.default_rng(seed)
    rows = []
    for source, label, photographs, copies in (
        ("a", CLASSES[0], 65, 46),
        ("a", CLASSES[1], 1500, 2),
        ("a", CLASSES[2], 1800, 1),
        *(("b", label, 600, 1) for label in CLASSES),
    ):
        for number in range(photographs):
            for copy in range(int(generator.integers(1, 2 * copies))):
                name = f"{source}/{label}/{number}-{copy}"
                rows.append((name, source, label, f"{source} {label} {number}", f"{seed} {name}", ""))
    return pd.DataFrame(rows, columns=["id", "source", "label", "group", "sha256", "flags"])


@pytest.mark.parametrize("seed", range(3))
def test_when_data_comes_and_goes_test_photographs_stay_in_test_and_none_gets_into_training(seed: int) -> None:
    images = varied(seed)
    generator = np.random.default_rng(seed)
    shuffled = images.iloc[generator.permutation(len(images))]
    gone, relabelled, kept = shuffled[:150], shuffled[150:160].copy(), shuffled[160:]
    relabelled["label"] = relabelled["label"].map(dict(zip(CLASSES, [*CLASSES[1:], CLASSES[0]], strict=True)))
    relabelled["group"] = relabelled["id"]
    new = varied(seed + 100).sample(120, random_state=seed)
    new = new.assign(id="new/" + new["id"], group="new " + new["group"])
    before = split(images, SETTINGS).set_index("id")
    after = split(pd.concat([kept, relabelled, new], ignore_index=True), SETTINGS).set_index("id")
    touched = set(gone["group"]) | set(before.loc[relabelled["id"], "group"])
    tested = before[(before["part"] == "test") & ~before["group"].isin(touched)]
    parts = after.loc[tested.index, "part"].groupby(tested["group"]).first()
    assert (parts == "test").mean() >= 0.97
    assert (parts != "train").all()


@pytest.mark.parametrize("seed", range(20))
def test_a_test_photograph_that_is_merged_with_another_does_not_get_into_training(seed: int) -> None:
    images = varied(1)
    settings = SplitParams(val=0.15, test=0.15, seed=seed)
    before = split(images, settings)
    generator = np.random.default_rng(seed)
    tested = generator.choice(before.loc[before["part"] == "test", "group"].unique())
    label = before.loc[before["group"] == tested, "label"].iloc[0]
    others = before[(before["part"] == "train") & (before["label"] == label)]["group"].unique()
    other = generator.choice(others)
    merged = images.assign(group=images["group"].replace(other, tested))
    after = split(merged, settings)
    assert set(after.loc[after["group"] == tested, "part"]) <= {"test", "val"}  # val if it stood at the border


def crowds(pictures: int = 300, people: int = 12) -> pd.DataFrame:
    """Faces cut out of pictures, of 1 to `people` each, one class after another; none is a copy."""
    faces = [(picture, face) for picture in range(pictures) for face in range(1 + picture % people)]
    names = [f"{picture}-{face}" for picture, face in faces]
    labels = [CLASSES[(picture + face) % 3] for picture, face in faces]
    return pd.DataFrame({
        "id": [f"a/{label}/{name}" for label, name in zip(labels, names, strict=True)],
        "source": "a",
        "label": labels,
        "group": [hashlib.sha256(name.encode()).hexdigest() for name in names],
        "sha256": names,
        "flags": "",
        "picture": [f"a/{picture}" for picture, _ in faces],
    })  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_faces_of_one_picture_stay_on_one_side_and_crowds_do_not_fill_the_test(seed: int) -> None:
    images = crowds()
    table = split(images, SplitParams(val=0.15, test=0.15, seed=seed))
    assert check_split(table, images)["pictures_in_two_parts"] == 0
    assert table.groupby("picture")["part"].nunique().max() == 1
    shares = table["part"].value_counts(normalize=True)
    assert 0.1 < shares["test"] < 0.25  # 0.15 of the pictures; most faces are in crowds
    assert 0.1 < shares["val"] < 0.25


def test_pictures_with_a_copy_of_one_face_in_common_stay_together() -> None:
    images = crowds(60, 4)
    images.loc[images["id"].str.endswith("-0"), "group"] = "f" * 64  # the same person's photograph in every picture
    assert split(images, SETTINGS)["part"].nunique() == 1


def test_a_picture_on_two_sides_stops_the_stage() -> None:
    images = crowds()
    table = split(images, SETTINGS)
    table.loc[table[table["picture"] == "a/11"].index[0], "part"] = "train"
    table.loc[table[table["picture"] == "a/11"].index[1], "part"] = "test"
    with pytest.raises(FacemaskError, match=r"the split leaks.*'pictures_in_two_parts': 1"):
        check_split(table, images)


def test_the_order_and_the_names_of_the_files_do_not_matter() -> None:
    images = varied(1)
    parts = split(images, SETTINGS)["part"]
    renamed = images.assign(id="x" + images["id"], group="g" + images["group"]).sample(frac=1, random_state=1)
    assert split(renamed, SETTINGS)["part"].sort_index().equals(parts)


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


def flagged(per_class: int = 30, copies: int = 5, others: int = 2, flag: str = "contradiction") -> pd.DataFrame:
    """A manifest in which the first photograph has flags, and the last `others` of its copies perhaps another label."""
    images = manifest(per_class, copies, sources=("a",))
    first = images["group"] == "a-with_mask-0"
    images["sha256"] = images["id"]
    images.loc[first, "flags"] = flag
    if flag == "contradiction":
        images.loc[images.index[first][copies - others :], "label"] = "without_mask"
    return images


def policy(**settings: str) -> SplitParams:
    return SplitParams.model_validate({**SETTINGS.model_dump(), **settings})


def test_of_a_photograph_with_two_labels_every_copy_is_dropped_by_default() -> None:
    images = flagged()
    table = split(images, SETTINGS)
    contradicting = table["group"] == "a-with_mask-0"
    assert set(table.loc[contradicting, "part"]) == {DROPPED}
    assert set(table.loc[contradicting, "reason"]) == {"contradicting labels"}
    assert (table.loc[~contradicting, "part"] != DROPPED).all()
    assert count_parts(table)["dropped"] == {"contradicting labels": 5}


def test_by_majority_the_copies_with_the_more_frequent_label_are_kept_together() -> None:
    images = flagged(copies=5, others=2)
    table = split(images, policy(contradictions="majority"))
    rows = table[table["group"] == "a-with_mask-0"]
    assert list(rows["label"]) == ["with_mask"] * 3 + ["without_mask"] * 2
    assert list(rows["part"][3:]) == [DROPPED] * 2
    assert list(rows["reason"]) == [""] * 3 + ["contradicting labels"] * 2
    assert len(set(rows["part"][:3])) == 1
    assert rows["part"].iloc[0] in PARTS
    assert count_parts(table)["dropped"] == {"contradicting labels": 2}


def test_where_two_labels_are_as_frequent_no_copy_is_kept_by_majority_either() -> None:
    images = flagged(copies=4, others=2)
    table = split(images, policy(contradictions="majority"))
    assert set(table.loc[table["group"] == "a-with_mask-0", "part"]) == {DROPPED}
    assert count_parts(table)["dropped"] == {"contradicting labels": 4}


def test_a_majority_over_two_other_labels_need_not_be_more_than_half() -> None:
    images = flagged(copies=4, others=1)
    rows = images.index[images["group"] == "a-with_mask-0"]
    images.loc[rows, "label"] = ["with_mask", "with_mask", "without_mask", "mask_weared_incorrect"]
    table = split(images, policy(contradictions="majority"))
    assert list(table.loc[rows, "part"] == DROPPED) == [False, False, True, True]


@pytest.mark.parametrize("flag", ["near_constant", "posterised", "too_small", "blurred", "too_small blurred"])
def test_junk_is_dropped_with_its_reasons_or_kept(flag: str) -> None:
    images = flagged(flag=f"duplicate {flag}")
    table = split(images, SETTINGS)
    junk = images["flags"] != ""
    assert set(table.loc[junk, "part"]) == {DROPPED}
    assert set(table.loc[junk, "reason"]) == {flag}
    assert count_parts(table)["dropped"] == {flag: 5}
    assert count_parts(table)["groups"][DROPPED] == 1
    kept = split(images, policy(junk="keep"))
    assert set(kept["reason"]) == {""}
    assert set(kept["part"]) == set(PARTS)


def test_junk_alone_is_dropped_and_other_copies_of_its_photograph_stay_together() -> None:
    images = flagged(flag="")
    one = images.index[images["group"] == "a-with_mask-0"][2]
    images.loc[one, "flags"] = "blurred"
    table = split(images, SETTINGS)
    assert list(table.index[table["part"] == DROPPED]) == [one]
    assert table[table["part"] != DROPPED].groupby("group")["part"].nunique().max() == 1


def test_junk_with_two_labels_is_dropped_for_its_labels_and_by_majority_for_being_junk() -> None:
    images = flagged()
    images["flags"] = images["flags"].replace("contradiction", "contradiction blurred")
    assert count_parts(split(images, SETTINGS))["dropped"] == {"contradicting labels": 5}
    by_majority = split(images, policy(contradictions="majority"))
    assert count_parts(by_majority)["dropped"] == {"blurred": 3, "contradicting labels": 2}
    keeping_junk = split(images, policy(contradictions="majority", junk="keep"))
    assert count_parts(keeping_junk)["dropped"] == {"contradicting labels": 2}


def test_a_duplicate_is_no_reason_to_drop_an_image() -> None:
    images = manifest(per_class=30, copies=3)
    images["flags"] = flag_copies(images)
    assert (images["flags"] == "duplicate").sum() == len(images) * 2 / 3
    counts = count_parts(split(images, SETTINGS))
    assert (counts["images"][DROPPED], counts["groups"][DROPPED], counts["dropped"]) == (0, 0, {})


@pytest.mark.parametrize("contradictions", ["drop", "majority"])
@pytest.mark.parametrize("junk", ["drop", "keep"])
def test_no_photograph_is_parted_whatever_is_done_with_contradictions_and_junk(contradictions: str, junk: str) -> None:
    rng = np.random.default_rng(4)
    images = manifest(per_class=60, copies=1)
    images["sha256"] = images["id"]
    # Photographs of 1 to 40 copies, across sources and classes.
    images["group"] = [f"photograph {number}" for number in np.sort(rng.integers(0, 60, len(images)))]
    images["group"] = images["group"].to_numpy()[rng.permutation(len(images))]
    images.loc[rng.random(len(images)) < 0.1, "group"] = "photograph 0"
    few = ["", "", "", "", "blurred", "near_constant too_small"]
    images["flags"] = (flag_copies(images) + " " + pd.Series(rng.choice(few, len(images)))).str.strip()
    images.loc[images["group"].isin([f"photograph {number}" for number in range(30, 60)]), "label"] = "with_mask"
    table = split(images, policy(contradictions=contradictions, junk=junk))
    used = table[table["part"] != DROPPED]
    assert used.groupby("group")["part"].nunique().max() == 1
    assert used.groupby("group")["label"].nunique().max() == 1 or contradictions == "drop"
    assert ((table["part"] == DROPPED) == (table["reason"] != "")).all()
    counts = count_parts(table)
    assert sum(counts["dropped"].values()) == counts["images"][DROPPED] == (table["reason"] != "").sum()


def test_a_split_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = split(flagged(), SETTINGS)
    SPLIT.write(tmp_path / "split.csv", table)
    pd.testing.assert_frame_equal(SPLIT.read(tmp_path / "split.csv"), table[[*SPLIT.columns]], check_dtype=False)


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
