"""The table of what the model says of the images of val and test, `data/predictions.csv`.

| column | meaning |
| --- | --- |
| `id`, `part`, `source`, `group`, `label` | as in `data/split.csv`; `group` is equal for copies of one photograph |
| `prediction` | the class that is chosen (see `facemask.decision`), also where the answer would be `uncertain` |
| `p_<class>` | the calibrated probability of each class |
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.labels import CLASSES
from facemask.tables import read_table, write_table

PROBABILITIES = tuple(f"p_{name}" for name in CLASSES)
COLUMNS = ("id", "part", "source", "group", "label", "prediction", *PROBABILITIES)


def write_predictions(path: Path, predictions: pd.DataFrame) -> None:
    """Write `data/predictions.csv`."""
    write_table(path, predictions.astype(dict.fromkeys(PROBABILITIES, float)), COLUMNS)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read `data/predictions.csv`; the probabilities are float64, all else is text.

    Raises:
        FacemaskError: the file is missing or is not what the stage writes.
    """
    return read_table(path, dict.fromkeys(COLUMNS, "str") | dict.fromkeys(PROBABILITIES, "float64"), "evaluate")


def probabilities_of(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the probabilities of predictions, (n, 3)."""
    return rows[list(PROBABILITIES)].to_numpy(dtype=np.float64)


def truth_of(rows: pd.DataFrame) -> NDArray[np.intp]:
    """Return the index of the true class of each prediction, (n,)."""
    return np.asarray(pd.Index(CLASSES).get_indexer(rows["label"]))


def is_right(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell, (n,), which predictions are right."""
    return (rows["prediction"] == rows["label"]).to_numpy(dtype=bool)


def chosen_probability(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the probability of the predicted class of each prediction, (n,)."""
    places = pd.Index(CLASSES).get_indexer(rows["prediction"])
    return np.asarray(probabilities_of(rows)[np.arange(len(rows)), places])
