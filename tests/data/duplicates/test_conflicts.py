import pandas as pd

from facemask.data.duplicates.conflicts import flag_copies


def images(*rows: tuple[str, str, str], group: str = "") -> pd.DataFrame:
    """Rows of (id, label, content), where one letter of content stands for equal bytes, and for a group of its own."""
    table = pd.DataFrame(rows, columns=["id", "label", "content"])
    table["sha256"] = table["content"].map(lambda letter: letter * 64)
    table["group"] = group or table["content"]
    table["flags"] = flag_copies(table)
    return table


def test_every_copy_but_the_first_by_id_is_flagged_as_duplicate() -> None:
    table = images(("c", "with_mask", "a"), ("a", "with_mask", "a"), ("b", "with_mask", "a"), ("d", "with_mask", "b"))
    assert dict(zip(table["id"], table["flags"], strict=True)) == {
        "a": "", "b": "duplicate", "c": "duplicate", "d": "",
    }  # fmt: skip


def test_copies_with_two_labels_are_contradictions_and_each_class_has_its_own_first() -> None:
    table = images(("1", "with_mask", "a"), ("2", "without_mask", "a"), ("3", "without_mask", "a"))
    assert list(table["flags"]) == ["contradiction", "contradiction", "duplicate contradiction"]


def test_an_image_without_copies_has_no_flags() -> None:
    table = images(("1", "with_mask", "a"), ("2", "with_mask", "b"))
    assert list(table["flags"]) == ["", ""]


def test_other_bytes_of_the_same_photograph_are_no_duplicates_but_can_contradict() -> None:
    one_class = images(("1", "with_mask", "a"), ("2", "with_mask", "b"), group="same photograph")
    assert list(one_class["flags"]) == ["", ""]
    two_classes = images(("1", "with_mask", "a"), ("2", "without_mask", "b"), group="same photograph")
    assert list(two_classes["flags"]) == ["contradiction", "contradiction"]


def test_the_order_and_the_index_of_rows_make_no_difference() -> None:
    table = images(("1", "with_mask", "a"), ("2", "without_mask", "a"), ("3", "without_mask", "a"), ("4", "x", "b"))
    turned = table[::-1].set_axis([9, 7, 5, 3])
    assert list(flag_copies(turned))[::-1] == list(table["flags"])
