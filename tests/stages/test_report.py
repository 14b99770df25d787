"""The stage `report`, run as DVC runs it."""

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.report.outs import write_outs

pytestmark = pytest.mark.slow  # runs the real stage

ROOT = Path(__file__).parents[2]
STAGE = str(ROOT / "stages" / "report.py")


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project in which the stage has run in a process of its own, and what that printed about TensorFlow."""
    folder = tmp_path_factory.mktemp("project")
    write_outs(folder, wrong=(0.9, 0.8))
    script = (
        f"import runpy, sys; runpy.run_path({STAGE!r}, run_name='__main__'); "
        "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture
def project(first_run: tuple[Path, str]) -> Path:
    return first_run[0]


@pytest.fixture
def run_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Run the stage once more, in this process, which has loaded everything already."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "argv", [STAGE])

    def run() -> None:
        runpy.run_path(STAGE, run_name="__main__")

    return run


def contents(project: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (project / "report").iterdir()}


def test_the_stage_writes_three_documents_and_nothing_else(project: Path) -> None:
    assert sorted(contents(project)) == ["model_card.md", "report.html", "report.md"]
    assert not [file.name for file in project.iterdir() if file.name.startswith(".")]


def test_the_stage_starts_without_tensorflow(first_run: tuple[Path, str]) -> None:
    assert first_run[1] == "False False\n"


def test_nothing_of_this_machine_and_no_date_is_in_the_documents(project: Path) -> None:
    text = b"".join(contents(project).values())
    assert b"\r" not in text
    assert not re.search(rb"\b20\d\d-\d\d-\d\d\b", text)
    assert str(project).encode() not in text
    assert str(ROOT).encode() not in text


def test_another_process_writes_the_same_bytes(project: Path, run_again: Callable[[], None]) -> None:
    before = contents(project)
    run_again()
    assert contents(project) == before


def test_a_missing_input_ends_with_one_line_and_leaves_the_last_report(
    project: Path, run_again: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(project)
    metrics = project / "metrics/details" / "evaluation.json"
    metrics.rename(project / "away.json")
    with pytest.raises(SystemExit) as end:
        run_again()
    (project / "away.json").rename(metrics)
    assert end.value.code == 1
    assert capsys.readouterr().err == "error: metrics/details/evaluation.json is missing; run `dvc repro evaluate`\n"
    assert contents(project) == before
