"""The command's help is quick, grouped, and completes in a shell."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from facemask.cli.app import GROUPS, app


def test_the_help_lists_every_command_under_its_group() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).stdout
    places = [shown.index(f" {title} ") for title in GROUPS]
    assert places == sorted(places)
    for (_, commands), start, end in zip(GROUPS.items(), places, [*places[1:], len(shown)], strict=True):
        for command in commands:
            assert f" {command.__name__.replace('_', '-')} " in shown[start:end]


def test_every_command_is_in_one_group() -> None:
    grouped = [command.__name__.replace("_", "-") for commands in GROUPS.values() for command in commands]
    assert sorted(get_group(app).commands) == sorted(grouped)


def test_the_version_is_that_of_the_distribution() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"facemask {version('facemask-pipeline')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell: str) -> None:
    words = {"COMP_WORDS": "facemask check", "COMP_CWORD": "1"} if shell == "bash" else {}
    typed = {
        "_TYPER_COMPLETE_ARGS": "facemask check",
        **({"_TYPER_COMPLETE_FISH_ACTION": "get-args"} if shell == "fish" else {}),
    }
    environment = {"_FACEMASK_COMPLETE": f"complete_{shell}", **words, **typed}
    done = CliRunner().invoke(app, [], env=environment, prog_name="facemask")
    assert "check-lock" in done.stdout


def test_the_help_loads_no_heavy_library() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from facemask.cli.app import app\n"
        "CliRunner().invoke(app, ['--help'])\n"
        "print(sorted({'cv2', 'dvc', 'numpy', 'pandas', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
