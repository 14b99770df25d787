"""Batches of images, read directly from the archive.

Only one batch at a time is decoded, as uint8, so memory does not grow with the data set.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.decode import decode, resize

Item = TypeVar("Item")
Pixels = NDArray[np.uint8]

_READERS = 2  # decoding and warping release the GIL; more threads than that take cores from the model


def read_image(archive: Archive | Archives, name: str, image_size: int) -> Pixels:
    """Decode one image at the model's input size: uint8 (image_size, image_size, 3)."""
    return decode_at(archive.read(name), image_size)


def decode_at(content: bytes, image_size: int) -> Pixels:
    """Decode the content of an image file at the model's input size: uint8 (image_size, image_size, 3)."""
    # The stage `merge` has refused what is too large; it is not asked twice with another limit.
    return resize(decode(content, math.inf), image_size)


def plain_batches(
    archive: Archive | Archives, names: Sequence[str], image_size: int, batch_size: int
) -> Iterator[Pixels]:
    """Yield the images in order as uint8 (batch, image_size, image_size, 3), reading one batch ahead."""
    return stacked(lambda name: read_image(archive, name, image_size), names, batch_size)


def stacked(
    make: Callable[[Item], Pixels], items: Sequence[Item], batch_size: int, threads: int = _READERS, ahead: int = 1
) -> Iterator[Pixels]:
    """Yield what `make` makes of the items, in order, as uint8 (batch, ...), while the next batches are being made.

    Args:
        make: makes one image; called from several threads.
        items: what to make images of.
        batch_size: images at a time; the last batch may be smaller.
        threads: how many make images.
        ahead: how many batches are being made while one is used.
    """
    batches = [items[start : start + batch_size] for start in range(0, len(items), batch_size)]
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[list[Future[Pixels]]] = deque()
        for number in range(len(batches)):
            for batch in batches[number + len(waiting) : number + 1 + ahead]:
                waiting.append([pool.submit(make, item) for item in batch])
            yield np.stack([future.result() for future in waiting.popleft()])


def one_hot(labels: Sequence[str]) -> NDArray[np.float32]:
    """Turn class names into float32 (n, 3)."""
    return np.eye(len(CLASSES), dtype=np.float32)[[CLASSES.index(label) for label in labels]]
