"""Spread of the figures over the repeats of a training: the share of chance that test photographs do not show.

The repeats (`facemask.training.repeat`) differ from the model as a training with another seed would, in the order of
the batches and in dropout, and they lack a part of the photographs. So the standard deviation of their figures tells,
on the safe side, how far those of the model would lie from the same training with another seed.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from facemask.core.classes import CLASSES
from facemask.dataset.predictions import photograph_weights
from facemask.evaluation.metrics import headline, per_class


def training_spread(of_repeats: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """Estimate the standard deviation of each figure over trainings with other seeds.

    Args:
        of_repeats: predictions of the same images by each repeat, as returned by `decided`.

    Returns:
        `{"repeats", "accuracy", "balanced_accuracy", "recall": {class: ...}}`, standard deviations as shares; only
        "repeats" where there are fewer than two.
    """
    number = len(of_repeats)
    if number < 2:
        return {"repeats": number}
    found = [_figures(rows) for rows in of_repeats]
    deviation = pd.DataFrame(found).std(ddof=1)
    return {
        "repeats": number,
        **{name: float(deviation[name]) for name in ("accuracy", "balanced_accuracy")},
        "recall": {name: float(deviation[name]) for name in CLASSES},
    }


def _figures(rows: pd.DataFrame) -> dict[str, float]:
    weights = photograph_weights(rows)
    recalls = {name: figures["recall"] for name, figures in per_class(rows, weights).items()}
    return {**headline(rows, weights), **recalls}
