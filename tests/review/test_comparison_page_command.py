"""`facemask compare`, in real git and DVC repositories: what it says, in each form, and how it fails."""

import hashlib
import io
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import write_text
from facemask.dataset.archive import write_archive
from facemask.dataset.predictions import image_key
from facemask.review.comparison import Verdict, read_test
from facemask.review.comparison_page import Compared, compare_revisions, html, markdown, read_changed, text
from facemask.review.revisions import Revision
from tests.commands import facemask
from tests.report.pages import Page
from tests.revisions_project import commit_run, content_of, git, make_project, predictions, push, wrong

pytestmark = pytest.mark.slow  # runs real dvc repositories

WORN_WRONG, WITH, WITHOUT = CLASSES
LOSS = wrong(WITH, range(10), WITHOUT) | wrong(WITHOUT, [3], WITH)
SETTINGS: dict[str, Any] = {"train": {"dropout": 0.2, "classes": ["a", "b"]}}


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return facemask(project, "compare", *arguments)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `good`, `same` and `bad`: the last names ten photographs of one class wrong, and one of another."""
    folder = tmp_path_factory.mktemp("made")
    project = make_project(folder)
    commit_run(project, predictions({}), "good", SETTINGS)
    commit_run(project, predictions({}), "same", {**SETTINGS, "seed": 1})
    commit_run(project, predictions(LOSS), "bad", {"train": {"dropout": 0.3, "classes": ["a"]}})
    push(project)
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "work", symlinks=True))


def compared(project: Path, before: str, after: str | None) -> Compared:
    return compare_revisions(Revision(project, before), Revision(project, after))


def squeezed(document: str) -> str:
    return " ".join(document.split())


def test_the_verdict_comes_first_and_a_loss_ends_with_0_too(made: Path) -> None:
    command = [sys.executable, "-m", "facemask", "compare", "good"]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first = done.stdout.splitlines()[0]
    by_how_much = r"by [\d.]+ points \(95%: [\d.]+ to [\d.]+\)"
    assert re.fullmatch(rf"Worse {by_how_much}: accuracy 100\.0% before, 87\.8% after \(p = 0\.00\d\)\.", first)
    assert first.startswith("Worse by 12.22 points")
    said = squeezed(done.stdout)
    assert re.search(rf"Recall of mask worn correctly: worse {by_how_much}, p = 0\.00\d\.", said)
    assert "After: the work tree. Compared on the 180 images of 90 photographs that are in test in both." in said
    assert "Got better: 0 images of 0 photographs. Got worse: 22 images of 11 photographs." in said
    assert "and 1 more photograph" in said
    assert "train.dropout 0.2 0.3" in said
    assert 'train.classes ["a", "b"] ["a"]' in said
    assert re.search(r"Run Its test images Accuracy .* Before 180 100\.0% .* After 180 87\.8%", said)


def test_the_comparison_can_be_printed_for_a_pull_request_and_written_as_a_page(made: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "compared.html"
    done = run(made, "bad", "--with", "good", "--format", "markdown", "--html", str(page))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("**Better by 12.22 points (95%: ")
    assert "| Figure | Before | After | Difference, points | 95% interval | p |" in lines
    assert "| `with_mask/0-0` | Mask worn correctly | No mask | Mask worn correctly | 2 |" in lines
    assert "| `train.dropout` | `0.3` | `0.2` |" in lines
    assert "Better by 12.22 points" in Page(page.read_text(encoding="utf-8")).text


def test_the_same_predictions_are_said_to_be_the_same(made: Path) -> None:
    found = compared(made, "good", "same")
    assert found.comparison.verdict is Verdict.SAME
    assert text(found).startswith("The same answers: both models name all 180 images alike.\n")
    assert "No image got better or worse" in text(found)
    assert markdown(found).startswith("**The same answers: both models name all 180 images alike.**\n")


def test_chance_is_said_to_be_no_evidence_of_a_difference_and_not_proof_of_none(project: Path) -> None:
    chance = wrong(WITH, [0, 1], WITHOUT) | wrong(WORN_WRONG, [5], WITH)
    commit_run(project, predictions(chance), "chance", SETTINGS)
    said = text(compared(project, "good", "chance"))
    assert said.startswith("No evidence of a difference: accuracy 100.0% before, 96.7% after (95%: -")
    assert re.search(r"not show the models to be equally good: any difference from -[\d.]+ to \+[\d.]+ points", said)
    assert "No setting in params.yaml differs." in said
    assert "Among so few photographs only a large difference can be told from chance." in said


def test_a_clone_with_neither_data_nor_cache_compares_from_the_remotes_alone(made: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(made), "origin.git")
    git(tmp_path, "clone", "-q", "-b", "main", str(tmp_path / "origin.git"), "clone")
    done = run(tmp_path / "clone", "origin/main~2", "--format", "markdown")
    assert done.returncode == 0, done.stderr
    assert "Worse by 12.22 points" in done.stdout
    assert not (tmp_path / "clone" / "data" / "predictions.csv").exists()


def test_a_fork_without_any_remote_is_compared_by_the_answers_in_git(project: Path) -> None:
    commit_run(project, predictions({}), "before", SETTINGS, answers=True)
    commit_run(project, predictions(LOSS), "after", SETTINGS, answers=True)
    older = text(compared(project, "good", "bad")).splitlines()[:1]
    shutil.rmtree(project / ".dvc" / "cache")
    write_text(project / ".dvc" / "config", "")
    assert text(compared(project, "before", "after")).splitlines()[:1] == older
    before, after = (read_test(Revision(project, rev)) for rev in ("before", "after"))
    assert list(before.columns) == list(after.columns)
    assert before["id"].eq("").all()
    assert sorted(after["id"][after["id"] != ""]) == sorted(LOSS)
    assert after.loc[after["id"] != "", "confidence"].eq(0.9).all()
    from_tables = read_test(Revision(project, "bad"))
    same = ["image", "sha256", "label", "prediction"]
    pd.testing.assert_frame_equal(after[same], from_tables[same])


def test_answers_that_name_every_image_as_they_once_did_are_compared_with_those_in_short(project: Path) -> None:
    commit_run(project, predictions({}), "short", SETTINGS, answers=True)
    table = predictions(LOSS)[["id", "group", "label", "prediction"]].assign(confidence=0.9)
    table.assign(sha256=table["id"].map(content_of)).to_csv(project / "metrics" / "answers.csv", index=False)
    in_full = text(compared(project, "short", None))
    assert in_full.splitlines()[0] == text(compared(project, "good", "bad")).splitlines()[0]
    git(project, "checkout", "--", "metrics")


def test_an_older_run_whose_predictions_name_no_photographs_is_compared_by_those_of_the_other(project: Path) -> None:
    commit_run(project, predictions({}, groups=False), "older", SETTINGS)
    older = read_test(Revision(project, "older"))
    assert set(older["group"]) == set(read_test(Revision(project, "good"))["group"])
    assert compared(project, "older", "bad").comparison == compared(project, "good", "bad").comparison


def test_where_no_run_names_photographs_that_is_said(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    commit_run(project, predictions({}, groups=False), "first", {})
    for name in ("split", "manifest"):
        (project / "data" / f"{name}.csv").unlink()
    shutil.rmtree(project / ".dvc" / "cache" / "files")
    found = compare_revisions(Revision(project, None), Revision(project, None))
    assert found.comparison.photographs == found.comparison.images == 180
    said = text(found)
    assert "Compared on the 180 images that are in test in both." in said
    assert "if there are copies, the intervals are too narrow." in said
    assert "data/manifest.csv of a revision is not to be had." in said


def test_images_under_the_same_name_that_are_others_are_left_out(project: Path) -> None:
    table = predictions({})
    commit_run(project, table, "redrawn", SETTINGS, contents={"with_mask/0-0": "another", "with_mask/0-1": "another"})
    said = text(compared(project, "good", "redrawn"))
    assert "Compared on the 178 images of 89 photographs" in said
    assert "Left out: 2 images with another picture under the same name." in said


def test_a_new_split_is_compared_on_what_was_in_test_before_and_after(project: Path) -> None:
    table = predictions({})
    table.loc[table["label"] == WORN_WRONG, "part"] = "val"
    commit_run(project, table, "split", SETTINGS)
    said = text(compared(project, "good", "split"))
    assert "Compared on the 120 images of 60 photographs" in said
    assert "Left out: 60 images in test only before, 0 only after." in said
    assert "Recall of mask worn incorrectly" not in said


def test_another_data_set_is_refused_in_a_sentence(project: Path) -> None:
    table = predictions({}).assign(id=lambda rows: "other/" + rows["id"])
    commit_run(project, table, "other", SETTINGS)
    done = run(project, "good")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the revisions have no test image in common: 180 and 180 images")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope",), "error: git does not know the revision 'nope' here: check the name, or run `git fetch` first"),
        (("good", "--with", "nope"), "error: git does not know the revision 'nope' here"),
    ],
)
def test_an_unknown_revision_ends_with_1_and_a_sentence(made: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(made, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (predictions({}).drop(columns="prediction"), "it has no column prediction"),
        (
            predictions({"with_mask/0-0": "maybe"}),
            r"has predictions that are not classes \(maybe\); run `dvc repro evaluate`",
        ),
        (pd.concat([predictions({})] * 2), "lists images twice"),
    ],
)
def test_broken_predictions_are_refused_in_a_sentence(project: Path, table: pd.DataFrame, message: str) -> None:
    table.to_csv(project / "data" / "predictions.csv", index=False)
    with pytest.raises(FacemaskError, match=f"data/predictions.csv of the work tree .*{message}"):
        compared(project, "good", None)


def test_an_empty_table_is_refused_in_a_sentence(project: Path) -> None:
    write_text(project / "data" / "predictions.csv", "")
    with pytest.raises(FacemaskError, match=r"data/predictions.csv of the work tree is invalid"):
        compared(project, "good", None)


def test_older_predictions_without_a_test_image_are_refused_in_a_sentence(project: Path) -> None:
    predictions({}, part="val").to_csv(project / "data" / "predictions.csv", index=False)
    with pytest.raises(FacemaskError, match=r"data/predictions.csv of the work tree has no test image"):
        compared(project, "good", None)


def picture(brightness: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 20, 3), brightness, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_page_shows_the_pictures_that_are_the_ones_compared_and_needs_no_other_file(project: Path) -> None:
    there, replaced = picture(10), picture(20)
    digest = hashlib.sha256(there).hexdigest()
    for tag, answers in (("before", {}), ("after", LOSS)):
        commit_run(project, predictions(answers), tag, {}, contents={"with_mask/0-0": digest, "with_mask/1-0": digest})
    found = compared(project, "before", "after")
    assert Page(html(found, project)).of("img") == []

    write_archive(project / "data" / "images.zip", [("with_mask/0-0", there), ("with_mask/1-0", replaced)])
    page = Page(html(found, project))
    (shown,) = page.of("img")
    assert shown["alt"] == "Mask worn correctly; before: mask worn correctly, after: no mask."
    assert str(shown["src"]).startswith("data:image/jpeg;base64,")
    assert "11 photographs, the surest mistakes first. Pictures are shown where data/images.zip" in page.text
    about = "True class: Mask worn correctly Before: Mask worn correctly After: No mask, 90.0% And 1 of its copies"
    assert about in page.text
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe"}


def test_a_picture_is_found_behind_the_hash_that_stands_for_its_name(project: Path) -> None:
    comparison = compared(project, "good", "bad").comparison
    hashed = replace(comparison.losses[0], id=image_key("with_mask/0-0"), sha256="")
    write_archive(project / "images.zip", [("with_mask/0-0", picture(10))])
    shown = read_changed(project / "images.zip", replace(comparison, losses=(hashed,), gains=()))
    assert list(shown) == [hashed.id]


def test_a_long_list_of_photographs_is_cut_and_the_rest_counted(project: Path) -> None:
    commit_run(project, predictions(wrong(WITH, range(30), WITHOUT)), "awful", SETTINGS)
    found = compared(project, "good", "awful")
    assert Page(html(found, project)).text.count("True class: ") == 24
    assert "And 6 more photographs." in Page(html(found, project)).text
    assert "and 20 more photographs" in text(found)
    assert "And 20 more photographs." in markdown(found)


def test_names_from_files_do_no_harm_in_any_form(project: Path) -> None:
    name = 'with_mask/<img src="https:x" onerror=alert(1)>|`x`\x1b[31m @someone'
    before, after = (predictions(answers).replace({"id": {"with_mask/0-0": name}}) for answers in ({}, LOSS))
    commit_run(project, before, "plain", {"key<b>|": "<script>alert(1)</script>"})
    commit_run(project, after, "hostile", {"key<b>|": "`|@all"})
    git(project, "branch", "a<i>|b`", "hostile")
    found = compared(project, "plain", "a<i>|b`")
    page = Page(html(found, project))
    assert not {tag for tag, _ in page.tags} & {"script", "b", "i", "img"}
    assert "\x1b" not in text(found)
    document = markdown(found)
    assert r"After: a\<i\>\|b\`" in document
    rows = [line for line in document.splitlines() if line.startswith(("| `with_mask/", "| `key"))]
    assert rows
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4, 6}
    outside_code = re.sub(r"(`+) ?[^\n]*?[^`]\1(?!`)", "", document)
    assert not re.search(r"(?<!\\)[<@]", outside_code)


def test_the_work_tree_may_hold_a_run_that_is_not_committed(project: Path) -> None:
    predictions(LOSS).to_csv(project / "data" / "predictions.csv", index=False)
    git(project, "checkout", "-q", "good", "--", "dvc.lock", "metrics")
    assert compared(project, "good", None).comparison.verdict is Verdict.WORSE
