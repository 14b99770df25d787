"""Size, seconds and memory of the pipeline at a million images, without the images.

    python benchmarks/million.py --images 100000            # a few minutes, 2 GB of disk
    python benchmarks/million.py                            # 1,000,000 images, half an hour, 15 GB of disk
    python benchmarks/million.py --folder /tmp/m --from report  # goes on in a folder that an earlier call made
    python benchmarks/million.py --own 200000           # DVC with so many photographs in the folder `data.own`

A stand-in of a picture, 32 x 32 pixels, lies under each name, so that archives are as long as real ones, if not as
heavy. What is said of the pictures is drawn: sizes, measures, attributes, links between copies (few photographs have
thousands, most have none), labels that contradict each other, answers of a model. The stages run as they are, from
their scripts, but for what looks at pixels: decoding, the search for copies, the leak check and the model are replaced
by what was drawn; `benchmarks/cost.py` measures these, a picture at a time, on a finished run. Prints a row for each
step, in Markdown, and fails if a limit is exceeded.
"""

import argparse
import csv
import hashlib
import io
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import yaml

from facemask.core.classes import CLASSES
from facemask.core.files import write_bytes, write_json
from facemask.data.duplicates.grouping import LINKS
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.manifest import CATALOGUE, MANIFEST
from facemask.dataset.predictions import PREDICTIONS, with_probabilities
from facemask.dataset.split import SPLIT, part_of
from facemask.dataset.synthetic import KINDS, NO_OBJECT, SOURCE, SYNTHETIC

ROOT = Path(__file__).parents[1]
SOURCES = {"crowd": 0.5, "film": 0.2, "shop": 0.15, "street": 0.1, "class": 0.05}
CUT_OUT = "crowd"  # faces cut out of pictures
HUGE = (0.01, 0.005, 0.002)  # photographs with this share of all images as copies
REPEATS = 3
NEW_IMAGES = 300
MEGABYTE = 2**20
COPIED = ("facemask", "stages", "metrics", "plots", "dvc.yaml", "LICENSE", ".dvcignore", ".gitignore")
STAND_INS = ("models/backbone.weights.h5", "models/model.keras", "models/repeats.npz", "export/model.onnx")


@dataclass(frozen=True)
class Step:
    """Something to measure.

    Attributes:
        run: in the project's folder; a command, or a function that is called in a process of its own.
        outs: files and folders whose sizes are printed.
        measured: whether it is a part of the pipeline, and not of this simulation.
    """

    run: Callable[[int], None] | Sequence[str]
    outs: Sequence[str] = ()
    measured: bool = True


@dataclass(frozen=True)
class Limit:
    """What a file, a folder or a step must stay below."""

    what: str
    most: float
    unit: str


# --- what is drawn ---------------------------------------------------------------------------------------------------


def draw_raw(images: int) -> None:
    """Write an archive, a card and attributes for each source; one file in a hundred is no picture."""
    rng = np.random.default_rng(1)
    bases = [_jpeg(rng) for _ in range(64)]
    for source, share in SOURCES.items():
        number = int(images * share * 1.01)
        labels = np.asarray(CLASSES)[rng.choice(3, number, p=(0.1, 0.45, 0.45))]
        same = rng.random(number) < 0.02  # the bytes of the file before
        broken = rng.random(number) < 0.01
        names = sorted(
            f"{label}/{f'picture{n // 3:07}/' if source == CUT_OUT else ''}{source}-portrait-{n:07}.jpg"
            for n, label in enumerate(labels)
        )

        def members(
            names: list[str] = names, same: Any = same, broken: Any = broken, source: str = source
        ) -> Iterator[tuple[str, bytes]]:
            yield "attributes.csv", _attributes(names)
            content = b""
            for place, name in enumerate(names):
                if not same[place] or not content:
                    content = bases[place % len(bases)] + f"{source}{place}".encode()
                yield name, b"no picture" if broken[place] else content

        write_archive(Path(f"data/raw/{source}.zip"), members())
        card = {"kind": "folder", "folders": {label: label for label in CLASSES}, "licence": "", "origin": "drawn"}
        write_json(Path(f"data/raw/{source}.json"), card | ({"cut_out": True} if source == CUT_OUT else {}))


