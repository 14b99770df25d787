"""The tables of all images, a row for each, sorted by id: `data/images.csv`, and `data/manifest.csv`, which says more.

| column | meaning |
| --- | --- |
| `id` | name in `data/images.zip`: `<source>/<class>/<path in the source's archive>` |
| `source` | entry of `sources` in `params.yaml` |
| `label` | one of `facemask.core.classes.CLASSES` |
| `width`, `height` | pixels, upright |
| `sha256` | of the file's bytes, hex |
| `format` | of the file, by its content: `JPEG`, `PNG` ... |
| `brightness` ... | what `facemask.dataset.image_stats` measures |
| `group` | manifest only: equal for images that show the same photograph (see `facemask.data.duplicates.grouping`) |
| `copies` | manifest only: number of images in the group |
| `flags` | manifest only: space-separated flags of `data.duplicates.conflicts` and `data.quality`, or none |
| `attr_<name>` | what a source says of its images, such as `attr_hair`; empty where unknown |
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.tables import write_table
from facemask.dataset.image_stats import MEASURES

ATTRIBUTE_PREFIX = "attr_"
CATALOGUE_COLUMNS = ("id", "source", "label", "width", "height", "sha256", "format", *MEASURES)
COLUMNS = (*CATALOGUE_COLUMNS, "group", "copies", "flags")

_TYPES = {"width": "int64", "height": "int64", "copies": "int64", **dict.fromkeys(MEASURES, "float64")}


def write_catalogue(path: Path, table: pd.DataFrame) -> None:
    """Write `data/images.csv`: the columns of `CATALOGUE_COLUMNS` and any number of `attr_<name>`, sorted by id."""
    _write(path, table, CATALOGUE_COLUMNS)


def read_catalogue(path: Path) -> pd.DataFrame:
    """Read `data/images.csv`, as `read_manifest` reads the manifest."""
    return _read(path, CATALOGUE_COLUMNS, "merge")


def write_manifest(path: Path, table: pd.DataFrame) -> None:
    """Write `data/manifest.csv`: the columns of `COLUMNS` and any number of `attr_<name>`, sorted by id."""
    _write(path, table, COLUMNS)


def read_manifest(path: Path = Path("data/manifest.csv")) -> pd.DataFrame:
    """Read the manifest.

    Returns:
        One row per image. `width`, `height` and `copies` are int64, measures are float64, all other columns are str,
        "" where empty.

    Raises:
        FacemaskError: the file is missing or was not written by the stage `group`.
    """
    return _read(path, COLUMNS, "group")


def has_flag(table: pd.DataFrame, *flags: str) -> pd.Series:
    """Whether the `flags` of an image have at least one of the words: bool, with the index of `table`."""
    wanted = set(flags)
    return table["flags"].map(lambda words: not wanted.isdisjoint(words.split())).astype(bool)


def _write(path: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    header = [*columns, *_attributes(table)]
    write_table(path, table.sort_values("id"), header)


def _read(path: Path, columns: Sequence[str], stage: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise FacemaskError(f"{path} is missing; run `dvc repro {stage}`") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error), stage) from error
    if list(table.columns) != [*columns, *_attributes(table)]:
        raise _unreadable(path, f"its columns are not {', '.join(columns)} and any {ATTRIBUTE_PREFIX}<name>", stage)
    if unknown := sorted(set(table["label"]) - set(CLASSES)):
        raise _unreadable(path, f"the label {unknown[0]!r} is none of {', '.join(CLASSES)}", stage)
    if not table["id"].is_unique:
        raise _unreadable(
            path, f"the id {table.loc[table['id'].duplicated(), 'id'].iloc[0]!r} stands there twice", stage
        )
    try:
        return table.astype({column: kind for column, kind in _TYPES.items() if column in columns})
    except ValueError as error:
        raise _unreadable(path, f"a column of numbers has something else in it ({error})", stage) from error


def _attributes(table: pd.DataFrame) -> list[str]:
    return sorted(column for column in table.columns if column.startswith(ATTRIBUTE_PREFIX))


def _unreadable(path: Path, problem: str, stage: str) -> FacemaskError:
    return FacemaskError(f"{path} can't be used: {problem}; run `dvc repro {stage}`")
