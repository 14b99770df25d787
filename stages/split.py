"""Deal the images out to train, val and test, all copies of a photograph to one side, and look for leaks."""

from pathlib import Path

from facemask.archives import Archive
from facemask.leaks import check_leaks, similar_pairs, write_leaks
from facemask.manifest import read_manifest
from facemask.outs import write_json
from facemask.params import load_params
from facemask.parts import write_split
from facemask.splitting import check_split, count_parts, split
from facemask.stage import run


def main() -> None:
    """Read the manifest and the images; write `data/split.csv`, `data/leaks.csv` and `metrics/split.json`."""
    settings = load_params().split
    manifest = read_manifest(Path("data/manifest.csv"))
    table = split(manifest, settings)
    leaks = check_split(table, manifest)
    write_split(Path("data/split.csv"), table)
    with Archive(Path("data/images.zip")) as archive:
        pairs = similar_pairs(archive, table, settings.leaks)
    write_leaks(Path("data/leaks.csv"), pairs)
    similar = {
        "suspicious_pairs": check_leaks(pairs, settings.leaks),
        "highest_similarity": float(pairs["similarity"].max()) if len(pairs) else 0.0,
    }
    write_json(Path("metrics/split.json"), {**count_parts(table), "leaks": {**leaks, **similar}})


if __name__ == "__main__":
    run(main)