def _jpeg(rng: np.random.Generator) -> bytes:
    picture = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (32, 32))
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes()


def _attributes(names: Sequence[str]) -> bytes:
    """Hair with few values, a town with thousands, a serial number that is almost unique."""
    rng = np.random.default_rng(len(names))
    towns = np.minimum(rng.zipf(1.3, len(names)), 4000)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("path", "hair", "town", "serial"))
    hair = np.asarray(("short", "long", "none", "covered"))[rng.integers(0, 4, len(names))]
    rows.writerows((name, hair[n], f"town {towns[n]}", f"{n:07}") for n, name in enumerate(names))
    return table.getvalue().encode()


def _measures(number: int) -> list[dict[str, Any]]:
    """Draw sizes, formats and measures of pictures."""
    rng = np.random.default_rng(2)
    drawn = {
        "width": np.clip(rng.lognormal(5.3, 0.6, number), 16, 6000).astype(int),
        "height": np.clip(rng.lognormal(5.3, 0.6, number), 16, 6000).astype(int),
        "format": rng.choice(["JPEG", "PNG", "WEBP"], number, p=(0.9, 0.08, 0.02)),
        "brightness": np.clip(rng.normal(120, 35, number), 0, 255),
        "contrast": np.clip(rng.normal(55, 18, number), 0, 127),
        "sharpness": np.clip(rng.lognormal(-1.9, 0.6, number), 0, 1),
        "cast_red_green": rng.normal(4, 6, number),
        "cast_yellow_blue": rng.normal(2, 8, number),
        "border": np.clip(rng.exponential(0.05, number), 0, 1),
        "posterisation": np.clip(rng.exponential(0.2, number), 0, 8),
    }
    return pd.DataFrame(drawn).round(4).to_dict("records")


def draw_links(_: int) -> None:
    """Write links between copies."""
    table = CATALOGUE.read(Path("data/images.csv"))
    _links(table, np.random.default_rng(9)).to_csv(".drawn_links.csv", index=False)


