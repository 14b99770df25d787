"""Stage `merge`: bring the images of all sources together, and say what there is and what was left out."""

import sys
from pathlib import Path

from facemask import merging
from facemask.manifest import write_catalogue
from facemask.outs import write_csv
from facemask.params import load_params
from facemask.stage import run


def main() -> None:
    """Write `data/images.zip`, the table of what is in it, what was left out, and counts."""
    params = load_params()
    raw = Path("data/raw")
    # DVC takes the whole folder for an input: what a source that is no longer used left there must not count.
    merging.remove_unused(raw, params.data.sources)
    merged = merging.merge(params.data.sources, raw, Path("data/images.zip"), params.merge)

    write_catalogue(Path("data/images.csv"), merged.catalogue)
    write_csv(Path("data/left_out.csv"), merging.LEFT_OUT_COLUMNS, merged.left_out)
    if merged.left_out:
        print(f"{len(merged.left_out)} files left out; data/left_out.csv says why", file=sys.stderr)
    write_csv(Path("plots/classes.csv"), merging.CLASS_COUNT_COLUMNS, merging.class_counts(merged.catalogue))
    write_csv(Path("plots/sizes.csv"), merging.SIDE_COUNT_COLUMNS, merging.side_counts(merged.catalogue))


if __name__ == "__main__":
    run(main)
