"""Images that are copies of one another, and what follows from it."""

import pandas as pd

DUPLICATE = "duplicate"
CONTRADICTION = "contradiction"


def group_copies(table: pd.DataFrame) -> pd.Series:
    """Name, for each image, the group of images that must never stand on two sides of a split.

    Here a group is the set of files with equal bytes.

    Args:
        table: one row per image, with the column `sha256`.

    Returns:
        str, with the index of `table`: equal for images of one group. The name depends on the members of the group
        alone, not on the other images or their order.
    """
    return ("g" + table["sha256"].str[:16]).rename("group")


def flag_copies(table: pd.DataFrame) -> pd.Series:
    """Flag what is wrong with copies.

    Args:
        table: one row per image, with the columns `id`, `label`, `sha256` and `group`.

    Returns:
        str, with the index of `table`: words parted by spaces. `duplicate`: a file of the same bytes and class stands
        before this one in the order of ids. `contradiction`: its group carries two labels, and nobody knows which
        is true.
    """
    repeats = table.sort_values("id").duplicated(["sha256", "label"]).reindex(table.index)
    contradicts = table.groupby("group")["label"].transform("nunique") > 1
    words = repeats.map({True: DUPLICATE, False: ""}) + " " + contradicts.map({True: CONTRADICTION, False: ""})
    return words.str.strip().rename("flags")
