"""Validation during training."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.dataset.batches import one_hot
from facemask.training.feature_cache import Maps
from facemask.training.network import Network


class Validation:
    """Loss and accuracy on the validation images, which are not augmented."""

    def __init__(self, rows: pd.DataFrame, maps: Maps) -> None:
        """Take the validation images, columns label and group, and their feature maps."""
        self._maps, self._targets = maps, one_hot(list(rows["label"]))
        self._weights = balanced_weights(rows)

    def evaluate(self, network: Network) -> tuple[float, float]:
        """Return cross-entropy and accuracy, weighted by `balanced_weights`."""
        probabilities = network.predict(self._maps)
        true_probability = np.clip((probabilities * self._targets).sum(axis=1), 1e-7, 1)
        correct = probabilities.argmax(axis=1) == self._targets.argmax(axis=1)
        return float(-np.log(true_probability) @ self._weights), float(correct @ self._weights)


def balanced_weights(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Weight images so that each class counts the same, and within it each photograph, however many copies it has.

    Args:
        rows: columns label and group.

    Returns:
        float64 (n,), of sum 1.
    """
    copies = rows.groupby(["label", "group"])["group"].transform("size")
    photographs = rows.groupby("label")["group"].transform("nunique")
    return (1 / (copies * photographs * rows["label"].nunique())).to_numpy()
