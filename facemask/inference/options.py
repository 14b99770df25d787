"""How faces in a picture are looked for and answered for: no other module is loaded, so that `--help` is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facemask.faces.defaults import MARGIN, MIN_FACE, MIN_SCORE


@dataclass(frozen=True)
class Options:
    """Settings of `facemask predict`.

    Attributes:
        faces: find them, or take the whole picture for a cropped face.
        margin: around a found face, as a share of its box on each side.
        min_face: pixels; a face with a smaller box is not classified.
        min_score: of the detector, 0 to 1.
        small_faces: whether to look for smaller faces too, which takes longer.
        pictures: folder for annotated pictures; None for none.
    """

    faces: Literal["find", "crop"] = "find"
    margin: float = MARGIN
    min_face: int = MIN_FACE
    min_score: float = MIN_SCORE
    small_faces: bool = False
    pictures: Path | None = None
