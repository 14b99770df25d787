"""Source `folder`: photographs in one folder per class."""

import os
import sys
import unicodedata
from pathlib import Path, PurePosixPath

from facemask.core.errors import FacemaskError
from facemask.core.params import FolderSource
from facemask.core.progress import track
from facemask.data.sources.annotations import AnnotatedSet, Finding
from facemask.dataset.archive import MAX_MEMBER_BYTES, unsafe_name, write_archive
from facemask.dataset.folders import Walk, first_link, is_leftover, walk

_LINK_ADVICE = "DVC would not notice a change behind it. Put the folder itself there, or links to its files"


def fetch(source: FolderSource, archive: Path) -> list[Finding]:
    """Write every file below the class folders of `source`, or the faces in its boxes, into `archive`.

    What is left out is said on stderr.

    `source.path` is taken from the current folder, `~` is the home folder. `facemask.dataset.folders.walk` says which
    files belong to a folder. Whether a file is an image is found out later, when it is decoded.

    Returns:
        Of a source with boxes, what no face was cut out of, and why.

    Raises:
        FacemaskError: a folder is missing or a link, no file is there, a file cannot be read or has a name that can't
            stand in an archive, or the annotations cannot be used.
    """
    root = Path(source.path).expanduser()
    try:
        found = _search(source, root)
    except OSError as error:
        raise _unreadable(error) from error
    files = _files(source, found)
    remarks = found.remarks(_LINK_ADVICE)
    if others := len(found.files) - len(files):
        remarks.append(f"{others} files below {root} are left out: they are in none of {', '.join(source.folders)}")
    print("".join(f"{remark}\n" for remark in remarks), end="", file=sys.stderr)
    if source.boxes:
        from facemask.data.sources.cut_faces import cut_faces  # imports the detector's libraries

        annotated = AnnotatedSet(source.path, sorted(files), lambda name: _content(root / files[name]))
        return cut_faces(annotated, source.boxes, archive)
    members = ((name, _content(root / files[name])) for name in sorted(files))
    write_archive(archive, track(members, total=len(files), desc="packing", unit="files"))
    return []


def check_watched(name: str, source: FolderSource, watched: str) -> None:
    """Check that DVC sees the photographs of a source: no link lies between `watched` and its path.

    `facemask.core.params` has checked that the path is inside.

    Args:
        name: of the source.
        source: the source.
        watched: `data.own`, the folder that DVC watches. It may be a link, which DVC follows.

    Raises:
        FacemaskError: there is a link.
    """
    path = Path(source.path).expanduser().absolute()
    if link := first_link(Path(watched), os.path.relpath(path, Path(watched).absolute())):
        raise FacemaskError(
            f"sources.{name}.path leads through {link}, a link to a folder: {_LINK_ADVICE}, or set data.own in "
            "params.yaml to a folder that has no link below it"
        )


def folders_in_archive(source: FolderSource) -> dict[str, str]:
    """Return the folder map as the archive spells it: names there are in Unicode's composed form (NFC)."""
    return {unicodedata.normalize("NFC", folder): label for folder, label in source.folders.items()}


def _search(source: FolderSource, root: Path) -> Walk:
    if not root.is_dir():
        raise FacemaskError(
            f"{source.path} is not a folder: make it, or set `path` of the source to the folder that holds the class "
            "folders"
        )
    found = walk(root)
    if found.unreadable:
        raise _unreadable(found.unreadable[0])
    for folder in _places(source, root):
        if link := first_link(root, folder):
            raise FacemaskError(f"{link} is a link to a folder, which is not searched: {_LINK_ADVICE}")
        if source.boxes is None and not (root / folder).is_dir():
            raise FacemaskError(
                f"{source.path} has no folder {folder!r}, it has {_listing(root)}: make that folder, or correct "
                "`folders` of the source"
            )
    return found


def _places(source: FolderSource, root: Path) -> list[str]:
    """Return the folders, from `source.path`, in which files are looked for."""
    if source.boxes is None:
        return list(source.folders)
    annotations = PurePosixPath(source.boxes.annotations)
    # A file may be a link.
    return [source.boxes.images, str(annotations if (root / annotations).is_dir() else annotations.parent)]


def _files(source: FolderSource, found: Walk) -> dict[str, str]:
    """Return the name in the archive and the path of every file below the class folders."""
    places = ["."] if source.boxes else source.folders  # of a set with boxes, every file is accounted for
    folders = tuple("" if folder == "." else f"{folder}/" for folder in places)
    files: dict[str, str] = {}
    for path in found.files:
        if path.startswith(folders):
            _add(files, _member_name(found.root, path), path)
    if not files:
        raise FacemaskError(f"no file lies below {source.path} in {', '.join(source.folders)}: put photographs there")
    return files


def _member_name(root: Path, path: str) -> str:
    # macOS spells an accented letter as two characters, other systems as one: the same photographs, the same archive.
    name = unicodedata.normalize("NFC", path)
    if reason := unsafe_name(name):
        raise FacemaskError(f"{str(root / path)!r} {reason}: rename the file")
    return name


def _add(files: dict[str, str], name: str, path: str) -> None:
    other = files.setdefault(name, path)
    if other != path:
        raise FacemaskError(f"{other!a} and {path!a} differ only in how an accent is encoded: rename one of them")


def _content(file: Path) -> bytes:
    try:
        if not file.is_file():
            raise FacemaskError(f"{file} is a broken link or no ordinary file: take it away")
        if file.stat().st_size > MAX_MEMBER_BYTES:
            raise FacemaskError(f"{file} is larger than {MAX_MEMBER_BYTES // 2**20} MB, no photograph: take it away")
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> FacemaskError:
    return FacemaskError(f"{error.filename} cannot be read: {error.strerror}; change its permissions or remove it")


def _listing(root: Path) -> str:
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not is_leftover(entry.name))
    return ", ".join(names[:10]) + (" ..." if len(names) > 10 else "") if names else "no folders"
