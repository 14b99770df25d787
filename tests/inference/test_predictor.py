"""`facemask predict` classifies every face, reports unusable files, and has exit codes for scripts."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.inference.annotate import COLOURS
from tests.bad_images import STORED_AS
from tests.commands import facemask
from tests.photos import FACE, group, head, one_face

pytestmark = pytest.mark.slow  # runs the command on photographs

HEADS = [(60, 120, 400), (560, 300, 260), (960, 200, 180)]  # from left to right


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three people, one person, nobody, a broken picture, and what is no picture."""
    folder = tmp_path_factory.mktemp("photos")
    save(group(HEADS), folder / "group.jpg")
    save(one_face(), folder / "single" / "one.png")
    save(np.full((300, 400, 3), 90, np.uint8), folder / "wall.webp")
    (folder / "broken.jpg").write_bytes((folder / "group.jpg").read_bytes()[:3000])
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def without_detector(photo_export: Path, tmp_path: Path) -> Path:
    """An export folder without the face detector."""
    folder = tmp_path / "without_detector"
    folder.mkdir()
    for name in ("model.tflite", "labels.json"):
        (folder / name).symlink_to(photo_export / name)
    return folder


def save(pixels: np.ndarray, path: Path, **how: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, **how)
    return path


def predict(model: Path, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    return facemask(Path.cwd(), "predict", "--model", model, *arguments, stdin=stdin)


def answers(model: Path, *arguments: str | Path) -> list[dict]:
    done = predict(model, "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_table_has_a_line_for_each_face(photo_export: Path, photos: Path) -> None:
    done = predict(photo_export, photos / "group.jpg", photos / "single" / "one.png")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [str(photos / "group.jpg")] * 3 + [str(photos / "single" / "one.png")]
    assert all(line[1] in CLASSES and re.fullmatch(r"\d+\.\d%", line[2]) for line in lines)
    assert all(re.fullmatch(r"\d+ px at \d+,\d+", " ".join(line[3:])) for line in lines)


def test_faces_come_from_left_to_right_with_their_boxes(photo_export: Path, photos: Path) -> None:
    (photo,) = answers(photo_export, photos / "group.jpg")
    assert (photo["width"], photo["height"], photo["problem"]) == (1280, 960, "")
    assert len(photo["faces"]) == len(HEADS)
    for face, (left, top, size) in zip(photo["faces"], HEADS, strict=True):
        box = face["box"]
        assert left < box["left"] < box["right"] < left + size
        assert top < box["top"] < box["bottom"] < top + size
        assert 0.65 <= face["score"] <= 1
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert face["answer"] == face["label"] == max(face["probabilities"], key=face["probabilities"].get)


def test_json_csv_and_the_files_say_the_same(photo_export: Path, photos: Path, tmp_path: Path) -> None:
    files = (tmp_path / "a.json", tmp_path / "a.csv")
    outputs = ("--output", files[0], "--output", files[1])
    from_json = predict(photo_export, photos, "--format", "json", *outputs)
    from_csv = predict(photo_export, photos, "--format", "csv")
    assert json.loads(files[0].read_text()) == json.loads(from_json.stdout)
    assert files[1].read_text() == from_csv.stdout
    rows = list(csv.DictReader(io.StringIO(from_csv.stdout)))
    faces = [(photo["file"], face) for photo in json.loads(from_json.stdout) for face in photo["faces"]]
    rows_of_faces = [row for row in rows if row["face"]]
    for (file, face), row in zip(faces, rows_of_faces, strict=True):
        assert (file, face["answer"]) == (row["file"], row["answer"])
        assert face["box"]["left"] == float(row["left"])
        assert face["probabilities"] == {name: float(row[f"p_{name}"]) for name in CLASSES}


def test_every_image_of_a_folder_is_predicted_and_broken_ones_are_reported(photo_export: Path, photos: Path) -> None:
    done = predict(photo_export, photos)
    assert done.returncode == 1
    said = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(said) == [str(photos / name) for name in ("broken.jpg", "group.jpg", "wall.webp", "single/one.png")]
    assert said[str(photos / "broken.jpg")].endswith("not used: truncated")
    assert said[str(photos / "wall.webp")].endswith("no face")
    assert done.stderr.splitlines() == [
        "no face in 1 of 4 files; if each shows one face, use --faces crop",
        "1 of 4 files could not be used",
    ]


def test_a_photo_without_a_face_is_an_answer(photo_export: Path, photos: Path) -> None:
    done = predict(photo_export, photos / "wall.webp")
    assert done.returncode == 0
    assert "no face" in done.stdout


def test_missing_empty_and_foreign_files_are_reported_and_the_rest_is_predicted(
    photo_export: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    given = [tmp_path / "empty.jpg", tmp_path / "phone.heic", photos / "notes.txt", tmp_path / "missing.png"]
    done = predict(photo_export, *given, tmp_path / "*.gif", photos / "single" / "one.png")
    assert done.returncode == 1
    assert [line.split("not used: ")[-1] for line in done.stdout.splitlines()[:5]] == [
        "empty file",
        "HEIC is not supported",
        "not an image",
        "No such file or directory",
        "no file matches",
    ]
    assert done.stdout.splitlines()[5].split()[1] in CLASSES
    assert done.stderr == "5 of 6 files could not be used\n"


def test_a_quoted_pattern_is_expanded(photo_export: Path, photos: Path) -> None:
    assert [one["file"] for one in answers(photo_export, photos / "*" / "*.png")] == [
        str(photos / "single" / "one.png")
    ]


def test_a_dash_reads_standard_input(photo_export: Path, photos: Path, tmp_path: Path) -> None:
    content = (photos / "group.jpg").read_bytes()
    done = predict(photo_export, "-", "--format", "json", "--pictures", tmp_path, stdin=content)
    assert done.returncode == 0
    (photo,) = json.loads(done.stdout)
    assert (photo["file"], len(photo["faces"])) == ("-", len(HEADS))
    assert [path.name for path in tmp_path.iterdir()] == ["standard_input.jpg"]


@pytest.mark.parametrize("orientation", STORED_AS)
def test_the_exif_orientation_is_applied(photo_export: Path, tmp_path: Path, orientation: int) -> None:
    tag = Image.Exif()
    tag[0x0112] = orientation
    stored = np.asarray(Image.fromarray(one_face()[:400]).transpose(STORED_AS[orientation]))
    marked = tmp_path / "marked"
    photo = save(stored, tmp_path / "turned.jpg", exif=tag, quality=95)
    (answer,) = answers(photo_export, photo, "--pictures", marked)
    assert (answer["width"], answer["height"]) == (512, 400)
    assert answer["faces"][0]["box"]["left"] == pytest.approx(FACE.left, abs=0.15 * FACE.side)
    assert Image.open(marked / "turned.jpg").size == (512, 400)


def test_a_small_face_is_reported_but_not_classified(photo_export: Path, photos: Path) -> None:
    (photo,) = answers(photo_export, photos / "group.jpg", "--min-face", "140")
    assert [face["answer"] == "too small" for face in photo["faces"]] == [False, True, True]
    assert photo["faces"][1]["probabilities"] == {}
    assert "too small" in predict(photo_export, photos / "group.jpg", "--min-face", "140").stdout


def test_the_least_score_and_small_faces_change_what_is_found(photo_export: Path, photos: Path, tmp_path: Path) -> None:
    assert answers(photo_export, photos / "group.jpg", "--min-score", "1")[0]["faces"] == []
    far = save(group([(300, 300, 70)]), tmp_path / "far.png")
    assert answers(photo_export, far)[0]["faces"] == []
    assert len(answers(photo_export, far, "--small-faces")[0]["faces"]) == 1


def test_a_wider_margin_shows_the_classifier_more(photo_export: Path, photos: Path) -> None:
    tight, wide = (answers(photo_export, photos / "group.jpg", "--margin", margin)[0] for margin in ("0", "0.4"))
    assert [face["box"] for face in tight["faces"]] == [face["box"] for face in wide["faces"]]
    assert tight["faces"][0]["probabilities"] != wide["faces"][0]["probabilities"]


def test_below_its_threshold_an_answer_is_uncertain(photo_export: Path, photos: Path, tmp_path: Path) -> None:
    for name in ("model.tflite", "face_detector.tflite"):
        (tmp_path / name).symlink_to(photo_export / name)
    labels = json.loads((photo_export / "labels.json").read_text())
    (tmp_path / "labels.json").write_text(json.dumps({**labels, "thresholds": dict.fromkeys(CLASSES, 1.0)}))
    (photo,) = answers(tmp_path, photos / "group.jpg")
    assert {face["answer"] for face in photo["faces"]} == {"uncertain"}
    assert {face["label"] for face in photo["faces"]} <= set(CLASSES)
    line = predict(tmp_path, photos / "single" / "one.png").stdout
    assert re.search(r"uncertain +\w+ \d+\.\d%", line)


def test_marked_pictures_mirror_the_inputs(photo_export: Path, photos: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    assert predict(photo_export, photos, "--pictures", tmp_path / "marked").returncode == 1
    marked = sorted(path.relative_to(tmp_path / "marked").as_posix() for path in tmp_path.rglob("*.*"))
    assert marked == ["group.jpg", "single/one.png", "wall.jpg"]
    assert {path: path.read_bytes() for path in before} == before
    with Image.open(tmp_path / "marked" / "single" / "one.png") as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture)
    assert pixels.shape == one_face().shape
    frames = [(pixels == colour).all(axis=2) for colour in COLOURS.values()]
    rows, columns = np.nonzero(np.logical_or.reduce(frames))
    assert 300 < len(rows) < 20_000
    assert columns.min() == pytest.approx(FACE.left, abs=0.15 * FACE.side)
    assert rows.max() == pytest.approx(FACE.bottom, abs=0.15 * FACE.side)
    untouched = np.ones(pixels.shape[:2], bool)
    untouched[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = False
    assert np.array_equal(pixels[untouched], one_face()[untouched])


def test_marked_pictures_of_two_files_of_one_name_are_both_kept(photo_export: Path, tmp_path: Path) -> None:
    files = [save(np.full((90, 120, 3), grey, np.uint8), tmp_path / str(grey) / "x.png") for grey in (60, 180)]
    assert predict(photo_export, *files, "--pictures", tmp_path / "marked").returncode == 0
    kept = [int(np.asarray(Image.open(tmp_path / "marked" / name)).mean()) for name in ("x.png", "x-2.png")]
    assert kept == [60, 180]


def test_an_input_is_never_overwritten(photo_export: Path, tmp_path: Path) -> None:
    photo = save(one_face(), tmp_path / "one.jpg")
    before = photo.read_bytes()
    table = tmp_path / "answers.csv"
    table.write_text("of another run")
    done = predict(photo_export, photo, "--pictures", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "would be overwritten" in done.stderr
    done = predict(photo_export, table, "--output", table)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is left out: it is written by this command" in done.stderr
    assert (photo.read_bytes(), table.read_text()) == (before, "of another run")


@pytest.mark.parametrize("given", [["."], ["**"], ["*"], ["group.jpg", "single", "marked", "table.csv"]])
def test_a_command_can_be_repeated(photo_export: Path, photos: Path, tmp_path: Path, given: list[str]) -> None:
    for name in ("group.jpg", "single/one.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(photos / name, tmp_path / name)
    again = ["predict", *given, "--pictures", "marked", "--output", "table.csv", "--model", str(photo_export)]
    said, written = [], []
    for number in range(3):
        done = facemask(tmp_path, *again)
        assert done.returncode == 0 or (number == 0 and "marked" in given), done.stderr  # named before it is there
        said.append([line for line in done.stdout.splitlines() if "marked" not in line and "table.csv" not in line])
        written.append({path.name: path.read_bytes() for path in (tmp_path / "marked").rglob("*.*")})
    assert said[0] == said[1] == said[2]
    assert written[0] == written[1] == written[2]
    assert set(written[0]) == {"group.jpg", "one.png"}
    assert "2 pictures are left out that `facemask predict` has marked, such as marked/" in done.stderr
    assert ("table.csv is left out" in done.stderr) == (given != ["."])


def test_a_folder_that_cannot_be_written_to_is_named(photo_export: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = predict(photo_export, photos / "group.jpg", "--pictures", tmp_path / "file")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "--pictures" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistyped_command_ends_with_2_before_any_work(photo_export: Path, photos: Path, tmp_path: Path) -> None:
    for wrong in (["--output", tmp_path / "answers.txt"], ["--margin", "-1"], ["--faces", "some"], ["--min-face", "0"]):
        done = predict(photo_export, photos, *wrong)
        assert (done.returncode, done.stdout) == (2, "")
    assert predict(photo_export).returncode == 2
    assert not list(tmp_path.iterdir())


def test_names_of_files_cannot_steer_the_terminal(photo_export: Path, tmp_path: Path) -> None:
    evil = tmp_path / "a\x1b[2J\nb.png"
    save(one_face(), evil)
    for form in ("table", "json"):
        done = predict(photo_export, evil, "--format", form)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout + done.stderr
    assert len(predict(photo_export, evil).stdout.splitlines()) == 1


def test_a_terminal_without_all_letters_gets_codes_for_them(photo_export: Path, tmp_path: Path) -> None:
    photo = save(one_face(), tmp_path / "顔.png")
    command = [sys.executable, "-m", "facemask", "predict", "--model", str(photo_export), str(photo)]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=ascii_only, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "\\u9854.png" in done.stdout


def test_more_files_than_workers_are_predicted_in_order(photo_export: Path, tmp_path: Path) -> None:
    sides = [40 + 20 * number for number in range(24)]
    files = [save(head(side), tmp_path / f"{side:04}.png") for side in sides]
    found = answers(photo_export, tmp_path)
    assert [one["file"] for one in found] == [str(file) for file in files]
    assert [one["width"] for one in found] == sides


def test_a_crop_is_classified_as_the_trained_model_does(without_detector: Path, plain_model: Any, photos: Path) -> None:
    from facemask.dataset.decode import decode, resize

    (answer,) = answers(without_detector, photos / "group.jpg", "--faces", "crop")
    image = resize(decode((photos / "group.jpg").read_bytes()), 32)
    expected = plain_model.predict_on_batch(image[None])[0]
    (face,) = answer["faces"]
    assert np.allclose([face["probabilities"][name] for name in CLASSES], expected, atol=1e-4)
    assert (face["box"], face["score"]) == (None, None)


def test_a_found_face_is_classified_as_its_crop_is(photo_export: Path, photos: Path, tmp_path: Path) -> None:
    from facemask.faces.detector import Box, crop_face

    (photo,) = answers(photo_export, photos / "single" / "one.png")
    (face,) = photo["faces"]
    crop = save(crop_face(one_face(), Box(**face["box"], score=1)), tmp_path / "crop.png")
    ((as_crop,),) = (one["faces"] for one in answers(photo_export, crop, "--faces", "crop"))
    for name in CLASSES:
        assert as_crop["probabilities"][name] == pytest.approx(face["probabilities"][name], abs=0.02)
    assert max(face["probabilities"].values()) > 0.4


def test_without_a_model_the_message_says_how_to_get_one(tmp_path: Path, photos: Path) -> None:
    done = predict(tmp_path / "export", photos / "group.jpg")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "dvc repro" in done.stderr
    assert "dvc pull export" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_face_detector_the_message_says_what_to_do(without_detector: Path, photos: Path) -> None:
    done = predict(without_detector, photos / "group.jpg")
    assert done.returncode == 1
    assert "face_detector.tflite" in done.stderr
    assert "--faces crop" in done.stderr


def test_predicting_does_not_load_tensorflow(photo_export: Path, photos: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from facemask.cli.app import app\n"
        "try: app()\n"
        "finally: sys.stderr.write(str('tensorflow' in sys.modules or 'keras' in sys.modules))\n"
    )
    arguments = ["predict", photos / "group.jpg", "--model", photo_export, "--pictures", tmp_path]
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(HEADS)
    assert done.stderr == "False"


def test_help_comes_at_once_and_names_the_exit_codes() -> None:
    before = os.times()
    done = subprocess.run([sys.executable, "-m", "facemask", "predict", "--help"], capture_output=True, check=True)
    after = os.times()
    # A third of a second; time of the processor, because the machine may be busy with other tests.
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1.5
    text = " ".join(done.stdout.decode().split())
    assert "Exit codes: 0" in text
    assert "1, some files could not be used" in text
    assert "2, invalid usage" in text
