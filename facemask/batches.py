"""Batches of images, read straight from the archive, and the order in which training draws them.

Only one batch at a time is decoded, as uint8, so memory does not grow with the data set.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.archives import Archive
from facemask.images import decode, resize
from facemask.labels import CLASSES

Pixels = NDArray[np.uint8]

_READERS = 2  # decoding and warping release the GIL; more threads than that take cores from the model


def read_image(archive: Archive, name: str, image_size: int) -> Pixels:
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


def epoch_order(
    labels: Sequence[str], photographs: Sequence[str], class_balance: bool, seed: int, epoch: int
) -> NDArray[np.int64]:
    """Draw the images of one epoch: as many as there are images, so that every way of drawing costs the same.

    The draws are shared out among the classes. Within a class they go round by round: in each round every photograph
    comes once, in a new order, and shows the next of its copies. So two photographs of a class are drawn equally
    often, however many copies they have, and a copy comes again only after all others of its photograph. An epoch
    takes up the rounds where the one before it left them.

    Args:
        labels: class of each image.
        photographs: what each image is a copy of; with a name of its own for each image, every image counts the same.
        class_balance: give each class an equal share, otherwise a share as large as its number of photographs.
        seed: of the order of the draws.
        epoch: from 0; the draws are a function of the arguments alone, so any epoch can be repeated by itself.

    Returns:
        int64 (n,): indices of images, in random order.
    """
    copies = pd.DataFrame({"label": labels, "photograph": photographs}).groupby(["label", "photograph"]).indices
    classes = [
        [images for (label, _), images in sorted(copies.items(), key=lambda item: item[0]) if label == name]
        for name in sorted(set(labels))
    ]
    weights = [1 if class_balance else len(of_class) for of_class in classes]
    shares = np.diff(np.cumsum([0, *weights]) * len(labels) // sum(weights))
    drawn = [
        _draw(of_class, epoch * int(share), int(share), [seed, number])
        for number, (of_class, share) in enumerate(zip(classes, shares, strict=True))
    ]
    return np.random.default_rng([seed, epoch]).permutation(np.concatenate(drawn))


def _draw(copies: Sequence[NDArray[np.int64]], first: int, count: int, seed: Sequence[int]) -> NDArray[np.int64]:
    """Return the draws `first` to `first + count` of the endless rounds through one class' photographs."""
    # Started at random: the first of a photograph's files is often the untouched one.
    starts = np.random.default_rng(seed).integers(2**31, size=len(copies))
    drawn = []
    for turn in range(first // len(copies), -(-(first + count) // len(copies))):
        order = np.random.default_rng([*seed, turn]).permutation(len(copies))
        drawn += [copies[photograph][(starts[photograph] + turn) % len(copies[photograph])] for photograph in order]
    skipped = first % len(copies)
    return np.array(drawn[skipped : skipped + count], dtype=np.int64)
