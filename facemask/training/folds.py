"""Folds of photographs: each repeat of a training leaves one out and predicts it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.dataset.manifest import clusters
from facemask.dataset.synthetic import SOURCE as SYNTHETIC

_PHOTOGRAPHS = 400  # of a class in a source that are predicted, at most: more cost time and move no threshold
_COPIES = 4  # of a photograph that are predicted, at most


def assign_folds(rows: pd.DataFrame, folds: int, seed: int) -> NDArray[np.int64]:
    """Assign photographs to folds at random, stratified by class.

    Args:
        rows: columns label and group, and those that `facemask.dataset.manifest.clusters` takes. A synthetic image is
            in the fold of its photograph, and so are other faces of the same picture.
        folds: number of folds; with 0, every row is in fold 0.
        seed: random seed.

    Returns:
        int64 (n,): the fold of each row, from 0.
    """
    cluster = clusters(rows)
    labels = rows.groupby(cluster, sort=True)["label"].first()
    shuffled = labels.iloc[np.random.default_rng(seed).permutation(len(labels))]
    # Classes start at different folds, so that a handful of photographs does not end up in one.
    starts = shuffled.map(CLASSES.index)
    fold = (shuffled.groupby(shuffled).cumcount() + starts) % max(folds, 1)
    return cluster.map(fold).to_numpy(dtype=np.int64)


def arrange_by_fold(
    order: NDArray[np.int64], folds: NDArray[np.int64], batch_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Arrange the samples of an epoch into batches of one fold each.

    So a repeat leaves out whole batches, however many processes share each batch.

    Args:
        order: (n,), positions of the sampled rows.
        folds: fold of each row.
        batch_size: samples per batch; the last batch of a fold is filled up with samples of its own.

    Returns:
        Positions of the rows, (batches * batch_size,), and the fold of each batch, (batches,).
    """
    blocks = [order[folds[order] == fold] for fold in np.unique(folds[order])]
    filled = [np.resize(block, -(-len(block) // batch_size) * batch_size) for block in blocks]
    of_batch = np.repeat(np.unique(folds[order]), [len(block) // batch_size for block in filled])
    return np.concatenate(filled), of_batch


def choose_held_out(training: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Sample the training images that are predicted by the repeat that leaves them out.

    Args:
        training: columns id, source, label and group; synthetic images are never chosen.
        seed: random seed.

    Returns:
        At most `_PHOTOGRAPHS` photographs of each class in each source, and at most `_COPIES` files of each.
    """
    real = training[training["source"] != SYNTHETIC].sort_values("id")
    shuffled = real.iloc[np.random.default_rng(seed).permutation(len(real))]
    few = shuffled[shuffled.groupby("group").cumcount() < _COPIES]
    strata = few.groupby(["label", "source"], sort=False)["group"]
    place = strata.transform(lambda groups: pd.factorize(groups)[0])
    return few[place < _PHOTOGRAPHS].sort_values("id", ignore_index=True)
