"""Photos with a known number of faces, all cut out of the photograph of an astronaut that scikit-image carries."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

from facemask.faces.detector import Box

Picture = NDArray[np.uint8]

# Where the face is in the photograph, from the brows to the chin, as seen by eye.
FACE = Box(174, 72, 276, 176, 1)
_HEAD = (slice(10, 230), slice(115, 335))  # with hair and shoulders


def one_face() -> Picture:
    """The photograph, uint8 RGB (512, 512, 3)."""
    return np.ascontiguousarray(astronaut())


def head(size: int) -> Picture:
    """The head with its surroundings, `size` pixels wide and high; the face's box is 0.47 of that."""
    cut = one_face()[_HEAD]
    method = cv2.INTER_AREA if size < len(cut) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cut, (size, size), interpolation=method), dtype=np.uint8)


def group(heads: list[tuple[int, int, int]], width: int = 1280, height: int = 960) -> Picture:
    """Paste heads, given as (left, top, size), before a grey wall; every second one is mirrored."""
    photo = np.full((height, width, 3), 120, np.uint8)
    for number, (left, top, size) in enumerate(heads):
        photo[top : top + size, left : left + size] = head(size)[:, :: -1 if number % 2 else 1]
    return photo


def masked() -> Picture:
    """The photograph with a light blue cloth before nose, mouth and chin."""
    photo = one_face()
    cv2.fillPoly(
        photo, [np.array([(182, 122), (226, 112), (270, 122), (262, 165), (228, 185), (192, 165)])], (170, 205, 230)
    )
    return photo
