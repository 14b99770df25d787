"""Classification metrics: overall, per class and per slice, with confidence intervals.

Each photograph counts once: the images of a photograph with 48 copies weigh 1/48 each. Figures in which every file
counts the same stand beside them, under `by_file`.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from facemask.core.classes import CLASSES
from facemask.core.progress import track
from facemask.dataset.archive import Archive
from facemask.dataset.batches import plain_batches
from facemask.dataset.manifest import ATTRIBUTE_PREFIX
from facemask.dataset.predictions import (
    PROBABILITIES,
    chosen_probability,
    is_right,
    photograph_weights,
    probabilities_of,
    truth_of,
    with_probabilities,
)
from facemask.dataset.split import part_of
from facemask.evaluation import bootstrap
from facemask.evaluation.bootstrap import ENOUGH, intervals
from facemask.evaluation.calibration import brier_score, calibration_error, reliability_points
from facemask.evaluation.selective import risk_coverage_points, selective_figures
from facemask.models.decision import Decision

CURVE_POINTS = 201
SLICED_MEASURES = ("brightness", "sharpness", "side")  # side: the shorter side, in pixels
RANGES = 5
MOST_VALUES = 50  # of an attribute, the most frequent ones
MOST_PAIRS = 10_000  # rows of `confusion_pairs`


def predict_parts(
    model: Any, archive: Archive, split: pd.DataFrame, parts: Sequence[str], batch_size: int
) -> pd.DataFrame:
    """Predict the most likely class of every image in `parts`.

    Args:
        model: the Keras model; its input shape gives the image size.
        archive: the images.
        split: as returned by `SPLIT.read`.
        parts: names of parts.
        batch_size: images per batch.

    Returns:
        One row per image with the columns of `PREDICTIONS`; the probabilities are float32.
    """
    table = split[split["part"].isin(parts)].reset_index(drop=True)
    image_size = model.input_shape[1]
    batches = plain_batches(archive, list(table["id"]), image_size, batch_size)
    total = -(-len(table) // batch_size)
    outputs = [np.asarray(model.predict_on_batch(pixels)) for pixels in track(batches, total, "predict", "batches")]
    return with_probabilities(table, np.concatenate(outputs))


def evaluate(predictions: pd.DataFrame, raw: pd.DataFrame, decision: Decision) -> dict[str, Any]:
    """Compute the figures of each part, for `metrics/evaluation.json`.

    Args:
        predictions: as returned by `facemask.evaluation.selective.decided`.
        raw: as returned by `predict_parts`: the same rows before calibration.
        decision: the decision that made the predictions.

    Returns:
        `{part: figures}`, see `figures`; the part test also has "interval" (95 %, over photographs; see
        `evaluation.bootstrap`), "calibration" and "decision".
    """
    evaluation = {str(part): figures(rows) for part, rows in predictions.groupby("part", sort=True)}
    test = part_of(predictions, "test")
    evaluation["test"] |= {
        "interval": named_intervals(test),
        "calibration": {
            "temperature": decision.temperature,
            **_calibration(test),
            "before": _calibration(part_of(raw, "test")),
        },
        "decision": {
            "thresholds": decision.thresholds,
            **selective_figures(
                chosen_probability(test),
                is_right(test),
                decision.is_certain(probabilities_of(test)),
                photograph_weights(test),
            ),
        },
    }
    return evaluation


def evaluate_slices(predictions: pd.DataFrame, manifest: pd.DataFrame) -> dict[str, Any]:
    """Compute figures of slices by source, attribute and image measure, for `metrics/slices.json`.

    In a separate file, since hundreds of slices would bury the headline in `dvc metrics diff`.

    Args:
        predictions: as returned by `facemask.evaluation.selective.decided`.
        manifest: has the attributes (columns `attr_<name>`; empty means unknown) and the measures.

    Returns:
        `{part: {"source": {name: figures}, "attribute": {attribute: {value: figures}}, "measure": {measure: {range:
        figures}}, "worst": ...}}`. The figures are those of `figures`, and the "interval" of the accuracy.
        Of an attribute, the `MOST_VALUES` most frequent values. Measures are binned into `RANGES` quantile ranges.
        "worst" is the slice with the lowest accuracy among those of
        `ENOUGH` photographs or more; None if there is none.
    """
    attributes = [column for column in manifest.columns if column.startswith(ATTRIBUTE_PREFIX)]
    attributes = [column for column in attributes if not _is_almost_unique(manifest[column])]
    known = manifest[["id", *attributes, "brightness", "sharpness"]].assign(
        side=manifest[["width", "height"]].min(axis=1),
        **{name: _frequent(manifest[name]) for name in attributes},
    )
    table = predictions.merge(known, on="id", how="left", validate="one_to_one")
    slices = {}
    for part, rows in table.groupby("part", sort=True):
        of_part = {
            "source": _slices(rows, rows["source"]),
            "attribute": {name.removeprefix(ATTRIBUTE_PREFIX): _slices(rows, rows[name]) for name in attributes},
            "measure": {name: _slices(rows, _ranges(rows[name])) for name in SLICED_MEASURES},
        }
        slices[str(part)] = {**of_part, "worst": _worst(of_part)}
    return slices


def figures(rows: pd.DataFrame) -> dict[str, Any]:
    """Compute headline figures, per-class figures and the confusion matrix of predictions.

    Returns:
        `{"images", "photographs", "accuracy", "balanced_accuracy", "macro_f1", "by_file", "class", "confusion"}`.
    """
    weights = photograph_weights(rows)
    return {
        "images": len(rows),
        "photographs": int(rows["group"].nunique()),
        **headline(rows, weights),
        "by_file": headline(rows, np.ones(len(rows))),
        "class": per_class(rows, weights),
        "confusion": confusion(rows, weights),
    }


def headline(rows: pd.DataFrame, weights: NDArray[np.float64]) -> dict[str, float]:
    """Compute weighted accuracy, balanced accuracy and macro F1 over the classes that occur."""
    found = bootstrap.figures(_confusion(rows, weights))
    return {name: float(found[name]) for name in ("accuracy", "balanced_accuracy", "macro_f1")}


def per_class(rows: pd.DataFrame, weights: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """Compute weighted precision, recall and F1 of each class, and its number of images; undefined precision is 0."""
    counts, support = _confusion(rows, weights), _confusion(rows, np.ones(len(rows))).sum(axis=1)
    found = {name: np.nan_to_num(values) for name, values in bootstrap.figures(counts).items()}
    return {
        name: {
            **{figure: float(found[figure][place]) for figure in ("precision", "recall", "f1")},
            "support": int(support[place]),
            "photographs": round(float(counts[place].sum())),
        }
        for place, name in enumerate(CLASSES)
    }


def confusion(rows: pd.DataFrame, weights: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """Return the confusion matrix: weight by true class, then by predicted class.

    A photograph whose copies are predicted differently is divided among the predicted classes.
    """
    counts = _confusion(rows, weights)
    return {
        actual: dict(zip(CLASSES, map(float, row), strict=True)) for actual, row in zip(CLASSES, counts, strict=True)
    }


def _confusion(rows: pd.DataFrame, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum the weights by true class, then by predicted class: float64 (3, 3)."""
    shape = (len(CLASSES), len(CLASSES))
    predicted = pd.Index(CLASSES).get_indexer(rows["prediction"])
    cells = np.ravel_multi_index((truth_of(rows), predicted), shape)
    return np.asarray(np.bincount(cells, weights, minlength=len(CLASSES) ** 2), dtype=np.float64).reshape(shape)


