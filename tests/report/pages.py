"""Writing the page as the stage does, and reading it as a browser does."""

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

from facemask.core.params import ReportParams
from facemask.dataset.archive import Archive
from facemask.presentation.thumbnails import LARGE, SMALL, read_pictures
from facemask.report.evidence import gather_evidence
from facemask.report.figures import Figures, draw_figures
from facemask.report.findings import Findings, read_findings
from facemask.report.page import html_page
from tests.report.outs import write_outs

VOID = {"img", "meta", "wbr", "br"}


class Page(HTMLParser):
    """Checks on the way that tags are balanced; collects text, and the attributes of each tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th", "p", "li", "dd", "dt", "summary", "h3"):
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@cache
def figures() -> Figures:
    """Figures of the usual outs: drawing them for every test would take most of the time."""
    with TemporaryDirectory() as folder:
        write_outs(Path(folder))
        return draw_figures(read_findings(Path(folder), ["faces"]))


def page_of(project: Path, findings: Findings, **settings: int) -> Page:
    return Page(html_of(project, findings, figures(), **settings))


def html_of(project: Path, findings: Findings, drawn: Figures, **settings: int) -> str:
    chosen = ReportParams(**settings)
    evidence = gather_evidence(findings, chosen)
    with Archive(project / "data" / "images.zip") as archive:
        pictures = read_pictures(archive, [mistake.id for mistake in findings.mistakes[: chosen.wrong_images]], LARGE)
        thumbnails = dict(zip(evidence.ids, read_pictures(archive, evidence.ids, SMALL), strict=True))
    return html_page(findings, drawn, pictures, evidence, thumbnails)
