"""The stages `robustness` and `explain`, run as DVC runs them: on an export that tells colours apart."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.colour_project import write_project

pytestmark = pytest.mark.slow  # runs the real stage

ROOT = Path(__file__).parents[2]
OUTS = {
    "robustness": (
        "metrics/details/robustness.json",
        "plots/troubles.csv",
        "plots/robustness.csv",
        "data/robustness.jpg",
    ),
    "explain": ("metrics/details/activation.json", "data/activations.jpg"),
}


def run(project: Path, stage: str) -> subprocess.CompletedProcess[str]:
    script = (
        f"import runpy, sys; runpy.run_path({str(ROOT / 'stages' / stage)!r} + '.py', run_name='__main__'); "
        "print('tensorflow' in sys.modules)"
    )
    return subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=False)


def outs(project: Path, stage: str) -> dict[str, bytes]:
    done = run(project, stage)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "False\n"  # TensorFlow alone would take seconds to start
    return {name: (project / name).read_bytes() for name in OUTS[stage]}


@pytest.mark.parametrize("stage", OUTS)
def test_another_process_writes_the_same_bytes(tmp_path: Path, stage: str) -> None:
    project = write_project(tmp_path, wrong=2, robustness={"images": 6})
    before = {path.name for path in project.iterdir()}
    first = outs(project, stage)
    assert outs(project, stage) == first
    assert {path.name for path in project.iterdir()} == before | {name.split("/")[0] for name in OUTS[stage]}
    for name, content in first.items():
        if name.endswith(".jpg"):
            Image.open(io.BytesIO(content)).load()
        else:
            assert b"\r" not in content


def test_colours_are_recognised_under_almost_all_corruptions(tmp_path: Path) -> None:
    found = outs(write_project(tmp_path, robustness={"images": 100}), "robustness")
    summary = json.loads(found["metrics/details/robustness.json"])
    assert (summary["images"], summary["photographs"]) == (18, 9)
    assert summary["clean_accuracy"] == 1
    assert summary["mean_corruption_accuracy"] > 0.95
    points = pd.read_csv(io.BytesIO(found["plots/troubles.csv"]))
    assert len(points) == 44
    assert (points["images"] == 18).all()


def test_turned_off_the_stage_still_writes_what_others_can_read(tmp_path: Path) -> None:
    found = outs(write_project(tmp_path, robustness={"images": 0}), "robustness")
    assert json.loads(found["metrics/details/robustness.json"]) == {"images": 0}
    assert found["plots/troubles.csv"].count(b"\n") == found["plots/robustness.csv"].count(b"\n") == 1
    Image.open(io.BytesIO(found["data/robustness.jpg"])).load()


def test_the_evidence_for_colours_lies_in_the_half_that_is_coloured(tmp_path: Path) -> None:
    figures = json.loads(outs(write_project(tmp_path, wrong=2), "explain")["metrics/details/activation.json"])
    assert figures["images"] == 18
    assert figures["lower_half"]["right"]["with_mask"]["images"] == 6
    assert figures["lower_half"]["right"]["with_mask"]["share"] > 0.95
    assert figures["lower_half"]["wrong"]["without_mask"]["images"] == 2


@pytest.mark.parametrize("stage", OUTS)
def test_a_missing_export_ends_with_one_line(tmp_path: Path, stage: str) -> None:
    project = write_project(tmp_path)
    (project / "export/model.onnx").unlink()
    done = run(project, stage)
    assert done.returncode == 1
    assert done.stderr == "error: export/model.onnx is missing; run `dvc repro export`\n"
