"""What the model gets right and wrong: figures overall, per class and per slice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_curve,
)

from facemask.archives import Archive
from facemask.batches import plain_batches
from facemask.labels import CLASSES
from facemask.manifest import ATTRIBUTE_PREFIX
from facemask.progress import track
from facemask.tables import read_table, write_table

PROBABILITIES = tuple(f"p_{name}" for name in CLASSES)
COLUMNS = ("id", "part", "source", "label", "prediction", *PROBABILITIES)

CURVE_POINTS = 201


def predict_parts(
    model: Any, archive: Archive, split: pd.DataFrame, parts: Sequence[str], batch_size: int
) -> pd.DataFrame:
    """Predict every image of `parts`.

    Args:
        model: the Keras model; its input shape says the image size.
        archive: the images.
        split: as `facemask.parts.read_split` gives it.
        parts: names of parts.
        batch_size: images at a time.

    Returns:
        One row per image with the columns `COLUMNS`; the probabilities are float32.
    """
    table = split[split["part"].isin(parts)].reset_index(drop=True)
    image_size = model.input_shape[1]
    batches = plain_batches(archive, list(table["id"]), image_size, batch_size)
    total = -(-len(table) // batch_size)
    outputs = [np.asarray(model.predict_on_batch(pixels)) for pixels in track(batches, total, "predict", "batches")]
    probabilities = np.concatenate(outputs)
    table["prediction"] = np.asarray(CLASSES)[probabilities.argmax(axis=1)]
    table[list(PROBABILITIES)] = probabilities
    return table[list(COLUMNS)]


def evaluate(predictions: pd.DataFrame) -> dict[str, Any]:
    """Compute the figures of each part, for `metrics/evaluation.json`.

    Args:
        predictions: as `predict_parts` gives it.

    Returns:
        `{part: {"images", "accuracy", "balanced_accuracy", "macro_f1", "class", "confusion"}}`.
    """
    return {str(part): figures(rows) for part, rows in predictions.groupby("part", sort=True)}


def evaluate_slices(predictions: pd.DataFrame, manifest: pd.DataFrame) -> dict[str, Any]:
    """Compute the same figures for each source and each value of each known attribute, for `metrics/slices.json`.

    A file of their own, so that the hundreds of them do not bury the headline in `dvc metrics diff`.

    Args:
        predictions: as `predict_parts` gives it.
        manifest: for the attributes, columns `attr_<name>`; an empty value means unknown.

    Returns:
        `{part: {"source": {name: figures}, "attribute": {attribute: {value: figures}}}}`.
    """
    attributes = [column for column in manifest.columns if column.startswith(ATTRIBUTE_PREFIX)]
    attributes = [column for column in attributes if not _names_images(manifest[column])]
    table = predictions.merge(manifest[["id", *attributes]], on="id", how="left", validate="one_to_one")
    return {
        str(part): {
            "source": _slices(rows, "source"),
            "attribute": {name.removeprefix(ATTRIBUTE_PREFIX): _slices(rows, name) for name in attributes},
        }
        for part, rows in table.groupby("part", sort=True)
    }


def figures(rows: pd.DataFrame) -> dict[str, Any]:
    """Headline figures, those of each class, and the confusion matrix of some predictions."""
    return {**headline(rows), "class": per_class(rows), "confusion": confusion(rows)}


def headline(rows: pd.DataFrame) -> dict[str, float]:
    """Accuracy, balanced accuracy and macro F1 over the classes that occur, and the number of images."""
    present = sorted(set(rows["label"]))
    return {
        "images": len(rows),
        "accuracy": float(accuracy_score(rows["label"], rows["prediction"])),
        # Not scikit-learn's: it warns wherever a predicted class has no true image, as in small slices.
        "balanced_accuracy": float(
            np.mean([(rows.loc[rows["label"] == name, "prediction"] == name).mean() for name in present])
        ),
        "macro_f1": float(
            f1_score(rows["label"], rows["prediction"], labels=present, average="macro", zero_division=0.0)
        ),
    }


def per_class(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of each class; 0 where a precision is undefined."""
    columns = precision_recall_fscore_support(rows["label"], rows["prediction"], labels=CLASSES, zero_division=0.0)
    return {
        name: {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(support)}
        for name, precision, recall, f1, support in zip(CLASSES, *columns, strict=True)
    }


def confusion(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count images by true class, then by predicted class."""
    counts = confusion_matrix(rows["label"], rows["prediction"], labels=CLASSES)
    return {actual: dict(zip(CLASSES, map(int, row), strict=True)) for actual, row in zip(CLASSES, counts, strict=True)}


def _slices(rows: pd.DataFrame, column: str) -> dict[str, Any]:
    known = rows[rows[column] != ""]
    return {str(value): figures(slice_) for value, slice_ in known.groupby(column, sort=True)}


def _names_images(attribute: pd.Series) -> bool:
    """Tell whether an attribute, such as a path, has hardly a value twice: then it is nothing to slice by."""
    known = attribute[attribute != ""]
    return bool(known.nunique() > len(known) / 2)


def precision_recall_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the precision of each class against the others, at `CURVE_POINTS` even steps of recall.

    Returns:
        Columns `recall` and one per class. At each recall the best precision at that recall or a higher one stands, the
        interpolation of Manning et al., Introduction to Information Retrieval, chapter 8.4.
    """
    grid = np.linspace(0, 1, CURVE_POINTS)
    curves = {}
    for name, truth, score in _one_against_rest(rows):
        precision, recall, _ = precision_recall_curve(truth, score)
        curves[name] = [float(precision[recall >= level - 1e-9].max()) for level in grid]
    return pd.DataFrame({"recall": grid, **curves})


def roc_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the true positive rate of each class against the others, at even steps of the false positive rate.

    Returns:
        Columns `false_positive_rate` and one per class.
    """
    grid = np.linspace(0, 1, CURVE_POINTS)
    curves = {}
    for name, truth, score in _one_against_rest(rows):
        false_positive_rate, true_positive_rate, _ = roc_curve(truth, score)
        curves[name] = np.interp(grid, false_positive_rate, true_positive_rate)
    return pd.DataFrame({"false_positive_rate": grid, **curves})


def _one_against_rest(rows: pd.DataFrame) -> list[tuple[str, NDArray[np.bool_], NDArray[np.float64]]]:
    return [
        (name, (rows["label"] == name).to_numpy(), rows[column].to_numpy(dtype=np.float64))
        for name, column in zip(CLASSES, PROBABILITIES, strict=True)
    ]


def write_predictions(path: Path, predictions: pd.DataFrame) -> None:
    """Write `data/predictions.csv`."""
    write_table(path, predictions.astype(dict.fromkeys(PROBABILITIES, float)), COLUMNS)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read `data/predictions.csv`; the probabilities are float64, all else is text.

    Raises:
        FacemaskError: the file is missing or is not what the stage writes.
    """
    return read_table(path, dict.fromkeys(COLUMNS, "str") | dict.fromkeys(PROBABILITIES, "float64"), "evaluate")
