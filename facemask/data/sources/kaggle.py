"""Source `kaggle`: data sets fetched once, verified, and cached outside the repository."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TypeVar

from filelock import FileLock, Timeout

from facemask.core.cache import cache_folder
from facemask.core.errors import FacemaskError
from facemask.core.hashing import digest
from facemask.core.params import KaggleSource
from facemask.core.progress import track
from facemask.data.sources.annotations import AnnotatedSet, Finding
from facemask.data.sources.kaggle_client import PassingError, discard, download
from facemask.dataset.archive import Archive, BrokenArchiveError, content_hash, write_archive

Result = TypeVar("Result")

# Before the second, third and fourth attempt; the client itself tries a broken connection again for a minute.
PAUSES = (2.0, 5.0, 15.0)
# Seconds without a byte before an attempt is given up. The client sets itself no limit; it sleeps 32 s at most.
STALL = 120.0


def fetch(source: KaggleSource, archive: Path) -> list[Finding]:
    """Write the files of a data set, under the paths they have there, or the faces in its boxes, into `archive`.

    Returns:
        Of a source with boxes, what no face was cut out of, and why.

    Raises:
        FacemaskError: the set can't be had, is refused, lacks a folder of `source.folders`, is not what
            `source.content` pins, or has annotations that cannot be used.
    """
    with Archive(cached(source.handle, source.version)) as downloaded:
        if source.boxes is None:
            _check_folders(source, downloaded)
        _check_content(source, downloaded)
        if source.boxes:
            from facemask.data.sources.cut_faces import cut_faces  # imports the detector's libraries

            title = f"{source.handle} version {source.version}"
            return cut_faces(AnnotatedSet(title, downloaded.names, downloaded.read), source.boxes, archive)
        members = ((name, downloaded.read(name)) for name in downloaded.names)
        write_archive(archive, track(members, total=len(downloaded.names), desc="packing", unit="files"))
    return []


def cached(handle: str, version: int, pauses: Sequence[float] = PAUSES, stall: float = STALL) -> Path:
    """Return an intact zip of one version of a set, from the cache if it is there, else from Kaggle.

    A zip in the cache (`facemask.core.cache`) is named after its own SHA-256, so a damaged one is noticed and fetched
    again. Of several processes that want the same set one downloads while the others wait.

    Args:
        handle: `owner/slug`.
        version: version of the set on Kaggle, from 1.
        pauses: seconds to wait before each further attempt.
        stall: seconds without a byte before an attempt is given up.

    Raises:
        FacemaskError: the set can't be had or is refused, or the cache cannot be written.
    """
    folder = cache_folder().absolute() / "kaggle" / handle / str(version)
    try:
        if path := _cached_archive(folder):
            return path
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            return _cached_archive(folder) or _download(handle, version, folder, pauses, stall)
    except OSError as error:
        raise FacemaskError(
            f"the cache {folder} cannot be used ({error.strerror or error}): "
            "set FACEMASK_CACHE to a folder that is writable and has enough space"
        ) from error


def _cached_archive(folder: Path) -> Path | None:
    for path in sorted(folder.glob("*.zip")):
        if digest(path) == path.stem:
            return path
    return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that fetches into {folder}", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(handle: str, version: int, folder: Path, pauses: Sequence[float], stall: float) -> Path:
    for damaged in folder.glob("*.zip"):
        print(f"{damaged} is damaged: fetching it again", file=sys.stderr)
        damaged.unlink()
    partial = folder / "partial"
    partial.mkdir(exist_ok=True)
    return retry(lambda: _verified(download(handle, version, partial, stall), folder), pauses)


def retry(attempt: Callable[[], Result], pauses: Sequence[float]) -> Result:
    """Return what `attempt` gives; while it fails for a reason that may pass, pause and try again.

    Raises:
        FacemaskError: what the last attempt raised, or at once what will not pass.
    """
    pending = list(pauses)
    while True:
        try:
            return attempt()
        except (PassingError, BrokenArchiveError) as error:
            if not pending:
                raise FacemaskError(f"{error} (tried {len(pauses) + 1} times)") from error
            pause = pending.pop(0)
            print(f"{error}. Trying again in {pause:.0f} s", file=sys.stderr)
            time.sleep(pause)


def _verified(path: Path, folder: Path) -> Path:
    """Check what came and move it to its place in the cache."""
    try:
        with Archive(path) as archive:
            for name in track(archive.names, total=len(archive.names), desc="checking", unit="files"):
                archive.read(name)
    except BrokenArchiveError as error:
        discard(path)
        raise BrokenArchiveError(f"what came from Kaggle is damaged: {error}") from error
    except FacemaskError:
        discard(path)
        raise
    target = folder / f"{digest(path)}.zip"
    path.replace(target)
    shutil.rmtree(path.parent)
    return target


def _check_folders(source: KaggleSource, downloaded: Archive) -> None:
    parents = {str(parent) for name in downloaded.names for parent in PurePosixPath(name).parents}
    missing = [folder for folder in source.folders if folder not in parents]
    if missing:
        there = sorted({str(PurePosixPath(name).parent) for name in downloaded.names})
        raise FacemaskError(
            f"{source.handle} version {source.version} has no folder {', '.join(missing)}: correct `folders` of the "
            f"source; its files are in {', '.join(there[:10])}{' ...' if len(there) > 10 else ''}"
        )


def _check_content(source: KaggleSource, downloaded: Archive) -> None:
    if source.content is None:
        return
    content = content_hash(downloaded)
    if content != source.content:
        raise FacemaskError(
            f"{source.handle} version {source.version} does not match the pinned content: "
            f"it is {content}, expected was "
            f"{source.content}; delete {downloaded.path.parent} and run again to fetch it anew, or set `content` of "
            "the source to the new value if you trust it"
        )
