"""Input files of the command line: images, folders, patterns, addresses in object stores and standard input."""

import fnmatch
import glob
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from facemask.core.errors import FacemaskError
from facemask.dataset.decode import is_image
from facemask.dataset.folders import Walk, is_leftover, walk
from facemask.inference.object_store import is_address, list_files

STANDARD_INPUT = "-"
SIGNATURE = "marked by facemask predict"  # in the metadata of annotated images

_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".jp2", ".avif", ".heic", ".heif")
)
_HEAD = 4096  # bytes; enough to detect an image format, and `SIGNATURE`


@dataclass(frozen=True, slots=True)  # there may be millions
class Input:
    """One input file.

    Attributes:
        name: path of the file, starting as the user typed it.
        mirrored: unique path in the folder of annotated images, ending in .jpg, .jpeg or .png.
        problem: why the file cannot be read; empty if it can.
        version: of a file in an object store: changes with its content.
    """

    name: str
    mirrored: PurePath
    problem: str = ""
    version: str = ""


@dataclass(frozen=True)
class Found:
    """What names on the command line refer to.

    Attributes:
        inputs: the files, in order.
        remarks: sentences about what was left out.
    """

    inputs: list[Input]
    remarks: list[str]


def find_inputs(given: Sequence[str], outputs: Sequence[Path] = ()) -> Found:
    """List the input files.

    A folder is searched by the rule of `facemask.dataset.folders.walk` for images, recognised by name or content. A
    name that does not exist and contains `*`, `?` or `[` is a glob pattern; `**` matches any number of folders, links
    to folders not among them. What this command has written is left out where it is found: the pictures that bear
    `SIGNATURE` unless they are named, and `outputs`. An address such as s3://bucket/prefix stands for the images below
    it, recognised by name.

    Args:
        given: names as typed; `-` is standard input.
        outputs: files that this run writes.

    Raises:
        FacemaskError: nothing is left, or an object store does not answer.
    """
    search = _Search({one for path in outputs if (one := _identity(path))})
    found = [one for name in given for one in search.expand(name)]
    if not found:
        raise FacemaskError(f"no input is left: {'; '.join(search.remarks())}")
    taken: set[str] = set()
    inputs = [one if one.problem else replace(one, mirrored=_free(one.mirrored, taken)) for one in found]
    return Found(inputs, search.remarks())


def refuse_overwriting(inputs: Sequence[Input], pictures: Sequence[Path]) -> None:
    """Check that annotated images replace nothing but those of an earlier run.

    Args:
        inputs: what is read.
        pictures: what is written; an existing file is replaced if it bears `SIGNATURE`.

    Raises:
        FacemaskError: a file is an input, or one that this command has not written.
    """
    read = {_identity(Path(one.name)): one.name for one in inputs}
    read.pop(None, None)
    for picture in pictures:
        if clash := read.get(_identity(picture)):
            raise FacemaskError(f"the input {clash} would be overwritten: choose another folder with --pictures")
        if picture.exists() and not _is_signed(picture):
            raise FacemaskError(
                f"{picture} would be overwritten, and `facemask predict` did not write it: choose another folder with "
                "--pictures"
            )


