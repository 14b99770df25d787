"""`facemask predict`: answers for what can be read, a reason for what can't, and an exit code for scripts."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemask.labels import CLASSES


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    for name in ("a.png", "b.jpg"):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    return tmp_path


def predict(model: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facemask", "predict", "--model", model, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_table_has_one_line_per_file(small_export: Path, pictures: Path) -> None:
    done = predict(small_export, pictures / "a.png", pictures / "b.jpg")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(pictures / "a.png"), str(pictures / "b.jpg")]
    assert all(line.split()[1] in CLASSES and line.endswith("%") for line in lines)


def test_json_and_csv_say_the_same(small_export: Path, pictures: Path) -> None:
    files = [str(pictures / "a.png"), str(pictures / "b.jpg")]
    from_json = json.loads(predict(small_export, "--format", "json", *files).stdout)
    from_csv = list(csv.DictReader(io.StringIO(predict(small_export, "--format", "csv", *files).stdout)))
    assert [row["file"] for row in from_csv] == [row["file"] for row in from_json] == files
    for one, other in zip(from_json, from_csv, strict=True):
        assert one["label"] == other["label"] == max(one["probabilities"], key=one["probabilities"].get)
        assert {name: float(other[f"p_{name}"]) for name in CLASSES} == one["probabilities"]


def test_a_broken_or_missing_file_is_told_and_the_rest_is_answered(small_export: Path, pictures: Path) -> None:
    files = [pictures / "broken.jpg", pictures / "a.png", pictures / "missing.png"]
    done = predict(small_export, *files)
    broken, good, missing = done.stdout.splitlines()
    assert "not used: not an image" in broken
    assert good.endswith("%")
    assert "not used: No such file or directory" in missing
    assert done.stderr == "2 of 3 files could not be used\n"
    assert done.returncode == 1


def test_the_answer_is_that_of_the_trained_model(small_export: Path, pictures: Path) -> None:
    from facemask.images import decode, resize
    from facemask.model import load_model

    model = load_model(small_export / "model.keras")
    expected = model.predict_on_batch(resize(decode((pictures / "b.jpg").read_bytes()), 32)[None])[0]
    answer = json.loads(predict(small_export, "--format", "json", pictures / "b.jpg").stdout)[0]
    assert np.allclose([answer["probabilities"][name] for name in CLASSES], expected, atol=1e-4)


def test_without_a_model_the_message_says_how_to_get_one(tmp_path: Path, pictures: Path) -> None:
    done = predict(tmp_path / "export", pictures / "a.png")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "dvc repro" in done.stderr
    assert "dvc pull export" in done.stderr
    assert "Traceback" not in done.stderr


def test_predicting_does_not_load_tensorflow(small_export: Path, pictures: Path) -> None:
    script = (
        "import sys; from facemask.predict import Classifier; from pathlib import Path\n"
        "print(Classifier(Path(sys.argv[1])).predict([sys.argv[2]])[0].label); print('tensorflow' in sys.modules)\n"
    )
    command = [sys.executable, "-c", script, str(small_export), str(pictures / "a.png")]
    label, loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert label in CLASSES
    assert loaded == "False"
