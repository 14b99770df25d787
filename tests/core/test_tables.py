"""Tables are read as they were written, and one that does not match its schema names the stage to run."""

from pathlib import Path

import pandas as pd
import pytest

from facemask.core.errors import FacemaskError
from facemask.core.tables import TableSchema, text_columns

SCHEMA = TableSchema({**text_columns("name", "note"), "p": "float64", "seen": "bool", "n": "int64"}, stage="split")
KEYED = TableSchema(
    text_columns("id", "label"),
    stage="group",
    key="id",
    choices={"label": ("a", "b")},
    optional=("picture",),
    extra_prefix="attr_",
)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"name": ["NA", "1"], "note": ["", "a,b"], "p": [0.5, 1.0], "seen": [True, False], "n": [3, 4]}
    )
    SCHEMA.write(tmp_path / "t.csv", table)
    text = (tmp_path / "t.csv").read_text(encoding="utf-8")
    assert text == 'name,note,p,seen,n\nNA,,0.5,1,3\n1,"a,b",1.0,0,4\n'
    again = SCHEMA.read(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    assert [again[name].dtype for name in ("p", "seen", "n")] == ["float64", "bool", "int64"]


def test_a_table_with_a_key_is_sorted_by_it_and_keeps_further_columns(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"other": [0, 0], "attr_z": ["1", "2"], "attr_a": ["", "x"], "id": ["q", "p"], "label": ["a", "b"]}
    )
    KEYED.write(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "id,label,attr_a,attr_z\np,b,x,2\nq,a,,1\n"
    assert list(KEYED.read(tmp_path / "t.csv").columns) == ["id", "label", "attr_a", "attr_z"]


def test_an_optional_column_stands_before_further_ones_and_may_be_missing(tmp_path: Path) -> None:
    table = pd.DataFrame({"attr_a": ["x"], "picture": ["m"], "id": ["p"], "label": ["a"]})
    KEYED.write(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "id,label,picture,attr_a\np,a,m,x\n"
    assert KEYED.read(tmp_path / "t.csv")["picture"].tolist() == ["m"]


def test_a_missing_table_names_the_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"t\.csv is missing; run `dvc repro split`"):
        SCHEMA.read(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("schema", "content", "reason"),
    [
        (SCHEMA, b"", "No columns"),
        (SCHEMA, b"\xff\xfe", "can't decode"),
        (SCHEMA, b"name,p\n", "its columns are not name, note, p, seen, n"),
        (SCHEMA, b"name,note,p,seen,n\na,b,many,1,1\n", "could not convert string to float: 'many'"),
        (KEYED, b"id,label\n1,a\n2,c\n", "the label 'c' is not one of a, b"),
        (KEYED, b"id,label\n1,a\n1,b\n", "the id '1' occurs twice"),
        (KEYED, b"id,label,size\n1,a,1\n", "its columns are not id, label and perhaps picture, any attr_<name>"),
    ],
)
def test_a_table_that_does_not_match_is_refused_with_the_reason(
    schema: TableSchema, content: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(FacemaskError, match=rf"t\.csv is invalid \(.*{reason}.*\); run `dvc repro {schema.stage}`"):
        schema.read(tmp_path / "t.csv")
