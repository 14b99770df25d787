"""A tiny project, real to git and to DVC, whose runs are made up: tables instead of a model."""

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from dvc.repo import Repo

from facemask.core.classes import CLASSES
from facemask.core.files import write_json, write_text
from facemask.dataset.predictions import write_answers

OUTS = ("data/manifest.csv", "data/predictions.csv", "data/split.csv")
COPIES = 2

Answers = Mapping[str, str]


def git(folder: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *settings, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def init_dvc(folder: Path) -> None:
    """Make a git repository a DVC project, without the command, which takes a second to start."""
    Repo.init(str(folder)).close()
    write_text(folder / ".dvc" / "config", "[core]\n    analytics = false\n")


def make_project(folder: Path, below: str = "") -> Path:
    """Begin a git repository in `folder`, with a DVC project in it or in the folder `below` it, and a DVC remote."""
    project = folder / "work" / below
    project.mkdir(parents=True)
    git(folder / "work", "init", "-q", "-b", "main")
    for key, value in (("user.name", "t"), ("user.email", "t@t")):
        git(folder / "work", "config", key, value)  # for what DVC commits itself
    Repo.init(str(project), subdir=bool(below)).close()
    remote = f"[core]\n    remote = store\n    analytics = false\n['remote \"store\"']\n    url = {folder / 'store'}\n"
    write_text(project / ".dvc" / "config", remote)
    stage = {"cmd": "python stages/evaluate.py", "outs": list(OUTS)}
    write_text(project / "dvc.yaml", yaml.safe_dump({"stages": {"evaluate": stage}}))
    return project


def predictions(
    answers: Answers, photographs: Sequence[int] = (30, 30, 30), groups: bool = True, part: str = "test"
) -> pd.DataFrame:
    """Make predictions in which each photograph has `COPIES` images, all classified correctly except `answers`.

    Args:
        answers: prediction by id, such as "with_mask/3-0", the first copy of the third photograph.
        photographs: how many of each class.
        groups: whether the table says which images are copies, as it has not always done.
        part: of all of them.
    """
    rows = []
    for label, number in zip(CLASSES, photographs, strict=True):
        for photograph in range(number):
            for copy in range(COPIES):
                name = f"{label}/{photograph}-{copy}"
                said = answers.get(name, label)
                shares = {f"p_{one}": 0.9 if one == said else 0.05 for one in CLASSES}
                about = {"id": name, "part": part, "source": "s", "group": f"g-{label}-{photograph}", "label": label}
                rows.append({**about, "prediction": said, **shares})
    table = pd.DataFrame(rows)
    return table if groups else table.drop(columns="group")


def wrong(label: str, photographs: Sequence[int], said: str) -> dict[str, str]:
    """Have all copies of these photographs of a class named `said`."""
    return {f"{label}/{photograph}-{copy}": said for photograph in photographs for copy in range(COPIES)}


def content_of(name: str) -> str:
    """The SHA-256 that an image's file has unless a test says otherwise."""
    return hashlib.sha256(f"content of {name}".encode()).hexdigest()


def commit_run(
    project: Path,
    table: pd.DataFrame,
    tag: str,
    settings: Mapping[str, Any],
    contents: Mapping[str, str] | None = None,
    answers: bool = False,
) -> None:
    """Write and commit what a run would have left behind.

    Args:
        project: as `make_project` gives it.
        table: the predictions.
        tag: to find the commit by.
        settings: of `params.yaml`.
        contents: sha256 by id, of images that are not the usual ones.
        answers: whether the answers stand in git, too, as they do since the project has `metrics/answers.csv`.
    """
    data = project / "data"
    data.mkdir(exist_ok=True)
    group = table["id"].str.replace("/", "-").str.rsplit("-", n=1).str[0]
    sha256 = table["id"].map({name: content_of(name) for name in table["id"]} | dict(contents or {}))
    table.to_csv(data / "predictions.csv", index=False)
    pd.DataFrame({"id": table["id"], "group": "g-" + group, "part": table["part"]}).to_csv(
        data / "split.csv", index=False
    )
    pd.DataFrame({"id": table["id"], "sha256": sha256}).to_csv(data / "manifest.csv", index=False)
    test = table[table["part"] == "test"]
    if answers:
        manifest = pd.DataFrame({"id": table["id"], "sha256": sha256})
        write_answers(project / "metrics" / "answers.csv", test, manifest)
    accuracy = float((test["prediction"] == test["label"]).mean())
    figures = {"images": len(test), "accuracy": accuracy, "balanced_accuracy": accuracy, "macro_f1": accuracy}
    write_json(project / "metrics" / "evaluation.json", {"test": figures})
    write_text(project / "params.yaml", yaml.safe_dump(settings))
    with Repo(str(project)) as repo:
        repo.commit(force=True)
    git(project, "add", "-A")
    git(project, "commit", "-qm", tag)
    git(project, "tag", tag)


def push(project: Path) -> None:
    """Send the files of all commits to the DVC remote."""
    with Repo(str(project)) as repo:
        repo.push(all_commits=True)
