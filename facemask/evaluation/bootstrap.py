"""95 % cluster-bootstrap confidence intervals, resampling photographs.

Predictions for copies of a photograph are correlated, so an interval that resamples images is too narrow. Here whole
photographs are resampled, with all their copies (cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their
Application, 1997, section 3.8), and the middle 95 % of the replicates are the interval (percentile interval: Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

Resampling is stratified by class: the split fixes the number of photographs of each class, and no class is ever empty.

The bootstrap is too narrow for few mistakes: without any, it gives 100 % to 100 %. So each bound is the outer one of
two: that of the bootstrap, and that of a small-sample interval in which every photograph counts as one image (for a
share, Wilson's score interval: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22,
1927; recommended near 0 and 1 by Brown, Cai and DasGupta, Interval estimation for a binomial proportion, Statistical
Science 16, 2001).

How often the intervals cover the true figure is simulated in tests/evaluation/test_bootstrap.py. They do not cover the
chance of a training: see `evaluation.training_spread`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.classes import CLASSES

Interval = tuple[float, float]
Floats = NDArray[np.float64]

REPLICATES = 2000
ENOUGH = 20  # photographs; with fewer, each moves a share by more than 5 points
TAIL = 2.5  # per cent on each side of a 95 % interval
NORMAL = 1.959964  # the normal distribution's quantile at 97.5 %


@dataclass(frozen=True)
class Tally:
    """Confusion matrices of photographs; photographs with equal matrices share a row.

    Attributes:
        shares: float64 (rows, models, classes, classes); share of a photograph's images by actual, then predicted
            class; of sum 1 for each model.
        photographs: int64 (rows,); number of photographs with these shares.
        stratum: int64 (rows,); index of the class that most of the photograph's images have.
    """

    shares: Floats
    photographs: NDArray[np.int64]
    stratum: NDArray[np.int64]

    def confusion(self) -> Floats:
        """Return the confusion matrix of each model, in photographs: float64 (models, classes, classes)."""
        return np.tensordot(self.photographs, self.shares, 1)


def tally(rows: pd.DataFrame, predictions: Sequence[str] = ("prediction",)) -> Tally:
    """Return the share of each photograph's images by actual and predicted class.

    Args:
        rows: one per image; the columns `group` (the photograph), `label` and those of `predictions`.
        predictions: columns with predicted classes, one for each model.

    Raises:
        ValueError: a label or a prediction is not one of `CLASSES`.
    """
    group, groups = pd.factorize(rows["group"])
    shape = (len(groups), len(CLASSES), len(CLASSES))
    size, actual = math.prod(shape), _codes(rows["label"])
    cells = [np.ravel_multi_index((group, actual, _codes(rows[column])), shape) for column in predictions]
    counts = np.stack([np.bincount(cell, minlength=size).reshape(shape) for cell in cells], axis=1)
    shares = counts / counts.sum(axis=(2, 3), keepdims=True)
    patterns, photographs = np.unique(shares, axis=0, return_counts=True)
    return Tally(patterns, photographs, patterns[:, 0].sum(axis=2).argmax(axis=1))


def resample(tallied: Tally, replicates: int, seed: int) -> Floats:
    """Resample photographs with replacement, stratified by class.

    Returns:
        float64 (replicates, models, classes, classes): photographs of each replicate by actual, then predicted class.
    """
    generator = np.random.default_rng(seed)
    totals = np.zeros((replicates, *tallied.shares.shape[1:]))
    for stratum in np.unique(tallied.stratum):
        of_stratum = tallied.stratum == stratum
        photographs = tallied.photographs[of_stratum]
        number = int(photographs.sum())
        drawn = generator.multinomial(number, photographs / number, size=replicates)
        totals += np.tensordot(drawn, tallied.shares[of_stratum], 1)
    return totals


def figures(confusion: NDArray[Any]) -> dict[str, Floats]:
    """Compute overall and per-class figures of many confusion matrices at once.

    Args:
        confusion: (..., classes, classes); images or photographs by actual, then predicted class.

    Returns:
        "accuracy", "balanced_accuracy", "macro_f1": float64 (...); the last two are means over the classes that occur.
        "precision", "recall", "f1": float64 (..., classes). NaN where a figure is undefined: a precision if the
        class is never predicted, the others if the class has no image.
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    actual, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    recall = _share(right, actual)
    f1 = np.where(actual > 0, _share(2 * right, actual + predicted), np.nan)
    occur = (actual > 0).sum(axis=-1)
    return {
        "accuracy": _share(right.sum(axis=-1), actual.sum(axis=-1)),
        "balanced_accuracy": _share(np.nansum(recall, axis=-1), occur),
        "macro_f1": _share(np.nansum(f1, axis=-1), occur),
        "precision": _share(right, predicted),
        "recall": recall,
        "f1": f1,
    }


