"""Contact sheets: grids of thumbnails with titles and captions."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from facemask.core.classes import CLASSES, TITLES
from facemask.core.errors import FacemaskError
from facemask.dataset.archive import Archive
from facemask.dataset.decode import decode

TILE = 144  # pixels

_COLUMNS = 8
_GAP = 6
_MARGIN = 24
_TITLE_HEIGHT = 46
_LINE_HEIGHT = 21  # of a caption
_MIN_WIDTH = 600  # room for a title
_PAPER = (255, 255, 255)
_MOUNT = (236, 236, 238)  # what shows beside a picture that is not square
_INK = (28, 30, 34)
_FAINT_INK = (110, 114, 122)


@dataclass(frozen=True)
class Block:
    """Pictures that belong together on a sheet.

    Attributes:
        title: above them.
        note: beside the title, in smaller letters.
        tiles: uint8 arrays of shape (height, width, 3); each is shown whole, at its own proportions.
        captions: for each tile the lines of text below it; none at all if empty. A line may run on below the next tile.
    """

    title: str
    note: str
    tiles: Sequence[np.ndarray]
    captions: Sequence[Sequence[str]] = ()


def choose_samples(manifest: pd.DataFrame, per_class: int, seed: int) -> dict[str, list[str]]:
    """Choose images of each class at random, in equal numbers from each source as far as they last.

    One of each photograph. What is flagged, as a contradiction or as junk, is passed over unless a class has nothing
    else.

    Args:
        manifest: as `MANIFEST.read` returns it.
        per_class: how many images of each class at most.
        seed: of the choice.

    Returns:
        For each class, in the order of `CLASSES`, ids sorted by source, then at random.
    """
    rng = np.random.default_rng(seed)
    samples: dict[str, list[str]] = {}
    for label in CLASSES:
        rows = manifest[manifest["label"] == label].sort_values("id")
        rows = rows if (rows["flags"] != "").all() else rows[rows["flags"] == ""].drop_duplicates("group")
        shuffled = rows.iloc[rng.permutation(len(rows))]
        turn = shuffled.groupby("source").cumcount()
        chosen = shuffled.assign(turn=turn).sort_values(["turn", "source"], kind="stable")[:per_class]
        samples[label] = list(chosen.sort_values(["source", "turn"])["id"])
    return samples


def read_thumbnails(archive: Archive, samples: Mapping[str, Sequence[str]]) -> dict[str, list[np.ndarray]]:
    """Read the members of `archive` that `samples` names for each class, each fitted into a tile.

    Returns:
        For each class, uint8 arrays of shape (height, width, 3) of which the longer side is `TILE`.
    """
    return {
        label: [fitted(decode(archive.read(name), math.inf), TILE) for name in names]
        for label, names in samples.items()
    }


def contact_sheet(images: Mapping[str, Sequence[np.ndarray]], totals: Mapping[str, int]) -> bytes:
    """Draw the images of each class as a block of tiles below a title with the class and its total.

    Args:
        images: for each class, uint8 arrays of shape (height, width, 3); each is shown whole, at its own proportions.
        totals: number of images that each class has in all.

    Returns:
        A JPEG file; the same images give the same bytes.
    """
    columns = min(_COLUMNS, max([1, *map(len, images.values())]))
    blocks = [
        Block(TITLES.get(label, label), f"{totals[label]:,} images, {len(tiles)} shown", tiles)
        for label, tiles in images.items()
    ]
    return draw_sheet(blocks, columns)


def draw_sheet(blocks: Sequence[Block], columns: int) -> bytes:
    """Draw blocks of tiles one below the other.

    Returns:
        A JPEG file; the same blocks give the same bytes.
    """
    lines = [-(-len(block.tiles) // columns) for block in blocks]
    steps = [TILE + _GAP + _LINE_HEIGHT * max(map(len, block.captions), default=0) for block in blocks]
    width = max(2 * _MARGIN + columns * (TILE + _GAP) - _GAP, _MIN_WIDTH)
    height = _MARGIN + sum(_TITLE_HEIGHT + count * step + _MARGIN for count, step in zip(lines, steps, strict=True))
    sheet = Image.new("RGB", (width, height), _PAPER)
    top = _MARGIN
    for block, count, step in zip(blocks, lines, steps, strict=True):
        _draw_title(sheet, top, block)
        top += _TITLE_HEIGHT
        for number, image in enumerate(block.tiles):
            line, column = divmod(number, columns)
            left, above = _MARGIN + column * (TILE + _GAP), top + line * step
            _paste_mounted(sheet, image, left, above)
            _draw_caption(sheet, left, above + TILE, block.captions[number] if block.captions else ())
        top += count * step + _MARGIN
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=90, subsampling=0, optimize=True)
    return buffer.getvalue()


def fitted(image: np.ndarray, side: int) -> np.ndarray:
    """Shrink or enlarge a picture so that its longer side is `side` pixels, keeping its proportions.

    Args:
        image: uint8 array of shape (height, width, 3).
        side: in pixels.

    Returns:
        uint8 array of shape (height, width, 3).
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _paste_mounted(sheet: Image.Image, image: np.ndarray, left: int, top: int) -> None:
    picture = Image.fromarray(fitted(image, TILE))
    sheet.paste(_MOUNT, (left, top, left + TILE, top + TILE))
    sheet.paste(picture, (left + (TILE - picture.width) // 2, top + (TILE - picture.height) // 2))


def _draw_title(sheet: Image.Image, top: int, block: Block) -> None:
    draw = ImageDraw.Draw(sheet)
    large, small = _font(24), _font(17)
    draw.text((_MARGIN, top), block.title, _INK, large)
    left = _MARGIN + draw.textlength(block.title, large) + 14
    draw.text((left, top + 7), block.note, _FAINT_INK, small)


def _draw_caption(sheet: Image.Image, left: int, top: int, lines: Sequence[str]) -> None:
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((left, top + number * _LINE_HEIGHT), line, _INK, _font(16))


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise FacemaskError(
            "Pillow has no FreeType here, so nothing can be written on pictures; install Pillow's wheel"
        )
    # The basic layout is there in every build of Pillow, so that sheets do not differ by whether Raqm is.
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)
