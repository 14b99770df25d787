"""The last lines of a run name the headline figures, or say what to do when there are none."""

import json
from pathlib import Path

import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.summary import summarise_run


def test_the_figures_are_those_of_the_metrics(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    recalls = dict(zip(CLASSES, (0.5, 0.75, 1.0), strict=True))
    test = {"images": 40, "accuracy": 0.825, "class": {name: {"recall": recall} for name, recall in recalls.items()}}
    (tmp_path / "metrics" / "evaluation.json").write_text(json.dumps({"test": test}), encoding="utf-8")
    said = summarise_run(tmp_path)
    assert "accuracy 82.5% on 40 test images" in said
    assert "mask_weared_incorrect 50.0%, with_mask 75.0%, without_mask 100.0%" in said


@pytest.mark.parametrize(("kind", "warned"), [("sample", True), ("kaggle", False), ("folder", False)])
def test_figures_from_drawn_faces_come_with_a_warning(tmp_path: Path, kind: str, warned: bool) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "data" / "raw").mkdir(parents=True)
    (tmp_path / "data" / "raw" / "x.json").write_text(json.dumps({"kind": kind}), encoding="utf-8")
    test = {"images": 1, "accuracy": 1.0, "class": {name: {"recall": 1.0} for name in CLASSES}}
    (tmp_path / "metrics" / "evaluation.json").write_text(json.dumps({"test": test}), encoding="utf-8")
    assert ("say nothing about real ones" in summarise_run(tmp_path)) == warned


def test_without_metrics_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match="is missing; run `dvc repro`"):
        summarise_run(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", '{"test": 3}'])
def test_broken_metrics_say_what_to_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "evaluation.json").write_text(content, encoding="utf-8")
    with pytest.raises(FacemaskError, match="run `dvc repro evaluate`"):
        summarise_run(tmp_path)