def intervals(rows: pd.DataFrame, replicates: int = REPLICATES, seed: int = 1) -> dict[str, Any]:
    """Compute the 95 % interval of each figure over photographs; the module docstring gives the method.

    The small-sample interval is Wilson's, with these sample sizes: for recall the photographs of the class, for
    precision those with an image predicted as the class, for a mean over classes `effective_number`. For F1 it is
    computed from the Jaccard index J of true and predicted images (F1 = 2J / (1 + J)), with the photographs in either.

    Args:
        rows: one per image; columns `group` (the photograph), `label` and `prediction`.
        replicates: number of bootstrap replicates.
        seed: random seed; the result does not depend on the order of the rows.

    Returns:
        `{"accuracy": (low, high), "balanced_accuracy": ..., "macro_f1": ..., "class": {name: {"precision": ...,
        "recall": ..., "f1": ...}}}`; None instead of an interval if the figure is undefined.

    Raises:
        ValueError: a label or a prediction is not one of `CLASSES`.
    """
    tallied = tally(rows)
    drawn = {name: values[:, 0] for name, values in figures(resample(tallied, replicates, seed)).items()}
    small = _small_sample(tallied)
    by_class = {
        label: {name: _outer(drawn[name][:, index], small[name][index]) for name in ("precision", "recall", "f1")}
        for index, label in enumerate(CLASSES)
    }
    headline = {name: _outer(drawn[name], small[name]) for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    return {**headline, "class": by_class}


def percentiles(values: Floats) -> Interval:
    """Return the central 95 % interval of the values, ignoring NaN."""
    low, high = np.percentile(values[~np.isnan(values)], (TAIL, 100 - TAIL))
    return float(low), float(high)


def wilson(share: float, number: float) -> Interval:
    """Return Wilson's 95 % score interval of a share observed in a sample of size `number`."""
    square = NORMAL**2
    middle = (share + square / (2 * number)) / (1 + square / number)
    half = NORMAL / (1 + square / number) * np.sqrt(share * (1 - share) / number + square / (4 * number**2))
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def effective_number(weights: NDArray[Any], photographs: NDArray[np.int64]) -> float:
    """Return the effective sample size of a weighted mean over classes (Kish, Survey Sampling, 1965).

    Args:
        weights: (classes,); weight of each class in the mean, in any unit.
        photographs: (classes,); photographs of each class; 0 only if the weight is 0.
    """
    counted = weights > 0
    return float(weights.sum() ** 2 / (weights[counted] ** 2 / photographs[counted]).sum()) if counted.any() else 0.0


def widest(first: Interval, second: Interval) -> Interval:
    """Return the smallest interval that contains both."""
    return min(first[0], second[0]), max(first[1], second[1])


def _small_sample(tallied: Tally) -> dict[str, Any]:
    """Compute the small-sample interval of every figure, in which each photograph is one trial."""
    confusion = tallied.confusion()[0]
    values = figures(confusion)
    in_class, named = tallied.shares[:, 0].sum(axis=2) > 0, tallied.shares[:, 0].sum(axis=1) > 0
    of_class = tallied.photographs @ in_class
    effective = effective_number(of_class > 0, of_class)
    recall = _wilsons(values["recall"], of_class)
    precision = _wilsons(values["precision"], tallied.photographs @ named)
    overlap = _wilsons(values["f1"] / (2 - values["f1"]), tallied.photographs @ (in_class | named))
    f1 = [bounds and (2 * bounds[0] / (1 + bounds[0]), 2 * bounds[1] / (1 + bounds[1])) for bounds in overlap]
    return {
        "accuracy": _wilson_or_none(float(values["accuracy"]), effective_number(of_class, of_class)),
        "balanced_accuracy": _wilson_or_none(float(values["balanced_accuracy"]), effective),
        "macro_f1": _wilson_or_none(float(values["macro_f1"]), effective),
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }


def _wilson_or_none(share: float, number: float) -> Interval | None:
    return None if np.isnan(share) else wilson(float(share), number)


def _wilsons(shares: Floats, numbers: NDArray[np.int64]) -> list[Interval | None]:
    return [_wilson_or_none(float(share), float(number)) for share, number in zip(shares, numbers, strict=True)]


def _outer(drawn: Floats, small: Interval | None) -> Interval | None:
    return small and widest(percentiles(drawn), small)


def _codes(names: pd.Series) -> NDArray[np.int64]:
    codes = pd.Index(CLASSES).get_indexer(names)
    if (codes < 0).any():
        raise ValueError(f"{names[codes < 0].iloc[0]!r} is not one of the classes {', '.join(CLASSES)}")
    return codes


def _share(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """Divide; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)
