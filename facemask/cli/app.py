"""The command `facemask`: registers the commands in groups."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from facemask.cli.retrain import new_data, publish, retrain
from facemask.cli.review import check_lock, compare, gate, review
from facemask.cli.use import benchmark, page, predict, summary, watch
from facemask.core.errors import FacemaskError

GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Use the model": (predict, page, watch, benchmark, summary),
    "Review a change": (compare, gate, review, check_lock),
    "Keep it trained": (new_data, retrain, publish),
}


def _print_version(requested: bool) -> None:
    if requested:
        print(f"facemask {version('facemask-pipeline')}")
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