def _links(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Link copies: a third of the images is one of a photograph that has several, mostly of one class."""
    ids = table["id"].to_numpy()
    places = rng.permutation(len(ids))[: len(ids) // 3]
    sizes = [int(len(ids) * share) for share in HUGE]
    rest = len(places) - sum(sizes)
    sizes += list(np.minimum(rng.geometric(0.3, rest // 3) + 1, 50))
    ends = np.minimum(np.cumsum(sizes), len(places))
    by_label = places[np.argsort(table["label"].to_numpy()[places], kind="stable")]
    first, second = [], []
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        members = by_label[start:end]
        for step in (1, 2):  # a chain, and every second one once more
            first.append(members[:-step:step])
            second.append(members[step::step][: len(members[:-step:step])])
    pairs = pd.DataFrame({"first": ids[np.concatenate(first)], "second": ids[np.concatenate(second)]})
    # A few that join two labels.
    wrong = pd.DataFrame({"first": rng.choice(ids, len(ids) // 200), "second": rng.choice(ids, len(ids) // 200)})
    pairs = pd.concat([pairs, wrong[wrong["first"] != wrong["second"]]], ignore_index=True)
    matches = rng.integers(20, 200, len(pairs))
    agreement = rng.uniform(0.5, 0.95, len(pairs)).round(4)
    return pairs.assign(mirrored=False, matches=matches, agreement=agreement)


def _answers(rows: pd.DataFrame, seed: int) -> np.ndarray:
    """Draw probabilities of a model that is right on about 97 in 100 photographs: float32 (n, 3)."""
    rng = np.random.default_rng(seed)
    of_group = pd.factorize(rows["group"])[0]
    logits = rng.normal(0, 1, (of_group.max() + 1, 3))[of_group] + rng.normal(0, 0.4, (len(rows), 3))
    logits[np.arange(len(rows)), pd.Index(CLASSES).get_indexer(rows["label"])] += 3.6
    shares = np.exp(1.5 * logits)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def draw_training(_: int) -> None:
    """Write what `render` and `train` make of the split: bounded by their settings, whatever the number of images."""
    rng = np.random.default_rng(3)
    split = SPLIT.read(Path("data/split.csv"))
    train = part_of(split, "train")
    held = train.sample(len(train) * REPEATS // 10, random_state=1)
    write = with_probabilities(held, _answers(held, 4))
    PREDICTIONS.write(Path("data/out_of_fold.csv"), write)
    faces = train[train["label"] == "without_mask"].sample(frac=1, random_state=1).head(3000)
    rendered = faces.assign(
        photograph=faces["id"],
        source=SOURCE,
        part="train",
        kind=rng.choice(KINDS, len(faces)),
        style="surgical",
        object=NO_OBJECT,
        shield=False,
        yaw=0,
        pitch=0,
    )
    SYNTHETIC.write(Path("data/rendered.csv"), rendered.assign(id="rendered/" + faces["id"]))
    sheet = cv2.imencode(".jpg", np.full((900, 1200, 3), 128, np.uint8))[1].tobytes()
    for name in ("rendered", "robustness", "activations"):
        write_bytes(Path(f"data/{name}.jpg"), sheet)
    labels = {
        "classes": list(CLASSES),
        "input": {"name": "image", "dtype": "uint8", "colours": "RGB", "height_width": [160, 160]},
        "output": {"name": "probabilities", "dtype": "float32"},
        "temperature": 1.0,
        "costs": {name: dict.fromkeys(CLASSES, 1.0) for name in CLASSES},
        "thresholds": dict.fromkeys(CLASSES, 0.5),
    }
    write_json(Path("export/labels.json"), labels)
    for name in (*STAND_INS, "data/rendered.zip", "web/index.html"):
        write_bytes(Path(name), name.encode())


# --- the stages ------------------------------------------------------------------------------------------------------


def _replace(module: Any, name: str, stand_in: Any) -> None:
    setattr(module, name, stand_in)


def _stage(name: str) -> None:
    sys.argv = [f"stages/{name}.py"]
    runpy.run_path(f"stages/{name}.py", run_name="__main__")


def run_merge(_: int) -> None:
    """Run the stage with sizes and measures that were drawn."""
    from facemask.data import merge

    drawn, finding = _measures(4096), merge._Finding

    def examine(candidate: Any, data: bytes, _settings: Any) -> Any:
        if data == b"no picture":
            return finding(candidate, b"", "no image")
        sha256 = hashlib.sha256(data).hexdigest()
        measures = dict(drawn[int(sha256[:8], 16) % len(drawn)])
        width, height = measures.pop("width"), measures.pop("height")
        return finding(candidate, data, "", width, height, sha256, measures.pop("format"), measures)

    _replace(merge, "_examine", examine)
    _stage("merge")


def run_group(_: int) -> None:
    """Run the stage with the links that were drawn."""
    from facemask.data.duplicates import grouping

    links = pd.read_csv(".drawn_links.csv")
    _replace(grouping, "find_links", lambda *_, **__: links)
    _stage("group")


def run_split(_: int) -> None:
    """Run the stage with pairs that were drawn."""
    from facemask.data import leakage

    def pairs(_archive: Archive, table: pd.DataFrame, settings: Any) -> pd.DataFrame:
        test, train = part_of(table, "test")["id"], part_of(table, "train")["id"]
        shown = pd.DataFrame({"id": test[: settings.shown], "part": "test", "train_id": train[: settings.shown]})
        return shown.assign(similarity=np.linspace(0.9, 0.7, len(shown)).round(4), suspicious=False)

    _replace(leakage, "similar_pairs", pairs)
    _stage("split")


def run_evaluate(_: int) -> None:
    """Run the stage with answers that were drawn."""
    from facemask.evaluation import metrics
    from facemask.models import classifier, repeats

    def predict_parts(_model: Any, _images: Any, split: pd.DataFrame, parts: Sequence[str], *_: Any) -> pd.DataFrame:
        rows = split[split["part"].isin(parts)].reset_index(drop=True)
        return with_probabilities(rows, _answers(rows, int(os.environ.get("ANSWERS", "5"))))

    def predict_repeats(_model: Any, _repeats: Any, _images: Any, rows: pd.DataFrame) -> list[pd.DataFrame]:
        return [with_probabilities(rows, _answers(rows, 10 + number)) for number in range(REPEATS)]

    _replace(metrics, "predict_parts", predict_parts)
    _replace(classifier, "load_model", lambda _: None)
    _replace(repeats, "load_repeats", lambda _: None)
    _replace(repeats, "predict_repeats", predict_repeats)
    _stage("evaluate")


def change_data(_: int) -> None:
    """Take some images away, move some, answer anew: what a review then has to tell apart."""
    rng = np.random.default_rng(6)
    manifest, split = MANIFEST.read(Path("data/manifest.csv")), SPLIT.read(Path("data/split.csv"))
    kept = rng.random(len(manifest)) > 0.02
    moved = rng.random(len(split)) < 0.01
    split.loc[moved & (split["part"] == "val").to_numpy(), "part"] = "train"
    MANIFEST.write(Path("data/manifest.csv"), manifest[kept])
    SPLIT.write(Path("data/split.csv"), split[kept])
    os.environ["ANSWERS"] = "7"
    run_evaluate(0)


def run_new_data(_: int) -> None:
    """Run the check of a folder of new photographs; without the search for copies, and with features drawn."""
    from facemask.review import new_data, new_data_page

    rng = np.random.default_rng(8)
    _replace(new_data, "find_links", lambda *_, **__: pd.DataFrame([], columns=LINKS.columns))
    _replace(
        new_data, "_features", lambda _archives, names, _size: rng.normal(0, 1, (len(names), 64)).astype(np.float32)
    )
    for number in range(NEW_IMAGES):
        write_bytes(Path(f"new/{CLASSES[number % 3]}/{number}.jpg"), _jpeg(rng) + str(number).encode())
    found = new_data.check_new_data(["new"])
    Path(".new_data.md").write_text(new_data_page.markdown(found), encoding="utf-8")


PYTHON = sys.executable
DVC = (PYTHON, "-m", "dvc")
FACEMASK = (PYTHON, "-m", "facemask")
STEPS: dict[str, Step] = {
    "draw files": Step(draw_raw, ("data/raw",), measured=False),
    "merge, without decoding": Step(run_merge, ("data/images.zip", "data/images.csv", "data/left_out.csv", "plots")),
    "draw links": Step(draw_links, measured=False),
    "group, without the search": Step(run_group, ("data/manifest.csv", "data/links.csv", "data/samples.jpg")),
    "split, without the leak check": Step(run_split, ("data/split.csv", "data/leaks.csv")),
    "draw training": Step(draw_training, ("data/out_of_fold.csv", "data/rendered.csv"), measured=False),
    "evaluate, without the model": Step(run_evaluate, ("data/predictions.csv", "data/slices.json", "metrics", "plots")),
    "report": Step((PYTHON, "stages/report.py"), ("report/report.html", "report/report.md", "report/model_card.md")),
    "dvc commit": Step((*DVC, "commit", "--force", "--quiet"), ("dvc.lock",)),
    "dvc status": Step((*DVC, "status")),
    "facemask gate": Step((*FACEMASK, "gate", "HEAD")),
    "change data": Step(change_data, measured=False),
    "facemask review": Step((*FACEMASK, "review", "HEAD"), (".facemask/million.out",)),
    "facemask review, page": Step((*FACEMASK, "review", "HEAD", "--html", "review.html"), ("review.html",)),
    "new data, without the search": Step(run_new_data, (".new_data.md",)),
}
LIMITS = (
    Limit("report/report.html", 5, "MB"),
    Limit("report/report.md", 0.1, "MB"),
    Limit("metrics", 0.1, "MB"),
    Limit("plots/*.csv", 0.5, "MB"),
    Limit("dvc status", 10, "s"),
)


def prepare(folder: Path) -> None:
    """Make a project: code, settings, and a git and a DVC repository."""
    for name in COPIED:
        path = ROOT / name
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, folder / name)
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["data"]["sources"] = list(SOURCES)
    settings["sources"] = {name: {"kind": "folder", "path": f"data/own/{name}"} for name in SOURCES}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    for name in SOURCES:
        (folder / "data/own" / name).mkdir(parents=True)
    for command in (("git", "init", "--quiet"), (*DVC, "init", "--quiet"), (*DVC, "config", "cache.type", "hardlink")):
        subprocess.run(command, cwd=folder, check=True)


def measure(name: str, step: Step, folder: Path, images: int) -> tuple[float, float, float]:
    """Run a step in a process of its own; return seconds, those of the processors, and the peak of its memory in MB."""
    command = [PYTHON, str(Path(__file__)), "--images", str(images), "--step", name] if callable(step.run) else step.run
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "FACEMASK_CACHE": str(folder / ".cache")}
    (folder / ".facemask").mkdir(exist_ok=True)
    with (folder / ".facemask/million.out").open("wb") as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and name not in ("facemask gate", "facemask review", "facemask review, page"):
        sys.exit(f"{name}: {(folder / '.facemask/million.out').read_text(errors='replace')[-4000:]}")
    return (
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MEGABYTE,
    )


def size_of(path: Path) -> float:
    """Return the size of a file or folder in MB."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / MEGABYTE


def check(folder: Path, seconds: dict[str, float]) -> list[str]:
    """Say which limits are exceeded."""
    exceeded = []
    for limit in LIMITS:
        found = (
            seconds.get(limit.what, 0.0)
            if limit.unit == "s"
            else sum(size_of(path) for path in folder.glob(limit.what))
        )
        print(f"{limit.what}: {found:.3g} {limit.unit}, at most {limit.most:g}")
        if found > limit.most:
            exceeded.append(limit.what)
    return exceeded


def measure_own(folder: Path, files: int) -> None:
    """Print what DVC takes for a stage whose input is a folder of many small files."""
    for number in range(files):
        path = folder / f"data/own/{CLASSES[number % 3]}/{number:07}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(number).encode())
    stage = {"cmd": "echo done > out.txt", "deps": ["data/own"], "outs": ["out.txt"]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"download": stage}}), encoding="utf-8")
    for command in (("git", "init", "--quiet"), (*DVC, "init", "--quiet")):
        subprocess.run(command, cwd=folder, check=True)
    print("| command | seconds (of the processors) | peak memory, MB |\n| --- | ---: | ---: |")
    for verb in ("repro", "status", "status"):
        seconds, worked, memory = measure(verb, Step((*DVC, verb)), folder, files)
        print(f"| `dvc {verb}` | {seconds:.1f} ({worked:.1f}) | {memory:.0f} |", flush=True)


