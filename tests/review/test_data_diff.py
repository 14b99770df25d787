"""What came and went in the data between two revisions, in real git and DVC repositories."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from dvc.repo import Repo

from facemask.core.classes import CLASSES
from facemask.review.data_diff import COLUMNS, DataChanges, compare_data, match, reasons_of_moves, sentence, tables
from facemask.review.revisions import MissingFileError, Revision
from tests.revisions_project import git, make_project

WORN_WRONG, WITH, WITHOUT = CLASSES

# id, content, part; the photograph is the first letter of the content, the class the second part of the id.
BEFORE = [
    (f"own/{WITH}/1.jpg", "a1", "train"),
    (f"own/{WITH}/1 again.jpg", "a2", "train"),
    (f"own/{WITH}/2.jpg", "b1", "test"),
    (f"own/{WITH}/3.jpg", "c1", "val"),
    (f"own/{WORN_WRONG}/4.jpg", "d1", "train"),
    (f"own/{WITHOUT}/5.jpg", "e1", "train"),
    (f"own/{WITHOUT}/5 twice.jpg", "e1", "train"),
    (f"own/{WITHOUT}/6.jpg", "f1", "dropped"),
]


def table(rows: Sequence[tuple[str, str, str]]) -> pd.DataFrame:
    """Make a manifest and a split in one."""
    found = pd.DataFrame(rows, columns=["id", "sha256", "part"])
    found["source"], found["label"] = (found["id"].str.split("/").str[place] for place in (0, 1))
    found["group"] = "g" + found["sha256"].str[0]
    found["reason"] = found["part"].map(lambda part: "blurred" if part == "dropped" else "")
    return found


def commit(project: Path, rows: pd.DataFrame, tag: str) -> None:
    """Commit the tables as a run leaves them; the predictions, which the project has too, say nothing here."""
    about = [column for column in ("id", "source", "label", "sha256", "group") if column in rows]
    (project / "data").mkdir(exist_ok=True)
    rows[about].to_csv(project / "data/manifest.csv", index=False)
    rows[["id", "part", *({"reason", "group"} & set(rows))]].to_csv(project / "data/split.csv", index=False)
    (project / "data/predictions.csv").write_text("id\n", encoding="utf-8")
    with Repo(str(project)) as repo:
        repo.commit(force=True)
    git(project, "add", "-A")
    git(project, "commit", "-qm", tag)
    git(project, "tag", tag)


def changes(rows: Sequence[tuple[str, str, str]] | pd.DataFrame) -> DataChanges:
    """Compare other data with what was there before."""
    after = rows if isinstance(rows, pd.DataFrame) else table(rows)
    return match(table(BEFORE)[list(COLUMNS)], after[list(COLUMNS)])


def without(name: str) -> list[tuple[str, str, str]]:
    return [row for row in BEFORE if not row[0].endswith(f"/{name}")]


def ids(found: pd.DataFrame) -> list[str]:
    return [name.rpartition("/")[2] for name in found["id"]]


def test_data_that_did_not_change_is_the_same_in_another_order_too() -> None:
    found = changes(BEFORE[::-1])
    assert found.empty
    assert sentence(found) == "the data is the same"
    assert [len(found.came), len(found.went), len(found.kept)] == [0, 0, len(BEFORE)]


@pytest.mark.parametrize(
    ("came", "why"),
    [
        ([(f"own/{WITH}/7.jpg", "b2", "val")], "copies of it came"),
        ([], "number of photographs, or settings of the split"),
    ],
)
def test_it_is_said_why_a_photograph_moved(came: list[tuple[str, str, str]], why: str) -> None:
    rows = [(name, content, "val" if content == "b1" else part) for name, content, part in BEFORE]
    found = changes(rows + came)
    assert tables(found)["Moved between parts"].rows == [("test", "validation", why, "1", "1")]


def test_a_photograph_that_moves_when_a_copy_goes_or_its_label_changes_is_told_apart() -> None:
    lost = [(name, content, "val" if content == "a1" else part) for name, content, part in without("1 again.jpg")]
    assert reasons_of_moves(changes(lost)) == ["copies of it went"]
    relabelled = [
        (name.replace(WITH, WITHOUT) if content == "c1" else name, content, part) for name, content, part in BEFORE
    ]
    moved = [(name, content, "test" if content == "c1" else part) for name, content, part in relabelled]
    assert reasons_of_moves(changes(moved)) == ["it has another label"]


def test_images_that_came_are_counted_with_their_photographs_and_copies_of_known_ones_are_not_new() -> None:
    came = [(f"own/{WITH}/{name}.jpg", content, "train") for name, content in (("7", "a3"), ("8", "x1"), ("9", "x2"))]
    found = changes(BEFORE + came)
    assert ids(found.came) == ["7.jpg", "8.jpg", "9.jpg"]
    assert sentence(found) == "3 images came (of 2 photographs, 1 of them new)"
    assert not found.empty
    counts = tables(found)["Images by source and class"]
    assert ("own", "Mask worn correctly", "4", "3", "2", "0", "0", "7") in counts.rows
    assert counts.rows[-1] == ("All", "", "8", "3", "2", "0", "0", "11")


def test_images_that_went_are_counted() -> None:
    found = changes(without("4.jpg"))
    assert ids(found.went) == ["4.jpg"]
    assert sentence(found) == "1 image went (of 1 photograph)"
    assert ("Training", "5", "0", "1", "4", "2") in tables(found)["Images by part"].rows


def test_an_image_that_was_moved_to_the_folder_of_another_class_is_relabelled_and_neither_came_nor_went() -> None:
    found = changes([*without("4.jpg"), (f"own/{WITH}/4.jpg", "d1", "train")])
    (row,) = found.relabelled.to_dict("records")
    assert (row["was_label"], row["label"], row["id"]) == (WORN_WRONG, WITH, f"own/{WITH}/4.jpg")
    assert sentence(found) == "1 image got another label"
    assert tables(found)["Other label"].rows == [("Mask worn incorrectly", "Mask worn correctly", "1", "1")]
    rows = tables(found)["Images by source and class"].rows
    assert [row[6] for row in rows] == ["-1", "+1", "0", "0"]


def test_an_image_under_another_name_or_in_another_source_is_only_renamed() -> None:
    found = changes([*without("2.jpg"), (f"office/{WITH}/b.jpg", "b1", "test")])
    assert [(row["was_id"], row["id"]) for row in found.renamed.to_dict("records")] == [
        (f"own/{WITH}/2.jpg", f"office/{WITH}/b.jpg")
    ]
    assert sentence(found) == "1 image got another name"


def test_other_content_under_the_same_name_is_a_replaced_image() -> None:
    found = changes([*without("2.jpg"), (f"own/{WITH}/2.jpg", "z1", "test")])
    assert ids(found.replaced) == ["2.jpg"]
    assert sentence(found) == "1 image got other content under the same name"
    assert tables(found)["Other content under the same name"].rows == [("own", "Mask worn correctly", "1")]


def test_of_two_equal_files_one_can_go_and_the_other_stays() -> None:
    found = changes(without("5 twice.jpg"))
    assert sentence(found) == "1 image went (of 1 photograph)"
    assert len(found.kept) == len(BEFORE) - 1


def test_two_files_that_swap_their_names_are_renamed() -> None:
    swapped = {"1.jpg": ("b1", "test"), "2.jpg": ("a1", "train")}
    rows = [(name, *swapped.get(Path(name).name, (content, part))) for name, content, part in BEFORE]
    assert sentence(changes(rows)) == "2 images got another name"


def test_a_photograph_that_moves_from_training_to_test_is_told() -> None:
    rows = [(name, content, "test" if content.startswith("a") else part) for name, content, part in BEFORE]
    found = changes(rows)
    assert ids(found.tested_after_training) == ["1 again.jpg", "1.jpg"]
    assert sentence(found) == "2 images moved between parts (2 from training to test, of 1 photograph)"
    assert tables(found)["Moved between parts"].rows == [
        ("training", "test", "number of photographs, or settings of the split", "2", "1")
    ]


def test_what_falls_out_is_counted_by_reason() -> None:
    rows = [(name, content, "dropped" if content == "e1" else part) for name, content, part in BEFORE]
    found = changes([*rows, (f"own/{WITH}/7.jpg", "x1", "dropped")])
    assert tables(found)["Newly left out"].rows == [("blurred", "1", "2")]
    assert tables(found)["Moved between parts"].rows == [("training", "not used", "blurred", "2", "1")]


def test_another_reason_for_leaving_an_image_out_is_a_change() -> None:
    rows = table(BEFORE).replace({"reason": {"blurred": "contradicting labels"}})
    assert ids(changes(rows).moved) == ["6.jpg"]


def test_images_that_count_as_copies_of_others_than_before_are_told() -> None:
    rows = table(BEFORE).replace({"group": {"gb": "ga"}})
    assert ids(changes(rows).regrouped) == ["1 again.jpg", "1.jpg", "2.jpg"]


def test_a_group_that_is_only_called_otherwise_is_no_change() -> None:
    assert changes(table(BEFORE).replace({"group": {"ga": "gnew"}})).empty


@pytest.mark.parametrize("missing", ["sha256", "label", "group", "reason"])
def test_what_a_revision_does_not_say_has_not_changed(missing: str) -> None:
    after = table([*without("4.jpg"), (f"own/{WITH}/7.jpg", "x1", "train")])
    found = changes(after.assign(**{missing: ""}))
    assert (ids(found.came), ids(found.went)) == (["7.jpg"], ["4.jpg"])
    assert found.contents_known == (missing != "sha256")
    assert sentence(found).startswith("1 image came")
    assert sum(map(len, (found.relabelled, found.replaced, found.moved, found.regrouped))) == 0


@pytest.mark.slow
def test_revisions_are_read_from_git_and_dvc_older_ones_with_fewer_columns_too(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    commit(project, table(BEFORE).drop(columns=["label", "reason"]), "before")
    commit(project, table([*without("4.jpg"), (f"own/{WITH}/7.jpg", "x1", "train")]), "after")
    found = compare_data(Revision(project, "before"), Revision(project, "after"))
    assert sentence(found) == "1 image came (of 1 photograph, 1 of them new), 1 went (of 1 photograph)"
    assert compare_data(Revision(project, "after"), Revision(project, None)).empty
    git(project, "rm", "-q", "--cached", "dvc.lock")
    git(project, "commit", "-qm", "no run")
    with pytest.raises(MissingFileError, match=r"HEAD \(.*\) has no data/manifest.csv; choose a revision"):
        compare_data(Revision(project, "HEAD"), Revision(project, "before"))
