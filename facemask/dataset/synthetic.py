"""The table of synthetic masks, `data/rendered.csv`. `facemask.data.synthetic` draws them."""

from collections import Counter
from typing import Literal, get_args

import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.tables import TableSchema, text_columns

Kind = Literal["right", "nose_out", "mouth_out", "below_chin", "chin_out", "bare"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # how a mask is worn; what each means: `facemask.data.synthetic.mask_geometry`

PHOTOGRAPH = "photograph"  # kind and style of a turned photograph on which nothing is drawn

KIND_TITLES: dict[str, str] = {
    "right": "Worn right",
    "nose_out": "Nose out",
    "mouth_out": "Nose and mouth out",
    "below_chin": "Below the chin",
    "chin_out": "Too high, chin out",
    "bare": "Left bare",
    PHOTOGRAPH: "Turned photographs",
}

SOURCE = "rendered"
SYNTHETIC = TableSchema(
    {
        **text_columns("id", "source", "label", "group", "part", "photograph", "kind", "style"),
        "yaw": "int64",  # degrees by which the head was turned, as `facemask.data.synthetic.pose` counts them
        "pitch": "int64",
    },
    stage="render",
)


def is_turned(table: pd.DataFrame) -> pd.Series:
    """Whether the head of each picture was turned: a column of bool."""
    return (table["yaw"] != 0) | (table["pitch"] != 0)


def count_synthetic(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count the pictures by label, turned ones too, and by kind and style, with zeros for labels and kinds."""
    turned = table[is_turned(table)]
    return {
        "label": {label: int((table["label"] == label).sum()) for label in CLASSES},
        "turned": {label: int((turned["label"] == label).sum()) for label in CLASSES},
        "kind": {kind: int((table["kind"] == kind).sum()) for kind in (*KINDS, PHOTOGRAPH)},
        "style": dict(sorted(Counter(table["style"]).items())),
    }
