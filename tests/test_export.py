"""Every export gives what Keras gives, for any number of images, and has the same bytes every time."""

import filecmp
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from facemask.errors import FacemaskError
from facemask.export import check_parity, evenly_chosen, sizes


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def test_every_format_agrees_with_keras(small_model: Any, small_export: Path, images: np.ndarray) -> None:
    worst = check_parity(small_model, small_export, images, tolerance=1e-3)
    assert set(worst) == {"saved_model", "tflite", "onnx"}
    assert max(worst.values()) < 1e-5


@pytest.mark.parametrize("count", [1, 7])
def test_every_format_takes_any_number_of_images(small_model: Any, small_export: Path, count: int) -> None:
    images = np.full((count, 32, 32, 3), 100, np.uint8)
    assert max(check_parity(small_model, small_export, images, tolerance=1e-3).values()) < 1e-5


def test_an_export_of_another_model_stops_the_stage(small_export: Path, images: np.ndarray) -> None:
    from facemask.model import build_model

    other = build_model(32, dropout=0.2, seed=1)
    other.get_layer("logits").bias.assign([3.0, 0.0, 0.0])
    with pytest.raises(FacemaskError, match=r"the \w+ export gives other probabilities than Keras"):
        check_parity(other, small_export, images, tolerance=1e-3)


@pytest.mark.parametrize(("images", "count"), [(90, 64), (90, 3), (5, 64), (3, 3), (1, 64)])
def test_images_of_every_class_are_compared(images: int, count: int) -> None:
    names = [f"s/{label}/{number}" for label in "abc" for number in range(images)]
    chosen = evenly_chosen(names, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(names))
    assert {name.split("/")[1] for name in chosen} == set("abc")


def test_onnx_has_plain_names_for_what_goes_in_and_out(small_export: Path) -> None:
    session = onnxruntime.InferenceSession(str(small_export / "model.onnx"))
    assert [(value.name, value.type) for value in session.get_inputs()] == [("image", "tensor(uint8)")]
    assert [(value.name, value.type) for value in session.get_outputs()] == [("probabilities", "tensor(float)")]


def test_another_process_exports_the_same_bytes(small_export: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from facemask.export import export_model\n"
        "from facemask.model import load_model\n"
        "file = Path(sys.argv[1]); export_model(load_model(file), file, Path(sys.argv[2]))\n"
    )
    exports = [tmp_path / name for name in ("a", "b")]
    for seed, folder in enumerate(exports):
        folder.mkdir()
        # Sets of strings have another order in each process: here surely so.
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-c", script, str(small_export / "model.keras"), str(folder)]
        subprocess.run(command, check=True, env=environment)
    files = sorted(path.relative_to(exports[0]).as_posix() for path in exports[0].rglob("*") if path.is_file())
    assert {"model.keras", "model.onnx", "model.tflite", "saved_model/saved_model.pb"} <= set(files)
    assert filecmp.cmpfiles(exports[0], exports[1], files, shallow=False) == (files, [], [])


def test_sizes_are_those_of_the_files(small_export: Path) -> None:
    assert sizes(small_export)["tflite"] == (small_export / "model.tflite").stat().st_size
    assert min(sizes(small_export).values()) > 1_000_000
