"""How fast the stage `merge` is and how much memory it takes, in a process of its own.

    python benchmarks/merge.py                          # 23,500 synthetic JPEGs of 256 x 256 pixels
    python benchmarks/merge.py --images 2000 --side 1024
    python benchmarks/merge.py --raw data/raw           # archives that `dvc repro download` has fetched

Prints seconds, images a second and the peak of resident memory. The raw archives are only read.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import yaml

from facemask.core.classes import CLASSES
from facemask.dataset.archive import write_archive
from facemask.dataset.manifest import CATALOGUE, LEFT_OUT

ROOT = Path(__file__).parents[1]
BASES = 20


def synthetic_images(count: int, side: int) -> Iterator[tuple[str, bytes]]:
    """Yield (name, JPEG) of smooth noise, in the order of names; no two files have the same bytes."""
    rng = np.random.default_rng(1)
    encoded = []
    for _ in range(BASES):
        picture = cv2.resize(rng.integers(0, 256, (12, 12, 3), np.uint8), (side, side))
        encoded.append(cv2.imencode(".jpg", picture)[1].tobytes())
    for label in CLASSES:
        for number in range(count // len(CLASSES)):
            # What stands after the end marker of a JPEG is not looked at: unlike bytes without encoding again.
            yield f"{label}/{number:06}.jpg", encoded[number % BASES] + f"{label}{number}".encode()


def prepare(project: Path, arguments: argparse.Namespace) -> None:
    """Fill a folder with what the stage reads: archives, cards and settings."""
    raw = project / "data/raw"
    if arguments.raw:
        shutil.copytree(arguments.raw, raw)
        names = sorted(path.stem for path in raw.glob("*.zip"))
    else:
        names = ["synthetic"]
        write_archive(raw / "synthetic.zip", synthetic_images(arguments.images, arguments.side))
        card = {"kind": "folder", "folders": {label: label for label in CLASSES}, "licence": "", "origin": "synthetic"}
        (raw / "synthetic.json").write_text(json.dumps(card))
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["data"]["sources"] = names
    settings["sources"] = {name: {"kind": "sample"} for name in names}
    (project / "params.yaml").write_text(yaml.safe_dump(settings))


def main() -> None:
    """Prepare a folder, run the stage there, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=23_500, help="how many to make (default: %(default)s)")
    parser.add_argument("--side", type=int, default=256, help="their width and height (default: %(default)s)")
    parser.add_argument("--raw", type=Path, help="a folder of archives and cards to use instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        prepare(project, arguments)
        start = time.perf_counter()
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, str(ROOT / "stages/merge.py")], cwd=project, env=environment, check=True)
        seconds = time.perf_counter() - start
        files = len(CATALOGUE.read(project / "data/images.csv")) + len(LEFT_OUT.read(project / "data/left_out.csv"))
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 2**20
    print(f"{files} files in {seconds:.1f} s: {files / seconds:.0f} a second, peak {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
