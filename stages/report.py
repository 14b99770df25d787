"""Write the report: an HTML page, a Markdown summary and a model card."""

from pathlib import Path

from facemask.core.stage_runner import run


def main() -> None:
    """Read what the other stages wrote; write `report/`."""
    from facemask.core.files import atomic_path, write_text
    from facemask.core.params import load_params
    from facemask.dataset.archive import Archive
    from facemask.presentation.thumbnails import LARGE, SMALL, read_pictures
    from facemask.report.evidence import gather_evidence
    from facemask.report.figures import draw_figures
    from facemask.report.findings import read_findings
    from facemask.report.page import html_page, markdown_card, markdown_summary

    params = load_params()
    findings = read_findings(Path(), params.data.sources)
    evidence = gather_evidence(findings, params.report)
    mistakes = [mistake.id for mistake in findings.mistakes[: params.report.wrong_images]]
    with Archive(Path("data/images.zip")) as images:
        pictures = read_pictures(images, mistakes, LARGE)
        thumbnails = dict(zip(evidence.ids, read_pictures(images, evidence.ids, SMALL), strict=True))
    with atomic_path(Path("report")) as folder:
        folder.mkdir()
        write_text(folder / "report.html", html_page(findings, draw_figures(findings), pictures, evidence, thumbnails))
        write_text(folder / "report.md", markdown_summary(findings))
        write_text(folder / "model_card.md", markdown_card(findings))


if __name__ == "__main__":
    run(main)
