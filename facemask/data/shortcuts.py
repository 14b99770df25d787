"""Shortcut detection: how well properties other than the mask, such as brightness, predict the class.

A model finds such a shortcut before it finds the face, and fails where the shortcut is missing. What is found here is a
reason to look, no proof: a white mask does make a picture a little brighter.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from facemask.core.classes import CLASSES

PROPERTIES: dict[str, tuple[str, ...]] = {
    "brightness": ("brightness",),
    "contrast": ("contrast",),
    "sharpness": ("sharpness",),
    "colour_cast": ("cast_red_green", "cast_yellow_blue"),
    "border": ("border",),
    "image_size": ("width", "height"),
    "file_type": ("format",),
    "source": ("source",),
}

_FOLDS = 5
_BINS = {1: 10, 2: 5}  # per column, by number of columns
_PRIOR = 5.0  # images' worth of evidence for the class shares of the whole, in each bin
_PERMUTATIONS = 300
_CHANCE_QUANTILE = 0.99
_MOST = 50_000  # images; more make the folds of photographs slow and hardly change a figure
_MATTERS = 0.6  # an AUC below this is too little for a model to lean on


def shortcuts(table: pd.DataFrame, seed: int) -> dict[str, dict[str, Any]]:
    """Measure, for each of `PROPERTIES`, how well it alone tells one class from the others.

    The classifier is a histogram: values are put into ten bins of equal counts (five by five for two columns, one
    for each value of text), and the score of a class is its share among the training images of the bin. It is what
    a logistic regression on the bins comes to, follows relations that rise and fall, and can be fitted anew hundreds of
    times. It is cross-validated five-fold, no group on both sides (`sklearn`'s StratifiedGroupKFold); every image
    counts equally; AUCs are means over the folds.

    Chance is a permutation test (Ojala and Garriga, Permutation Tests for Studying Classifier Performance, 2010) in
    which the group is what is drawn by lot: 48 copies of one photograph are one observation, not 48. One image stands
    for each group, and the values of these are dealt out anew among the groups, while each group keeps its class,
    its number of images and its fold. So the null is that all classes draw their photographs from one pool and the
    copies of a photograph are as alike as can be. As many images as before have the class, in as few groups, so the
    AUC of a class with few groups varies as widely as it would. Copies that differ vary less, which errs on the
    side of no warning. Labels can't simply be permuted among images (copies would count as independent, and
    everything called significant) nor within groups of one size (where the large groups all are of one class,
    nothing would be permuted).

    Of more than 50,000 images as many are drawn at random; each photograph keeps its share of copies, on average.

    Args:
        table: one row per image, at least one, with the columns `label`, `group` (equal for copies), `width`, `height`,
            `format`, `source` and those of `facemask.dataset.image_stats`. Leave out images whose label is in doubt.
        seed: of the folds and of the permutations.

    Returns:
        property -> `auc`: the highest of `auc_by_class`; `auc_by_class`: class -> area under the ROC curve for telling
        it from the others, 0.5 if there are too few groups to say; `chance`: what `auc` stays below in 99 of 100
        permutations; `warning`: 1 if `auc` is above chance and at least 0.6, else 0. A property that is the same
        for all images gives 0.5 and no warning.
    """
    if len(table) > _MOST:
        table = table.sample(_MOST, random_state=seed)
    labels = pd.Categorical(table["label"], categories=CLASSES).codes.astype(np.int64)
    folds = _folds(labels, table["group"], seed)
    return {
        name: _judge(_cells(table[list(columns)]), labels, folds, table["group"], seed)
        for name, columns in PROPERTIES.items()
    }


def _folds(labels: np.ndarray, groups: pd.Series, seed: int) -> np.ndarray:
    """Return the fold of each image; 0 for all if there are too few groups for two folds."""
    fold = np.zeros(len(labels), np.int64)
    count = min(_FOLDS, groups.nunique(), int(np.bincount(labels).max()))
    if count < 2:
        return fold
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class of fewer images than folds; its AUC becomes 0.5
        for number, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
            fold[held_out] = number
    return fold


def _cells(columns: pd.DataFrame) -> np.ndarray:
    """Return the bin of each image, from 0 without gaps."""
    cell = np.zeros(len(columns), np.int64)
    for column in columns:
        values = columns[column]
        if pd.api.types.is_numeric_dtype(values):
            codes = _quantile_bins(values.to_numpy(float), _BINS[columns.shape[1]])
        else:
            codes = pd.factorize(values, sort=True)[0]
        cell = cell * (codes.max() + 1) + codes
    return np.unique(cell, return_inverse=True)[1]


def _quantile_bins(values: np.ndarray, count: int) -> np.ndarray:
    edges = np.quantile(values, np.linspace(0, 1, count + 1)[1:-1])
    # A value that fills a bin alone, such as the width of all pictures that one program has cut out, gets one alone.
    ends = np.nextafter(edges[1:][edges[1:] == edges[:-1]], np.inf)
    return np.searchsorted(np.unique([*edges, *ends]), values, side="right")


def _judge(cells: np.ndarray, labels: np.ndarray, folds: np.ndarray, groups: pd.Series, seed: int) -> dict[str, Any]:
    auc = _auc_by_class(_count(cells, labels, folds))
    chance = _chance(cells, labels, folds, groups, seed)
    best = float(auc.max())
    return {
        "auc": round(best, 4),
        "auc_by_class": {name: round(float(value), 4) for name, value in zip(CLASSES, auc, strict=True)},
        "chance": round(chance, 4),
        "warning": int(best > chance and best >= _MATTERS),
    }


def _count(cells: np.ndarray, labels: np.ndarray, folds: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Count images by fold, class and cell: array of shape (folds, classes, cells)."""
    shape = (_FOLDS, len(CLASSES), int(cells.max()) + 1)
    return np.bincount(np.ravel_multi_index((folds, labels, cells), shape), weights, int(np.prod(shape))).reshape(shape)


