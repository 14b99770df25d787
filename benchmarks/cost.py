"""Processor hours that each stage takes for a million images: measured on a finished run, then multiplied.

    python benchmarks/cost.py                              # of the run in this folder
    python benchmarks/cost.py --project ../other --images 400

Times what a stage does with each image, without its start, in seconds of the processors: those of all cores together,
so that other work on the machine hardly counts. Prints two tables in Markdown: what an image takes, and what a million
takes on one and on ten machines of two cores. The second is arithmetic, and says so; work that does not grow with the
images is left out of it. Nothing in the project is written.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.predict import run, write_photos
from facemask.core.params import Params, load_params
from facemask.dataset.archive import Archive, content_hash, write_archive
from facemask.dataset.manifest import MANIFEST
from facemask.dataset.split import SPLIT, part_of

MILLION = 1_000_000
CORES = 2  # of a machine in the second table
MACHINES = 10
PHOTOS = 60


@dataclass(frozen=True)
class Measured:
    """Processor seconds for a number of images."""

    seconds: float
    images: int


@dataclass(frozen=True)
class Stage:
    """A stage, or a command, of which each image takes a part.

    Attributes:
        measure: times it on the images of a project.
        share: of a million images, how many it looks at.
        what: it does with each.
        machines: how many may share its work.
    """

    measure: Callable[["Data"], Measured]
    share: float
    what: str
    machines: int


@dataclass(frozen=True)
class Data:
    """Images of a finished run: at most so many as asked for, whole photographs."""

    params: Params
    archive: Archive
    manifest: pd.DataFrame
    split: pd.DataFrame


def timed(images: int, work: Callable[[], object]) -> Measured:
    """Run `work` and count the seconds of the processors."""
    start = time.process_time()
    work()
    return Measured(time.process_time() - start, images)


def download(data: Data) -> Measured:
    """Read, check and pack; not the network."""
    names = list(data.manifest["id"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.zip"

        def pack() -> None:
            write_archive(path, ((name, data.archive.read(name)) for name in names))
            with Archive(path) as packed:
                content_hash(packed)

        return timed(len(names), pack)


def merge(_: Data) -> Measured:
    """Decode and measure."""
    from facemask.data.merge import merge as merged

    params = load_params()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.zip"
        start = time.process_time()
        done = merged(params.data.sources, Path("data/raw"), path, params.merge)
        return Measured(time.process_time() - start, len(done.catalogue) + len(done.left_out))


def group(data: Data) -> Measured:
    """Look for copies."""
    from facemask.data.duplicates.grouping import find_links

    return timed(len(data.manifest), lambda: find_links(data.archive, data.manifest, data.params.group, Path("data")))


def split(data: Data) -> Measured:
    """Look for leaks."""
    from facemask.data.leakage import similar_pairs

    return timed(len(data.split), lambda: similar_pairs(data.archive, data.split, data.params.split.leaks))


def render(data: Data) -> Measured:
    """Draw masks; an image here is one that is drawn."""
    from facemask.data.synthetic.pipeline import render as rendered

    settings = data.params.render.model_copy(update={"faces": 60})
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        done = rendered(Path("data/images.zip"), data.split, Path(folder) / "rendered.zip", settings)
        return Measured(time.process_time() - start, len(done.table))


def train(data: Data) -> Measured:
    """Turn a validation image into a feature map, once a training."""
    from facemask.models.features import compute_features

    names, settings = list(part_of(data.split, "val")["id"]), data.params.train
    backbone = Path("models/backbone.weights.h5")

    def work(some: list[str]) -> None:
        compute_features(data.archive, some, settings.image_size, backbone, "tensorflow")

    work(names[:1])  # what is loaded once
    start, every = timed(1, lambda: work(names[:1])), timed(len(names), lambda: work(names))
    return Measured(every.seconds - start.seconds, len(names) - 1)


def evaluate(data: Data) -> Measured:
    """Predict val and test with the model, and test with the repeats."""
    from facemask.evaluation.metrics import predict_parts
    from facemask.models.classifier import load_model
    from facemask.models.repeats import load_repeats, predict_repeats

    model, batch = load_model(Path("models/model.keras")), data.params.evaluate.batch_size
    repeats, test = load_repeats(Path("models/repeats.npz")), part_of(data.split, "test")

    def work(rows: pd.DataFrame, test: pd.DataFrame) -> None:
        predict_parts(model, data.archive, rows, ("val", "test"), batch)
        predict_repeats(model, repeats, data.archive, test)

    start = timed(1, lambda: work(test[:1], test[:1]))  # builds the graphs
    return Measured(timed(1, lambda: work(data.split, test)).seconds - start.seconds, len(data.split))


def predict(_: Data) -> Measured:
    """Find the faces of a photograph of 1280 x 960 pixels and predict each."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_photos(place, PHOTOS, 1280, 960, seed=1)
        one, every = (run("predict", path, "--format", "csv").cpu for path in (place / "00000.jpg", place))
    return Measured(every - one, PHOTOS - 1)


