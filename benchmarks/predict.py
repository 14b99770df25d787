"""How quick `facemask predict` is, and how much memory it takes.

    python benchmarks/predict.py                          # on photos made of drawn faces
    python benchmarks/predict.py --photos FOLDER          # on one's own

The real command runs in processes of its own, with the model in `--model`: on one photo, for the time to the first
answer, then on a tenth of the photos and on all of them, for speed and for whether memory grows. CPU seconds are those
of all cores; on a computer with other work to do they say more than the time on the clock.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.photos import drawn_portraits, group_photo
from facemask.core.progress import track

PORTRAITS_PER_CLASS = 12
MOST_FACES = 3
REPEATS = 5


@dataclass(frozen=True)
class Run:
    """One run of the command: seconds on the clock, CPU seconds, the most memory so far in MB, and its output."""

    wall: float
    cpu: float
    megabytes: float
    stdout: str
    stderr: str


def run(*arguments: str | Path, python: tuple[str, ...] = ()) -> Run:
    """Run `facemask` with arguments, in a Python with options.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, *python, "-m", "facemask", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
    return Run(wall, cpu, after.ru_maxrss * unit / 2**20, done.stdout, done.stderr)


def write_photos(folder: Path, count: int, width: int, height: int, seed: int) -> None:
    """Write JPEG photos of one to three drawn people."""
    portraits = drawn_portraits(PORTRAITS_PER_CLASS, seed)
    rng = np.random.default_rng(seed)
    for number in track(range(count), count, "making photos", "photos"):
        chosen = rng.choice(len(portraits), int(rng.integers(1, MOST_FACES + 1)), replace=False)
        photo = group_photo([portraits[place] for place in chosen], rng, width, height)
        Image.fromarray(photo).save(folder / f"{number:05}.jpg", quality=90)


def measure(photos: list[Path], arguments: argparse.Namespace, folder: Path) -> None:
    """Print the figures."""
    model = ("--model", arguments.model)
    helps = [run("predict", "--help").wall for _ in range(REPEATS)]
    print(f"--help: {statistics.median(helps):.2f} s (median of {REPEATS})")
    firsts = [run("predict", photos[0], *model) for _ in range(REPEATS)]
    wall, cpu = (statistics.median(one) for one in zip(*((first.wall, first.cpu) for first in firsts), strict=True))
    print(f"first answer on one photo: {wall:.2f} s, {cpu:.2f} CPU seconds (median of {REPEATS})")
    imported = run("predict", photos[0], *model, python=("-X", "importtime")).stderr
    print(f"TensorFlow imported: {'yes' if 'tensorflow' in imported else 'no'}")
    for part in (photos[: len(photos) // 10], photos):
        links = folder / str(len(part))
        links.mkdir()
        for photo in part:
            (links / photo.name).symlink_to(photo.resolve())
        done = run("predict", links, *model, "--format", "csv", *arguments.options)
        faces = sum(",with" in line or ",mask" in line or ",uncertain" in line for line in done.stdout.splitlines())
        rate, each = len(part) / done.wall, 1000 * done.cpu / len(part)
        print(
            f"{len(part)} photos, {faces} faces: {done.wall:.1f} s, {rate:.1f} photos a second, "
            f"{each:.0f} CPU milliseconds a photo, {done.megabytes:.0f} MB"
        )


def main() -> None:
    """Read the command line, make the photos, run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder with photos, instead of drawn ones")
    parser.add_argument("--count", type=int, default=1000, help="photos to make (default: %(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 960), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--model", type=Path, default=Path("export"), help="export folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the photos (default: %(default)s)")
    parser.add_argument("options", nargs="*", help="options of `facemask predict`, after --")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.photos or Path(folder) / "photos"
        if not arguments.photos:
            place.mkdir()
            width, height = arguments.size
            write_photos(place, arguments.count, width, height, arguments.seed)
        print(f"{os.cpu_count()} cores; load of the last minute before the start: {os.getloadavg()[0]:.1f}")
        measure(sorted(path for path in place.iterdir() if path.is_file()), arguments, Path(folder))
        print(f"load of the last minute at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
