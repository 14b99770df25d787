"""The command `facemask`, run in the process of the test, which has loaded most of what it needs.

What only a process can show, such as its start, signals and what it does without a package, needs a process.
"""

import contextlib
import io
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from facemask.cli.app import main


def facemask(folder: Path, *arguments: str | Path, stdin: bytes = b"", **variables: str) -> CompletedProcess[str]:
    """Run a command as its entry point does, in `folder` and with environment variables of its own."""
    command = ["facemask", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    code: object = 0
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(sys, "argv", command)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        for name, value in variables.items():
            patch.setenv(name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as ended:
                code = ended.code
    return CompletedProcess(command, code if isinstance(code, int) else int(code is not None), text(out), text(err))


def text(stream: io.TextIOWrapper) -> str:
    """Return what was written."""
    stream.flush()
    written = stream.buffer
    assert isinstance(written, io.BytesIO)
    return written.getvalue().decode()
