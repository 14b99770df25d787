"""Conflicts among copies: identical files, and photographs with contradicting labels."""

import pandas as pd

DUPLICATE = "duplicate"
CONTRADICTION = "contradiction"


def flag_copies(table: pd.DataFrame) -> pd.Series:
    """Flag what is wrong with copies.

    Args:
        table: one row per image, with the columns `id`, `label`, `sha256` and `group`.

    Returns:
        str, with the index of `table`: words parted by spaces. `duplicate`: a file of the same bytes and class stands
        before this one in the order of ids. `contradiction`: its group carries two labels.
    """
    repeats = table.sort_values("id").duplicated(["sha256", "label"]).reindex(table.index)
    contradicts = table.groupby("group")["label"].transform("nunique") > 1
    words = repeats.map({True: DUPLICATE, False: ""}) + " " + contradicts.map({True: CONTRADICTION, False: ""})
    return words.str.strip().rename("flags")
