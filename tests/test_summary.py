"""The last lines of a run name the headline figures, or say what to do when there are none."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.summary import summarise_run


def evaluation(photographs: int, accuracy: float, recalls: dict[str, float]) -> dict[str, Any]:
    return {
        "photographs": photographs,
        "accuracy": accuracy,
        "interval": {"accuracy": {"low": accuracy - 0.1, "high": accuracy + 0.1}},
        "class": {name: {"recall": recall} for name, recall in recalls.items()},
    }


def test_the_figures_are_those_of_the_metrics(tmp_path: Path) -> None:
    (tmp_path / "metrics/details").mkdir(parents=True)
    recalls = dict(zip(CLASSES, (0.5, 0.75, 1.0), strict=True))
    test = evaluation(40, 0.825, recalls)
    (tmp_path / "metrics/details" / "evaluation.json").write_text(json.dumps({"test": test}), encoding="utf-8")
    said = summarise_run(tmp_path)
    assert "accuracy 82.5% (95% interval: 72.5% to 92.5%) on 40 test photographs" in said
    assert "mask_weared_incorrect 50.0%, with_mask 75.0%, without_mask 100.0%" in said


@pytest.mark.parametrize(("kind", "warned"), [("sample", True), ("kaggle", False), ("folder", False)])
def test_figures_from_drawn_faces_come_with_a_warning(tmp_path: Path, kind: str, warned: bool) -> None:
    (tmp_path / "metrics/details").mkdir(parents=True)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    (tmp_path / "data" / "raw" / "x.json").write_text(json.dumps({"kind": kind}), encoding="utf-8")
    test = evaluation(1, 1.0, dict.fromkeys(CLASSES, 1.0))
    (tmp_path / "metrics/details" / "evaluation.json").write_text(json.dumps({"test": test}), encoding="utf-8")
    assert ("say nothing about real ones" in summarise_run(tmp_path)) == warned


def test_without_metrics_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match="is missing; run `dvc repro`"):
        summarise_run(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", '{"test": 3}'])
def test_broken_metrics_say_what_to_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics/details").mkdir(parents=True)
    (tmp_path / "metrics/details" / "evaluation.json").write_text(content, encoding="utf-8")
    with pytest.raises(FacemaskError, match="run `dvc repro evaluate`"):
        summarise_run(tmp_path)


LOCK = "stages: {train: {cmd: train, deps: [{path: facemask/core, md5: 1}, {path: data/x, md5: 2}], outs: [OUT]}}"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"metrics/train.json": "1", "dvc.lock": LOCK.replace("OUT", "{path: model, md5: 4}")}, True),
        ({"metrics/train.json": "1", "params.yaml": "seed: 2"}, False),
        ({"metrics/train.json": "1", "dvc.lock": LOCK.replace("md5: 1", "md5: 9")}, False),  # made by other code
        ({}, False),
    ],
)
def test_it_says_why_git_shows_changes_where_nothing_but_the_results_changed(
    tmp_path: Path, changed: dict[str, str], told: bool
) -> None:
    (tmp_path / "metrics/details").mkdir(parents=True)
    figures = evaluation(40, 0.825, dict.fromkeys(CLASSES, 1.0))
    (tmp_path / "metrics/details" / "evaluation.json").write_text(json.dumps({"test": figures}), encoding="utf-8")
    for name, content in {"metrics/train.json": "0", "params.yaml": "seed: 1", "dvc.lock": LOCK}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "t"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    for name, content in changed.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert ("although no code and no setting was changed" in summarise_run(tmp_path)) == told
