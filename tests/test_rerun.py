"""Which edits make `dvc repro` train again: those of code that training uses, and no others."""

import contextlib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

pytestmark = pytest.mark.slow  # runs a real dvc repository

ROOT = Path(__file__).parents[1]
VERSION = re.compile(r'^version = "(.*)"$', re.MULTILINE)


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project with this project's code, whose lock file says that the stage `train` is up to date."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("facemask", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".dvcignore", "dvc.yaml", "params.yaml", "pyproject.toml"):
        shutil.copyfile(ROOT / name, folder / name)
    stage = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["train"]
    for entry in (*stage["deps"], *stage["outs"], *stage["metrics"]):
        path = folder / (entry if isinstance(entry, str) else next(iter(entry)))
        if not path.exists():  # data, whose content does not matter here
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(path.name, encoding="utf-8")
    with contextlib.chdir(folder), Repo.init(no_scm=True) as repo:
        repo.commit("train", force=True)
    return folder


@pytest.fixture
def project(committed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(committed, tmp_path / "project", symlinks=True))


def changes(project: Path) -> Any:
    """What DVC finds changed in the stage `train`; nothing if `dvc repro train` would skip it."""
    with contextlib.chdir(project), Repo() as repo:
        return repo.status(["train"])


def edit(path: Path) -> None:
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write("\nEDITED = True\n")


@pytest.mark.parametrize(
    "package", ["cli", "evaluation", "export", "inference", "presentation", "report", "review", "web"]
)
def test_an_edit_of_code_that_training_does_not_use_does_not_train_again(project: Path, package: str) -> None:
    modules = list((project / "facemask" / package).rglob("*.py"))
    assert modules
    for module in modules:
        edit(module)
    assert not changes(project)


def test_a_new_version_does_not_train_again(project: Path) -> None:
    path = project / "pyproject.toml"
    text, replaced = VERSION.subn('version = "999.0.0"', path.read_text(encoding="utf-8"))
    assert replaced == 1
    path.write_text(text, encoding="utf-8")
    assert not changes(project)


def test_a_new_version_edits_no_code() -> None:
    version = VERSION.search((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert version is not None
    for module in (ROOT / "facemask").rglob("*.py"):
        assert f'"{version[1]}"' not in module.read_text(encoding="utf-8"), module


@pytest.mark.parametrize(
    ("edited", "dep"),
    [
        ("facemask/training/step.py", "facemask/training"),
        ("facemask/models/classifier.py", "facemask/models"),
        ("stages/train.py", "stages/train.py"),
    ],
)
def test_an_edit_of_code_that_training_uses_trains_again(project: Path, edited: str, dep: str) -> None:
    edit(project / edited)
    assert changes(project) == {"train": [{"changed deps": {dep: "modified"}}]}
