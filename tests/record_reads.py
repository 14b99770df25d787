"""Run a script and record which files of the current folder it opens: `python record_reads.py LOG SCRIPT [ARGS]`."""

import os
import runpy
import sys
from pathlib import Path
from typing import Any


def main(log: str, script: str) -> None:
    """Run `script` with an audit hook on `open`; write the relative paths it opened for reading to `log`."""
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
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        Path(log).write_text("\n".join(sorted(opened)), encoding="utf-8")


if __name__ == "__main__":
    log_file, script_file, *rest = sys.argv[1:]
    sys.argv = [script_file, *rest]
    main(log_file, script_file)
