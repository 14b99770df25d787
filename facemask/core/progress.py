"""Progress reports: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

_SECONDS_BETWEEN_LINES = 15.0


def track(items: Iterable[Item], total: int, desc: str, unit: str = "images") -> Iterator[Item]:
    """Yield `items` while showing how many of `total` are done, the rate and the remaining time, on stderr.

    On a terminal this is a bar. Elsewhere (a CI log) it is at most one plain line every 15 seconds, and none for
    work that ends sooner.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=desc, unit=f" {unit}", dynamic_ncols=True)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            rate = done / (now - start)
            left = max(total - done, 0) / rate
            print(f"{desc}: {done} of {total} {unit}, {rate:.3g} a second, {left:.0f} s left", file=sys.stderr)
