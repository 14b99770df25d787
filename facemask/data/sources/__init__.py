"""Data sources: Kaggle sets, folders of photographs, or drawn faces; face crops, or pictures with boxes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facemask.core.classes import CLASSES
from facemask.core.params import FolderSource, KaggleSource, Source
from facemask.core.progress import track
from facemask.data.sources import folder, kaggle
from facemask.data.sources.annotations import Finding
from facemask.dataset.archive import write_archive


def fetch(source: Source, archive: Path) -> list[Finding]:
    """Write the images of `source` into `archive`, a canonical zip (see `facemask.dataset.archive.write_archive`).

    Returns:
        Of a source with boxes, what no face was cut out of, and why.

    Raises:
        FacemaskError: the source can't be had; the message says what to do. `archive` is as it was before.
    """
    if isinstance(source, KaggleSource):
        return kaggle.fetch(source, archive)
    if isinstance(source, FolderSource):
        return folder.fetch(source, archive)
    from facemask.data.sources.sample import attribute_rows, draw_sample  # slow to import, not needed for photographs

    files = len(attribute_rows(source.per_class, source.seed)) + 1
    drawn = track(draw_sample(source.per_class, source.seed), total=files, desc="drawing", unit="files")
    write_archive(archive, sorted(drawn))
    return []


def card(source: Source, left_out: Sequence[Finding] = ()) -> dict[str, Any]:
    """Describe a source for later stages.

    Args:
        source: the source.
        left_out: what `fetch` returned.

    Returns:
        `kind`; `folders`, which leads from folders inside the archive to classes; `licence` ("" if not said);
        `origin`, a phrase for people that names no path of this machine. Of a source with boxes also `cut_out`, true:
        the files are faces, each in a folder named after its picture; and `left_out`.
    """
    if isinstance(source, KaggleSource):
        origin, folders = f"Kaggle {source.handle}, version {source.version}", dict(source.folders)
    elif isinstance(source, FolderSource):
        origin, folders = "own photographs", folder.folders_in_archive(source)
    else:
        folders = {name: name for name in CLASSES}
        return {"kind": source.kind, "folders": folders, "licence": "Apache-2.0", "origin": "drawn by this project"}
    described = {"kind": source.kind, "folders": folders, "licence": source.licence, "origin": origin}
    if source.boxes is None:
        return described
    classes = sorted({label for label in source.boxes.classes.values() if label})
    cut_out = {"folders": {label: label for label in classes}, "cut_out": True, "left_out": list(left_out)}
    return described | cut_out
