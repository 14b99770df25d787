"""Predictions on val and test: `data/predictions.csv` and `metrics/answers.csv`.

| column | meaning |
| --- | --- |
| `id`, `part`, `source`, `group`, `label` | as in `data/split.csv`; `group` is equal for copies of one photograph |
| `prediction` | the class that is chosen (see `facemask.models.decision`), also where the answer would be `uncertain` |
| `p_<class>` | the calibrated probability of each class |

What a comparison of two models needs of it stands in git as well, so that nobody needs the data or a remote to review a
change: `metrics/answers.csv`, a row for each image of test. Of more than `MOST_ANSWERS` images it has those of as many
photographs as fit, the first in the order of a hash: the same ones in every revision, as far as it has them.

| column | meaning |
| --- | --- |
| `id`, `group`, `label`, `prediction` | as above |
| `confidence` | the probability of `prediction` |
| `sha256` | of the image file, in hex |
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.tables import TableSchema, text_columns

PROBABILITIES = tuple(f"p_{name}" for name in CLASSES)
PREDICTIONS = TableSchema(
    text_columns("id", "part", "source", "group", "label", "prediction") | dict.fromkeys(PROBABILITIES, "float64"),
    stage="evaluate",
)
MOST_ANSWERS = 20_000  # images, 4 MB
ANSWERS = TableSchema(
    {**text_columns("id", "group", "label", "prediction"), "confidence": "float64", "sha256": "str"}, stage="evaluate"
)


def write_answers(path: Path, predictions: pd.DataFrame, manifest: pd.DataFrame) -> None:
    """Write `metrics/answers.csv`.

    Args:
        path: of the file.
        predictions: those of test, as `PREDICTIONS.read` returns them.
        manifest: with the columns `id` and `sha256` of at least these images.
    """
    predictions = _for_git(predictions)
    answers = predictions.assign(confidence=np.round(chosen_probability(predictions), 4))
    ANSWERS.write(path, answers.merge(manifest[["id", "sha256"]], on="id", validate="one_to_one"))


def _for_git(predictions: pd.DataFrame) -> pd.DataFrame:
    """Choose whole photographs of `MOST_ANSWERS` images at most; the rows stay in order."""
    if len(predictions) <= MOST_ANSWERS:
        return predictions
    sizes = predictions["group"].value_counts()
    place = {group: hashlib.sha256(group.encode()).digest() for group in sizes.index}
    ordered = sizes.loc[sorted(sizes.index, key=place.__getitem__)]
    return predictions[predictions["group"].isin(ordered.index[ordered.cumsum() <= MOST_ANSWERS])]


def with_probabilities(table: pd.DataFrame, probabilities: NDArray[np.float32]) -> pd.DataFrame:
    """Add probabilities (n, 3) and the most probable class; return the columns `PREDICTIONS`."""
    chosen = np.asarray(CLASSES)[probabilities.argmax(axis=1)]
    columns = dict(zip(PROBABILITIES, probabilities.T, strict=True))
    return table.assign(prediction=chosen, **columns)[[*PREDICTIONS.columns]]


def probabilities_of(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the probabilities of predictions, (n, 3)."""
    return rows[list(PROBABILITIES)].to_numpy(dtype=np.float64)


def truth_of(rows: pd.DataFrame) -> NDArray[np.intp]:
    """Return the index of the true class of each prediction, (n,)."""
    return np.asarray(pd.Index(CLASSES).get_indexer(rows["label"]))


def is_right(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which predictions are correct, (n,)."""
    return (rows["prediction"] == rows["label"]).to_numpy(dtype=bool)


def photograph_weights(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Weight images so that each photograph counts once, however many copies of it there are.

    Args:
        rows: column group, the photograph.

    Returns:
        float64 (n,): 1 / (number of rows of the same photograph).
    """
    return (1 / rows.groupby("group")["group"].transform("size")).to_numpy(dtype=np.float64)


def chosen_probability(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the probability of the predicted class of each prediction, (n,)."""
    places = pd.Index(CLASSES).get_indexer(rows["prediction"])
    return np.asarray(probabilities_of(rows)[np.arange(len(rows)), places])
