"""Thumbnails embedded in pages."""

import io
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from facemask.core.progress import track
from facemask.dataset.archive import Archive
from facemask.dataset.decode import decode
from facemask.presentation.contact_sheet import fitted

LARGE = 176  # pixels of the longer side at most; larger than shown, for screens of high density
SMALL = 112

_READERS = 2  # a picture of 50 megapixels takes 150 MB while it is read


def read_pictures(archive: Archive, names: Sequence[str], side: int) -> list[bytes]:
    """Read members of `archive` as small JPEG files, in the order of `names`.

    Args:
        archive: `data/images.zip`.
        names: of members.
        side: pixels of the longer side at most; small pictures are not enlarged.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        thumbnails = pool.map(lambda name: _thumbnail(archive.read(name), side), names)
        return list(track(thumbnails, total=len(names), desc="reading pictures for the page"))


def _thumbnail(data: bytes, side: int) -> bytes:
    image = decode(data, math.inf)  # `merge` has decoded it within its own limit
    if max(image.shape[:2]) > side:
        image = fitted(image, side)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=85, optimize=True)
    return buffer.getvalue()
