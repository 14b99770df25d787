"""Batches of images, read straight from the archive.

Only one batch at a time is decoded, as uint8, so memory does not grow with the data set.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from facemask.archives import Archive, Archives
from facemask.images import decode, resize
from facemask.labels import CLASSES

Pixels = NDArray[np.uint8]

_READERS = 2  # decoding and warping release the GIL; more threads than that take cores from the model


def read_image(archive: Archive | Archives, name: str, image_size: int) -> Pixels:
    """Decode one image at the model's input size: uint8 (image_size, image_size, 3)."""
    # The stage `merge` has refused what is too large; it is not asked twice with another limit.
    return resize(decode(archive.read(name), math.inf), image_size)


def plain_batches(archive: Archive, names: Sequence[str], image_size: int, batch_size: int) -> Iterator[Pixels]:
    """Yield the images in order as uint8 (batch, image_size, image_size, 3), reading one batch ahead."""
    with ThreadPoolExecutor(_READERS) as pool:
        ahead: list = []
        for start in range(0, len(names), batch_size):
            ahead.append(
                [pool.submit(read_image, archive, name, image_size) for name in names[start : start + batch_size]]
            )
            if len(ahead) == 2:
                yield np.stack([future.result() for future in ahead.pop(0)])
        for batch in ahead:
            yield np.stack([future.result() for future in batch])


def one_hot(labels: Sequence[str]) -> NDArray[np.float32]:
    """Turn class names into float32 (n, 3)."""
    return np.eye(len(CLASSES), dtype=np.float32)[[CLASSES.index(label) for label in labels]]