def main() -> None:
    """Make a project, or go on in one, and run the steps there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000, help="(default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="keep the project here; otherwise it is removed at the end")
    parser.add_argument("--from", dest="first", choices=STEPS, help="go on with this step in --folder")
    parser.add_argument("--to", dest="last", choices=STEPS, help="end with this step")
    parser.add_argument("--own", type=int, metavar="FILES", help="measure DVC with a folder of files, and nothing else")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        run = STEPS[arguments.step].run
        assert callable(run)
        run(arguments.images)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        if arguments.own:
            measure_own(folder, arguments.own)
            return
        if not arguments.first:
            folder.mkdir(parents=True, exist_ok=True)
            prepare(folder)
        names = list(STEPS)
        chosen = names[names.index(arguments.first or names[0]) : names.index(arguments.last or names[-1]) + 1]
        print("| step | seconds (of the processors) | peak memory, MB | outputs, MB |\n| --- | ---: | ---: | --- |")
        taken = {}
        for name in chosen:
            if name == "dvc status":  # what was just written counts as changed until its time stamp is old enough
                measure(name, STEPS[name], folder, arguments.images)
            if name == "change data":
                for command in (("add", "--all"), ("commit", "--quiet", "-m", "before")):
                    subprocess.run(("git", "-c", "user.name=m", "-c", "user.email=m@localhost", *command), cwd=folder)
            seconds, worked, memory = measure(name, STEPS[name], folder, arguments.images)
            taken[name] = worked  # other work on the machine does not count
            sizes = ", ".join(f"{Path(out).name} {size_of(folder / out):.3g}" for out in STEPS[name].outs)
            shown = name if STEPS[name].measured else f"({name})"
            print(f"| {shown} | {seconds:.1f} ({worked:.1f}) | {memory:.0f} | {sizes} |", flush=True)
        if exceeded := check(folder, taken):
            sys.exit(f"beyond the limit: {', '.join(exceeded)}")


if __name__ == "__main__":
    main()
