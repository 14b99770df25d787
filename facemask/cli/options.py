"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

EXPORT = Path("export")

ModelFolder = Annotated[Path, typer.Option(help="Folder with an exported model.")]
Rev = Annotated[
    str | None, typer.Option(help="Use the exported model of this branch, tag or commit instead, from DVC.")
]
Margin = Annotated[
    float, typer.Option(min=0, max=1, help="Margin added on each side of a found face, as a share of its size.")
]
MinFace = Annotated[
    int, typer.Option(min=1, help="Minimum face size in pixels; smaller faces are reported as 'too small'.")
]
MinScore = Annotated[float, typer.Option(min=0, max=1, help="Minimum score of the face detector.")]
SmallFaces = Annotated[
    bool, typer.Option("--small-faces", help="Also find faces of half the size; at least twice as slow.")
]


class FaceMode(StrEnum):
    """Whether to detect faces, or to treat each image as one cropped face."""

    FIND = "find"
    CROP = "crop"


class EngineName(StrEnum):
    """Where independent pieces of work run."""

    LOCAL = "local"
    RAY = "ray"


def exported_model(folder: Path, rev: str | None) -> Path:
    """Return the folder of the export to use: `folder`, or that of the revision `rev` fetched from DVC."""
    if rev is None:
        return folder
    if folder != EXPORT:
        raise typer.BadParameter("--rev and --model both name a model: give one of them", param_hint="--rev")
    from facemask.review.released_model import fetch_model
    from facemask.review.revisions import Revision

    return fetch_model(Revision(Path(), rev))
