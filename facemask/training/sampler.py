"""Balanced sampling of training images: by class, source and photograph."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.params import TrainParams
from facemask.dataset.synthetic import SOURCE as SYNTHETIC


def samples_per_epoch(images: int, settings: TrainParams) -> int:
    """Return the number of samples of an epoch: whole batches, at most twice the images and `train.draws`."""
    return max(min(2 * images, settings.draws) // settings.batch_size, 1) * settings.batch_size


def sample_epoch(rows: pd.DataFrame, settings: TrainParams, epoch: int) -> NDArray[np.int64]:
    """Sample the images of one epoch.

    The samples are divided among the classes, and those of a class among its sources. Within a class of a source
    they go round by round: each round takes every photograph once, in a new order, and the next of its copies. So all
    photographs are sampled equally often, however many copies they have, and a copy comes again only after all others
    of its photograph. An epoch continues the rounds where the previous one stopped.

    Args:
        rows: the training images, columns label, source and group; a group is a photograph.
        settings: `sampling: image` counts every file as a photograph of its own; with `class_balance` each class gets
            an equal share, with `source_balance` each source of a class; otherwise shares are proportional to the
            number of photographs; `drawn_masks` is a factor for the share of synthetic images.
        epoch: from 0; the result depends on the arguments alone, so any epoch can be repeated by itself.

    Returns:
        int64 (samples_per_epoch,): positions in `rows`, in random order.
    """
    photographs = rows["group"] if settings.sampling == "photograph" else pd.Series(rows.index, rows.index)
    by = [rows["label"].to_numpy(), rows["source"].to_numpy(), photographs.to_numpy()]
    strata = pd.Series(np.arange(len(rows))).groupby(by, sort=True).agg(np.array).groupby(level=[0, 1], sort=True)
    shares = _shares(strata.size(), settings)
    count = samples_per_epoch(len(rows), settings)
    counts = np.diff(np.floor(np.cumsum([0.0, *shares]) * count + 1e-9).astype(int))
    sampled = [
        _sample(list(copies), epoch * int(number), int(number), [settings.seed, place])
        for place, ((_, copies), number) in enumerate(zip(strata, counts, strict=True))
    ]
    return np.random.default_rng([settings.seed, epoch]).permutation(np.concatenate(sampled))


def _shares(photographs: pd.Series, settings: TrainParams) -> NDArray[np.float64]:
    """Turn numbers of photographs, by (label, source), into shares of an epoch, of sum 1."""
    of_label = photographs.groupby(level=0).transform("sum")
    weights = pd.Series(1.0, photographs.index) if settings.source_balance else photographs.astype(float)
    weights[weights.index.get_level_values(1) == SYNTHETIC] *= settings.drawn_masks
    weights *= (1 if settings.class_balance else of_label) / weights.groupby(level=0).transform("sum")
    return (weights / weights.sum()).to_numpy()


def _sample(copies: Sequence[NDArray[np.int64]], first: int, count: int, seed: Sequence[int]) -> NDArray[np.int64]:
    """Return samples `first` to `first + count` of the endless rounds through the photographs of one stratum."""
    # Random starts: the first file of a photograph is often the unmodified one.
    starts = np.random.default_rng(seed).integers(2**31, size=len(copies))
    drawn = []
    for turn in range(first // len(copies), -(-(first + count) // len(copies))):
        order = np.random.default_rng([*seed, turn]).permutation(len(copies))
        drawn += [copies[photograph][(starts[photograph] + turn) % len(copies[photograph])] for photograph in order]
    skipped = first % len(copies)
    return np.array(drawn[skipped : skipped + count], dtype=np.int64)
