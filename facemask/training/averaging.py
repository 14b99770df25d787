"""Exponential moving average of the trained weights.

Averaged weights generalise better than the last ones: Izmailov et al., 2018, https://arxiv.org/abs/1803.05407.
"""

from collections.abc import Sequence

import numpy as np

AVERAGE_EVERY = 8  # steps between two updates; each copies all weights


class WeightAverage:
    """Exponential moving average of weights; during warm-up the decay is lower, so that the first steps fade quickly.

    Attributes:
        weights: the averages, one array for each trained variable.
    """

    def __init__(self, weights: Sequence[np.ndarray], decay: float) -> None:
        """Start at `weights`; `decay` is the weight of the past at each step, 0 to 1."""
        self.weights = list(weights)
        self._decay = decay

    def update(self, weights: Sequence[np.ndarray], step: int, since: int) -> None:
        """Move the averages towards `weights`.

        Args:
            weights: of the model, now.
            step: number of steps since the training began.
            since: number of steps since the last update.
        """
        decay = min(self._decay, (1 + step) / (10 + step)) ** since
        self.weights = [
            decay * average + (1 - decay) * weight for average, weight in zip(self.weights, weights, strict=True)
        ]
