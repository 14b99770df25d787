"""How well copies of photographs are found, and how time and memory grow with the number of images.

    python benchmarks/duplicates.py                               # on drawn faces
    python benchmarks/duplicates.py --photographs FOLDER          # on photographs; a zip archive will do as well
    python benchmarks/duplicates.py --growth 3000 6000 12000 24000

The first two hide heavy copies (`benchmarks/copies.py`) of some photographs among others, group everything, and count
pairs of images of which at least one is a planted photograph or one of its copies. Precision is the share of the pairs
in one group that show the same photograph, recall the share of the pairs of one photograph that are in one group.

Photographs that are given may have copies among them that nobody knows of. So they are grouped once as they are, and
one of each group is kept; how many that leaves out is printed. Precision is then a little better than it should be,
since photographs that are alike by chance are left out too. With `--keep-copies` nothing is left out, and it is worse
than it should be, since unknown copies count as mistakes. The truth is in between. Drawn faces are all of different
people.

`--growth` makes each number of images from a share of it of photographs and heavy copies of them, the same share for
all numbers (`--versions 1` for none), and runs each in a process of its own. Photographs that are not given are
composed of `--base` drawn portraits (`benchmarks/composed.py`), as 96 x 96 pixels. Seconds are by the clock, of the
processors in brackets.

Photographs larger than 512 pixels are shrunk to that beforehand. Peak memory is that of the process that groups.
"""

import argparse
import hashlib
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import GroupParams
from facemask.core.progress import track
from facemask.data.duplicates.grouping import connect, find_links
from facemask.data.sources.sample import draw_sample
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.decode import UnusableImage, decode, resize

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.composed import BASE_SIDE, composed, jpeg
from benchmarks.copies import heavy_copy

STAGES = ("links", "groups")
LARGEST_SIDE = 512


@dataclass(frozen=True)
class Picture:
    """One image of a set: a photograph as it is (`copy` 0), or its heavy copy of that number."""

    photograph: str
    copy: int


@dataclass(frozen=True)
class Grouped:
    """What grouping a set gave.

    Attributes:
        groups: the group of each id.
        links: how many were found.
        seconds: of each of `STAGES`, by the clock.
        processor_seconds: of all of them.
        megabytes: the peak of memory.
    """

    groups: pd.Series
    links: int
    seconds: dict[str, float]
    processor_seconds: float
    megabytes: float


