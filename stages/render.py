"""Draw synthetic masks, and objects, over bare faces of the training part."""

from pathlib import Path

from facemask.core.stage_runner import run

SHOWN_PER_KIND = 16


def main() -> None:
    """Read the split and the images; write `data/rendered.zip`, its table, a contact sheet and figures."""
    from facemask.core.files import write_bytes
    from facemask.core.metrics import write_metrics
    from facemask.core.params import load_params
    from facemask.data.synthetic.pipeline import choose_shown, render
    from facemask.dataset.archive import Archive
    from facemask.dataset.split import SPLIT
    from facemask.dataset.synthetic import KIND_TITLES, OBJECT_TITLES, SYNTHETIC, count_synthetic
    from facemask.presentation.contact_sheet import contact_sheet, read_thumbnails

    params = load_params()
    path = Path("data/rendered.zip")
    outcome = render(
        Path("data/images.zip"), SPLIT.read(Path("data/split.csv")), path, params.render, params.engine.kind
    )
    SYNTHETIC.write(Path("data/rendered.csv"), outcome.table)
    counts = count_synthetic(outcome.table)
    faces = {
        "faces": outcome.faces,
        "without_fit": outcome.without_fit,
        "cut_outs": outcome.cut_outs,
        "photographs": outcome.photographs,
    }
    write_metrics("render", {**faces, "images": len(outcome.table), **counts}, {"synthetic_images": "images"})
    with Archive(path) as archive:
        thumbnails = read_thumbnails(archive, choose_shown(outcome.table, SHOWN_PER_KIND))
    titles = {**KIND_TITLES, **OBJECT_TITLES}
    tiles = {titles[name]: images for name, images in thumbnails.items() if images}
    totals = {title: {**counts["kind"], **counts["object"]}[name] for name, title in titles.items()}
    write_bytes(Path("data/rendered.jpg"), contact_sheet(tiles, totals))


if __name__ == "__main__":
    run(main)
