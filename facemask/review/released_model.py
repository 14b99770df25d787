"""Exported model of another revision, for `facemask predict --rev`, cached outside the repository."""

from pathlib import Path

from facemask.core.cache import cache_folder
from facemask.core.errors import FacemaskError
from facemask.core.files import atomic_path
from facemask.export.formats import FORMATS
from facemask.faces.detector import DETECTOR_FILE
from facemask.review.revisions import Revision

EXPORT = "export"
NEEDED = ("labels.json", FORMATS["tflite"])


def fetch_model(revision: Revision) -> Path:
    """Return a folder with the files of `export/` that answering needs, as they are in a revision.

    They are looked for in the user's cache folder, else in the DVC cache, else in the remote. Nothing is checked out.

    Args:
        revision: a commit, not the work tree.

    Raises:
        FacemaskError: the revision has no exported model, or it is nowhere to be had, or the cache cannot be written.
    """
    folder = cache_folder() / "models" / revision.sha
    if folder.is_dir():
        return folder
    # Not every export has the face detector: `export.face_detector` decides.
    names = [*NEEDED, *({DETECTOR_FILE} & set(revision.names(EXPORT)))]
    files = {name: revision.read(f"{EXPORT}/{name}") for name in names}
    try:
        with atomic_path(folder) as draft:
            draft.mkdir()
            for name, content in files.items():
                (draft / name).write_bytes(content)
    except OSError as error:
        raise FacemaskError(
            f"the cache {folder} cannot be written ({error.strerror or error}): set FACEMASK_CACHE to a "
            "folder with enough space"
        ) from error
    return folder
