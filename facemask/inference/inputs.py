"""What a person names on the command line, as files: pictures, folders, patterns and standard input."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from facemask.core.errors import FacemaskError
from facemask.dataset.archive import is_junk
from facemask.dataset.decode import UnusableImage, decode

STANDARD_INPUT = "-"

_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".jp2", ".avif", ".heic", ".heif")
)
_HEAD = 4096  # bytes, enough to tell the format of a picture


@dataclass(frozen=True)
class Input:
    """One file to look at.

    Attributes:
        name: for people and programs, starting as it was given.
        mirrored: its place in a folder of annotated pictures, ending in .jpg, .jpeg or .png; no two inputs have the
            same.
        problem: why there is nothing to look at; empty otherwise.
    """

    name: str
    mirrored: PurePath
    problem: str = ""


def find_inputs(given: Sequence[str]) -> list[Input]:
    """List the files that are meant.

    A folder stands for the pictures in it and below, sorted by name; what is no picture, neither by name nor by
    content, is passed over, and so is what is hidden or left behind by operating systems. A name that does not exist
    and has `*`, `?` or `[` in it is a pattern, `**` for any folders in between; quoted, it reaches the command on every
    system.

    Args:
        given: names as they were typed; `-` is standard input.
    """
    taken: set[str] = set()
    found = (one for name in given for one in _meant(name))
    return [one if one.problem else replace(one, mirrored=_free(one.mirrored, taken)) for one in found]


def refuse_overwriting(inputs: Sequence[Input], targets: Sequence[Path]) -> None:
    """Check that none of the files to be written is one of those to be read.

    Raises:
        FacemaskError: one is.
    """
    read = {_identity(Path(one.name)): one.name for one in inputs}
    read.pop(None, None)
    for target in targets:
        if clash := read.get(_identity(target)):
            raise FacemaskError(f"{clash} would be overwritten by an annotated picture or a table: write elsewhere")


def _meant(name: str) -> Iterator[Input]:
    """Yield the files behind one name; their places in a mirror are wishes."""
    if name == STANDARD_INPUT:
        yield Input(name, PurePath("standard_input"))
    elif Path(name).is_dir():
        yield from _below(name)
    elif glob.has_magic(name) and not os.path.lexists(name):
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if "**" in name:  # which has found the files in folders already
            matches = [match for match in matches if not Path(match).is_dir()]
        for match in matches:
            yield from _meant(match)
        if not matches:
            yield Input(name, PurePath(), "no file has a name like this")
    else:
        yield Input(name, PurePath(Path(name).name))


def _below(folder: str) -> Iterator[Input]:
    found = False
    problems: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=problems.append):
        folders[:] = sorted(name for name in folders if not _passed_over(name))
        for name in sorted(files):
            path = Path(place, name)
            if not _passed_over(name) and _is_picture(path):
                found = True
                yield Input(str(path), path.relative_to(folder))
    for problem in problems:
        yield Input(str(problem.filename), PurePath(), problem.strerror or str(problem))
    if not found and not problems:
        yield Input(folder, PurePath(), "no picture in this folder")


def _passed_over(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX" or is_junk(name)


def _is_picture(path: Path) -> bool:
    """Tell whether a file means to be a picture, broken ones included."""
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        if not path.is_file():
            return False  # a pipe would be waited for
        with path.open("rb") as file:
            decode(file.read(_HEAD))
    except UnusableImage as error:
        return error.reason not in ("not an image", "empty file")
    except OSError:
        return False
    return True


def _free(below: PurePath, taken: set[str]) -> PurePath:
    """Choose a name for an annotated picture that no other has, on file systems that ignore case as well."""
    suffix = below.suffix if below.suffix.lower() in (".jpg", ".jpeg", ".png") else ".jpg"
    free, number = below.with_suffix(suffix), 1
    while str(free).casefold() in taken:
        number += 1
        free = below.with_name(f"{below.stem}-{number}{suffix}")
    taken.add(str(free).casefold())
    return free


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others under whatever name, None where there is no such file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