def drawn_faces(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield at least `count` portraits of different people as (name, file), names ascending."""
    per_class = math.ceil(count / len(CLASSES))
    portraits = islice(draw_sample(per_class, seed), per_class * len(CLASSES))
    for number, (_, data) in enumerate(track(portraits, total=per_class * len(CLASSES), desc="drawing")):
        yield f"{number:06}", data


def composed_photographs(count: int, base_count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` pictures composed of `base_count` drawn portraits as (name, file), names ascending."""
    base = [resize(decode(data), BASE_SIDE) for _, data in drawn_faces(base_count, seed)]
    for number in track(range(count), total=count, desc="composing"):
        yield f"{number:06}", jpeg(composed(base, number, seed))


def given_photographs(place: Path, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield up to `count` of the pictures in a folder or a zip, drawn at random, as (name, file), names ascending.

    Files that can't be decoded are passed over, and of equal files all but one.
    """
    known: set[bytes] = set()
    for data in track(_files(place, np.random.default_rng(seed)), total=count, desc="reading", unit="files"):
        digest = hashlib.sha256(data).digest()
        with suppress(UnusableImage):
            pixels = decode(data) if digest not in known else None
            if pixels is not None:
                yield f"{len(known):06}", data if max(pixels.shape) <= LARGEST_SIDE else _png(_shrunk(pixels))
                known.add(digest)
        if len(known) == count:
            return


def _files(place: Path, rng: np.random.Generator) -> Iterator[bytes]:
    if place.is_dir():
        paths = sorted(path for path in place.rglob("*") if path.is_file())
        for number in rng.permutation(len(paths)):
            yield paths[number].read_bytes()
    else:
        with Archive(place) as archive:
            for number in rng.permutation(len(archive.names)):
                yield archive.read(archive.names[number])


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    scale = LARGEST_SIDE / max(pixels.shape)
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def write_set(path: Path, photographs: Path, pictures: Sequence[Picture], seed: int) -> pd.DataFrame:
    """Make the pictures and write them into an archive, shuffled, under names that tell nothing.

    Returns:
        One row per image: `id`, and `photograph` and `copy` as in `pictures`.
    """
    shuffled = [pictures[number] for number in np.random.default_rng(seed).permutation(len(pictures))]
    with Archive(photographs) as archive:

        def members() -> Iterator[tuple[str, bytes]]:
            for number, picture in enumerate(track(shuffled, total=len(shuffled), desc="making copies")):
                data = archive.read(picture.photograph)
                if picture.copy:
                    rng = np.random.default_rng([seed, int(picture.photograph), picture.copy])
                    data = _png(heavy_copy(decode(data), rng))
                yield f"{number:06}", data

        write_archive(path, members())
    table = pd.DataFrame(shuffled)
    return table.assign(id=[f"{number:06}" for number in range(len(table))])


def group_alone(path: Path) -> Grouped:
    """Group the images of an archive in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_group, path).result()


def _group(path: Path) -> Grouped:
    with Archive(path) as archive:
        rows = [(name, hashlib.sha256(archive.read(name)).hexdigest()) for name in archive.names]
        table = pd.DataFrame(rows, columns=["id", "sha256"])
        start, used = time.perf_counter(), time.process_time()
        links = find_links(archive, table, GroupParams(), scratch=path.parent)
    found = time.perf_counter()
    groups = connect(table, links).set_axis(table["id"])
    seconds = {"links": found - start, "groups": time.perf_counter() - found}
    processor_seconds = time.process_time() - used
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return Grouped(groups, len(links), seconds, processor_seconds, peak)


def pairwise(table: pd.DataFrame) -> tuple[float, float]:
    """Return precision and recall over the pairs of images of which at least one is planted.

    Args:
        table: one row per image, with the columns `photograph`, `group` and `planted` (bool, alike for all images of a
            photograph).
    """
    planted = table[table["planted"]]
    same = _pairs(planted.groupby("photograph").size())
    right = _pairs(planted.groupby(["photograph", "group"]).size())
    others = table[~table["planted"]]
    joined = _pairs(table.groupby("group").size()) - _pairs(others.groupby("group").size())
    return (right / joined if joined else 1.0), (right / same if same else 1.0)


def _pairs(sizes: pd.Series) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def choose_photographs(arguments: argparse.Namespace, count: int, path: Path) -> list[str]:
    """Draw, compose or read `count` photographs into an archive; return the names of those to use, shuffled.

    Raises:
        FacemaskError: the folder or archive cannot be read or holds no picture.
    """
    start = time.perf_counter()
    given = arguments.photographs
    if given:
        found = given_photographs(given, count, arguments.seed)
    elif arguments.growth:
        found = composed_photographs(count, arguments.base, arguments.seed)
    else:
        found = drawn_faces(count, arguments.seed)
    write_archive(path, found)
    with Archive(path) as archive:
        names = archive.names
    if not names:
        raise FacemaskError(f"{given} holds no picture that can be read: give another folder or zip archive")
    print(f"{len(names)} photographs {'read' if given else 'made'} in {time.perf_counter() - start:.0f} s")
    if given and not arguments.keep_copies:
        first = group_alone(path).groups.drop_duplicates().index
        print(f"{len(names) - len(first)} of them left out: by themselves they are grouped with others")
        names = first.tolist()
    return [names[number] for number in np.random.default_rng(arguments.seed).permutation(len(names))]


def find_planted(arguments: argparse.Namespace, folder: Path) -> None:
    """Hide copies, group, and print what was found.

    Raises:
        FacemaskError: there are fewer photographs than are to be planted.
    """
    names = choose_photographs(arguments, arguments.planted + arguments.others, folder / "photographs.zip")
    names = names[: arguments.planted + arguments.others]
    planted, others = names[: arguments.planted], names[arguments.planted :]
    if len(planted) < arguments.planted:
        raise FacemaskError(f"{len(planted)} photographs are too few: give more, or a smaller --planted")
    pictures = [Picture(name, copy) for name in planted for copy in range(arguments.copies + 1)]
    pictures += [Picture(name, 0) for name in others]
    table = write_set(folder / "images.zip", folder / "photographs.zip", pictures, arguments.seed)
    grouped = group_alone(folder / "images.zip")
    table["planted"] = table["photograph"].isin(planted)
    table["group"] = table["id"].map(grouped.groups)
    precision, recall = pairwise(table)
    mixed = table.groupby("group")["photograph"].nunique()
    print(f"{len(planted)} photographs with {arguments.copies} heavy copies each among {len(others)} others")
    print(f"precision {precision:.4f}, recall {recall:.4f}")
    print(f"{len(mixed)} groups of {len(names)} photographs; {(mixed > 1).sum()} groups mix photographs, ", end="")
    print(f"at most {mixed.max()} of them")
    print(", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in grouped.seconds.items()), end="; ")
    print(f"{len(table)} images in {sum(grouped.seconds.values()):.1f} s, peak {grouped.megabytes:.0f} MB")


def show_growth(arguments: argparse.Namespace, folder: Path) -> None:
    """Group sets of growing size, and print a Markdown table; the last row has the exponents of growth.

    Raises:
        FacemaskError: there are too few photographs.
    """
    versions, needed = arguments.versions, math.ceil(max(arguments.growth) / arguments.versions)
    names = choose_photographs(arguments, needed, folder / "photographs.zip")
    if len(names) < needed:
        fits = math.ceil(max(arguments.growth) / len(names))
        raise FacemaskError(f"{len(names)} photographs are too few: give more, or --versions {fits}")
    print(f"one photograph in {versions} images, the others are heavy copies; seconds, and MB")
    print("| images | links | groups | all, seconds | peak memory, MB | links found | precision | recall |")
    print(f"|{' ---: |' * 8}", flush=True)
    rows = []
    for size in sorted(arguments.growth):
        pictures = [Picture(name, copy) for name in names for copy in range(versions)][:size]
        table = write_set(folder / "images.zip", folder / "photographs.zip", pictures, arguments.seed)
        grouped = group_alone(folder / "images.zip")
        table["group"] = table["id"].map(grouped.groups)
        precision, recall = pairwise(table.assign(planted=True))
        links, groups = (grouped.seconds[stage] for stage in STAGES)
        rows.append([size, links, groups, links + groups, grouped.processor_seconds, grouped.megabytes])
        cells = [f"{size}", f"{links:.1f}", f"{groups:.1f}", f"{links + groups:.1f} ({grouped.processor_seconds:.1f})"]
        cells += [f"{grouped.megabytes:.0f}", f"{grouped.links}", f"{precision:.4f}", f"{recall:.4f}"]
        print("| " + " | ".join(cells) + " |", flush=True)
    if len(rows) > 1:
        logarithms = np.log(np.array(rows))
        links, groups, clock, processor, memory = np.polyfit(logarithms[:, 0], logarithms[:, 1:], 1)[0]
        print(f"| exponent | {links:.2f} | {groups:.2f} | {clock:.2f} ({processor:.2f}) | {memory:.2f} | | | |")


def main() -> None:
    """Read the command line and run one of the two benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, help="a folder, with its subfolders, or a zip archive")
    parser.add_argument("--planted", type=int, default=200, help="photographs that are copied (default: %(default)s)")
    parser.add_argument("--copies", type=int, default=10, help="copies of each (default: %(default)s)")
    parser.add_argument("--others", type=int, default=5000, help="photographs besides, at most (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of every choice (default: %(default)s)")
    parser.add_argument("--keep-copies", action="store_true", help="leave the photographs given as they are")
    parser.add_argument("--growth", type=int, nargs="+", metavar="IMAGES", help="numbers of images to measure")
    parser.add_argument("--base", type=int, default=1500, help="portraits to compose from (default: %(default)s)")
    parser.add_argument("--versions", type=int, default=4, help="images of one photograph (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            (show_growth if arguments.growth else find_planted)(arguments, Path(folder))
        except FacemaskError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
