"""Findings into the three documents: the page, the summary and the model card."""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from facemask.labels import CLASSES
from facemask.report import tables
from facemask.report.card import data_sentences, drawn_warning, headline, leak_sentence, model_card, split_caution
from facemask.report.evidence import Evidence, shortcut_table, shortcut_warnings
from facemask.report.figures import Figures
from facemask.report.findings import Findings
from facemask.report.tables import Table
from facemask.sheets import TITLES

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
    environment = Environment(
        loader=_TEMPLATES, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["jpeg"] = lambda data: _data_uri("image/jpeg", data)
    environment.filters["breakable"] = lambda name: Markup("<wbr>").join(re.split("(?<=[/_])", name))
    environment.filters["svg"] = lambda text: _data_uri("image/svg+xml", text.encode())
    shown = list(zip(findings.mistakes, pictures, strict=False))
    return environment.get_template("report.html.j2").render(
        **_content(findings), figures=figures, shown=shown, evidence=evidence, thumbnails=thumbnails
    )


def markdown_summary(findings: Findings) -> str:
    """Write the summary, fit for a comment in a review."""
    return _markdown().get_template("report.md.j2").render(**_content(findings), briefly=BRIEFLY)


def markdown_card(findings: Findings) -> str:
    """Write the model card."""
    return _markdown().get_template("model_card.md.j2").render(card=model_card(findings))


_TEMPLATES = PackageLoader("facemask.report", ".")


def _content(findings: Findings) -> dict[str, Any]:
    usual, small = tables.attribute_slices(findings)
    return {
        "findings": findings,
        "tables": tables,
        "percent": tables.percent,
        "count": tables.count,
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
        "titles": TITLES,
        "classes": CLASSES,
        "listed": LISTED,
        "unfolded": UNFOLDED,
        "slices_shown": SLICES,
    }


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"


def _markdown() -> Environment:
    # `finalize` is to Markdown what autoescape is to HTML: whatever is not marked as safe is escaped.
    environment = Environment(  # noqa: S701
        loader=_TEMPLATES,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else _escaped(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["table"] = _markdown_table
    return environment


def _markdown_table(table: Table, limit: int | None = None) -> Markup:
    heads = [_escaped(title) for title, _ in table.columns]
    rules = [Markup("---:") if kind == "number" else Markup("---") for _, kind in table.columns]
    writers: list[Callable[[str], Markup]] = [_code if kind == "name" else _escaped for _, kind in table.columns]
    rows: list[list[Markup]] = [
        [write(cell) for write, cell in zip(writers, row, strict=True)] for row in table.rows[:limit]
    ]
    return Markup("\n").join(Markup("| {} |").format(Markup(" | ").join(line)) for line in [heads, rules, *rows])


def _escaped(text: str) -> Markup:
    """Take the meaning from characters that Markdown, or HTML inside it, would act on."""
    plain = " ".join(text.split())
    return Markup(re.sub(r"([\\`*_\[\]<>|~#@])", r"\\\1", plain.replace("&", "&amp;")))  # noqa: S704


def _code(text: str) -> Markup:
    """Show text as it is, as a code span in a cell of a table: nothing inside is a link, a mention or a tag."""
    plain = " ".join(text.split())
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    padding = " " if plain.startswith("`") or plain.endswith("`") else ""
    return Markup(f"{fence}{padding}{plain}{padding}{fence}".replace("|", "\\|"))  # noqa: S704
