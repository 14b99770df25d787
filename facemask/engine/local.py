"""The engine `local`: threads of this process."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_ITEMS_AHEAD = 4  # for each thread
_BYTES_AHEAD = 64 * 2**20  # over all threads


def map_ordered(
    make: Callable[[], Callable[[Item], Result]],
    items: Iterable[Item],
    threads: int,
    weigh: Callable[[Item], int] = lambda _: 0,
) -> Iterator[Result]:
    """Apply a function in threads; see `facemask.engine.mapping.map_ordered`.

    `make` is called here, before the first result: loading a model redirects stderr, which is not thread-safe.
    """
    idle: SimpleQueue[Callable[[Item], Result]] = SimpleQueue()
    for _ in range(max(threads, 1)):
        idle.put(make())

    def work(item: Item) -> Result:
        function = idle.get()
        try:
            return function(item)
        finally:
            idle.put(function)

    return _in_order(work, items, max(threads, 1), weigh)


def _in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, weigh: Callable[[Item], int]
) -> Iterator[Result]:
    begun: deque[tuple[Future[Result], int]] = deque()
    held = 0
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                weight = weigh(item)
                while begun and (len(begun) >= _ITEMS_AHEAD * threads or held + weight > _BYTES_AHEAD):
                    first, its_weight = begun.popleft()
                    held -= its_weight
                    yield first.result()
                held += weight
                begun.append((pool.submit(work, item), weight))
            while begun:
                yield begun.popleft()[0].result()
        finally:
            pool.shutdown(cancel_futures=True)
