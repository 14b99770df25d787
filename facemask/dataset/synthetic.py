"""The table of synthetic pictures, `data/rendered.csv`. `facemask.data.synthetic` draws them."""

from collections import Counter
from typing import Literal, get_args

import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.params import ObjectParams
from facemask.core.tables import TableSchema, text_columns

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
    text_columns("id", "source", "label", "group", "part", "photograph", "kind", "style", "object"), stage="render"
)


def count_synthetic(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count the pictures by label, kind, style and object, with zeros for labels, kinds and objects."""
    return {
        "label": {label: int((table["label"] == label).sum()) for label in CLASSES},
        "kind": {kind: int((table["kind"] == kind).sum()) for kind in KINDS},
        "style": dict(sorted(Counter(table["style"]).items())),
        "object": {name: int((table["object"] == name).sum()) for name in (NO_OBJECT, *OBJECTS)},
    }
