"""The ONNX export in OpenVINO, as docs/exports.md runs it, answers as LiteRT does."""

import re
import subprocess
import textwrap
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facemask.export.exporter import export_model
from facemask.export.formats import open_format
from facemask.models.classifier import calibrated
from tests.conftest import SMALL
from tests.training_project import untrained_model

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.nightly  # downloads OpenVINO, which nothing else needs


def snippet() -> str:
    """The lines of the page on OpenVINO."""
    section = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8").split("## OpenVINO")[1].split("\n## ")[0]
    return textwrap.dedent("\n".join(re.findall("^    .*$", section, re.MULTILINE)))


def test_the_probabilities_are_those_of_litert(
    training_inputs: Path, small_labels: dict[str, Any], tmp_path: Path
) -> None:
    export = tmp_path / "export"
    export.mkdir()
    faces = np.random.default_rng(3).integers(0, 256, (7, SMALL, SMALL, 3), dtype=np.uint8)
    faces[0], faces[1] = 30, 220
    export_model(calibrated(untrained_model(training_inputs), 0.5), small_labels, faces, export)
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), "openvino", "numpy"]
    subprocess.run(install, check=True)
    np.save(tmp_path / "faces.npy", faces)
    script = f"import numpy\nfaces = numpy.load('faces.npy')\n{snippet()}\nnumpy.save('answers.npy', probabilities)\n"
    subprocess.run([python, "-c", script], cwd=tmp_path, check=True)
    answers = np.load(tmp_path / "answers.npy")
    assert answers.shape == (7, 3)
    assert np.ptp(answers, axis=0).max() > 0.01  # the answers differ between the images
    np.testing.assert_allclose(answers, open_format(export, "tflite")(faces), atol=1e-4)
