"""Contact sheets: rows of sample images per class, for people to look at."""

import io
import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from facemask.archives import Archive
from facemask.errors import FacemaskError
from facemask.images import decode
from facemask.labels import CLASSES

TITLES = {
    "mask_weared_incorrect": "Mask worn incorrectly",
    "with_mask": "Mask worn correctly",
    "without_mask": "No mask",
}

TILE = 144  # pixels

_COLUMNS = 8
_GAP = 6
_MARGIN = 24
_TITLE_HEIGHT = 46
_MIN_WIDTH = 600  # room for a title
_PAPER = (255, 255, 255)
_MOUNT = (236, 236, 238)  # what shows beside a picture that is not square
_INK = (28, 30, 34)
_FAINT_INK = (110, 114, 122)


def choose_samples(manifest: pd.DataFrame, per_class: int, seed: int) -> dict[str, list[str]]:
    """Choose images of each class at random, in equal numbers from each source as far as they last.

    One of each photograph. What is flagged, as a contradiction or as junk, is passed over unless a class has nothing
    else.

    Args:
        manifest: as `facemask.manifest.read_manifest` gives it.
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
    lines = {label: -(-len(tiles) // columns) for label, tiles in images.items()}
    step = TILE + _GAP
    width = max(2 * _MARGIN + columns * step - _GAP, _MIN_WIDTH)
    height = _MARGIN + sum(_TITLE_HEIGHT + count * step + _MARGIN for count in lines.values())
    sheet = Image.new("RGB", (width, height), _PAPER)
    top = _MARGIN
    for label, tiles in images.items():
        _draw_title(sheet, top, TITLES.get(label, label), len(tiles), totals[label])
        top += _TITLE_HEIGHT
        for number, image in enumerate(tiles):
            line, column = divmod(number, columns)
            _paste_mounted(sheet, image, left=_MARGIN + column * step, top=top + line * step)
        top += lines[label] * step + _MARGIN
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


def _draw_title(sheet: Image.Image, top: int, title: str, shown: int, total: int) -> None:
    draw = ImageDraw.Draw(sheet)
    large, small = _font(24), _font(17)
    draw.text((_MARGIN, top), title, _INK, large)
    left = _MARGIN + draw.textlength(title, large) + 14
    draw.text((left, top + 7), f"{total:,} images, {shown} shown", _FAINT_INK, small)


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise FacemaskError(
            "Pillow has no FreeType here, so nothing can be written on pictures; install Pillow's wheel"
        )
    # The basic layout is there in every build of Pillow, so that sheets do not differ by whether Raqm is.
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)
