"""`facemask benchmark` times every format with 1 and 2 threads and batches of 1 and 32."""

import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facemask.core.errors import FacemaskError
from facemask.export.formats import FORMATS, size_of
from facemask.inference.benchmark import benchmark, choose_formats, drawn_faces, processor, read_faces, table

pytestmark = pytest.mark.slow  # times exported models

WITHOUT_TENSORFLOW = ["tflite", "tflite_float16", "tflite_int8", "onnx"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of noise, two in a folder below, and one that is broken."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "below").mkdir()
    rng = np.random.default_rng(3)
    for name in ("a.png", "below/b.jpg", "below/c.png"):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / name)
    (folder / "broken.jpg").write_text("no picture", encoding="utf-8")
    return folder


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facemask", "benchmark", "--rounds", "1", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def measured(small_export: Path, pictures: Path) -> dict[str, Any]:
    done = run("--model", small_export, "--images", pictures, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "1 of 4 files could not be used; `facemask predict` says why\n")
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_every_format_is_timed_with_every_number_of_threads_and_faces(measured: dict[str, Any]) -> None:
    assert (measured["processor"], measured["side"], measured["faces"]) == (processor(), 32, 3)
    found = [(one["threads"], one["batch"], one["format"]) for one in measured["timings"]]
    assert found == list(product((1, 2), (1, 32), WITHOUT_TENSORFLOW))


def test_the_figures_belong_together(measured: dict[str, Any], small_export: Path) -> None:
    for one in measured["timings"]:
        assert 0 < one["p50_ms"] <= one["p95_ms"]
        assert one["processor_ms"] > 0
        assert 0 < one["faces_per_second"] < 2 * 1000 / one["p50_ms"] + 1  # half of the runs took p50 or longer
        assert one["size_bytes"] == size_of(small_export / FORMATS[one["format"]])
        assert one["agreement"] in (0, 1 / 3, 2 / 3, 1)
        if one["format"] != "tflite_int8":
            assert one["agreement"] == 1


def test_a_table_says_the_same(small_export: Path) -> None:
    timings = benchmark(small_export, ["tflite", "tflite_int8"], np.zeros((1, 32, 32, 3), np.uint8), rounds=1)
    lines = [line.split() for line in table(timings).splitlines() if line]
    assert len(lines) == 1 + len(timings) == 9
    for cells, one in zip(lines[1:], timings, strict=True):
        assert cells[:4] == [str(one.threads), str(one.batch), one.format, f"{one.p50_ms:.2f}"]
        assert cells[-1] == f"{one.agreement:.1%}"


def test_a_broken_or_missing_file_is_named(small_export: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    shutil.copytree(small_export, folder)
    (folder / "model.onnx").write_bytes(b"no model")
    faces = np.zeros((1, 32, 32, 3), np.uint8)
    with pytest.raises(FacemaskError, match=r"model.onnx cannot be loaded .*; run `dvc repro export`"):
        benchmark(folder, ["tflite", "onnx"], faces)
    (folder / "model.onnx").unlink()
    with pytest.raises(FacemaskError, match=r"model.onnx is missing; run `dvc repro export`"):
        benchmark(folder, ["tflite", "onnx"], faces)


def test_without_a_model_the_message_says_how_to_get_one(tmp_path: Path) -> None:
    done = run("--model", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "dvc repro" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match="could be read as an image: name images"):
        read_faces([str(tmp_path)], 32)


def test_files_and_folders_are_read_in_a_fixed_order(pictures: Path) -> None:
    faces, remarks = read_faces([str(pictures)], 32)
    again, _ = read_faces([str(pictures / name) for name in ("a.png", "below/b.jpg", "below/c.png")], 32)
    assert faces.shape == (3, 32, 32, 3)
    assert remarks == ["1 of 4 files could not be used; `facemask predict` says why"]
    assert np.array_equal(faces, again)


def test_without_pictures_faces_of_every_class_are_drawn() -> None:
    faces = drawn_faces(32)
    assert (faces.shape, faces.dtype) == ((48, 32, 32, 3), np.uint8)
    assert len(np.unique(faces, axis=0)) == 48


def test_timing_loads_no_tensorflow_unless_asked_to(small_export: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from facemask.export.formats import open_format\n"
        "from facemask.inference.benchmark import choose_formats\n"
        "for name in choose_formats(False): open_format(Path(sys.argv[1]), name)\n"
        "print('tensorflow' in sys.modules)\n"
    )
    command = [sys.executable, "-c", script, str(small_export)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
    assert choose_formats(False) == WITHOUT_TENSORFLOW
    assert choose_formats(True) == list(FORMATS)


@pytest.mark.slow
def test_what_needs_tensorflow_can_be_timed_too(small_export: Path) -> None:
    faces = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    timings = benchmark(small_export, ["saved_model", "tflite"], faces, rounds=1)
    assert {one.format for one in timings} == {"saved_model", "tflite"}
    assert {one.agreement for one in timings} == {1.0}
