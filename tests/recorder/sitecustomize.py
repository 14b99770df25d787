"""Record which files of the project each stage opens: Python imports this module when its folder is in PYTHONPATH.

A process that was started as `python stages/NAME.py [ARGUMENT]` with RECORD_READS set writes the files below its
working directory that it opened for reading to `$RECORD_READS/NAME[@ARGUMENT].txt`, one relative path per line.
"""

import atexit
import os
import sys
from pathlib import Path
from typing import Any


def record(log: Path) -> None:
    """Add an audit hook on `open`, and write what it saw to `log` when the process ends."""
    root = Path.cwd()
    opened: set[str] = set()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            mode, flags = arguments[1], arguments[2]
            writes = flags & (os.O_WRONLY | os.O_RDWR) if mode is None else any(letter in mode for letter in "wax+")
            path = Path(os.path.abspath(os.fsdecode(arguments[0])))  # noqa: PTH100 - links are not followed
            if not writes and path.is_relative_to(root) and path.is_file():
                opened.add(path.relative_to(root).as_posix())

    sys.addaudithook(hook)
    atexit.register(lambda: log.write_text("\n".join(sorted(opened)), encoding="utf-8"))


folder, script = os.environ.get("RECORD_READS"), Path(*sys.orig_argv[1:2])
if folder and script.parts[:1] == ("stages",):
    record(Path(folder) / f"{'@'.join([script.stem, *sys.orig_argv[2:]])}.txt")
