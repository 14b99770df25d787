"""The command `facemask`: registers the commands in groups."""

import re
import sys
from collections.abc import Callable
from importlib.metadata import requires, version
from typing import Annotated

import typer

from facemask.cli.deploy import page, publish_model, serve
from facemask.cli.retrain import new_data, publish, retrain
from facemask.cli.review import check_lock, compare, gate, review
from facemask.cli.use import benchmark, predict, summary, watch
from facemask.core.errors import FacemaskError, unusable_path

GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Use the model": (predict, watch, benchmark, summary),
    "Give it to others": (page, serve, publish_model),
    "Review a change": (compare, gate, review, check_lock),
    "Keep it trained": (new_data, retrain, publish),
}

DISTRIBUTION = "facemask-pipeline"

# Where the name of a module is not that of its package with hyphens.
_PACKAGES = {"github": "pygithub", "huggingface-hub": "huggingface_hub", "sklearn": "scikit-learn"}


def _print_version(requested: bool) -> None:
    if requested:
        print(f"facemask {version(DISTRIBUTION)}")
        raise typer.Exit


def facemask(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Classify faces: mask worn correctly, worn incorrectly, or no mask."""


def build_app() -> typer.Typer:
    """Return the Typer application with every command in its group."""
    application = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    application.callback()(facemask)
    for title, commands in GROUPS.items():
        for command in commands:
            application.command(rich_help_panel=title)(command)
    return application


app = build_app()


def main() -> None:
    """Run the command; an error that the user can fix is printed in one line, without a traceback."""
    try:
        app()
    except FacemaskError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        extra = _extra_with(error.name or "")
        if extra is None:
            raise
        advice = f"pip install '{DISTRIBUTION}[{extra}]'"
        print(f"error: this command needs {error.name}, which is not installed; run {advice}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if not (said := unusable_path(error)):
            raise
        print(f"error: {said}", file=sys.stderr)
        sys.exit(1)


def _extra_with(module: str) -> str | None:
    """Name the extra of this distribution that brings a module; None if there is none."""
    name = module.partition(".")[0].replace("_", "-").lower()
    package = _PACKAGES.get(name, name)
    for requirement in requires(DISTRIBUTION) or []:
        match = re.match(r"([\w-]+).*; extra == ['\"](\w+)['\"]", requirement)
        if match and match[1].lower() == package:
            return match[2]
    return None
