"""Data sources: Kaggle sets, folders of photographs, or drawn faces."""

from pathlib import Path
from typing import Any

from facemask.core.classes import CLASSES
from facemask.core.params import FolderSource, KaggleSource, Source
from facemask.core.progress import track
from facemask.data.sources import folder, kaggle
from facemask.dataset.archive import write_archive


def fetch(source: Source, archive: Path) -> None:
    """Write the images of `source` into `archive`, a canonical zip (see `facemask.dataset.archive.write_archive`).

    Raises:
        FacemaskError: the source can't be had; the message says what to do. `archive` is as it was before.
    """
    if isinstance(source, KaggleSource):
        kaggle.fetch(source, archive)
    elif isinstance(source, FolderSource):
        folder.fetch(source, archive)
    else:
        from facemask.data.sources.sample import (  # slow to import, not needed for photographs
            attribute_rows,
            draw_sample,
        )

        files = len(attribute_rows(source.per_class, source.seed)) + 1
        drawn = track(draw_sample(source.per_class, source.seed), total=files, desc="drawing", unit="files")
        write_archive(archive, sorted(drawn))


def card(source: Source) -> dict[str, Any]:
    """Describe a source for later stages.

    Returns:
        `kind`; `folders`, which leads from folders inside the archive to classes; `licence` ("" if not said);
        `origin`, a phrase for people that names no path of this machine.
    """
    if isinstance(source, KaggleSource):
        origin = f"Kaggle {source.handle}, version {source.version}"
        return {"kind": source.kind, "folders": dict(source.folders), "licence": source.licence, "origin": origin}
    if isinstance(source, FolderSource):
        folders = folder.folders_in_archive(source)
        return {"kind": source.kind, "folders": folders, "licence": source.licence, "origin": "own photographs"}
    folders = {name: name for name in CLASSES}
    return {"kind": source.kind, "folders": folders, "licence": "Apache-2.0", "origin": "drawn by this project"}