def _auc_by_class(counts: np.ndarray) -> np.ndarray:
    """Cross-validated AUC of each class against the others, from counts of shape (..., folds, classes, cells).

    Images of one cell have one score and count as ties. Folds without the class, or without any other, are passed over.
    """
    train = counts.sum(axis=-3, keepdims=True) - counts
    of_class = train.sum(axis=-1, keepdims=True)
    share = of_class / np.maximum(of_class.sum(axis=-2, keepdims=True), 1)
    score = (train + _PRIOR * share) / (train.sum(axis=-2, keepdims=True) + _PRIOR)
    others = counts.sum(axis=-2, keepdims=True) - counts
    above = np.sign(score[..., :, np.newaxis] - score[..., np.newaxis, :]) / 2 + 0.5
    won = (counts * (above @ others[..., np.newaxis])[..., 0]).sum(axis=-1)
    pairs = counts.sum(axis=-1) * others.sum(axis=-1)
    judged = pairs > 0
    auc = np.divide(won, pairs, out=np.zeros_like(won), where=judged)
    return np.where(judged.any(axis=-2), auc.sum(axis=-2) / np.maximum(judged.sum(axis=-2), 1), 0.5)


def _chance(cells: np.ndarray, labels: np.ndarray, folds: np.ndarray, groups: pd.Series, seed: int) -> float:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(cells))  # the image that stands for a group is any of it
    unit = pd.factorize(groups, sort=True)[0] * len(CLASSES) + labels  # where a group has two classes, each is one
    _, first, size = np.unique(unit[order], return_index=True, return_counts=True)
    chosen = order[first]
    values, classes, fold = cells[chosen], labels[chosen], folds[chosen]
    counts = np.stack([_count(rng.permutation(values), classes, fold, size) for _ in range(_PERMUTATIONS)])
    return float(np.quantile(_auc_by_class(counts).max(axis=-1), _CHANCE_QUANTILE))
