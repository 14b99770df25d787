"""How long each stage of the pipeline takes, and how much memory: runs every stage of this project, in order.

    python benchmarks/pipeline.py                 # on what params.yaml names; every stage runs, changed or not
    python benchmarks/pipeline.py merge split     # these stages only

Prints a Markdown table: wall-clock seconds, and the peak resident memory of the stage's largest process. DVC's own
work for the stage, hashing and caching, is part of the seconds.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def stages() -> list[str]:
    """Names of the stages, in the order of dvc.yaml, in which each comes after those it needs."""
    command = ["dvc", "stage", "list", "--name-only"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()


def measure(stage: str) -> tuple[float, float]:
    """Run one stage; return seconds and megabytes.

    Raises:
        SystemExit: the stage failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(["dvc", "repro", "--quiet", "--single-item", "--force", stage], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"the stage {stage} failed")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
    return seconds, usage.ru_maxrss * unit / 2**20


def main() -> None:
    """Measure the stages named on the command line, or all, and print the table."""
    measured = {stage: measure(stage) for stage in sys.argv[1:] or stages()}
    print("| stage | seconds | peak memory, MB |\n| --- | ---: | ---: |")
    for stage, (seconds, megabytes) in measured.items():
        print(f"| `{stage}` | {seconds:.1f} | {megabytes:.0f} |")
    total = sum(seconds for seconds, _ in measured.values())
    peak = max(megabytes for _, megabytes in measured.values())
    print(f"| all | {total:.1f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
