"""Input files of the command line: images, folders, patterns and standard input."""

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
_HEAD = 4096  # bytes; enough to detect an image format


@dataclass(frozen=True)
class Input:
    """One input file.

    Attributes:
        name: path of the file, starting as the user typed it.
        mirrored: unique path in the folder of annotated images, ending in .jpg, .jpeg or .png.
        problem: why the file cannot be read; empty if it can.
    """

    name: str
    mirrored: PurePath
    problem: str = ""


def find_inputs(given: Sequence[str]) -> list[Input]:
    """List the input files.

    A folder is searched recursively, in sorted order, for images, recognised by name or content; hidden files and
    those of operating systems are ignored. A name that does not exist and contains `*`, `?` or `[` is a glob pattern;
    `**` matches any number of folders.

    Args:
        given: names as typed; `-` is standard input.
    """
    taken: set[str] = set()
    found = (one for name in given for one in _expand(name))
    return [one if one.problem else replace(one, mirrored=_free(one.mirrored, taken)) for one in found]


def refuse_overwriting(inputs: Sequence[Input], targets: Sequence[Path]) -> None:
    """Check that no output would overwrite an input.

    Raises:
        FacemaskError: an output is one of the inputs.
    """
    read = {_identity(Path(one.name)): one.name for one in inputs}
    read.pop(None, None)
    for target in targets:
        if clash := read.get(_identity(target)):
            raise FacemaskError(f"{clash} would be overwritten; change --pictures or --output")


def _expand(name: str) -> Iterator[Input]:
    """Yield the files that one name refers to; their `mirrored` paths may still collide."""
    if name == STANDARD_INPUT:
        yield Input(name, PurePath("standard_input"))
    elif Path(name).is_dir():
        yield from _search(name)
    elif glob.has_magic(name) and not os.path.lexists(name):
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if "**" in name:  # the files in these folders have matched too
            matches = [match for match in matches if not Path(match).is_dir()]
        for match in matches:
            yield from _expand(match)
        if not matches:
            yield Input(name, PurePath(), "no file matches")
    else:
        yield Input(name, PurePath(Path(name).name))


def _search(folder: str) -> Iterator[Input]:
    found = False
    problems: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=problems.append):
        folders[:] = sorted(name for name in folders if not _is_ignored(name))
        for name in sorted(files):
            path = Path(place, name)
            if not _is_ignored(name) and _is_image(path):
                found = True
                yield Input(str(path), path.relative_to(folder))
    for problem in problems:
        yield Input(str(problem.filename), PurePath(), problem.strerror or str(problem))
    if not found and not problems:
        yield Input(folder, PurePath(), "no image in this folder")


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX" or is_junk(name)


def _is_image(path: Path) -> bool:
    """Return whether a file is an image, possibly a broken one."""
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        if not path.is_file():
            return False  # reading a pipe would block
        with path.open("rb") as file:
            decode(file.read(_HEAD))
    except UnusableImage as error:
        return error.reason not in ("not an image", "empty file")
    except OSError:
        return False
    return True


def _free(below: PurePath, taken: set[str]) -> PurePath:
    """Return an unused path for an annotated image, unique on case-insensitive file systems too."""
    suffix = below.suffix if below.suffix.lower() in (".jpg", ".jpeg", ".png") else ".jpg"
    free, number = below.with_suffix(suffix), 1
    while str(free).casefold() in taken:
        number += 1
        free = below.with_name(f"{below.stem}-{number}{suffix}")
    taken.add(str(free).casefold())
    return free


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, which identify it under any name; None if it does not exist."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
