"""Deal the images out to train, val and test; no group, and no equal file, stands on two sides."""

from pathlib import Path

from facemask.manifest import read_manifest
from facemask.outs import write_json
from facemask.params import load_params
from facemask.splitting import check_split, count_parts, split, write_split
from facemask.stage import run


def main() -> None:
    """Read `data/manifest.csv`; write `data/split.csv` and `metrics/split.json`."""
    manifest = read_manifest(Path("data/manifest.csv"))
    table = split(manifest, load_params().split)
    leaks = check_split(table, manifest)
    write_split(Path("data/split.csv"), table)
    write_json(Path("metrics/split.json"), {**count_parts(table), "leaks": leaks})


if __name__ == "__main__":
    run(main)