STAGES = {
    "download": Stage(download, 1.0, "read, check, pack; without the network", 1),
    "merge": Stage(merge, 1.0, "decode, measure", MACHINES),
    "group": Stage(group, 1.0, "look for copies, among so many images", 1),
    "split": Stage(split, 1.0, "look for leaks, among so many images", 1),
    "render": Stage(render, 0.0, "draw a mask: `render.faces` x `per_face`, however many images there are", 1),
    "train": Stage(train, 0.15, "a pass of the frozen layers over val; the rest is `draws` x `epochs`", MACHINES),
    "evaluate": Stage(evaluate, 1.0, "predict val and test, test by the repeats as well; spread over all images", 1),
    "predict": Stage(predict, 1.0, "find faces in a photograph of 1280 x 960, classify them", MACHINES),
}


def choose(manifest: pd.DataFrame, split: pd.DataFrame, images: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Choose whole photographs, in a random order, until there are enough images."""
    order = manifest[["group"]].drop_duplicates().sample(frac=1, random_state=1)["group"]
    sizes = manifest["group"].value_counts().loc[order]
    chosen = manifest[manifest["group"].isin(sizes.index[sizes.cumsum() <= images])]
    return chosen, split[split["id"].isin(chosen["id"])].reset_index(drop=True)


def main() -> None:
    """Measure each stage and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, default=Path(), help="folder of a finished run (default: this one)")
    parser.add_argument("--images", type=int, default=2000, help="at most (default: %(default)s)")
    parser.add_argument("stages", nargs="*", help=f"of {', '.join(STAGES)} (default: all)")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = f"{Path(__file__).resolve().parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    os.chdir(arguments.project)
    manifest, split_ = MANIFEST.read(Path("data/manifest.csv")), SPLIT.read(Path("data/split.csv"))
    with Archive(Path("data/images.zip")) as archive:
        data = Data(load_params(), archive, *choose(manifest, split_, arguments.images))
        found = {name: STAGES[name].measure(data) for name in arguments.stages or STAGES}
    print("| stage | what | images measured | ms of a processor, an image |\n| --- | --- | ---: | ---: |")
    for name, one in found.items():
        print(f"| `{name}` | {STAGES[name].what} | {one.images:,} | {1000 * one.seconds / one.images:.2f} |")
    titles = (f"one machine of {CORES} cores, hours", f"{MACHINES} machines, hours")
    print(f"\n| stage | processor hours | {' | '.join(titles)} |\n| --- | ---: | ---: | ---: |")
    for name, one in found.items():
        hours = one.seconds / one.images * STAGES[name].share * MILLION / 3600
        shared = f"{hours / CORES / MACHINES:.2f}" if STAGES[name].machines > 1 else "not shared"
        row = (f"{hours:.2f}", f"{hours / CORES:.2f}", shared) if hours else ("does not grow", "-", "-")
        print(f"| `{name}` | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
