"""Source `folder`: photographs in one folder per class."""

import os
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from facemask.core.errors import FacemaskError
from facemask.core.params import FolderSource
from facemask.core.progress import track
from facemask.dataset.archive import MAX_MEMBER_BYTES, is_junk, unsafe_name, write_archive


def fetch(source: FolderSource, archive: Path) -> None:
    """Write every file below the class folders of `source` into `archive`; say on stderr how many lie elsewhere.

    `source.path` is taken from the current folder, `~` is the home folder. Hidden files and what operating systems
    leave behind are passed over. Links are followed, but not back into a folder that is being walked. Whether a file
    is an image is found out later, when it is decoded.

    Raises:
        FacemaskError: a folder is missing, no file is there, a file cannot be read or has a name that can't stand in
            an archive.
    """
    root = Path(source.path).expanduser()
    try:
        files = _files(source, root)
        others = _count_of_others(root, set(files.values()))
    except OSError as error:
        raise _unreadable(error) from error
    if others:
        left_out = f"{others} files below {source.path} are left out: they are in none of {', '.join(source.folders)}"
        print(left_out, file=sys.stderr)
    members = ((name, _content(files[name])) for name in sorted(files))
    write_archive(archive, track(members, total=len(files), desc="packing", unit="files"))


def folders_in_archive(source: FolderSource) -> dict[str, str]:
    """Return the folder map as the archive spells it: names there are in Unicode's composed form (NFC)."""
    return {unicodedata.normalize("NFC", folder): label for folder, label in source.folders.items()}


def _files(source: FolderSource, root: Path) -> dict[str, Path]:
    """Return the name in the archive and the place of every file below the class folders."""
    if not root.is_dir():
        raise FacemaskError(
            f"{source.path} is not a folder: set `path` of the source to the folder that holds the class folders"
        )
    files: dict[str, Path] = {}
    for folder in source.folders:
        if not (root / folder).is_dir():
            raise FacemaskError(
                f"{source.path} has no folder {folder!r}, only {_listing(root)}: make it, or correct `folders` of the "
                "source"
            )
        for file in _files_below(root / folder):
            _add(files, _member_name(root, file), file)
    if not files:
        raise FacemaskError(f"no file lies below {source.path} in {', '.join(source.folders)}: put photographs there")
    return files


def _files_below(folder: Path, parents: frozenset[Path] = frozenset()) -> Iterator[Path]:
    here = folder.resolve()
    if here in parents:
        return
    for entry in sorted(folder.iterdir()):
        if _passed_over(entry.name):
            continue
        if entry.is_dir():
            yield from _files_below(entry, parents | {here})
        else:
            yield entry


def _passed_over(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX" or is_junk(name)


def _member_name(root: Path, file: Path) -> str:
    # macOS spells an accented letter as two characters, other systems as one: the same photographs, the same archive.
    name = unicodedata.normalize("NFC", file.relative_to(root).as_posix())
    if reason := unsafe_name(name):
        raise FacemaskError(f"{str(file)!r} {reason}: rename the file")
    return name


def _add(files: dict[str, Path], name: str, file: Path) -> None:
    other = files.setdefault(name, file)
    if other != file:
        raise FacemaskError(
            f"{str(other)!a} and {str(file)!a} differ only in how an accent is encoded: rename one of them"
        )


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


def _count_of_others(root: Path, taken: set[Path]) -> int:
    others = 0
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not _passed_over(name)]
        others += sum(not _passed_over(name) and Path(place, name) not in taken for name in names)
    return others


def _listing(root: Path) -> str:
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not _passed_over(entry.name))
    return ", ".join(names[:10]) + (" ..." if len(names) > 10 else "") if names else "no folder at all"
