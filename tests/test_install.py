"""Using the model needs the base dependencies only; a command that needs more says which extra brings it."""

import os
import re
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import SMALL

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

pytestmark = pytest.mark.slow  # starts commands

# Python imports this module on start: as if the packages of an extra were not there.
BLOCK = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=,; ]", one)[0].lower().replace("_", "-") for one in requirements}


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment that lacks the packages that only the extra `pipeline` brings."""
    missing = names(PROJECT["optional-dependencies"]["pipeline"]) - names(PROJECT["dependencies"])
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if {name.lower().replace("_", "-") for name in distributions} & missing
    }
    assert {"tensorflow", "dvc", "pandas", "sklearn", "matplotlib", "kaggle", "onnxruntime"} <= modules
    folder = tmp_path_factory.mktemp("blocked")
    (folder / "sitecustomize.py").write_text(BLOCK.format(modules=modules), encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("face") / "face.png"
    pixels = np.random.default_rng(1).integers(0, 256, (SMALL, SMALL, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def facemask(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facemask", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_photograph_is_answered_without_the_packages_of_the_pipeline(
    light: dict[str, str], photo_export: Path, face: Path, tmp_path: Path
) -> None:
    model = ("--model", str(photo_export))
    done = facemask(light, "predict", "--faces", "crop", *model, str(face))
    assert (done.returncode, done.stderr) == (0, "")
    assert "face.png" in done.stdout
    table = tmp_path / "table.csv"
    found = facemask(
        light, "predict", "--pictures", str(tmp_path / "marked"), "--output", str(table), *model, str(face)
    )
    assert (found.returncode, found.stderr) == (
        0,
        "no face in 1 of 1 files; if each shows one face, use --faces crop\n",
    )
    assert table.exists()
    assert "Usage" in facemask(light, "watch", "--help").stdout
    assert "there is no page in" in facemask(light, "page", "--folder", str(tmp_path)).stderr


@pytest.mark.parametrize("command", [("compare", "HEAD"), ("check-lock",), ("benchmark",), ("new-data", "own")])
def test_a_command_that_needs_the_pipeline_says_how_to_get_it(light: dict[str, str], command: tuple[str, ...]) -> None:
    done = facemask(light, *command)
    assert done.returncode == 1
    assert re.fullmatch(
        r"error: this command needs [\w.]+, which is not installed; run pip install 'facemask-pipeline\[pipeline\]'\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("extra", "module", "command"),
    [
        ("hub", "huggingface_hub", ("publish-model", "somebody/facemask")),
        ("serve", "fastapi", ("serve", "--model")),
        ("serve", "prometheus_client", ("serve", "--model")),
        ("serve", "python_multipart", ("serve", "--model")),
        ("ray", "pyarrow", ("predict", "face.png", "--parquet", "predictions", "--model")),
        ("ray", "fsspec", ("predict", "s3://bucket/prefix", "--model")),
    ],
)
def test_a_command_that_needs_an_extra_names_it(
    photo_export: Path, tmp_path: Path, extra: str, module: str, command: tuple[str, ...]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(modules={module}), encoding="utf-8")
    model = [str(photo_export)] if command[-1] == "--model" else []
    done = facemask({**os.environ, "PYTHONPATH": str(tmp_path)}, *command, *model)
    assert (done.returncode, done.stderr) == (
        1,
        f"error: this command needs {module}, which is not installed; run pip install 'facemask-pipeline[{extra}]'\n",
    )


@pytest.mark.nightly  # downloads the packages
def test_the_light_install_answers_a_photograph(photo_export: Path, face: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(ROOT)]
    subprocess.run(install, check=True)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    installed = {line.split("==")[0].lower().replace("_", "-") for line in listed.stdout.splitlines()}
    assert names(PROJECT["dependencies"]) <= installed
    assert not installed & {"tensorflow", "dvc", "pandas", "scikit-learn", "matplotlib", "kaggle", "scipy"}
    command = [python, "-m", "facemask", "predict", "--faces", "crop", "--model", str(photo_export), str(face)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "face.png" in done.stdout
