"""Table, JSON and CSV have the same predictions, and file names cannot do harm."""

import csv
import io
import json
from pathlib import Path

import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.faces.detector import Box
from facemask.inference.predictor import Face, Prediction
from facemask.inference.writers import Csv, FileCounts, Json, Table, Writer, printable, write_all, writing_to

SURE = dict(zip(CLASSES, (0.01, 0.98, 0.01), strict=True))
TORN = dict(zip(CLASSES, (0.3, 0.25, 0.45), strict=True))
EVIL = "photo\x1b[2J\x9b1m\n\x7f.jpg"
TEAM = Prediction(
    "team.jpg",
    1280,
    960,
    (
        Face(Box(10.04, 20, 110, 120.5, 0.91234), "with_mask", "with_mask", SURE),
        Face(Box(300, 20, 400, 120, 0.8), "uncertain", "without_mask", TORN),
        Face(Box(500, 20, 512, 32, 0.7), "too small", "", {}),
    ),
    "",
)
EMPTY = Prediction("wall.jpg", 640, 480, (), "")
BROKEN = Prediction("broken.jpg", 0, 0, (), "truncated")
CROP = Prediction("crop.png", 128, 128, (Face(None, "with_mask", "with_mask", SURE),), "")
ALL = [TEAM, EMPTY, BROKEN, CROP]


def written(kind: type[Table] | type[Json] | type[Csv], predictions: list[Prediction]) -> str:
    stream = io.StringIO()
    writer: Writer = Table(stream, 10) if kind is Table else kind(stream)  # type: ignore[call-arg]
    write_all(predictions, [writer])
    return stream.getvalue()


def test_the_table_has_a_line_for_each_face_and_each_file_without_one() -> None:
    assert written(Table, ALL).splitlines() == [
        "team.jpg    with_mask                98.0%  100 px at 10,20",
        "team.jpg    uncertain              without_mask 45.0%  100 px at 300,20",
        "team.jpg    too small                       12 px at 500,20",
        "wall.jpg    no face",
        "broken.jpg  not used: truncated",
        "crop.png    with_mask                98.0%",
    ]


def test_json_has_an_object_for_each_file() -> None:
    team, empty, broken, crop = json.loads(written(Json, ALL))
    assert list(team) == ["file", "width", "height", "faces", "problem"]
    assert team["faces"][0] == {
        "box": {"left": 10.0, "top": 20, "right": 110, "bottom": 120.5},
        "score": 0.9123,
        "answer": "with_mask",
        "label": "with_mask",
        "probabilities": SURE,
    }
    assert [face["answer"] for face in team["faces"]] == ["with_mask", "uncertain", "too small"]
    assert [face["label"] for face in team["faces"]] == ["with_mask", "without_mask", ""]
    assert empty == {"file": "wall.jpg", "width": 640, "height": 480, "faces": [], "problem": ""}
    assert broken["problem"] == "truncated"
    assert crop["faces"][0]["box"] is None


def test_csv_has_a_row_for_each_face_and_each_file_without_one() -> None:
    rows = list(csv.DictReader(io.StringIO(written(Csv, ALL))))
    assert [(row["file"], row["face"], row["answer"], row["problem"]) for row in rows] == [
        ("team.jpg", "1", "with_mask", ""),
        ("team.jpg", "2", "uncertain", ""),
        ("team.jpg", "3", "too small", ""),
        ("wall.jpg", "", "no face", ""),
        ("broken.jpg", "", "", "truncated"),
        ("crop.png", "1", "with_mask", ""),
    ]
    assert [rows[0][key] for key in ("left", "top", "right", "bottom", "score")] == [
        "10.0",
        "20",
        "110",
        "120.5",
        "0.9123",
    ]
    assert {name: float(rows[1][f"p_{name}"]) for name in CLASSES} == TORN
    assert rows[5]["left"] == ""


def test_without_files_json_is_an_empty_array() -> None:
    assert json.loads(written(Json, [])) == []


def test_names_reach_a_terminal_without_characters_that_it_obeys() -> None:
    assert printable(EVIL) == "photo\\x1b[2J\\x9b1m\\n\\x7f.jpg"
    assert printable("Grüße 顔.jpg") == "Grüße 顔.jpg"
    assert printable("\udcff.jpg") == "\\udcff.jpg"  # a byte that is no text
    for kind in (Table, Json):
        text = written(kind, [Prediction(EVIL, 0, 0, (), "truncated")])
        assert not set("\x1b\x9b") & set(text)


def test_programs_get_the_true_name(tmp_path: Path) -> None:
    names = [EVIL, "\udcff.jpg", "Grüße, 顔.jpg"]
    predictions = [Prediction(name, 0, 0, (), "truncated") for name in names]
    for file in (tmp_path / "answers.json", tmp_path / "answers.CSV"):
        with writing_to(file) as writer:
            write_all(predictions, [writer])
    assert [one["file"] for one in json.loads((tmp_path / "answers.json").read_bytes())] == names
    with (tmp_path / "answers.CSV").open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        assert [row["file"] for row in csv.DictReader(stream)] == names


def test_a_file_of_answers_appears_when_it_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "answers.csv"
    with writing_to(file) as writer:
        writer.add(TEAM)
        assert not file.exists()
    assert file.exists()
    with pytest.raises(ZeroDivisionError), writing_to(tmp_path / "never.csv"):
        raise ZeroDivisionError
    assert not (tmp_path / "never.csv").exists()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(FacemaskError, match=r"answers\.csv cannot be written"),
        writing_to(tmp_path / "file/answers.csv"),
    ):
        pass


def test_what_a_person_should_know_is_counted() -> None:
    tally = write_all(ALL, [])
    assert tally == FileCounts(files=4, unusable=1, faceless=1)
    assert tally.remarks() == [
        "no face in 1 of 4 files; if each shows one face, use --faces crop",
        "1 of 4 files could not be used",
    ]
    assert FileCounts(4, 0, 0).remarks() == []
