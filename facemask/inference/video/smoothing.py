"""Temporal smoothing of class probabilities."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

_SECONDS = 0.6
_LEAST_FRAMES = 3  # used even if they span more than those seconds


class SmoothedProbabilities:
    """Mean probabilities of a face over the last 0.6 seconds, without the frame furthest from the mean.

    In a plain mean, one wrong frame could pull a confident prediction below its threshold. A median is as robust, but
    stays confident when frames contradict each other, which this mean does not.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, NDArray[np.float32]]] = deque()

    def add(self, time: float, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """Add the probabilities of one more frame.

        Args:
            time: time of the frame, in seconds.
            probabilities: float32 (3,), in the order of `CLASSES`.

        Returns:
            The smoothed probabilities, float64 (3,).
        """
        self._recent.append((time, probabilities))
        while len(self._recent) > _LEAST_FRAMES and time - self._recent[0][0] >= _SECONDS:
            self._recent.popleft()
        frames = np.array([row for _, row in self._recent], dtype=np.float64)
        if len(frames) >= _LEAST_FRAMES:
            frames = np.delete(frames, np.abs(frames - frames.mean(axis=0)).sum(axis=1).argmax(), axis=0)
        return frames.mean(axis=0)
