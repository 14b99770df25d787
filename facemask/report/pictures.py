"""Pictures that travel inside the page."""

import io
import math
from collections.abc import Sequence

from PIL import Image

from facemask.archives import Archive
from facemask.images import decode
from facemask.sheets import fitted

SIDE = 176  # pixels of the longer side at most; larger than shown, for screens of high density


def read_pictures(archive: Archive, names: Sequence[str]) -> list[bytes]:
    """Read members of `archive` as small JPEG files, in the order of `names`; small pictures are not enlarged."""
    return [_thumbnail(archive.read(name)) for name in names]


def _thumbnail(data: bytes) -> bytes:
    image = decode(data, math.inf)  # `merge` has decoded it within its own limit
    if max(image.shape[:2]) > SIDE:
        image = fitted(image, SIDE)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=85, optimize=True)
    return buffer.getvalue()