def _calibration(rows: pd.DataFrame) -> dict[str, float]:
    figures_of = probabilities_of(rows), truth_of(rows), photograph_weights(rows)
    return {"calibration_error": calibration_error(*figures_of), "brier_score": brier_score(*figures_of)}


def named_intervals(rows: pd.DataFrame) -> dict[str, Any]:
    """Compute `bootstrap.intervals` with named bounds.

    `dvc metrics diff` then compares each bound.
    """
    named: dict[str, Any] = _named_bounds(intervals(rows))
    return named


def _named_bounds(bounds: Any) -> Any:
    if isinstance(bounds, dict):
        return {name: _named_bounds(value) for name, value in bounds.items()}
    return bounds and dict(zip(("low", "high"), bounds, strict=True))


def _slices(rows: pd.DataFrame, values: pd.Series) -> dict[str, Any]:
    return {
        str(value): {**figures(slice_), "interval": named_intervals(slice_)["accuracy"]}
        for value, slice_ in rows[values != ""].groupby(values[values != ""], sort=True)
    }


def _ranges(values: pd.Series) -> pd.Series:
    """Return the name of the quantile range of each value; names sort in the order of the ranges."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, RANGES + 1)))
    if len(edges) == 1:
        return pd.Series(f"{edges[0]:g}", index=values.index)
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    names = [f"{place + 1}: {low:.4g} to {high:.4g}" for place, (low, high) in enumerate(pairwise(edges))]
    return pd.Series(np.asarray(names, dtype=object)[places], index=values.index)


def _worst(slices: Mapping[str, Any]) -> dict[str, Any] | None:
    named = [("source", value, found) for value, found in slices["source"].items()]
    for kind in ("attribute", "measure"):
        named += [(name, value, found) for name, of_name in slices[kind].items() for value, found in of_name.items()]
    large = [item for item in named if item[2]["photographs"] >= ENOUGH]
    if not large:
        return None
    name, value, found = min(large, key=lambda item: (item[2]["accuracy"], item[0], item[1]))
    return {"of": name, "value": value, **{key: found[key] for key in ("images", "accuracy", "interval")}}


def _frequent(attribute: pd.Series) -> pd.Series:
    """Blank all but the most frequent values of an attribute; of equally frequent ones, the first by name are kept."""
    counts = attribute[attribute != ""].value_counts(sort=False).sort_index()
    return attribute.where(attribute.isin(counts.nlargest(MOST_VALUES).index), "")


def _is_almost_unique(attribute: pd.Series) -> bool:
    """Return whether an attribute, such as a path, is almost unique per image and so useless for slicing."""
    known = attribute[attribute != ""]
    return bool(known.nunique() > len(known) / 2)


def precision_recall_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Compute the one-vs-rest precision-recall curve of each class at `CURVE_POINTS` evenly spaced recalls.

    Returns:
        Columns `recall` and one per class. Precision is interpolated: the highest at this or a higher recall,
        as in Manning et al., Introduction to Information Retrieval, chapter 8.4.
    """
    grid = np.linspace(0, 1, CURVE_POINTS)
    curves = {}
    for name, truth, score in _one_against_rest(rows):
        precision, recall, _ = precision_recall_curve(truth, score, sample_weight=photograph_weights(rows))
        curves[name] = [float(precision[recall >= level - 1e-9].max()) for level in grid]
    return pd.DataFrame({"recall": grid, **curves})


