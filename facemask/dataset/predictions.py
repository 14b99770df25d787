"""Predictions on val and test: `data/predictions.csv` and `metrics/answers.csv`.

| column | meaning |
| --- | --- |
| `id`, `part`, `source`, `group`, `label` | as in `data/split.csv`; `group` is equal for copies of one photograph |
| `prediction` | the class that is chosen (see `facemask.models.decision`), also where the answer would be `uncertain` |
| `p_<class>` | the calibrated probability of each class |

What a comparison of two models needs of it stands in git as well, so that nobody needs the data or a remote to review a
change: `metrics/answers.csv`, a row for each image of test, abbreviated, so that it stays below 100 KB with names of
usual length. Of more than `MOST_ANSWERS` images it has so many: one of each photograph, then a second one, and so on,
in the order of a hash, so that revisions have the same ones.

| column | meaning |
| --- | --- |
| `image` | first digits of the SHA-256 of the `id`, in hex |
| `sha256` | first digits of the SHA-256 of the image file, in hex |
| `group` | a number, equal for copies of one photograph; another one in each revision |
| `label`, `prediction` | numbers of the classes, from 0, in the order of their names |
| `confidence`, `id` | the probability of `prediction`, and the name; "" unless it is one of the surest wrong answers |
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
MOST_ANSWERS = 2_400  # images, 67 KB
MOST_NAMED = 150  # wrong answers, mostly below 15 KB
CONTENT_DIGITS = 6  # a changed file goes unnoticed once in 16 million
_IMAGE_DIGITS = 10  # of 2,400 names, two have equal digits in one of 400,000 sets
ANSWERS = TableSchema(
    text_columns("image", "sha256", "group", "label", "prediction", "confidence", "id"), stage="evaluate"
)


def write_answers(path: Path, predictions: pd.DataFrame, manifest: pd.DataFrame) -> None:
    """Write `metrics/answers.csv`.

    Args:
        path: of the file.
        predictions: those of test, as `PREDICTIONS.read` returns them.
        manifest: with the columns `id` and `sha256` of at least these images.
    """
    rows = _for_git(predictions).merge(manifest[["id", "sha256"]], on="id", validate="one_to_one")
    confidence = pd.Series(np.round(chosen_probability(rows), 4), rows.index)
    named = confidence[~is_right(rows)].nlargest(MOST_NAMED).index
    short = {
        "image": rows["id"].map(image_key),
        "sha256": rows["sha256"].str[:CONTENT_DIGITS],
        "group": pd.factorize(rows["group"])[0],
        "label": truth_of(rows),
        "prediction": pd.Index(CLASSES).get_indexer(rows["prediction"]),
        "confidence": confidence[named].astype(str),
        "id": rows.loc[named, "id"],
    }
    ANSWERS.write(path, pd.DataFrame(short, index=rows.index).fillna(""))


def image_key(name: str) -> str:
    """Return what stands in `metrics/answers.csv` for the `id` of an image."""
    return _hash(name)[:_IMAGE_DIGITS]


def _for_git(predictions: pd.DataFrame) -> pd.DataFrame:
    """Choose `MOST_ANSWERS` images at most, of as many photographs as possible; the rows stay in order."""
    if len(predictions) <= MOST_ANSWERS:
        return predictions
    keys = predictions[["group", "id"]].map(_hash).sort_values(["group", "id"])
    turn = keys.groupby("group").cumcount().sort_values(kind="stable")
    return predictions.loc[turn.index[:MOST_ANSWERS].sort_values()]


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


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
