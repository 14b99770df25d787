"""The benchmark of the server measures, and finds no wrong answer under bad clients."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.nightly
def test_a_short_run_finds_no_wrong_or_lost_answer(photo_export: Path) -> None:
    short = ["--requests", "400", "--memory-requests", "200", "--seconds", "1", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "serve.py", "--model", photo_export, *short],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(re.findall(r"(?m)^\| (.+?) \| (.+) \|$", done.stdout))
    assert rows["TensorFlow imported"] == "no"
    assert rows["400 requests, one in ten hostile: wrong or lost answers"] == "0"
    assert float(rows["crops a second, 8 clients"].split()[0]) > 0
