"""A stage writes a headline that DVC compares, and all its figures beside it."""

import json
from pathlib import Path

import pytest

from facemask.core.metrics import write_metrics


def test_the_headline_has_plain_names_and_the_details_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    details = {"test": {"accuracy": 0.95699, "images": 93}, "val": {"accuracy": 0.9}}
    write_metrics("evaluation", details, {"accuracy": "test.accuracy"})
    assert json.loads(Path("metrics/evaluation.json").read_text(encoding="utf-8")) == {"accuracy": 0.957}
    found = json.loads(Path("metrics/details/evaluation.json").read_text(encoding="utf-8"))
    assert found == {"test": {"accuracy": 0.957, "images": 93}, "val": {"accuracy": 0.9}}


def test_the_noise_between_two_processors_does_not_reach_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written = []
    for noise in (0.0, 1e-4, -1e-4):
        write_metrics("train", {"loss": 0.2178 + noise}, {"loss": "loss"})
        written.append(Path("metrics/details/train.json").read_bytes() + Path("metrics/train.json").read_bytes())
    assert len(set(written)) == 1


def test_a_figure_that_does_not_exist_is_an_error_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyError, match="accuracy"):
        write_metrics("evaluation", {"test": {}}, {"accuracy": "test.accuracy"})
    assert list(tmp_path.iterdir()) == []
