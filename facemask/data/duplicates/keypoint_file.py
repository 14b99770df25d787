"""Keypoints of many pictures on disk: they take 30 KB a picture, too much to hold those of a million in memory."""

import os
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from facemask.data.duplicates.local_features import DESCRIPTOR_LENGTH, Keypoints

_GEOMETRY = 4  # x, y, size, angle


class RowFile:
    """Rows of equal length in a file without a name; a context manager.

    The system takes such a file back when it is closed or its process ends, however that ends, so nothing is ever left
    behind. It may be read from many threads at once.

    Attributes:
        length: the number of rows.
    """

    def __init__(self, folder: Path, width: int, dtype: type[np.generic]) -> None:
        """Make an empty file on the disk of `folder`, for rows of `width` numbers."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._lock = threading.Lock()
        self._width, self._dtype = width, np.dtype(dtype)
        self.length = 0

    def append(self, rows: np.ndarray) -> None:
        """Write rows (n, width) after the last one."""
        with self._lock:
            self._file.seek(0, os.SEEK_END)
            self._file.write(np.ascontiguousarray(rows, self._dtype).data)
            self.length += len(rows)

    def read(self, those: slice) -> np.ndarray:
        """Return rows that follow on each other: (n, width)."""
        rows = np.empty((those.stop - those.start, self._width), self._dtype)
        with self._lock:
            self._file.seek(int(those.start) * self._width * self._dtype.itemsize)
            self._file.readinto(rows.data)
        return rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


class KeypointFile:
    """Keypoints of pictures, kept on disk; a context manager.

    Attributes:
        descriptors: those of all pictures, one after the other: rows of 128 numbers, uint8.
    """

    def __init__(self, folder: Path) -> None:
        """Make it empty, on the disk of `folder`."""
        with ExitStack() as opened:
            self.descriptors = opened.enter_context(RowFile(folder, DESCRIPTOR_LENGTH, np.uint8))
            self._others = opened.enter_context(RowFile(folder, 1, np.uint8))  # geometry and grey levels, as bytes
            self._opened = opened.pop_all()
        self._ends = [0]  # of the descriptors of each picture
        self._heights: list[int] = []
        self._other_ends = [0]

    def __len__(self) -> int:
        return len(self._heights)

    @property
    def ends(self) -> np.ndarray:
        """Where in `descriptors` those of each picture end, after a 0: int64 (pictures + 1,)."""
        return np.array(self._ends)

    def append(self, keypoints: Keypoints) -> None:
        """Add those of a picture."""
        geometry = np.column_stack([keypoints.places, keypoints.sizes, keypoints.angles])
        self.descriptors.append(keypoints.descriptors)
        self._others.append(np.concatenate([geometry.view(np.uint8).ravel(), keypoints.grey.ravel()])[:, np.newaxis])
        self._ends.append(self.descriptors.length)
        self._other_ends.append(self._others.length)
        self._heights.append(len(keypoints.grey))

    def __getitem__(self, number: int) -> Keypoints:
        start, stop = self._ends[number : number + 2]
        others = self._others.read(slice(*self._other_ends[number : number + 2])).ravel()
        size = (stop - start) * _GEOMETRY * np.dtype(np.float32).itemsize
        geometry = others[:size].view(np.float32).reshape(-1, _GEOMETRY)
        return Keypoints(
            others[size:].reshape(self._heights[number], -1),
            geometry[:, :2].copy(),
            geometry[:, 2].copy(),
            geometry[:, 3].copy(),
            self.descriptors.read(slice(start, stop)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._opened.close()
