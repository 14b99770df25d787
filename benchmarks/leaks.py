"""How surely the leakage check finds planted copies, and how its time and memory grow with the number of images.

    python benchmarks/leaks.py                                    # 3,000 and 12,000 images of drawn faces
    python benchmarks/leaks.py --growth 3000 12000 48000 192000
    python benchmarks/leaks.py --photographs FOLDER               # of photographs; a zip archive will do as well

Pictures are composed of `--base` portraits (`benchmarks/composed.py`). Of 20 images, 14 are for training, 3 for
validation and 3 for test. The first `--planted` validation and test images are heavy copies (`benchmarks/copies.py`) of
training images.

Each number of images is the beginning of the same set, so that all of them hold the same leaks. The check that the
stage `split` makes and, up to `--exact-up-to` images, the exact search (where that is another) run one after the other,
each in a process of its own. `found` is the share of the planted leaks that are suspicious and named with the right
training image, `recall` the share of those found by the exact search that the check finds too. Other pairs that are
suspicious are counted as `others`. Seconds are by the clock, of the processors in brackets.
"""

import argparse
import itertools
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from facemask.core.errors import FacemaskError
from facemask.core.params import LeakParams
from facemask.core.progress import track
from facemask.data.leak_candidates import Search, suitable_search
from facemask.data.leakage import similar_pairs
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.decode import decode, resize

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.composed import BASE_SIDE, Pixels, composed, jpeg
from benchmarks.copies import heavy_copy
from benchmarks.duplicates import drawn_faces, given_photographs

PARTS = ("train",) * 14 + ("val",) * 3 + ("test",) * 3


@dataclass(frozen=True)
class Checked:
    """What a check gave: the training image of each suspicious one, seconds, and the peak of memory in MB."""

    suspicious: dict[int, int]
    seconds: float
    processor_seconds: float
    megabytes: float


def planted_leaks(count: int) -> dict[int, int]:
    """Return the numbers of the first `count` validation and test images and of the training images they show."""
    checked = (number for number in itertools.count() if PARTS[number % len(PARTS)] != "train")
    # The training images of each 20 are the first 14, those checked the last 6.
    return {number: number - 10 for number in itertools.islice(checked, count)}


def write_set(path: Path, base: list[Pixels], count: int, planted: dict[int, int], seed: int) -> None:
    """Write the images into an archive, under their numbers."""

    def members() -> Iterator[tuple[str, bytes]]:
        for number in track(range(count), count, "composing"):
            pixels = composed(base, planted.get(number, number), seed)
            if number in planted:
                pixels = heavy_copy(pixels, np.random.default_rng([seed, number, 1]))
            yield _name(number), jpeg(pixels)

    write_archive(path, members())


def _name(number: int) -> str:
    return f"{number:07}.jpg"


def check_alone(path: Path, count: int, search: Search) -> Checked:
    """Check the first `count` images of an archive in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_check, path, count, search).result()


def _check(path: Path, count: int, search: Search) -> Checked:
    names = [_name(number) for number in range(count)]
    table = pd.DataFrame({"id": names, "part": [PARTS[number % len(PARTS)] for number in range(count)]})
    start, used = time.perf_counter(), time.process_time()
    with Archive(path) as archive:
        pairs = similar_pairs(archive, table, LeakParams(shown=0), search)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - used
    found = {int(Path(pair.id).stem): int(Path(pair.train_id).stem) for pair in pairs.itertuples()}
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return Checked(found, seconds, processor_seconds, peak)


def read_base(arguments: argparse.Namespace) -> list[Pixels]:
    """Draw or read what pictures are composed of.

    Raises:
        FacemaskError: the folder or archive cannot be read or holds no two pictures.
    """
    start = time.perf_counter()
    given, count, seed = arguments.photographs, arguments.base, arguments.seed
    found = given_photographs(given, count, seed) if given else drawn_faces(count, seed)
    base = [resize(decode(data), BASE_SIDE) for _, data in found]
    if len(base) < 2:
        raise FacemaskError(f"{given} holds too few pictures that can be read: give another folder or zip archive")
    print(f"{len(base)} base pictures {'read' if given else 'drawn'} in {time.perf_counter() - start:.0f} s")
    return base


def show_growth(arguments: argparse.Namespace, folder: Path) -> None:
    """Check sets of growing size, and print a Markdown table; the last row has the exponents of growth.

    Raises:
        FacemaskError: nothing can be read, or the smallest set has no room for the planted leaks.
    """
    sizes = sorted(arguments.growth)
    planted = planted_leaks(arguments.planted)
    if max(planted) >= sizes[0]:
        raise FacemaskError(
            f"{sizes[0]} images have no room for {len(planted)} planted leaks: give a smaller --planted, or at least "
            f"{max(planted) + 1} images"
        )
    write_set(folder / "images.zip", read_base(arguments), sizes[-1], planted, arguments.seed)
    print("| images | search | seconds | peak memory, MB | found | others | recall | exact: seconds | exact: MB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = []
    for size in sizes:
        search = suitable_search(sum(PARTS[number % len(PARTS)] == "train" for number in range(size)))
        checked = check_alone(folder / "images.zip", size, search)
        rows.append([size, checked.seconds, checked.processor_seconds, checked.megabytes])
        found = right(checked, planted)
        cells = [str(size), search, _seconds(checked), f"{checked.megabytes:.0f}", f"{len(found) / len(planted):.3f}"]
        cells.append(str(len(checked.suspicious) - len(found)))
        if search != "exact" and size <= arguments.exact_up_to:
            exact = check_alone(folder / "images.zip", size, "exact")
            of_exact = right(exact, planted)
            recall = len(found & of_exact) / len(of_exact) if of_exact else math.nan
            cells += [f"{recall:.4f}", _seconds(exact), f"{exact.megabytes:.0f}"]
        else:
            cells += ["-"] * 3
        print("| " + " | ".join(cells) + " |", flush=True)
    if len(rows) > 1:
        logarithms = np.log(np.array(rows))
        clock, processor, memory = np.polyfit(logarithms[:, 0], logarithms[:, 1:], 1)[0]
        print(f"| exponent | | {clock:.2f} ({processor:.2f}) | {memory:.2f} | | | | | |")


def right(checked: Checked, planted: dict[int, int]) -> set[int]:
    """Return the planted leaks that were found, with the right training image."""
    return {number for number, other in planted.items() if checked.suspicious.get(number) == other}


def _seconds(checked: Checked) -> str:
    return f"{checked.seconds:.1f} ({checked.processor_seconds:.1f})"


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, help="a folder, with its subfolders, or a zip archive")
    parser.add_argument("--base", type=int, default=1500, help="pictures to compose from (default: %(default)s)")
    parser.add_argument("--planted", type=int, default=600, help="leaks (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of every choice (default: %(default)s)")
    parser.add_argument(
        "--growth", type=int, nargs="+", metavar="IMAGES", default=[3000, 12000], help="numbers of images to measure"
    )
    parser.add_argument(
        "--exact-up-to", type=int, default=24000, help="images compared with the exact search (default: %(default)s)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            show_growth(arguments, Path(folder))
        except FacemaskError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
