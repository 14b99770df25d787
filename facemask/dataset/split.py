"""The table of the split, `data/split.csv`: the part of each image. `facemask.data.split` makes it."""

import pandas as pd

from facemask.core.tables import TableSchema, text_columns
from facemask.dataset.manifest import PICTURE

PARTS = ("train", "val", "test")
DROPPED = "dropped"
SPLIT = TableSchema(
    text_columns("id", "source", "label", "group", "part", "reason"), stage="split", optional=(PICTURE,)
)


def part_of(table: pd.DataFrame, part: str) -> pd.DataFrame:
    """Return the rows of one part, with a fresh index."""
    return table[table["part"] == part].reset_index(drop=True)
