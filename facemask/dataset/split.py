"""The table of the split, `data/split.csv`: which part each image is in. How it is dealt: `facemask.data.split`."""

from pathlib import Path

import pandas as pd

from facemask.core.tables import read_table, write_table

PARTS = ("train", "val", "test")
DROPPED = "dropped"
COLUMNS = ("id", "source", "label", "group", "part", "reason")


def write_split(path: Path, table: pd.DataFrame) -> None:
    """Write `data/split.csv`."""
    write_table(path, table, COLUMNS)


def read_split(path: Path) -> pd.DataFrame:
    """Read `data/split.csv`; every column is text.

    Raises:
        FacemaskError: the file is missing or is not what the stage writes.
    """
    return read_table(path, dict.fromkeys(COLUMNS, "str"), "split")


def part_of(table: pd.DataFrame, part: str) -> pd.DataFrame:
    """Return the rows of one part, with a fresh index."""
    return table[table["part"] == part].reset_index(drop=True)
