from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask.core.errors import FacemaskError
from facemask.core.tables import TableSchema
from facemask.dataset.image_stats import MEASURES
from facemask.dataset.manifest import (
    CATALOGUE,
    MANIFEST,
    clusters,
)


def manifest(**changes: list[object]) -> pd.DataFrame:
    columns: dict[str, list[object]] = {
        "id": ["b/with_mask/2, \u00e4.jpg", "a/without_mask/1.jpg"],
        "source": ["b", "a"],
        "label": ["with_mask", "without_mask"],
        "width": [640, 128],
        "height": [480, 128],
        "sha256": ["1" * 64, "0" * 64],
        "format": ["JPEG", "PNG"],
        **{name: [place + 0.25, -0.5] for place, name in enumerate(MEASURES)},
        "copies": [2, 1],
        "group": ["g1", "g0"],
        "flags": ["duplicate contradiction", ""],
        "attr_tone": ["", "07"],
        "attr_hair": ["NA", "null"],
    }
    return pd.DataFrame(columns | changes)


def test_a_manifest_is_read_as_it_was_written_sorted_by_id(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path / "manifest.csv", manifest())
    table = MANIFEST.read(tmp_path / "manifest.csv")
    assert list(table.columns) == [*MANIFEST.columns, "attr_hair", "attr_tone"]
    expected = manifest()[::-1].reset_index(drop=True)[list(table.columns)]
    assert table.to_dict("list") == expected.to_dict("list")


def test_empty_cells_and_words_such_as_na_stay_text_and_sizes_are_numbers(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path / "manifest.csv", manifest())
    table = MANIFEST.read(tmp_path / "manifest.csv")
    assert list(table["flags"]) == ["", "duplicate contradiction"]
    assert list(table["attr_hair"]) == ["null", "NA"]
    assert list(table["attr_tone"]) == ["07", ""]
    assert table["width"].dtype == "int64"
    assert (table["width"] * table["height"]).sum() == 640 * 480 + 128 * 128
    assert table["copies"].sum() == 3
    assert set(table[list(MEASURES)].dtypes) == {np.dtype("float64")}


def test_a_catalogue_is_a_manifest_without_groups_copies_and_flags(tmp_path: Path) -> None:
    CATALOGUE.write(tmp_path / "images.csv", manifest())
    table = CATALOGUE.read(tmp_path / "images.csv")
    assert list(table.columns) == [*CATALOGUE.columns, "attr_hair", "attr_tone"]
    assert [name for name in MANIFEST.columns if name not in table] == ["group", "copies", "flags"]
    expected = manifest()[::-1].reset_index(drop=True)[list(table.columns)]
    pd.testing.assert_frame_equal(table, expected)


def test_the_same_rows_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path / "one.csv", manifest())
    MANIFEST.write(tmp_path / "other.csv", manifest()[::-1])
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
    assert b"\r" not in (tmp_path / "one.csv").read_bytes()


@pytest.mark.parametrize(
    ("schema", "name", "stage"), [(MANIFEST, "manifest.csv", "group"), (CATALOGUE, "images.csv", "merge")]
)
def test_a_missing_table_is_reported_with_the_command_that_makes_it(
    tmp_path: Path, schema: TableSchema, name: str, stage: str
) -> None:
    with pytest.raises(FacemaskError, match=rf"{name} is missing; run `dvc repro {stage}`"):
        schema.read(tmp_path / name)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"label": ["with_mask", "masked"]}, "the label 'masked' is not one of mask_weared_incorrect"),
        ({"id": ["1", "1"]}, "the id '1' occurs twice"),
        ({"width": ["wide", 1]}, "'wide'"),
        ({"copies": ["", 1]}, "invalid literal for int"),
        ({"brightness": ["bright", 1]}, "'bright'"),
    ],
)
def test_a_manifest_that_was_edited_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, list[object]], problem: str
) -> None:
    MANIFEST.write(tmp_path / "manifest.csv", manifest())
    table = pd.read_csv(tmp_path / "manifest.csv", dtype=str).assign(**changes)
    table.to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(FacemaskError, match=problem) as error:
        MANIFEST.read(tmp_path / "manifest.csv")
    assert "run `dvc repro group`" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"id,label\n1,with_mask\n", b"\xff\xfe\x00", b'id,"\n'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(FacemaskError, match="dvc repro group"):
        MANIFEST.read(tmp_path / "manifest.csv")


def test_the_table_of_one_stage_is_not_taken_for_that_of_the_other(tmp_path: Path) -> None:
    CATALOGUE.write(tmp_path / "images.csv", manifest())
    with pytest.raises(
        FacemaskError, match=r"its columns are not id, source, .*, group, copies, flags and perhaps picture, any attr_"
    ):
        MANIFEST.read(tmp_path / "images.csv")
    MANIFEST.write(tmp_path / "manifest.csv", manifest())
    with pytest.raises(FacemaskError, match="run `dvc repro merge`"):
        CATALOGUE.read(tmp_path / "manifest.csv")


def test_faces_of_one_picture_and_copies_of_one_photograph_hang_together_however_long_the_chain() -> None:
    chain = [(f"g{number:03}", f"m{number // 2}") for number in range(200)]
    chain += [(f"g{number:03}", f"m{(number + 1) // 2}") for number in range(200)]
    table = pd.DataFrame([*chain, ("alone", ""), ("other", "")], columns=["group", "picture"])
    assert clusters(table).tolist() == ["g000"] * 400 + ["alone", "other"]
    assert clusters(table[["group"]]).tolist() == table["group"].tolist()
