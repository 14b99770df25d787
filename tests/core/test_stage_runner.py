"""However a stage ends, a person reads one line and no traceback; a fault of the program keeps its traceback."""

import subprocess
import sys

import pytest

HEAD = "import errno, os\nfrom facemask.core.errors import FacemaskError\nfrom facemask.core.stage_runner import run\n"


def run_stage(body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"{HEAD}{body}\nrun(main)", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_a_person_can_mend_is_one_line() -> None:
    done = run_stage("def main(): raise FacemaskError('a.zip is missing; fetch it')")
    assert (done.returncode, done.stderr) == (1, "error: a.zip is missing; fetch it\n")


@pytest.mark.parametrize("number", ["ENOSPC", "EACCES", "EROFS", "EFBIG"])
def test_a_disk_that_is_full_or_closed_is_one_line(number: str) -> None:
    body = f"def main(): raise OSError(errno.{number}, os.strerror(errno.{number}), 'data/images.zip')"
    done = run_stage(body)
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/images.zip cannot be used (")
    assert done.stderr.endswith("free some space or change its permissions, then run again\n")
    assert done.stderr.count("\n") == 1


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    done = run_stage("def main(): raise OSError(errno.EINVAL, 'Invalid argument')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_wrong_call_says_how_to_call() -> None:
    done = run_stage("def main(name): print(name)")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
    assert "NAME" in done.stderr
