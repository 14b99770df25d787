"""Merge the images of all sources, and list unusable files."""

import sys
from pathlib import Path

from facemask.core.stage_runner import run


def main() -> None:
    """Write `data/images.zip`, the table of what is in it, what was left out, and counts."""
    import pandas as pd

    from facemask.core.files import write_csv
    from facemask.core.params import load_params
    from facemask.data import merge
    from facemask.dataset.manifest import CATALOGUE, LEFT_OUT

    params = load_params()
    raw = Path("data/raw")
    # DVC takes the whole folder for an input: what a source that is no longer used left there must not count.
    merge.remove_unused(raw, params.data.sources)
    merged = merge.merge(params.data.sources, raw, Path("data/images.zip"), params.merge, engine=params.engine.kind)

    CATALOGUE.write(Path("data/images.csv"), merged.catalogue)
    LEFT_OUT.write(Path("data/left_out.csv"), pd.DataFrame(merged.left_out, columns=LEFT_OUT.columns))
    if merged.left_out:
        print(f"{len(merged.left_out)} files left out; data/left_out.csv says why", file=sys.stderr)
    write_csv(Path("plots/classes.csv"), merge.CLASS_COUNT_COLUMNS, merge.class_counts(merged.catalogue))
    write_csv(Path("plots/sizes.csv"), merge.SIDE_COUNT_COLUMNS, merge.side_counts(merged.catalogue))


if __name__ == "__main__":
    run(main)
