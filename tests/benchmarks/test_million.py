"""The simulation of very many images runs all stages, and keeps the limits."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.nightly
def test_all_stages_run_on_what_is_drawn_and_no_limit_is_exceeded(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/million.py", "--images", "6000", "--folder", str(tmp_path / "project")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(", at most ") == 5
    assert (tmp_path / "project/report/report.html").stat().st_size > 100_000
