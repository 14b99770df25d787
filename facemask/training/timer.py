"""Timing of the kinds of work in a training."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

Batch = TypeVar("Batch", bound=Sized)


class Timer:
    """Sums seconds and images by kind of work."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        """Read the time in seconds from `now`."""
        self._now = now
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._images: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def time(self, work: str, images: int) -> Iterator[None]:
        """Add the time of the `with` block, in which `images` images are processed."""
        started = self._now()
        yield
        self._count(work, images, started)

    def each(self, work: str, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches, and add the time spent waiting for each."""
        waiting = iter(batches)
        while True:
            started = self._now()
            batch = next(waiting, None)
            if batch is None:
                return
            self._count(work, len(batch), started)
            yield batch

    def report(self) -> str:
        """Summarise the times in one line."""
        total = sum(self._seconds.values())
        return ", ".join(
            f"{work} {seconds:.0f} s ({seconds / total:.0%}, {self._images[work] / seconds:.0f} images a second)"
            for work, seconds in self._seconds.items()
            if seconds > 0
        )

    def _count(self, work: str, images: int, started: float) -> None:
        self._seconds[work] += self._now() - started
        self._images[work] += images
