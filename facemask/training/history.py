"""The history of a training: figures of each epoch, and the weights of the best one."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from facemask.training.checkpoint import Arrays, listed, numbered

HISTORY = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")


@dataclass
class History:
    """Figures of the finished epochs.

    Attributes:
        best: weights of each repeat at the epoch with the lowest validation loss; none before the first epoch.
        rows: for each epoch loss, accuracy, validation loss and validation accuracy.
    """

    best: Sequence[Sequence[np.ndarray]] = ()
    rows: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.rows)

    @property
    def epochs_since_best(self) -> int:
        """Number of epochs after the one with the lowest validation loss."""
        losses = [row[2] for row in self.rows]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def add(self, figures: tuple[float, float, float, float], weights: Sequence[Sequence[np.ndarray]]) -> None:
        """Add an epoch, and keep the weights of its repeats if it is the best so far."""
        self.rows.append(figures)
        if self.epochs_since_best == 0:
            self.best = weights

    def arrays(self) -> Arrays:
        """Return the history as named arrays, for a checkpoint."""
        best = [numbered(f"best/{repeat}", weights) for repeat, weights in enumerate(self.best)]
        return {"rows": np.array(self.rows), **dict(item for arrays in best for item in arrays.items())}

    def restore(self, state: Arrays) -> None:
        """Restore what `arrays` returned."""
        self.rows = [tuple(row) for row in state["rows"].tolist()]
        repeats = len({key.split("/")[1] for key in state if key.startswith("best/")})
        self.best = [listed(f"best/{repeat}", state) for repeat in range(repeats)]

    def table(self) -> pd.DataFrame:
        """Return a row for each epoch, columns `HISTORY`."""
        table = pd.DataFrame(self.rows, columns=list(HISTORY[1:]))
        table.insert(0, HISTORY[0], np.arange(1, len(table) + 1))
        return table
