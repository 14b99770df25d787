"""Curves of a running training: a page that grows with each epoch, and outputs that are the same without it."""

import json
import re
from pathlib import Path

import pytest

from facemask.training.history import History
from facemask.training.live import live_curves
from tests.training_project import make_project, outs_of, train_there

FIGURES: list[tuple[float, ...]] = [(0.9, 0.6, 0.7, 0.7), (0.7, 0.7, 0.6, 0.8), (0.4, 0.9, 0.3, 0.95)]


def values(folder: Path, name: str) -> list[float]:
    """What the table behind a curve holds."""
    lines = (folder / "plots" / "metrics" / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    place = lines[0].split("\t").index(name)
    return [float(line.split("\t")[place]) for line in lines[1:]]


def test_each_epoch_is_on_the_page_as_soon_as_it_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "live"
    with live_curves(True, folder) as show:
        for epochs in (1, 3):  # a training that was interrupted after the second epoch resumes with two new rows
            show(History(rows=FIGURES[:epochs]))
            assert values(folder, "val_loss") == [row[2] for row in FIGURES[:epochs]]
            assert (folder / "report.html").exists()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("loss", "accuracy", "val_loss", "val_accuracy"))
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["accuracy"] == 0.9


def test_nothing_is_written_unless_asked_for(tmp_path: Path) -> None:
    with live_curves(False, tmp_path / "live") as show:
        show(History(rows=FIGURES))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_training_with_live_curves_has_the_same_outputs(training_inputs: Path, tmp_path: Path) -> None:
    plain = make_project(tmp_path / "plain", training_inputs, epochs=2)
    train_there(plain)
    live = make_project(tmp_path / "live", training_inputs, epochs=2, live=True)
    said = train_there(live)
    assert outs_of(live) == outs_of(plain)
    assert len(values(live / ".facemask" / "live", "loss")) == len(re.findall("val loss", said)) == 2
    assert not (live / "dvclive").exists()
    assert not (live / "dvc.yaml").exists()
