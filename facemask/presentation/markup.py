"""Jinja environments for HTML and Markdown, which escape what comes from files, and text tables."""

import re
from base64 import b64encode
from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from facemask.presentation.table import Table


def _templates() -> PackageLoader:
    """Find templates by their path inside the package, such as `report/report.html.j2`."""
    return PackageLoader("facemask", ".")


def html_environment() -> Environment:
    """Return the Jinja environment for HTML.

    Filters: `jpeg` and `svg` put a picture into the page; `breakable` lets a long name be broken across lines.
    """
    environment = Environment(
        loader=_templates(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["jpeg"] = lambda data: _data_uri("image/jpeg", data)
    environment.filters["breakable"] = lambda name: Markup("<wbr>").join(re.split("(?<=[/_])", name))
    environment.filters["svg"] = lambda text: _data_uri("image/svg+xml", text.encode())
    return environment


def markdown_environment() -> Environment:
    """Return the Jinja environment for Markdown; its filter `table` writes a table or its first rows."""
    # `finalize` is to Markdown what autoescape is to HTML: whatever is not marked as safe is escaped.
    environment = Environment(  # noqa: S701
        loader=_templates(),
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else _escaped(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["table"] = _markdown_table
    return environment


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"


def _markdown_table(table: Table, limit: int | None = None) -> Markup:
    heads = [_escaped(title) for title, _ in table.columns]
    rules = [Markup("---:") if kind == "number" else Markup("---") for _, kind in table.columns]
    writers: list[Callable[[str], Markup]] = [_code if kind == "name" else _escaped for _, kind in table.columns]
    rows: list[list[Markup]] = [
        [write(cell) for write, cell in zip(writers, row, strict=True)] for row in table.rows[:limit]
    ]
    return Markup("\n").join(Markup("| {} |").format(Markup(" | ").join(line)) for line in [heads, rules, *rows])


def _escaped(text: str) -> Markup:
    """Escape the characters that are special in Markdown, or in HTML inside it."""
    plain = " ".join(text.split())
    return Markup(re.sub(r"([\\`*_\[\]<>|~#@])", r"\\\1", plain.replace("&", "&amp;")))  # noqa: S704


def _code(text: str) -> Markup:
    """Format text as a code span in a table cell, so that nothing in it acts as a link, mention or tag."""
    plain = " ".join(text.split())
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    padding = " " if plain.startswith("`") or plain.endswith("`") else ""
    return Markup(f"{fence}{padding}{plain}{padding}{fence}".replace("|", "\\|"))  # noqa: S704


def text_table(table: Table) -> str:
    """Line up a table for a terminal; characters that a terminal would act on are taken out."""
    lines = [
        [cell if cell.isprintable() else "".join(filter(str.isprintable, cell)) for cell in line]
        for line in ([title for title, _ in table.columns], *table.rows)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    kinds = [kind for _, kind in table.columns]
    return "".join(
        "  "
        + "  ".join(
            cell.rjust(width) if kind == "number" else cell.ljust(width)
            for cell, width, kind in zip(line, widths, kinds, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )
