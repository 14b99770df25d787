"""Split the images into train, val and test by photograph, and check for leakage."""

from pathlib import Path

from facemask.core.stage_runner import run

HEADLINE = {
    "train_photographs": "groups.train",
    "val_photographs": "groups.val",
    "test_photographs": "groups.test",
    "suspicious_pairs": "leaks.suspicious_pairs",
}


def main() -> None:
    """Read the manifest and the images; write `data/split.csv`, `data/leaks.csv` and the metrics of the split."""
    from facemask.core.metrics import write_metrics
    from facemask.core.params import load_params
    from facemask.data.leakage import LEAKS, check_leaks, similar_pairs
    from facemask.data.split import check_split, count_parts, split
    from facemask.dataset.archive import Archive
    from facemask.dataset.manifest import MANIFEST
    from facemask.dataset.split import SPLIT

    settings = load_params().split
    manifest = MANIFEST.read(Path("data/manifest.csv"))
    table = split(manifest, settings)
    leaks = check_split(table, manifest)
    SPLIT.write(Path("data/split.csv"), table)
    with Archive(Path("data/images.zip")) as archive:
        pairs = similar_pairs(archive, table, settings.leaks)
    LEAKS.write(Path("data/leaks.csv"), pairs)
    similar = {
        "suspicious_pairs": check_leaks(pairs, settings.leaks),
        "highest_similarity": float(pairs["similarity"].max()) if len(pairs) else 0.0,
    }
    write_metrics("split", {**count_parts(table), "leaks": {**leaks, **similar}}, HEADLINE)


if __name__ == "__main__":
    run(main)