class _Search:
    """Files that names refer to, and what was left out on the way."""

    def __init__(self, written: Collection[tuple[int, int]]) -> None:
        self._written = written
        self._signed: list[str] = []
        self._remarks: dict[str, None] = {}  # in order, each once

    def expand(self, name: str) -> Iterator[Input]:
        """Yield the files that one name refers to; their `mirrored` paths may still collide."""
        if name == STANDARD_INPUT:
            yield Input(name, PurePath("standard_input"))
        elif is_address(name):
            yield from _stored(name)
        elif _is_folder(Path(name)):
            yield from self._folder(Path(name))
        elif glob.has_magic(name) and not os.path.lexists(name):
            yield from self._pattern(name)
        elif _identity(Path(name)) in self._written:
            self._remarks[f"{name} is left out: it is written by this command"] = None
        else:
            yield Input(name, PurePath(Path(name).name))

    def remarks(self) -> list[str]:
        """Return sentences about what was left out."""
        remarks = list(self._remarks)
        if self._signed:
            remarks.append(
                f"{len(self._signed)} pictures are left out that `facemask predict` has marked, such as "
                f"{self._signed[0]}: to use one, name it"
            )
        return remarks

    def _folder(self, folder: Path) -> Iterator[Input]:
        found = walk(folder)
        self._remark(found)
        before, empty = len(self._signed), not found.unreadable
        for name in found.files:
            for one in self._file(folder / name, PurePath(name)):
                empty = False
                yield one
        yield from _problems(found)
        if empty and len(self._signed) == before:
            yield Input(str(folder), PurePath(), "no image in this folder")

    def _pattern(self, pattern: str) -> Iterator[Input]:
        fixed, varying = _fixed_part(pattern)
        if "**" in varying.parts:  # its folders are not expanded: the files in them match too
            found = walk(fixed)
            self._remark(found)
            if _is_folder(fixed):
                yield from _problems(found)
            matches = [name for name in found.files if _matches(name, varying)]
        else:
            matches = sorted(path.relative_to(fixed).as_posix() for path in fixed.glob(str(varying)))
        empty = True
        for name in matches:
            path = fixed / name
            if is_leftover(name):
                continue
            empty = False
            if _is_signed(path):
                self._signed.append(str(path))
            else:
                yield from self.expand(str(path))
        if empty:
            yield Input(pattern, PurePath(), "no file matches")

    def _file(self, path: Path, mirrored: PurePath) -> Iterator[Input]:
        """Yield a file of a folder if it is an image, or if nobody can tell."""
        try:
            if not path.exists():
                yield Input(str(path), mirrored, "broken link")
            elif not path.is_file():  # reading a pipe would block
                if path.suffix.lower() in _SUFFIXES:
                    yield Input(str(path), mirrored, "no ordinary file")
            elif _is_signed(path):
                self._signed.append(str(path))
            elif path.suffix.lower() in _SUFFIXES or is_image(_head(path)):
                yield Input(str(path), mirrored)
        except OSError as error:
            yield Input(str(path), mirrored, error.strerror or str(error))

    def _remark(self, found: Walk) -> None:
        self._remarks.update(dict.fromkeys(found.remarks("to use what it holds, name it as an input")))


def _free(below: PurePath, taken: set[str]) -> PurePath:
    """Return an unused path for an annotated image, unique on case-insensitive file systems too."""
    suffix = below.suffix if below.suffix.lower() in (".jpg", ".jpeg", ".png") else ".jpg"
    free, number = below.with_suffix(suffix), 1
    while str(free).casefold() in taken:
        number += 1
        free = below.with_name(f"{below.stem}-{number}{suffix}")
    taken.add(str(free).casefold())
    return free


def _stored(address: str) -> Iterator[Input]:
    """Yield the files below a prefix of an object store that are images by their names: looking into each is slow."""
    empty = True
    for file in list_files(address):
        is_image_name = PurePath(file.below).suffix.lower() in _SUFFIXES and not is_leftover(file.below)
        if is_image_name or file.address == address:
            empty = False
            yield Input(file.address, PurePath(file.below), version=file.version)
    if empty:
        yield Input(address, PurePath(), "no image at this address")


def _problems(found: Walk) -> Iterator[Input]:
    for problem in found.unreadable:
        yield Input(str(problem.filename), PurePath(), problem.strerror or str(problem))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # of a folder above it that may not be searched; said when the file is read
        return False


def _is_signed(path: Path) -> bool:
    """Return whether a file is a picture that this command has written."""
    try:
        return path.is_file() and SIGNATURE.encode() in _head(path)
    except OSError:
        return False


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _fixed_part(pattern: str) -> tuple[Path, PurePath]:
    """Split a pattern into the folder that its first parts name, and the rest."""
    parts = PurePath(pattern).parts
    number = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:number]), PurePath(*parts[number:])


def _matches(name: str, pattern: PurePath) -> bool:
    """Return whether a path matches a pattern in which `**` stands for any number of folders, or for all below one."""
    parts, wanted = PurePath(name).parts, pattern.parts
    if not wanted:
        return not parts
    if wanted[0] == "**":
        rest = PurePath(*wanted[1:])
        return not rest.parts or any(_matches("/".join(parts[start:]), rest) for start in range(len(parts)))
    if not parts or not fnmatch.fnmatchcase(parts[0], wanted[0]):
        return False
    return _matches("/".join(parts[1:]), PurePath(*wanted[1:]))


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, which identify it under any name; None if it does not exist."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
