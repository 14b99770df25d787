import pandas as pd

from facemask.duplicates import flag_copies, group_copies


def images(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Rows of (id, label, content), where one letter of content stands for equal bytes."""
    table = pd.DataFrame(rows, columns=["id", "label", "content"])
    table["sha256"] = table["content"].map(lambda letter: letter * 64)
    table["group"] = group_copies(table)
    table["flags"] = flag_copies(table)
    return table


def test_files_with_equal_bytes_form_one_group_whatever_their_class_and_place() -> None:
    table = images(("1", "with_mask", "a"), ("2", "without_mask", "b"), ("3", "without_mask", "a"))
    assert list(table["group"]) == ["g" + "a" * 16, "g" + "b" * 16, "g" + "a" * 16]


def test_the_name_of_a_group_does_not_depend_on_the_other_images() -> None:
    table = images(("1", "with_mask", "a"), ("2", "without_mask", "b"))
    assert list(group_copies(table[::-1]))[::-1] == list(table["group"])
    assert list(group_copies(table[1:])) == ["g" + "b" * 16]


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
