"""Photographs with several people, made of drawn portraits: nobody's picture is needed."""

import re
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.data.sources.sample import draw_sample
from facemask.dataset.decode import decode, resize

Picture = NDArray[np.uint8]

_WALL = 40  # pixels from one random colour to the next
_GRAIN = 4.0  # standard deviation, in grey levels, of a sensor's noise


def drawn_portraits(per_class: int, seed: int) -> list[Picture]:
    """Draw portraits of all classes, one of each class after the other; uint8 RGB of some 100 to 400 pixels."""
    drawn: dict[str, Picture] = {}
    for name, data in draw_sample(per_class, seed):
        # What is planted besides (copies, broken files) has higher numbers.
        number = re.match(r"\w+/(\d+)\.", name)
        if number and int(number[1]) < per_class:
            drawn[name] = decode(data)
    return [drawn[name] for name in sorted(drawn, key=lambda name: (name.split("/")[1].split(".")[0], name))]


def group_photo(
    portraits: Sequence[Picture], rng: np.random.Generator, width: int = 1280, height: int = 960
) -> Picture:
    """Put portraits side by side before a wall, each of a random size; uint8 RGB (height, width, 3)."""
    coarse = rng.integers(60, 200, (height // _WALL, width // _WALL, 3)).astype(np.float32)
    photo = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    photo += rng.normal(0, _GRAIN, photo.shape).astype(np.float32)
    picture = np.clip(photo, 0, 255).astype(np.uint8)
    room = width // len(portraits)
    for number, portrait in enumerate(portraits):
        side = int(rng.integers(min(room, height) // 4, min(room, height)))
        left, top = number * room + int(rng.integers(room - side + 1)), int(rng.integers(height - side + 1))
        picture[top : top + side, left : left + side] = resize(portrait, side)
    return picture


def video_call(portraits: Sequence[Picture], columns: int, side: int = 300, gap: int = 12) -> Picture:
    """Lay portraits out in rows on a dark ground, as a video call does; uint8 RGB."""
    rows = -(-len(portraits) // columns)
    height, width = (count * (side + gap) + gap for count in (rows, columns))
    picture = np.full((height, width, 3), 32, np.uint8)
    for number, portrait in enumerate(portraits):
        top, left = (place * (side + gap) + gap for place in divmod(number, columns))
        picture[top : top + side, left : left + side] = resize(portrait, side)
    return picture
