"""Rendering of the three documents: page, summary and model card."""

from collections.abc import Mapping, Sequence
from typing import Any

from facemask.core.classes import CLASSES, TITLES
from facemask.evaluation.bootstrap import ENOUGH
from facemask.evaluation.corruptions import TITLES as CORRUPTION_TITLES
from facemask.presentation.markup import html_environment, markdown_environment
from facemask.report import tables
from facemask.report.card import (
    data_sentences,
    drawn_warning,
    headline,
    leak_sentence,
    model_card,
    split_caution,
    worst_slice,
)
from facemask.report.evidence import Evidence, shortcut_table, shortcut_warnings
from facemask.report.figures import Figures
from facemask.report.findings import Findings

LISTED = 50  # files left out, and contradictions, that the page lists
UNFOLDED = 12  # a longer list of files left out is folded up
SLICES = 12  # of the attributes, that are shown without unfolding
BRIEFLY = 10  # rows of long tables in the summary


def html_page(
    findings: Findings,
    figures: Figures,
    pictures: Sequence[bytes],
    evidence: Evidence,
    thumbnails: Mapping[str, bytes],
) -> str:
    """Write the page: one HTML file that needs no other.

    Args:
        findings: what the stages wrote.
        figures: drawn from the findings.
        pictures: JPEG files of the first wrong predictions, in the order of `findings.mistakes`.
        evidence: what is shown of the data.
        thumbnails: for each of `evidence.ids`, a JPEG file.
    """
    shown = list(zip(findings.mistakes, pictures, strict=False))
    return (
        html_environment()
        .get_template("report/report.html.j2")
        .render(**_content(findings), figures=figures, shown=shown, evidence=evidence, thumbnails=thumbnails)
    )


def markdown_summary(findings: Findings) -> str:
    """Write the summary, fit for a comment in a review."""
    return markdown_environment().get_template("report/report.md.j2").render(**_content(findings), briefly=BRIEFLY)


def markdown_card(findings: Findings) -> str:
    """Write the model card."""
    return markdown_environment().get_template("report/model_card.md.j2").render(card=model_card(findings))


def _content(findings: Findings) -> dict[str, Any]:
    usual, small = tables.attribute_slices(findings)
    return {
        "findings": findings,
        "tables": tables,
        "percent": tables.percent,
        "count": tables.count,
        "photographs": tables.photograph_count,
        "headline": headline(findings),
        "warning": drawn_warning(findings),
        "split_caution": split_caution(findings),
        "leak_sentence": leak_sentence(findings),
        "data_sentences": data_sentences(findings),
        "shortcut_table": shortcut_table(findings),
        "shortcut_warnings": shortcut_warnings(findings),
        "card": model_card(findings),
        "slices": usual,
        "small_slices": small,
        "worst_slice": worst_slice(findings),
        "enough": ENOUGH,
        "ranged": tables.ranged,
        "titles": TITLES,
        "corruption_titles": CORRUPTION_TITLES,
        "classes": CLASSES,
        "listed": LISTED,
        "unfolded": UNFOLDED,
        "slices_shown": SLICES,
    }