def roc_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Compute the one-vs-rest ROC curve of each class at evenly spaced false positive rates.

    Returns:
        Columns `false_positive_rate` and one per class.
    """
    grid = np.linspace(0, 1, CURVE_POINTS)
    curves = {}
    for name, truth, score in _one_against_rest(rows):
        false_positive_rate, true_positive_rate, _ = roc_curve(truth, score, sample_weight=photograph_weights(rows))
        curves[name] = np.interp(grid, false_positive_rate, true_positive_rate)
    return pd.DataFrame({"false_positive_rate": grid, **curves})


def confusion_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the true and the predicted class of each image, for the charts of DVC, which count rows.

    Of more than `MOST_PAIRS` images, about as many stand for all: each pair of classes has its share, and one at least.

    Returns:
        Columns `actual` and `predicted`.
    """
    pairs = rows[["label", "prediction"]].set_axis(["actual", "predicted"], axis=1)
    if len(pairs) <= MOST_PAIRS:
        return pairs
    counts = pairs.value_counts().sort_index()
    shares = np.maximum(np.rint(counts * MOST_PAIRS / len(pairs)).astype(int), 1)
    return counts.index.repeat(shares).to_frame(index=False)


def reliability(raw: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Compute reliability diagrams before and after calibration.

    Args:
        raw: predictions before calibration.
        rows: the same after calibration.

    Returns:
        Columns `calibration` ("before" or "after") and those of `reliability_points`; one row per bin with images.
    """
    points = {
        name: reliability_points(probabilities_of(table), truth_of(table), photograph_weights(table))
        for name, table in (("before", raw), ("after", rows))
    }
    return pd.concat(points, names=["calibration"]).reset_index("calibration")


def risk_coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """Compute the risk-coverage curve; columns `coverage` and `errors`."""
    return risk_coverage_points(chosen_probability(rows), is_right(rows), photograph_weights(rows))


def _one_against_rest(rows: pd.DataFrame) -> list[tuple[str, NDArray[np.bool_], NDArray[np.float64]]]:
    return [
        (name, (rows["label"] == name).to_numpy(), rows[column].to_numpy(dtype=np.float64))
        for name, column in zip(CLASSES, PROBABILITIES, strict=True)
    ]
