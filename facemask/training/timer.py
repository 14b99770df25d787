"""How long each kind of work takes, to show what a training waits for."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

Batch = TypeVar("Batch", bound=Sized)


class Clock:
    """Adds up seconds and images by kind of work."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._images: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def time(self, work: str, images: int) -> Iterator[None]:
        """Count the time that the body takes, for so many images."""
        started = time.perf_counter()
        yield
        self._count(work, images, started)

    def each(self, work: str, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches, and count the time that each of them is waited for."""
        waiting = iter(batches)
        while True:
            started = time.perf_counter()
            batch = next(waiting, None)
            if batch is None:
                return
            self._count(work, len(batch), started)
            yield batch

    def report(self) -> str:
        """Say what took how long, in one line."""
        total = sum(self._seconds.values())
        return ", ".join(
            f"{work} {seconds:.0f} s ({seconds / total:.0%}, {self._images[work] / seconds:.0f} images a second)"
            for work, seconds in self._seconds.items()
            if seconds > 0
        )

    def _count(self, work: str, images: int, started: float) -> None:
        self._seconds[work] += time.perf_counter() - started
        self._images[work] += images
