"""Work in threads, a few items at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # items per worker


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Generator[Result]:
    """Apply `work` in threads and yield the results in order, reading only a few items ahead.

    Whatever the number of items, few of them and of their results are held at a time; `Executor.map` takes all items
    at once.
    """
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        begun: deque[Future[Result]] = deque()
        try:
            for item in items:
                begun.append(pool.submit(work, item))
                if len(begun) > _AHEAD * workers:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
