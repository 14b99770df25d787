"""Group images of the same photograph, flag faults, and summarise the data."""

from pathlib import Path

from facemask.core.stage_runner import run

HEADLINE = {
    "files": "images",
    "photographs": "groups",
    "contradicting_labels": "contradictions",
    "files_left_out": "left_out.total",
}


def main() -> None:
    """Read what `merge` wrote; write `data/manifest.csv`, the links between copies, figures and samples."""
    from facemask.core.files import write_bytes
    from facemask.core.metrics import write_metrics
    from facemask.core.params import load_params
    from facemask.data.duplicates.conflicts import flag_copies
    from facemask.data.duplicates.grouping import LINKS, connect, find_links
    from facemask.data.quality import flag_junk
    from facemask.data.summary import describe
    from facemask.dataset.archive import Archive
    from facemask.dataset.manifest import CATALOGUE, LEFT_OUT, MANIFEST
    from facemask.presentation.contact_sheet import choose_samples, contact_sheet, read_thumbnails

    params = load_params()
    settings = params.group
    table = CATALOGUE.read(Path("data/images.csv"))
    with Archive(Path("data/images.zip")) as archive:
        links = find_links(archive, table, settings, scratch=Path("data"), engine=params.engine.kind)
        table["group"] = connect(table, links)
        table["copies"] = table.groupby("group")["id"].transform("size")
        table["flags"] = (flag_copies(table) + " " + flag_junk(table, settings.junk)).str.strip()
        thumbnails = read_thumbnails(archive, choose_samples(table, settings.sheet_images_per_class, settings.seed))

    LINKS.write(Path("data/links.csv"), links)
    MANIFEST.write(Path("data/manifest.csv"), table)
    summary = describe(table, LEFT_OUT.read(Path("data/left_out.csv")), settings.seed)
    write_metrics("data", summary, HEADLINE)
    write_bytes(Path("data/samples.jpg"), contact_sheet(thumbnails, summary["label"]))


if __name__ == "__main__":
    run(main)
