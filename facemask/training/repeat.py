"""Repeats of a training, each without a part of the photographs, and the training of the model itself.

All start alike and see the same views. Repeat number n leaves out fold n (cross-fitting). The spread of the repeats
shows how much of a difference between two models is chance; and what each predicts of the photographs that it left out
calibrates the model on many more photographs than the part val has.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facemask.core.params import TrainParams
from facemask.training.checkpoint import Arrays, listed, numbered
from facemask.training.feature_cache import Pass
from facemask.training.step import TrainingStep
from facemask.training.timer import Timer

Weights = Sequence[np.ndarray]


class Repeat:
    """One of the trainings that run side by side.

    Attributes:
        number: from 0; the fold that it leaves out. The last number is no fold: that training leaves out nothing.
        weights: its trained weights, as they are now.
    """

    def __init__(self, number: int, weights: Weights, optimizer: Weights, settings: TrainParams) -> None:
        """Start at these weights and this state of the optimizer."""
        self.number, self._settings = number, settings
        self.weights: Weights = weights
        self._optimizer: Weights = optimizer

    def uses(self, folds: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which batches it trains on: all but those of its fold."""
        return np.asarray(folds != self.number)

    def train_epoch(self, step: TrainingStep, data: Pass, epoch: int, timer: Timer) -> tuple[float, float]:
        """Train on the batches of one epoch in random order; return the mean loss and accuracy."""
        step.network.set_weights(self.weights)
        step.network.set_optimizer_state(self._optimizer)
        seed = [self._settings.seed, self.number, epoch]
        batches = np.random.default_rng(seed).permutation(np.flatnonzero(self.uses(data.folds)))
        share = step.images_of_this_process
        totals = np.zeros(2)
        first, steps = epoch * len(batches), self._settings.epochs * len(batches)
        for number, batch in enumerate(batches.tolist()):
            with timer.time("trained layers", share):
                places = slice(batch * share, (batch + 1) * share)
                step.network.set_learning_rate(learning_rate(first + number, steps, self._settings))
                rng = np.random.default_rng([*seed, number])
                totals += step(data.maps[places].astype(np.float32), data.labels[places], rng)
        self.weights, self._optimizer = step.network.weights(), step.network.optimizer_state()
        loss, accuracy = totals / max(len(batches), 1)
        return float(loss), float(accuracy)

    def arrays(self) -> Arrays:
        """Return its state as named arrays, for a checkpoint."""
        return numbered(f"{self.number}/weights", self.weights) | numbered(f"{self.number}/optimizer", self._optimizer)

    def restore(self, state: Arrays) -> None:
        """Restore what `arrays` returned."""
        self.weights = listed(f"{self.number}/weights", state)
        self._optimizer = listed(f"{self.number}/optimizer", state)


def learning_rate(step: int, steps: int, settings: TrainParams) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine decay to zero.

    Without the warm-up Adam's first steps, which are as large as its later ones, would destroy what ImageNet taught.

    Args:
        step: number of steps before it.
        steps: number of steps in all.
        settings: `learning_rate` is the peak, `warmup` the number of steps until it.
    """
    if step < settings.warmup:
        return settings.learning_rate * step / settings.warmup
    progress = min((step - settings.warmup) / max(1, steps - settings.warmup), 1.0)
    return settings.learning_rate * (1 + math.cos(math.pi * progress)) / 2
