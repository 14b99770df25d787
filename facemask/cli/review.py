"""Commands that review a change: compare, gate, review, check-lock."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facemask.core.errors import FacemaskError


class DocumentFormat(StrEnum):
    """Formats in which a comparison or a review is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"


EarlierModel = Annotated[
    str, typer.Argument(help="The earlier model: a git branch, tag or commit, or a DVC experiment.")
]
LaterModel = Annotated[
    str | None, typer.Option("--with", help="The later model, named in the same way.", show_default="the work tree")
]
Layout = Annotated[DocumentFormat, typer.Option("--format", help="Output format.")]
HtmlPage = Annotated[Path | None, typer.Option(help="Also write an HTML page with pictures to this file.")]


def compare(
    rev: EarlierModel,
    other: LaterModel = None,
    output: Layout = DocumentFormat.TEXT,
    html: HtmlPage = None,
) -> None:
    """Test whether one model is better than another on the test images that both have.

    Exit codes: 0, whatever the result; 1, the models could not be compared.
    """
    from facemask.core.files import write_text
    from facemask.review import comparison_page
    from facemask.review.revisions import Revision

    compared = comparison_page.compare_revisions(Revision(Path(), rev), Revision(Path(), other))
    write = comparison_page.markdown if output is DocumentFormat.MARKDOWN else comparison_page.text
    print(write(compared), end="")
    if html:
        write_text(html, comparison_page.html(compared, Path()))


def gate(
    rev: EarlierModel,
    other: LaterModel = None,
    if_comparable: Annotated[
        bool,
        typer.Option(
            "--if-comparable", help="Pass if the earlier model has no predictions, or none for the same images."
        ),
    ] = False,
) -> None:
    """Fail if a figure fell by more than `gate` in params.yaml allows and than chance explains.

    The limits are read from the earlier revision, so that a change cannot
    widen its own gate.

    Exit codes: 0, passed; 1, failed, or the models could not be compared.
    """
    from facemask.review.gate import evaluate_gate
    from facemask.review.revisions import Revision

    judgement = evaluate_gate(Revision(Path(), rev), Revision(Path(), other), if_comparable)
    print(judgement.sentence)
    if not judgement.passed:
        raise typer.Exit(1)


def review(
    rev: Annotated[str, typer.Argument(help="The target of the change: a git branch, tag or commit.")],
    other: Annotated[
        str | None, typer.Option("--with", help="The change, named in the same way.", show_default="the work tree")
    ] = None,
    output: Layout = DocumentFormat.TEXT,
    html: HtmlPage = None,
) -> None:
    """Summarise a change: verdict, gate, settings, data, figures, curves.

    What is unavailable, such as DVC files in a fork without the remote, is
    named, and the rest is shown.

    Exit codes: 0, whatever was found; 1, git does not know a revision.
    """
    from facemask.core.files import write_text
    from facemask.review import review as reviews
    from facemask.review.revisions import Revision

    found = reviews.review_revisions(Revision(Path(), rev), Revision(Path(), other))
    write = reviews.markdown if output is DocumentFormat.MARKDOWN else reviews.text
    print(write(found), end="")
    if html:
        write_text(html, reviews.html(found, Path()))


def check_lock() -> None:
    """Check that dvc.lock is current, without data, cache or remote.

    Exit codes: 0, it is; 1, a stage would run again: the message says which
    one, why, and what to do.
    """
    from facemask.review.lock_check import CURRENT, explain, stale_stages

    if stale := stale_stages(Path()):
        raise FacemaskError(explain(stale))
    print(CURRENT)
