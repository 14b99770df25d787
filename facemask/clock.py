"""How long each kind of work takes, to show what a training waits for."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


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
        self._seconds[work] += time.perf_counter() - started
        self._images[work] += images

    def report(self) -> str:
        """Say what took how long, in one line."""
        total = sum(self._seconds.values())
        return ", ".join(
            f"{work} {seconds:.0f} s ({seconds / total:.0%}, {self._images[work] / seconds:.0f} images a second)"
            for work, seconds in self._seconds.items()
            if seconds > 0
        )
