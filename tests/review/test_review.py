"""`facemask review`, in real git and DVC repositories: what it says of a change, and what it does without parts."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.core.files import write_json, write_text
from facemask.dataset.predictions import write_answers
from facemask.review.review import Curve, Review, html, markdown, mermaid, review_revisions, text
from facemask.review.revisions import Revision
from tests.commands import facemask
from tests.report.pages import Page
from tests.revisions_project import commit_run, content_of, git, make_project, predictions, push, wrong

pytestmark = pytest.mark.slow  # runs real dvc repositories

WORN_WRONG, WITH, WITHOUT = CLASSES
LOSS = wrong(WITH, range(15), WITHOUT)
SETTINGS: dict[str, Any] = {"train": {"dropout": 0.2}}
HISTORY = "epoch,loss,accuracy,val_loss,val_accuracy\n1,1,0.5,0.9,0.6\n2,0.8,0.6,0.7,0.7\n3,0.7,0.7,0.6,0.8\n"


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return facemask(project, "review", *arguments)


def counts(images: int) -> dict[str, Any]:
    return {"images": images, "label": dict.fromkeys(CLASSES, images // 3), "source": {"s": {WITH: images}}}


def commit(project: Path, table: pd.DataFrame, tag: str, settings: Mapping[str, Any]) -> None:
    """Commit a run with the answers that stand in git."""
    contents = pd.DataFrame({"id": table["id"], "sha256": table["id"].map(content_of)})
    write_answers(project / "metrics" / "answers.csv", table, contents)
    commit_run(project, table, tag, settings)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `good`, `same`, which is another commit of it, and `bad`, on more data, which names half a class wrong."""
    project = make_project(tmp_path_factory.mktemp("made"))
    write_text(project / "plots" / "history.csv", HISTORY)
    write_json(project / "metrics" / "data.json", counts(180))
    commit(project, predictions({}), "good", SETTINGS)
    write_text(project / "readme.md", "of no matter\n")
    commit(project, predictions({}), "same", SETTINGS)
    write_text(project / "plots" / "history.csv", HISTORY.rpartition("3,")[0])
    write_json(project / "metrics" / "data.json", counts(186))
    commit(project, predictions(LOSS, (30, 30, 33)), "bad", {"train": {"dropout": 0.3}})
    push(project)
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "work", symlinks=True))


@pytest.fixture(scope="module")
def loss(made: Path) -> Review:
    return reviewed(made, "good", "bad")


def reviewed(project: Path, before: str, after: str | None) -> Review:
    return review_revisions(Revision(project, before), Revision(project, after))


def section(review: Review, title: str) -> str:
    """What is said in a section, tables included, in one line."""
    (found,) = [one for one in review.sections if one.title == title]
    cells = [cell for table in (found.tables or {}).values() for row in table.rows for cell in row]
    return " ".join([*found.sentences, *cells])


def test_a_planted_regression_closes_the_gate_and_is_told_first(made: Path, loss: Review) -> None:
    assert (loss.passed, loss.changed) == (False, True)
    done = run(made, "good", "--with", "bad")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.split("\n\n")[:2]
    assert first.startswith("Worse by 16.67 points (95%: ")
    assert second.startswith("The gate is closed: the accuracy fell by 16.67 points")
    assert text(loss) == done.stdout


def test_settings_data_figures_and_curves_stand_side_by_side(loss: Review) -> None:
    assert "Stages whose entry in dvc.lock differs: evaluate. train.dropout 0.2 0.3" in section(loss, "Settings")
    assert section(loss, "Data").startswith("6 images came (of 3 photographs, all of them new).")
    assert "Test images 180 186 Accuracy 100.0% 83.9%" in section(loss, "Figures")
    assert "data.images 180 186" in section(loss, "Figures")
    assert "Compared on the 180 images of 90 photographs" in section(loss, "The models on the same images")
    assert "The training ended after epoch 3 before, and after epoch 2 now" in section(loss, "Training")


def test_the_same_is_said_to_be_the_same(made: Path) -> None:
    found = reviewed(made, "good", "same")
    assert (found.passed, found.changed) == (True, False)
    assert list(found.lead[:2]) == [
        "The same answers: both models name all 180 images alike.",
        "The gate is open: both models give the same answers.",
    ]
    assert section(found, "Settings") == "No setting in params.yaml differs. No stage ran again: dvc.lock is the same."
    assert section(found, "Data") == "The data is the same."
    assert "No number in metrics/ differs." in section(found, "Figures")
    assert section(found, "Training") == "Both trainings went alike."


def fork_of(project: Path, folder: Path) -> Path:
    """A clone that knows no way to the files of DVC."""
    git(folder, "clone", "-q", "-b", "main", str(project), "fork")
    write_text(folder / "fork" / ".dvc" / "config.local", "['remote \"store\"']\n    url = /nowhere\n")
    return folder / "fork"


