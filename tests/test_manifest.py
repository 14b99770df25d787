from pathlib import Path

import pandas as pd
import pytest

from facemask.errors import FacemaskError
from facemask.manifest import COLUMNS, read_manifest, write_manifest


def manifest(**changes: list[object]) -> pd.DataFrame:
    columns: dict[str, list[object]] = {
        "id": ["b/with_mask/2, \u00e4.jpg", "a/without_mask/1.jpg"],
        "source": ["b", "a"],
        "label": ["with_mask", "without_mask"],
        "width": [640, 128],
        "height": [480, 128],
        "sha256": ["1" * 64, "0" * 64],
        "group": ["g1", "g0"],
        "flags": ["duplicate contradiction", ""],
        "attr_tone": ["", "07"],
        "attr_hair": ["NA", "null"],
    }
    return pd.DataFrame(columns | changes)


def test_a_manifest_is_read_as_it_was_written_sorted_by_id(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.csv", manifest())
    table = read_manifest(tmp_path / "manifest.csv")
    assert list(table.columns) == [*COLUMNS, "attr_hair", "attr_tone"]
    expected = manifest()[::-1].reset_index(drop=True)[list(table.columns)]
    assert table.to_dict("list") == expected.to_dict("list")


def test_empty_cells_and_words_such_as_na_stay_text_and_sizes_are_numbers(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.csv", manifest())
    table = read_manifest(tmp_path / "manifest.csv")
    assert list(table["flags"]) == ["", "duplicate contradiction"]
    assert list(table["attr_hair"]) == ["null", "NA"]
    assert list(table["attr_tone"]) == ["07", ""]
    assert table["width"].dtype == "int64"
    assert (table["width"] * table["height"]).sum() == 640 * 480 + 128 * 128


def test_the_same_rows_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    write_manifest(tmp_path / "one.csv", manifest())
    write_manifest(tmp_path / "other.csv", manifest()[::-1])
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
    assert b"\r" not in (tmp_path / "one.csv").read_bytes()


def test_a_missing_manifest_is_reported_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"manifest\.csv is missing; run `dvc repro merge`"):
        read_manifest(tmp_path / "manifest.csv")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"label": ["with_mask", "masked"]}, "the label 'masked' is none of mask_weared_incorrect"),
        ({"id": ["1", "1"]}, "the id '1' stands there twice"),
        ({"width": ["wide", 1]}, "a width or height is no number"),
    ],
)
def test_a_manifest_that_was_edited_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, list[object]], problem: str
) -> None:
    write_manifest(tmp_path / "manifest.csv", manifest(**changes))
    with pytest.raises(FacemaskError, match=problem) as error:
        read_manifest(tmp_path / "manifest.csv")
    assert "run `dvc repro merge`" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"id,label\n1,with_mask\n", b"\xff\xfe\x00", b'id,"\n'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(FacemaskError, match="dvc repro merge"):
        read_manifest(tmp_path / "manifest.csv")
