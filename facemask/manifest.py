"""The table of all images, `data/manifest.csv`: one row per image, sorted by id.

| column | meaning |
| --- | --- |
| `id` | name in `data/images.zip`: `<source>/<class>/<path in the source's archive>` |
| `source` | entry of `sources` in `params.yaml` |
| `label` | one of `facemask.labels.CLASSES` |
| `width`, `height` | pixels, upright |
| `sha256` | of the file's bytes, hex |
| `group` | equal for images that must not be parted by a split (see `facemask.duplicates`) |
| `flags` | words parted by spaces: `duplicate`, `contradiction`, or none |
| `attr_<name>` | what a source says of its images, such as `attr_hair`; empty where unknown |
"""

from pathlib import Path

import pandas as pd

from facemask.errors import FacemaskError
from facemask.labels import CLASSES
from facemask.outs import write_csv

ATTRIBUTE_PREFIX = "attr_"
COLUMNS = ("id", "source", "label", "width", "height", "sha256", "group", "flags")


def write_manifest(path: Path, table: pd.DataFrame) -> None:
    """Write rows with the columns of `COLUMNS` and any number of `attr_<name>`, sorted by id."""
    columns = [*COLUMNS, *_attributes(table)]
    rows = table.sort_values("id")[columns].itertuples(index=False, name=None)
    write_csv(path, columns, rows)


def read_manifest(path: Path = Path("data/manifest.csv")) -> pd.DataFrame:
    """Read the manifest.

    Returns:
        One row per image. `width` and `height` are int64, all other columns are str, "" where empty.

    Raises:
        FacemaskError: the file is missing or was not written by the stage `merge`.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise FacemaskError(f"{path} is missing; run `dvc repro merge`") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error
    if list(table.columns) != [*COLUMNS, *_attributes(table)]:
        raise _unreadable(path, f"its columns are not {', '.join(COLUMNS)} and any {ATTRIBUTE_PREFIX}<name>")
    if unknown := sorted(set(table["label"]) - set(CLASSES)):
        raise _unreadable(path, f"the label {unknown[0]!r} is none of {', '.join(CLASSES)}")
    if not table["id"].is_unique:
        raise _unreadable(path, f"the id {table.loc[table['id'].duplicated(), 'id'].iloc[0]!r} stands there twice")
    try:
        return table.astype({"width": "int64", "height": "int64"})
    except ValueError as error:
        raise _unreadable(path, f"a width or height is no number ({error})") from error


def _attributes(table: pd.DataFrame) -> list[str]:
    return sorted(column for column in table.columns if column.startswith(ATTRIBUTE_PREFIX))


def _unreadable(path: Path, problem: str) -> FacemaskError:
    return FacemaskError(f"{path} can't be used: {problem}; run `dvc repro merge`")