def test_a_fork_without_the_dvc_remote_gets_the_verdict_and_the_gate(made: Path, tmp_path: Path) -> None:
    fork = fork_of(made, tmp_path)
    done = run(fork, "origin/main~2", "--with", "HEAD", "--format", "markdown", "--html", "review.html")
    assert (done.returncode, done.stderr) == (0, "")
    found = reviewed(fork, "origin/main~2", "HEAD")
    assert (found.passed, found.changed) == (False, True)
    assert "What came and went cannot be listed: data/manifest.csv of" in section(found, "Data")
    assert "The counts in metrics/ differ: Images 180 186" in section(found, "Data")
    assert "Accuracy 100.0% 83.9%" in section(found, "Figures")
    assert "train.dropout 0.2 0.3" in section(found, "Settings")
    assert done.stdout.count("```mermaid") == 2
    assert "A change reviewed" in Page((fork / "review.html").read_text(encoding="utf-8")).text
    assert section(reviewed(fork, "origin/main~2", "origin/main~1"), "Data") == "The data is the same."


def test_runs_older_than_the_answers_in_git_are_reviewed_without_a_verdict(made: Path, tmp_path: Path) -> None:
    fork = fork_of(made, tmp_path)
    for tag in ("good", "bad"):
        git(fork, "checkout", "-q", tag)
        git(fork, "rm", "-q", "metrics/answers.csv")
        git(fork, "commit", "-qm", "as it was")
        git(fork, "tag", f"old-{tag}")
    found = reviewed(fork, "old-good", "old-bad")
    assert found.passed is None
    (told,) = found.lead
    assert told.startswith("The models were not compared, and the gate was not asked: data/predictions.csv of old-good")
    assert "is in neither the DVC cache nor a remote that can be reached" in told
    assert "Accuracy 100.0% 83.9%" in section(found, "Figures")
    assert "<nav>" in html(found, fork)


def test_no_common_test_image_is_said_and_the_rest_is_shown(project: Path) -> None:
    commit(project, predictions({}).assign(id=lambda rows: "other/" + rows["id"]), "other", SETTINGS)
    found = reviewed(project, "good", "other")
    assert found.passed is None
    assert "the gate was not asked: the revisions have no test image in common" in found.lead[0]
    assert found.changed


def test_a_gate_that_can_not_be_read_is_said(project: Path) -> None:
    commit(project, predictions(LOSS), "broken", {"gate": {"accuracy": "much"}})
    found = reviewed(project, "broken", "bad")
    assert found.passed is None
    assert found.lead[1].startswith("The gate was not asked: `gate` in params.yaml of broken")


def test_without_any_file_it_says_what_to_do(project: Path) -> None:
    for folder in ("metrics", "plots", "data"):
        shutil.rmtree(project / folder)
    shutil.rmtree(project / ".dvc" / "cache" / "files")
    write_text(project / ".dvc" / "config.local", "['remote \"store\"']\n    url = /nowhere\n")
    (project / "params.yaml").unlink()
    (project / "dvc.lock").unlink()
    found = reviewed(project, "good", None)
    assert found.passed is None
    said = " ".join(section(found, one.title) for one in found.sections)
    assert "params.yaml of a revision is missing" in said
    assert "dvc.lock of a revision is missing" in said
    assert "After there are none: no file in metrics/ can be read." in said
    assert "the work tree has no plots/history.csv; run `dvc repro` or `dvc pull`." in said


@pytest.mark.parametrize("content", ["[]", "{", '{"test": 1}', '{"test": {"accuracy": "<b>", "images": true}}', "NaN"])
def test_figures_that_are_none_are_left_out(project: Path, content: str) -> None:
    write_text(project / "metrics" / "evaluation.json", content)
    found = reviewed(project, "bad", None)
    assert "<b>" not in text(found)
    assert "Accuracy 83.9% -" in section(found, "Figures")


@pytest.mark.parametrize("content", ["", "epoch\n1\n", "epoch,val_loss,val_accuracy\n1,<script>,2\n2,inf,1\n"])
def test_curves_that_are_none_are_left_out_with_a_sentence(project: Path, content: str) -> None:
    write_text(project / "plots" / "history.csv", content)
    assert "plots/history.csv of the work tree cannot be read" in section(reviewed(project, "bad", None), "Training")


def confusion(right: int) -> dict[str, Mapping[str, int]]:
    return {label: {said: right if said == label else 1 for said in CLASSES} for label in CLASSES}


