"""The table of synthetic pictures, `data/rendered.csv`. `facemask.data.synthetic` draws them."""

from collections import Counter
from typing import Any, get_args

import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.params import MaskKind as Kind
from facemask.core.params import ObjectParams
from facemask.core.tables import TableSchema, text_columns

KINDS: tuple[Kind, ...] = get_args(Kind)  # how a mask is worn; what each means: `facemask.data.synthetic.mask_geometry`

PHOTOGRAPH = "photograph"  # kind and style of a turned photograph on which nothing is drawn

KIND_TITLES: dict[str, str] = {
    "right": "Worn right",
    "right_low": "Worn right, low on the nose",
    "nose_out": "Nose out",
    "nose_just_out": "Nose just out",
    "mouth_out": "Nose and mouth out",
    "below_chin": "Below the chin",
    "chin_out": "Too high, chin out",
    "askew": "Askew",
    "one_ear": "Hanging from one ear",
    "forehead": "On the forehead",
    "over_eyes": "Over the eyes",
    "bare": "Left bare",
    PHOTOGRAPH: "Turned photographs",
}

NO_OBJECT = "none"
OBJECTS: tuple[str, ...] = tuple(ObjectParams.model_fields)  # worn about a face or held before it

OBJECT_TITLES: dict[str, str] = {
    "beard": "With a beard",
    "hand": "With a hand",
    "cup": "With a cup, glass or bottle",
    "food": "With food at the mouth",
    "book": "With a book or the like",
    "scarf": "With a scarf",
    "collar": "With a high collar",
    "headwear": "With a turban or headscarf",
    "microphone": "With a microphone",
    "headset": "With a headset",
    "spectacles": "With spectacles",
    "hair": "With hair before the face",
    "phone": "With a telephone",
}

SOURCE = "rendered"
SYNTHETIC = TableSchema(
    {
        **text_columns("id", "source", "label", "group", "part", "photograph", "kind", "style", "object"),
        "shield": "bool",
        "yaw": "int64",  # degrees by which the head was turned, as `facemask.data.synthetic.pose` counts them
        "pitch": "int64",
    },
    stage="render",
)


def is_turned(table: pd.DataFrame) -> pd.Series:
    """Whether the head of each picture was turned: a column of bool."""
    return (table["yaw"] != 0) | (table["pitch"] != 0)


def count_synthetic(table: pd.DataFrame) -> dict[str, Any]:
    """Count the pictures by label, turned ones too, and by what is drawn, with zeros for what is not."""
    turned = table[is_turned(table)]
    return {
        "label": {label: int((table["label"] == label).sum()) for label in CLASSES},
        "turned": {label: int((turned["label"] == label).sum()) for label in CLASSES},
        "kind": {kind: int((table["kind"] == kind).sum()) for kind in (*KINDS, PHOTOGRAPH)},
        "style": dict(sorted(Counter(table["style"]).items())),
        "object": {name: int((table["object"] == name).sum()) for name in (NO_OBJECT, *OBJECTS)},
        "shield": int(table["shield"].sum()),
    }
