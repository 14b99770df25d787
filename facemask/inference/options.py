"""Options of `facemask predict` and `serve`; imports no heavy module, so that `--help` stays quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facemask.faces.defaults import MARGIN, MIN_FACE, MIN_SCORE


@dataclass(frozen=True)
class Options:
    """How to find and classify the faces of an image.

    Attributes:
        faces: detect faces ("find"), or treat each image as one cropped face ("crop").
        margin: added on each side of a detected face, as a share of its box.
        min_face: in pixels; smaller faces are not classified.
        min_score: minimum detector score, 0 to 1.
        small_faces: also detect smaller faces, which is slower.
        pictures: folder for annotated images; None for none.
        max_megapixels: an image of more pixels is refused without being decoded; None for the limit of training.
        max_faces: an image in which more faces are found is refused; None for no limit.
    """

    faces: Literal["find", "crop"] = "find"
    margin: float = MARGIN
    min_face: int = MIN_FACE
    min_score: float = MIN_SCORE
    small_faces: bool = False
    pictures: Path | None = None
    max_megapixels: float | None = None
    max_faces: int | None = None
