"""Run the commands that a document shows after `$`, and put what they print below them.

    python docs/outputs.py docs/gate.md docs/compare.md

Run it in the project's folder after `dvc repro`, and read the difference in git: commands do here what they do
anywhere. What a command says on standard error is part of what it prints. A server does not end by itself: after
`--wait` seconds a command is interrupted, as Ctrl+C would.
"""

import argparse
import os
import re
import signal
import subprocess
from functools import partial
from pathlib import Path

BLOCK = re.compile(r"^(    \$ .*\n)((?:(?:    (?!\$ ).*)?\n)*)(?=\S|    \$ |\Z)", re.MULTILINE)


def rerun(wait: float, block: re.Match[str]) -> str:
    """Run the command of one block, for at most `wait` seconds; return the block with what it printed."""
    command = block[1].strip().removeprefix("$ ")
    print(f"$ {command}", flush=True)
    with subprocess.Popen(
        ["bash", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,  # a group of processes that can be interrupted together
    ) as process:
        try:
            output, _ = process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate()
    printed = "".join(f"    {line}".rstrip() + "\n" for line in output.splitlines())
    followed = block.string[block.end() :].startswith("    $ ") or block.end() == len(block.string)
    return block[1] + printed + ("" if followed else "\n")


def main() -> None:
    """Bring the documents named on the command line up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", nargs="+", type=Path)
    parser.add_argument("--wait", type=float, default=300, help="seconds before a command is interrupted (%(default)s)")
    given = parser.parse_args()
    for document in given.documents:
        text = document.read_text(encoding="utf-8")
        document.write_text(BLOCK.sub(partial(rerun, given.wait), text), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
