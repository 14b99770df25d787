"""Steadying what is said of a face that is seen in many frames."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

_SECONDS = 0.6
_LEAST_FRAMES = 3  # where frames are so rare that fewer fall into those seconds


class SteadyProbabilities:
    """The mean of a face's probabilities over the last 0.6 seconds, without the frame that is furthest from it.

    A mean over all would let one wrong frame pull a sure answer below its threshold. A median would stand that too, but
    it stays sure where frames contradict each other, which the mean of the rest does not.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, NDArray[np.float32]]] = deque()

    def add(self, time: float, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """Take in what the model says of one more frame.

        Args:
            time: of the frame, in seconds.
            probabilities: float32 (3,), in the order of `CLASSES`.

        Returns:
            The steadied probabilities, float64 (3,).
        """
        self._recent.append((time, probabilities))
        while len(self._recent) > _LEAST_FRAMES and time - self._recent[0][0] >= _SECONDS:
            self._recent.popleft()
        frames = np.array([row for _, row in self._recent], dtype=np.float64)
        if len(frames) >= _LEAST_FRAMES:
            frames = np.delete(frames, np.abs(frames - frames.mean(axis=0)).sum(axis=1).argmax(), axis=0)
        return frames.mean(axis=0)
