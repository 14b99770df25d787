"""`facemask check-lock`, in fresh clones without data, cache and remote: what is stale, and why."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from facemask.core.errors import FacemaskError
from facemask.core.files import write_text
from facemask.review.lock_check import CURRENT, REPAIR, Stale, explain, stale_stages
from tests.revisions_project import git
from tests.tiny_pipeline import change_settings, dvc, make_pipeline, run

pytestmark = pytest.mark.slow  # runs real dvc repositories


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pipeline(tmp_path_factory.mktemp("made"))


@pytest.fixture
def clone(made: Path, tmp_path: Path) -> Path:
    """What a workflow has: the files of git, and no way to those of DVC."""
    git(tmp_path, "clone", "-q", str(made.parent / "origin.git"), "clone")
    write_text(tmp_path / "clone" / ".dvc" / "config.local", "['remote \"store\"']\n    url = /nowhere\n")
    return tmp_path / "clone"


def append(project: Path, path: str, text: str) -> None:
    with (project / path).open("a", encoding="utf-8") as file:
        file.write(text)


def edit_lock(project: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = project / "dvc.lock"
    lock = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(lock["stages"])
    write_text(path, yaml.safe_dump(lock, sort_keys=False))


def forge_split(stages: dict[str, Any]) -> None:
    """Write another hash by hand, as if `split` had made other data."""
    stages["split"]["outs"][1]["md5"] = "0" * 32


def test_a_fresh_clone_of_a_committed_run_is_current_and_stays_untouched(clone: Path) -> None:
    done = run(clone, sys.executable, "-m", "facemask", "check-lock")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{CURRENT}\n", "")
    assert git(clone, "status", "--porcelain") == ""
    assert not (clone / "data" / "raw").exists()


def test_where_the_data_is_there_it_is_current_too(made: Path) -> None:
    assert stale_stages(made) == []


def test_a_stale_lock_ends_with_1_the_first_stage_the_reason_and_what_to_run(clone: Path) -> None:
    change_settings(clone, "train", dropout=0.3)
    done = run(clone, sys.executable, "-m", "facemask", "check-lock")
    because = "train.dropout in params.yaml changed"
    first = f"error: dvc.lock is not current: the stage evaluate must run again, because {because}."
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [first, REPAIR]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("change", "stage", "reason"),
    [
        (
            lambda p: change_settings(p, "sources", sample={"kind": "sample", "per_class": 31, "seed": 1}),
            "download@sample",
            "sources.sample.per_class in params.yaml changed",
        ),
        (lambda p: change_settings(p, "train", seed=2), "evaluate", "train.seed in params.yaml changed"),
        (lambda p: append(p, "masks/answers.py", "x = 1\n"), "evaluate", "masks changed"),
        (lambda p: write_text(p / "masks" / "new.py", ""), "evaluate", "masks changed"),
        (lambda p: shutil.rmtree(p / "masks"), "evaluate", "masks is missing"),
        (lambda p: (p / "stages" / "split.py").unlink(), "split", "stages/split.py is missing"),
        (
            lambda p: append(p, "metrics/evaluation.json", " "),
            "evaluate",
            "metrics/evaluation.json is not what the stage wrote",
        ),
        (
            lambda p: append(p, "plots/history.csv", "4,0,1,0,1\n"),
            "evaluate",
            "plots/history.csv is not what the stage wrote",
        ),
        (lambda p: (p / "metrics" / "data.json").unlink(), "split", "metrics/data.json is missing"),
        (lambda p: write_text(p / "data" / "own" / "a.jpg", "new"), "download@sample", "data/own changed"),
        (lambda p: edit_lock(p, lambda stages: stages.pop("split")), "split", "dvc.lock has no entry of it"),
        (
            lambda p: edit_lock(p, forge_split),
            "evaluate",
            "it read another data/split.csv than dvc.lock names as that of split",
        ),
        (
            lambda p: edit_lock(p, lambda stages: stages["evaluate"].update(cmd="python stages/old.py")),
            "evaluate",
            "its command in dvc.yaml changed",
        ),
    ],
)
def test_what_changed_is_named(clone: Path, change: Callable[[Path], Any], stage: str, reason: str) -> None:
    change(clone)
    found = stale_stages(clone)
    assert found[0] == Stale(stage, (reason,))
    assert explain(found).startswith(f"dvc.lock is not current: the stage {stage} must run again, because {reason}.")


def test_a_new_source_has_never_been_fetched(clone: Path) -> None:
    change_settings(clone, "data", sources=["sample", "own"])
    assert stale_stages(clone) == [
        Stale("download@own", ("dvc.lock has no entry of it",)),
        Stale("split", ("data.sources in params.yaml changed",)),
    ]


def test_photographs_of_ones_own_need_not_be_in_the_clone(clone: Path) -> None:
    def as_if_there_had_been_some(stages: dict[str, Any]) -> None:
        stages["download@sample"]["deps"][0].update(md5="1" * 32 + ".dir", nfiles=4)

    edit_lock(clone, as_if_there_had_been_some)
    assert stale_stages(clone) == []


def test_photographs_outside_the_project_need_not_be_on_the_machine(clone: Path, tmp_path: Path) -> None:
    outside = tmp_path / "photographs"
    write_text(clone / "dvc.yaml", (clone / "dvc.yaml").read_text().replace("data/own", str(outside)))
    edit_lock(clone, lambda stages: stages["download@sample"]["deps"][0].update(path=str(outside)))
    assert stale_stages(clone) == []
    write_text(outside / "1.jpg", "new")
    assert stale_stages(clone) == [Stale("download@sample", (f"{outside} changed",))]


def test_dvc_itself_agrees(clone: Path) -> None:
    said = dvc(clone, "repro", "--dry", "--allow-missing")
    assert "up to date" in said
    change_settings(clone, "train", dropout=0.3)
    assert run(clone, "dvc", "repro", "--dry", "--allow-missing").returncode != 0


def test_stages_with_one_reason_share_a_line() -> None:
    stale = [Stale("a", ("x changed",)), Stale("b", ("y changed",)), Stale("c", ("y changed",))]
    assert explain(stale).splitlines()[1] == "So must b and c, because y changed."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "dvc.lock is missing: the pipeline was never run here. Run `dvc repro`"),
        ("<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> other\n", "dvc.lock holds a merge conflict: take either"),
        ("stages: [", "the pipeline cannot be read"),
        (json.dumps({"schema": "9", "stages": {}}), "the pipeline cannot be read"),
    ],
)
def test_a_lock_that_is_none_is_refused_in_a_sentence(clone: Path, text: str | None, message: str) -> None:
    (clone / "dvc.lock").unlink()
    if text is not None:
        write_text(clone / "dvc.lock", text)
    with pytest.raises(FacemaskError, match=message):
        stale_stages(clone)


def test_a_folder_without_a_project_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"has no dvc\.yaml: run the command in the project's folder"):
        stale_stages(tmp_path)
    write_text(tmp_path / "dvc.lock", "schema: '2.0'\n")
    with pytest.raises(FacemaskError, match="is not a DVC project: run the command in the project's folder"):
        stale_stages(tmp_path)
