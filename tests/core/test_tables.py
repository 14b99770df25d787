"""A table that is missing, torn or foreign is told with the stage to run."""

from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.core.tables import read_table


def test_text_stays_text_and_numbers_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,note,p\n2024,,0.5\nNA,x,1\n", encoding="utf-8")
    table = read_table(tmp_path / "t.csv", {"name": "str", "note": "str", "p": "float64"}, "split")
    assert list(table["name"]) == ["2024", "NA"]
    assert list(table["note"]) == ["", "x"]
    assert list(table["p"]) == [0.5, 1.0]


def test_a_missing_table_is_named_with_its_stage(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"t\.csv is missing; run `dvc repro split`"):
        read_table(tmp_path / "t.csv", {"a": "str"}, "split")


@pytest.mark.parametrize("content", [b"", b"b\n1\n", b"a,b\n1,2\n", b'a\n"1', b"a\n\xff\n", b"\x00\x01"])
def test_a_torn_or_foreign_table_is_named_with_its_stage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(FacemaskError, match=r"t\.csv .*run `dvc repro split`"):
        read_table(tmp_path / "t.csv", {"a": "str"}, "split")


def test_a_cell_that_should_be_a_number_and_is_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("p\nhalf\n", encoding="utf-8")
    with pytest.raises(FacemaskError, match="run `dvc repro evaluate`"):
        read_table(tmp_path / "t.csv", {"p": "float64"}, "evaluate")
