"""Stage `merge`: bring the images of all sources together, and say what there is and what was left out."""

import sys
from pathlib import Path

from facemask import merging
from facemask.archives import Archive
from facemask.manifest import write_manifest
from facemask.outs import atomic_path, write_csv, write_json
from facemask.params import load_params
from facemask.sheets import choose_samples, contact_sheet, read_thumbnails
from facemask.stage import run


def main() -> None:
    """Write `data/images.zip`, the manifest, what was left out, and figures and pictures of it all."""
    params = load_params()
    raw, images = Path("data/raw"), Path("data/images.zip")
    # DVC takes the whole folder for an input: what a source that is no longer used left there must not count.
    merging.remove_unused(raw, params.data.sources)
    merged = merging.merge(params.data.sources, raw, images, params.merge)

    write_manifest(Path("data/manifest.csv"), merged.manifest)
    write_csv(Path("data/left_out.csv"), merging.LEFT_OUT_COLUMNS, merged.left_out)
    if merged.left_out:
        print(f"{len(merged.left_out)} files left out; data/left_out.csv says why", file=sys.stderr)
    summary = merging.describe(merged)
    write_json(Path("metrics/data.json"), summary)
    write_csv(Path("plots/classes.csv"), merging.CLASS_COUNT_COLUMNS, merging.class_counts(merged.manifest))
    write_csv(Path("plots/sizes.csv"), merging.SIDE_COUNT_COLUMNS, merging.side_counts(merged.manifest))

    samples = choose_samples(merged.manifest, params.merge.sheet_images_per_class, params.merge.seed)
    with Archive(images) as archive:
        thumbnails = read_thumbnails(archive, samples)
    with atomic_path(Path("data/samples.jpg")) as draft:
        draft.write_bytes(contact_sheet(thumbnails, summary["label"]))


if __name__ == "__main__":
    run(main)