def test_the_page_draws_curves_and_both_confusion_matrices_and_needs_no_other_file(project: Path) -> None:
    for tag, right in (("first", 8), ("second", 9)):
        table = predictions(LOSS if tag == "second" else {})
        write_text(project / "plots" / "history.csv", HISTORY if tag == "first" else HISTORY.replace("0.9,", "0.8,"))
        commit(project, table, tag, SETTINGS)
        figures = json.loads((project / "metrics" / "evaluation.json").read_text(encoding="utf-8"))
        write_json(
            project / "metrics" / "evaluation.json", {"test": {**figures["test"], "confusion": confusion(right)}}
        )
        git(project, "commit", "-qam", "figures")
        git(project, "tag", "-f", tag)
    found = reviewed(project, "first", "second")
    page = Page(html(found, project))
    pictures = page.of("img")
    assert [one["alt"] for one in pictures] == [
        "Loss on the validation images by epoch, before and after.",
        "Accuracy on the validation images by epoch, before and after.",
        "Before: how many test images of each class were called what.",
        "After: how many test images of each class were called what.",
    ]
    assert all(str(one["src"]).startswith("data:image/svg+xml;base64,") for one in pictures)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe"}
    assert page.text.index("The gate is closed") < page.text.index("Worse by")
    assert "15 photographs, the surest mistakes first." in page.text
    assert "| Mask worn incorrectly | 8 to 9 | 1 | 1 |" in markdown(found)


def crowd(answers: Mapping[str, str]) -> pd.DataFrame:
    """Predictions for a thousand photographs with names as long as names get."""
    table = predictions(answers, (10, 1000, 10))
    return table.assign(id=table["id"] + "-" + "long" * 30, source="_" * 150)


def test_markdown_stays_under_its_limit_with_thousands_of_changes(project: Path) -> None:
    commit(project, crowd({}), "calm", SETTINGS)
    settings = {f"group{number}": {"*" * 300: "`" * 300 + str(number)} for number in range(300)}
    for number in range(20):
        write_json(project / "metrics" / f"{number}.json", {"|" * 200 + str(key): key for key in range(200)})
    commit(project, crowd(wrong(WITH, range(1000), WITHOUT)), "crowd", settings)
    found = reviewed(project, "calm", "crowd")
    whole = markdown(found)
    assert len(whole) <= 60_000
    assert "Left out for want of room" not in whole
    assert "281 more settings in params.yaml differ" in whole
    assert re.search(r"And 3,9\d\d more rows\.", whole)
    short = markdown(found, limit=3_000)
    assert len(short) <= 3_000
    assert short.startswith(whole[: whole.index("### ")])
    left_out = short.strip().splitlines()[-1]
    assert left_out.startswith("Left out for want of room: ")
    assert left_out.endswith("`facemask review` shows everything.")
    assert all(one.title in short for one in found.sections)


def test_names_from_files_do_no_harm_in_any_form(project: Path) -> None:
    name = 'with_mask/<img src="https:x" onerror=alert(1)>|`x`\x1b[31m @someone'
    before, after = (predictions(answers).replace({"id": {"with_mask/0-0": name}}) for answers in ({}, LOSS))
    write_json(project / "metrics" / "data.json", {"source": {"<b>|@x": 1}, "images": 1})
    commit(project, before, "plain", {"key<b>|": "<script>alert(1)</script>"})
    write_json(project / "metrics" / "data.json", {"source": {"<b>|@x": 2}, "images": 2})
    write_text(project / "plots" / "history.csv", HISTORY)
    commit(project, after.assign(source="```\n# <b>@all"), "hostile", {"key<b>|": "`|@all"})
    git(project, "branch", "a<i>|b`", "hostile")
    found = reviewed(project, "plain", "a<i>|b`")
    page = Page(html(found, project))
    assert not {tag for tag, _ in page.tags} & {"script", "b", "i"}
    assert all("onerror" not in one and str(one["src"]).startswith("data:") for one in page.of("img"))
    assert "\x1b" not in text(found)
    document = markdown(found)
    assert r"After: a\<i\>\|b\`" in document
    assert document.count("\n```") == 4  # two charts, and nothing that begins or ends another one
    outside_code = re.sub(r"(`+) ?[^\n]*?[^`]\1(?!`)", "", re.sub(r"```mermaid.*?```", "", document, flags=re.DOTALL))
    assert not re.search(r"(?<!\\)[<@]", outside_code)


def test_a_chart_has_a_value_for_every_epoch_and_says_which_line_is_which() -> None:
    chart = mermaid(Curve("loss", [0.5, 0.25], [0.5, 0.4, 0.3])).splitlines()
    assert chart[2:] == [
        '    title "Loss on val: grey before, blue after"',
        '    x-axis "epoch" [1, 2, 3]',
        '    y-axis "loss" 0.2375 --> 0.5125',
        "    line [0.5000, 0.2500, 0.2500]",
        "    line [0.5000, 0.4000, 0.3000]",
    ]
    alone = mermaid(Curve("accuracy", [], [0.5, 0.5]))
    assert 'title "Accuracy on val: after"' in alone
    assert '"#0072b2"' in alone
    assert alone.count("line [") == 1
    assert 'y-axis "accuracy" 0.4990 --> 0.5010' in alone


@pytest.mark.parametrize("values", [[], [0.5]])
def test_a_single_epoch_makes_no_chart(values: list[float]) -> None:
    assert mermaid(Curve("loss", values, values)) == ""
