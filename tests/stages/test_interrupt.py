"""Ctrl-C during a stage: exit code 130 and no traceback; during a training, see tests/training/test_checkpoint.py."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds; the machine may be busy with other tests
STAGES = sorted(path.name for path in (ROOT / "stages").glob("*.py"))

pytestmark = pytest.mark.slow  # starts the stages


def interrupt_after(import_of: str, stage: str, folder: Path) -> tuple[int, str]:
    """Start a stage, send it SIGINT as soon as it begins to import a module, and return its exit code and stderr."""
    command = [
        sys.executable,
        "-X",
        "importtime",
        str(ROOT / "stages" / stage),
        *(["sample"] * (stage == "download.py")),
    ]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    said = ""
    while import_of not in said and (line := process.stderr.readline()):
        said += line
    os.killpg(process.pid, signal.SIGINT)
    _, rest = process.communicate(timeout=PATIENCE)
    return process.returncode, "".join(line for line in rest.splitlines(True) if not line.startswith("import time:"))


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupt_during_the_imports_of_a_stage_leaves_no_traceback(stage: str, tmp_path: Path) -> None:
    for module in ("yaml", "facemask.core.params"):
        assert interrupt_after(module, stage, tmp_path) == (130, ""), module


def test_an_interrupt_while_faces_are_drawn_by_several_processes_leaves_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    code, said = interrupt_after("concurrent.futures.process", "download.py", tmp_path)
    assert (code, "Traceback" in said) == (130, False)
