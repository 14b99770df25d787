"""Commands that keep the model trained: new-data, retrain, publish."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class DataReportFormat(StrEnum):
    """Formats in which findings about new data are printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def new_data(
    what: Annotated[list[str], typer.Argument(help="Entries of `sources` in params.yaml, or one folder or zip file.")],
    version: Annotated[
        int | None, typer.Option(help="Version of a Kaggle set, instead of the one in params.yaml.", show_default=False)
    ] = None,
    folders_of: Annotated[
        str | None,
        typer.Option(
            help="Entry of `sources` whose folder map applies to the folder or zip file.",
            show_default="folders named after the classes",
        ),
    ] = None,
    layout: Annotated[DataReportFormat, typer.Option("--format", help="Output format.")] = DataReportFormat.TEXT,
) -> None:
    """Check new images before training: copies, contradicting labels, quality, drift.

    Nothing in the project is written.

    Exit codes: 0, whatever was found; 1, the images could not be checked.
    """
    from facemask.review import new_data_page
    from facemask.review.new_data import check_new_data

    found = check_new_data(what, version, folders_of)
    if layout is DataReportFormat.JSON:
        print(json.dumps(new_data_page.figures(found), indent=2, ensure_ascii=False))
    else:
        write = new_data_page.markdown if layout is DataReportFormat.MARKDOWN else new_data_page.text
        print(write(found), end="")


def retrain(
    outcome: Annotated[Path | None, typer.Option(help="Write the outcome to this file, for `publish`.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Append the outcome to this file, as Markdown.")] = None,
) -> None:
    """Look for newer data on Kaggle, run the pipeline, and commit the changes on a new branch.

    Nothing is committed if settings, lock and figures are unchanged. The
    checked-out branch is left alone. If there is a DVC remote, files are
    pulled from it and pushed to it.

    Exit codes: 0, with or without changes; 1, a step failed.
    """
    from facemask.review.retrain import retrain as run_retraining

    result = run_retraining(Path(), outcome, summary)
    print(f"\n{result.title}\n\n{result.body}")
    if result.branch:
        print(f"\nThe changes are on the branch {result.branch}.")
    if result.kind == "failed":
        raise typer.Exit(1)


def publish(outcome: Annotated[Path, typer.Argument(help="The file that `retrain --outcome` wrote.")]) -> None:
    """Report the outcome of `retrain` on GitHub: a pull request, or an issue if it failed.

    Needs GITHUB_REPOSITORY (owner/name) and RETRAIN_TOKEN in the environment.
    An existing pull request or issue is updated, not opened twice.
    """
    from facemask.review.github import Place
    from facemask.review.github import publish as publish_outcome
    from facemask.review.retrain import read_outcome

    result = read_outcome(outcome)
    nothing = result.kind == "nothing"
    print(result.title if nothing else publish_outcome(result, Path(), Place.from_environment()))
