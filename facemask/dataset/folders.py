"""Folders of photographs: which files belong to them, by one rule for training, checks and prediction."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What systems and programs leave in folders, none of it a photograph that anybody put there. Besides hidden names, such
# as .DS_Store, .thumbnails or macOS' side files `._x`:
_LEFTOVERS = re.compile(
    r"(?:^|/)(?:\.|(?:__MACOSX|Icon\r|"  # macOS
    r"(?:eh)?thumbs(?:_vista)?\.db(?::encryptable)?|desktop\.ini|\$RECYCLE\.BIN|System Volume Information|"  # Windows
    r"@eaDir|@tmp|#recycle|#snapshot|@Recycle|@Recently-Snapshot|"  # network drives: Synology, QNAP
    r"lost\+found)(?:/|\Z))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Walk:
    """What lies in a folder and below it.

    Attributes:
        root: the folder.
        files: paths from `root`, with "/": of each folder its files, then those of its subfolders, both by name. Links
            to files are among them, and so are broken links and special files: whoever reads them says so.
        linked: links to folders, in the same form. They are not searched.
        unreadable: folders that cannot be read.
    """

    root: Path
    files: list[str]
    linked: list[str]
    unreadable: list[OSError]

    def remarks(self, advice: str) -> list[str]:
        """Say of each link to a folder that it was not searched; `advice` completes the sentence."""
        return [f"{self.root / name} is a link to a folder, which is not searched: {advice}" for name in self.linked]


def walk(root: Path) -> Walk:
    """Search a folder, which may itself be a link, for files at any depth.

    A link to a file stands for the file. A link to a folder is not followed: DVC does not follow it either and would
    not notice a change behind it, and a link to a parent would lead round in circles. Leftovers are passed over.
    """
    found = Walk(root, [], [], [])
    for place, folders, files in os.walk(root, onerror=found.unreadable.append):
        inside = Path(place).relative_to(root)
        folders[:] = sorted(name for name in folders if not is_leftover(name))
        found.files.extend((inside / name).as_posix() for name in sorted(files) if not is_leftover(name))
        found.linked.extend((inside / name).as_posix() for name in folders if Path(place, name).is_symlink())
    return found


def is_leftover(path: str) -> bool:
    """Check whether a path (with "/") names, or lies in, something hidden or left by a system or program."""
    return _LEFTOVERS.search(path) is not None


def first_link(root: Path, below: str) -> Path | None:
    """Return the first link on the way from `root`, which may itself be one, to `below`; None if there is none."""
    return next((place for place in _way(root, below) if place.is_symlink()), None)


def _way(root: Path, below: str) -> Iterator[Path]:
    place = root
    for part in Path(below).parts:
        place /= part
        yield place
