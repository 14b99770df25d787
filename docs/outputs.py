"""Run the commands that a document shows after `$`, and put what they print below them.

    python docs/outputs.py docs/gate.md docs/compare.md

Run it in the project's folder after `dvc repro`, and read the difference in git: commands do here what they do
anywhere. What a command says on standard error is part of what it prints.
"""

import argparse
import re
import subprocess
from pathlib import Path

BLOCK = re.compile(r"^(    \$ .*\n)((?:(?:    (?!\$ ).*)?\n)*)(?=\S|    \$ |\Z)", re.MULTILINE)


def rerun(block: re.Match[str]) -> str:
    """Run the command of one block; return the block with what it printed."""
    command = block[1].strip().removeprefix("$ ")
    print(f"$ {command}", flush=True)
    done = subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    printed = "".join(f"    {line}".rstrip() + "\n" for line in done.stdout.splitlines())
    followed = block.string[block.end() :].startswith("    $ ") or block.end() == len(block.string)
    return block[1] + printed + ("" if followed else "\n")


def main() -> None:
    """Bring the documents named on the command line up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", nargs="+", type=Path)
    for document in parser.parse_args().documents:
        text = document.read_text(encoding="utf-8")
        document.write_text(BLOCK.sub(rerun, text), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
