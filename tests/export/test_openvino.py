"""The ONNX export in OpenVINO, as docs/exports.md runs it, answers as LiteRT does."""

import re
import subprocess
import textwrap
import venv
from pathlib import Path

import numpy as np
import pytest

from facemask.export.formats import open_format
from tests.conftest import SMALL

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.nightly  # downloads OpenVINO, which nothing else needs


def snippet() -> str:
    """The lines of the page on OpenVINO."""
    section = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8").split("## OpenVINO")[1].split("\n## ")[0]
    return textwrap.dedent("\n".join(re.findall("^    .*$", section, re.MULTILINE)))


def test_the_probabilities_are_those_of_litert(small_export: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), "openvino", "numpy"]
    subprocess.run(install, check=True)
    faces = np.random.default_rng(3).integers(0, 256, (7, SMALL, SMALL, 3), dtype=np.uint8)
    np.save(tmp_path / "faces.npy", faces)
    (tmp_path / "export").symlink_to(small_export)
    script = f"import numpy\nfaces = numpy.load('faces.npy')\n{snippet()}\nnumpy.save('answers.npy', probabilities)\n"
    subprocess.run([python, "-c", script], cwd=tmp_path, check=True)
    answers = np.load(tmp_path / "answers.npy")
    assert answers.shape == (7, 3)
    np.testing.assert_allclose(answers, open_format(small_export, "tflite")(faces), atol=1e-4)
