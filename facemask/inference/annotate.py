"""Annotate images: a frame and a label for each face."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facemask.core.classes import CLASSES
from facemask.faces.detector import Box

Colour = tuple[int, int, int]

# Safe for colour-blind readers: M. Okabe, K. Ito, "Color Universal Design", 2008. Grey is for any other result, such
# as uncertain.
COLOURS: dict[str, Colour] = dict(zip(CLASSES, ((230, 159, 0), (0, 158, 115), (213, 94, 0)), strict=True))
OTHERWISE: Colour = (153, 153, 153)

_SMALLEST_TEXT = 11.0  # pixels
_TEXT_SHARE = 1 / 40  # of the shorter side of the image
_LINE_SHARE = 1 / 8  # of the text size
_BRIGHT = 140  # grey level from which black text is readable on a colour


@dataclass(frozen=True)
class Mark:
    """Annotation of one face.

    Attributes:
        box: position of the face.
        answer: a class, or another result; it sets the colour.
        text: the label.
    """

    box: Box
    answer: str
    text: str


def annotate(image: NDArray[np.uint8], marks: Sequence[Mark]) -> NDArray[np.uint8]:
    """Draw a frame and a label for each face.

    Args:
        image: uint8 (height, width, 3), RGB; not modified.
        marks: later ones are drawn over earlier ones.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    size = max(min(image.shape[:2]) * _TEXT_SHARE, _SMALLEST_TEXT)
    font, line = ImageFont.load_default(size), max(round(size * _LINE_SHARE), 1)
    for mark in marks:
        colour = COLOURS.get(mark.answer, OTHERWISE)
        left, top, right, bottom = (
            round(edge) for edge in (mark.box.left, mark.box.top, mark.box.right, mark.box.bottom)
        )
        draw.rectangle((left, top, max(right, left), max(bottom, top)), outline=colour, width=line)
        if mark.text:
            _write(draw, mark.text, font, colour, (left, top, bottom), picture.size)
    return np.array(picture)


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    colour: Colour,
    frame: tuple[int, int, int],
    size: tuple[int, int],
) -> None:
    """Write a label on the colour of the frame: above it if there is room, else below, else at the top of the image.

    `frame` is left, top and bottom of the frame, `size` the width and height of the image.
    """
    left, top, bottom = frame
    reach = draw.textbbox((0, 0), text, font=font)
    ink = draw.textbbox((0, 0), "Ag", font=font)  # the same height for all labels
    pad = (ink[3] - ink[1]) // 4
    width, height = round(reach[2]) + 2 * pad, round(ink[3] - ink[1]) + 2 * pad
    x = min(max(left, 0), max(size[0] - width, 0))
    y = next((place for place in (top - height, bottom + 1) if 0 <= place <= size[1] - height), 0)
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    grey = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    draw.text((x + pad, y + pad - ink[1]), text, font=font, fill="black" if grey >= _BRIGHT else "white")
