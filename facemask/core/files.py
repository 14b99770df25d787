"""Atomic, byte-stable writing of files."""

import csv
import errno
import glob
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FORSAKEN_AFTER = 24 * 60 * 60.0  # seconds


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it on success and is removed on failure.

    The body may make a file or a folder at the given path. A process killed outright leaves at most a hidden
    temporary folder behind, never a half-written `path`; a later run removes it when it is a day old.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # "File exists" would be read as: the file that is to be written
        raise NotADirectoryError(errno.ENOTDIR, f"{path.parent} is no folder", str(path)) from error
    _remove_forsaken(path)
    workspace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        draft = workspace / path.name
        yield draft
        if path.is_dir() and not path.is_symlink():
            path.rename(workspace / "replaced")  # a folder can't be replaced by another in one step
        draft.replace(path)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def _remove_forsaken(path: Path) -> None:
    """Remove what killed processes left of drafts of `path`; a younger one may be another process at work."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if folder.is_dir() and time.time() - folder.stat().st_mtime > _FORSAKEN_AFTER:
            shutil.rmtree(folder, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one step."""
    with atomic_path(path) as draft:
        draft.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends on every system."""
    with atomic_path(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any], digits: int = 6) -> None:
    """Write `content` as indented JSON in the order of its keys; floats are rounded to `digits` decimals."""
    write_text(path, json.dumps(_rounded(content, digits), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], digits: int = 6) -> None:
    """Write rows as CSV; floats are rounded to `digits` decimals, None is an empty cell."""
    with atomic_path(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([round(cell, digits) if isinstance(cell, float) else cell for cell in row] for row in rows)


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, Mapping):
        return {key: _rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item, digits) for item in value]
    return value
