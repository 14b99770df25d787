"""The table of the drawn masks, `data/rendered.csv`. How they are drawn: `facemask.data.synthetic`."""

from collections import Counter
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.tables import read_table, write_table

Kind = Literal["right", "nose_out", "mouth_out", "below_chin", "chin_out", "bare"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # how a mask is worn; what each means: `facemask.data.synthetic.mask_geometry`

KIND_TITLES: dict[str, str] = {
    "right": "Worn right",
    "nose_out": "Nose out",
    "mouth_out": "Nose and mouth out",
    "below_chin": "Below the chin",
    "chin_out": "Too high, chin out",
    "bare": "Left bare",
}

SOURCE = "rendered"
COLUMNS = ("id", "source", "label", "group", "part", "photograph", "kind", "style")


def write_rendered(path: Path, table: pd.DataFrame) -> None:
    """Write `data/rendered.csv`; a table without rows gives a header alone."""
    write_table(path, table, COLUMNS)


def read_rendered(path: Path) -> pd.DataFrame:
    """Read `data/rendered.csv`; every column is text.

    Raises:
        FacemaskError: the file is missing or is not what the stage writes.
    """
    return read_table(path, dict.fromkeys(COLUMNS, "str"), "render")


def count_rendered(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count the pictures by label, kind and style, with zeros for labels and kinds."""
    return {
        "label": {label: int((table["label"] == label).sum()) for label in CLASSES},
        "kind": {kind: int((table["kind"] == kind).sum()) for kind in KINDS},
        "style": dict(sorted(Counter(table["style"]).items())),
    }
