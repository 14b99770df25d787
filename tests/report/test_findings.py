"""What is missing or broken is told with the stage that makes it."""

import shutil
from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.report.findings import read_findings
from tests.report.outs import write_outs


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("project")
    write_outs(project)
    return project


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "project", ignore=shutil.ignore_patterns("*.zip")))


INPUTS = {
    "data/raw/faces.json": "download@faces",
    "metrics/details/data.json": "group",
    "metrics/details/split.json": "split",
    "metrics/details/render.json": "render",
    "metrics/details/train.json": "train",
    "metrics/details/evaluation.json": "evaluate",
    "data/slices.json": "evaluate",
    "metrics/details/export.json": "export",
    "export/labels.json": "export",
    "metrics/details/robustness.json": "robustness",
    "metrics/details/activation.json": "explain",
    "data/robustness.jpg": "robustness",
    "data/activations.jpg": "explain",
    "plots/troubles.csv": "robustness",
    "data/manifest.csv": "group",
    "data/left_out.csv": "merge",
    "data/samples.jpg": "group",
    "data/rendered.jpg": "render",
    "data/split.csv": "split",
    "data/leaks.csv": "split",
    "data/predictions.csv": "evaluate",
    "plots/classes.csv": "merge",
    "plots/sizes.csv": "merge",
    "plots/history.csv": "train",
    "plots/precision_recall.csv": "evaluate",
    "plots/roc.csv": "evaluate",
}


@pytest.mark.parametrize(("name", "stage"), INPUTS.items())
def test_a_missing_input_names_the_stage_to_run(project: Path, name: str, stage: str) -> None:
    (project / name).unlink()
    with pytest.raises(FacemaskError, match=f"{name} is missing; run `dvc repro {stage}`"):
        read_findings(project, ["faces"])


@pytest.mark.parametrize(("name", "stage"), [item for item in INPUTS.items() if not item[0].endswith(".jpg")])
@pytest.mark.parametrize("content", ["{}", "{", "something,else\n1,2\n"])
def test_an_input_with_other_content_names_the_stage_to_run_again(
    project: Path, name: str, stage: str, content: str
) -> None:
    (project / name).write_text(content, encoding="utf-8")
    with pytest.raises(FacemaskError, match=f"{name} .*; run `dvc repro {stage}`"):
        read_findings(project, ["faces"])


def test_mistakes_of_equal_confidence_are_in_the_order_of_their_ids(tmp_path: Path) -> None:
    write_outs(tmp_path, wrong=(0.7, 0.7, 0.9, 0.7))
    mistakes = read_findings(tmp_path, ["faces"]).mistakes
    assert [mistake.confidence for mistake in mistakes] == [0.9, 0.7, 0.7, 0.7]
    ids = [mistake.id for mistake in mistakes[1:]]
    assert ids == sorted(ids)
