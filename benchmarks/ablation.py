"""What each choice of the training is worth on photographs of an origin that it never saw.

    python benchmarks/ablation.py                                # all of it, with params.yaml
    python benchmarks/ablation.py --only chosen "no drawn masks"
    python benchmarks/ablation.py --epochs 2 --draws 3000        # shorter trainings
    python benchmarks/ablation.py --finished                     # the table of what is done

Leaves out one source at a time: trains on the others (masks are drawn over their bare faces only), and tests on all
images of the one left out, at most 8 copies of a photograph, each photograph counting once. `linear` is a logistic
regression on the pooled features of the frozen backbone, on images as they are and without drawn masks; `chosen` is
params.yaml; every other row changes one thing in it.

Run it after `dvc repro split backbone` with two or more sources: it reads params.yaml, data/images.zip, data/split.csv
and models/backbone.weights.h5. Prints a Markdown table for each source: accuracy, balanced accuracy, the recall of each
class, and the difference of balanced accuracy to `chosen` with its 95 % interval, from a bootstrap over photographs.
Each training is kept in the file `--out` when it is done, and is not run again as long as inputs and settings are the
same; delete the file after a change of the code.
"""

import argparse
import contextlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.params import Params, TrainParams, load_params
from facemask.data.synthetic.pipeline import render
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.split import SPLIT
from facemask.dataset.synthetic import NO_OBJECT
from facemask.evaluation.leave_one_source_out import leave_out
from facemask.evaluation.metrics import predict_parts
from facemask.training.trainer import WorkFolders, train

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.compare_splits import (
    BACKBONE,
    IMAGES,
    SMALL_BATCH,
    SPLIT_FILE,
    fingerprint,
    linear_features,
    run_linear,
)
from benchmarks.kept import find_kept, keep

CHOSEN, LINEAR, UNDRAWN = "chosen", "linear", "no drawn masks"
NO_OBJECTS = "no drawn objects"
RESAMPLES = 2000


@dataclass(frozen=True)
class Times:
    """A change by a factor, whatever params.yaml has."""

    factor: float


GEOMETRY = {"rotation": 0, "zoom_in": 0, "zoom_out": 0, "stretch": 0, "shear": 0, "shift": 0}
LIGHT = {"darker": 0, "brighter": 0, "contrast": 0, "colour": 0, "gamma": 0, "side_light": 0, "grey": 0}
CAMERA = {"blur": 0, "motion": 0, "low_resolution": 0, "noise": 0, "jpeg": 0}
USUAL = {**GEOMETRY, **LIGHT, **CAMERA, "occlusion": 0, "zoom_in": 0.2, "zoom_out": 0.2, "shear": 10}

VARIANTS: dict[str, dict[str, Any]] = {
    LINEAR: {},
    CHOSEN: {},
    "another seed": {"seed": 2},
    UNDRAWN: {},
    NO_OBJECTS: {},
    "usual augmentation (zoom, shear, flip)": {"augmentation": USUAL},
    "no varied crops": {"augmentation": GEOMETRY},
    "no varied light": {"augmentation": LIGHT},
    "light half as varied": {"augmentation": dict.fromkeys(LIGHT, Times(0.5))},
    "no camera corruptions": {"augmentation": CAMERA},
    "no occlusion": {"augmentation": {"occlusion": 0}},
    "half as many drawn masks": {"drawn_masks": Times(0.5)},
    "twice as many drawn masks": {"drawn_masks": Times(2)},
    "twice the draws": {"draws": Times(2)},
    "each file counts": {"sampling": "image"},
    "sources by size": {"source_balance": False},
    "classes by size": {"class_balance": False},
    "top alone learns": {"from_layer": "top"},
    "learns from block 13": {"from_layer": "block_13_expand"},
    "learns from block 7": {"from_layer": "block_7_expand"},
    "96 pixels": {"image_size": 96},
    "128 pixels": {"image_size": 128},
    "192 pixels": {"image_size": 192},
    "224 pixels": {"image_size": 224},
    "half the rate": {"learning_rate": Times(0.5)},
    "twice the rate": {"learning_rate": Times(2)},
    "four times the rate": {"learning_rate": Times(4)},
    "mixup": {"mixup": 0.2},
    "no label smoothing": {"label_smoothing": 0},
    "no averaging": {"averaging": 0},
    "no dropout": {"dropout": 0},
    "two passes of views": {"views": 2},
}


def changed(settings: TrainParams, change: dict[str, Any]) -> TrainParams:
    """Apply one change of `VARIANTS`."""
    return TrainParams.model_validate(_merged(settings.model_dump(), change))


def _merged(values: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for name, new in change.items():
        if isinstance(new, dict):
            result[name] = _merged(values[name], new)
        elif isinstance(new, Times):
            result[name] = type(values[name])(values[name] * new.factor)
        else:
            result[name] = new
    return result


def figures(rows: pd.DataFrame) -> dict[str, Any]:
    """Compute the figures of predictions, each photograph counting once.

    Args:
        rows: columns label, group and prediction.
    """
    right = _by_photograph(rows)
    recalls = right.groupby("label")["right"].mean().reindex(CLASSES)
    return {
        "accuracy": float(right["right"].mean()),
        "balanced accuracy": float(recalls.mean()),
        **{f"recall of `{name}`": float(recalls[name]) for name in CLASSES},
    }


def difference(rows: pd.DataFrame, reference: pd.DataFrame, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of the difference in balanced accuracy: paired bootstrap over photographs, by class."""
    both = _by_photograph(rows).merge(_by_photograph(reference), on=["label", "group"], suffixes=("", "_reference"))
    gains = [group.to_numpy() for _, group in (both["right"] - both["right_reference"]).groupby(both["label"])]
    rng = np.random.default_rng(seed)
    samples = [_means(rng.choice(of_class, (RESAMPLES, len(of_class)))) for of_class in gains]
    low, high = np.percentile(np.mean(samples, axis=0), [2.5, 97.5])
    return float(low), float(high)


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.mean(axis=1)


def _by_photograph(rows: pd.DataFrame) -> pd.DataFrame:
    right = (rows["prediction"] == rows["label"]).astype(float)
    return right.groupby([rows["label"], rows["group"]]).mean().rename("right").reset_index()


def run(
    variant: str, table: pd.DataFrame, settings: TrainParams, drawn: tuple[Path, pd.DataFrame], views: Path
) -> pd.DataFrame:
    """Train one variant and predict what was left out; return the rows of `test` with the column `prediction`."""
    with Archive(IMAGES) as images, Archive(drawn[0]) as pictures, tempfile.TemporaryDirectory() as states:
        if variant == LINEAR:
            return run_linear(table, linear_features(images, table, settings), settings)
        from facemask.models.tensorflow import keras

        keras.backend.clear_session()  # or each model stays in memory
        synthetic = drawn[1][drawn[1]["object"] == NO_OBJECT] if variant == NO_OBJECTS else drawn[1]
        rows = table if variant == UNDRAWN else pd.concat([table, synthetic], ignore_index=True)
        with contextlib.redirect_stdout(sys.stderr):
            folders = WorkFolders(states=Path(states), views=views)
            alone = settings.model_copy(update={"repeats": 0})  # nothing is calibrated here
            trained = train(Archives(images, pictures), rows, BACKBONE, alone, folders)
            predictions = predict_parts(trained.model, images, table, ["test"], SMALL_BATCH)
    return table[table["part"] == "test"].merge(predictions[["id", "prediction"]], on="id", validate="one_to_one")


def table_of(results: list[dict[str, Any]], source: str) -> str:
    """Format the results of one source left out as Markdown, in per cent."""
    of_source = [entry for entry in results if entry["run"]["source"] == source]
    names = list(of_source[0]["figures"])
    reference = next((entry for entry in of_source if entry["run"]["variant"] == CHOSEN), None)
    lines = [
        f"| trained without {source} | {' | '.join(names)} | balanced accuracy against `{CHOSEN}` |",
        f"| --- |{' ---: |' * (len(names) + 1)}",
    ]
    for entry in of_source:
        cells = [f"{100 * value:.1f}" for value in entry["figures"].values()]
        gain = ""
        if reference is not None and entry is not reference:
            low, high = difference(pd.DataFrame(entry["rows"]), pd.DataFrame(reference["rows"]), seed=1)
            worth = entry["figures"]["balanced accuracy"] - reference["figures"]["balanced accuracy"]
            gain = f"{100 * worth:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        lines.append(f"| {entry['run']['variant']} | {' | '.join(cells)} | {gain} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run what is not in the file yet, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), metavar="ROW", help="these rows alone")
    parser.add_argument("--sources", nargs="+", help="leave out these in turn (default: each)")
    parser.add_argument("--epochs", type=int, help="instead of train.epochs")
    parser.add_argument("--draws", type=int, help="instead of train.draws")
    parser.add_argument("--image-size", type=int, help="instead of train.image_size")
    parser.add_argument("--learning-rate", type=float, help="instead of train.learning_rate")
    parser.add_argument("--finished", action="store_true", help="print what is in the file already, run nothing")
    parser.add_argument("--out", type=Path, default=Path("ablation.json"), help="(default: %(default)s)")
    given = parser.parse_args(arguments)

    params = load_params()
    names = ("epochs", "draws", "image_size", "learning_rate")
    changes = {name: value for name in names if (value := getattr(given, name)) is not None}
    settings = TrainParams.model_validate(params.train.model_dump() | changes)
    table = SPLIT.read(SPLIT_FILE)
    sources = given.sources or sorted(table["source"].unique())
    if len(set(table["source"])) < 2:
        parser.error("there is one source only: name two in data.sources, and run `dvc repro split`")
    inputs = fingerprint(IMAGES, SPLIT_FILE, BACKBONE)
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for source in sources:
            drawn = None
            for variant in given.only or list(VARIANTS):
                values = changed(settings, VARIANTS[variant]).model_dump(exclude={"kept_views"})
                what = {"variant": variant, "source": source, "settings": values, "inputs": inputs}
                entry = find_kept(given.out, what)
                if entry is None and given.finished:
                    continue
                if entry is None:
                    print(f"{variant}, without {source}", file=sys.stderr, flush=True)
                    held = leave_out(table, source)
                    drawn = drawn or _draw(held, Path(folder) / f"{source}.zip", params)
                    rows = run(variant, held, changed(settings, VARIANTS[variant]), drawn, Path(folder) / "views")
                    kept = {name: list(rows[name]) for name in ("label", "group", "prediction")}
                    entry = {"run": what, "figures": figures(rows), "rows": kept}
                    keep(given.out, entry)
                results.append(entry)
    for source in dict.fromkeys(entry["run"]["source"] for entry in results):
        print(table_of(results, source), end="\n\n")
    used = " ".join(f"--{name.replace('_', '-')} {getattr(settings, name)}" for name in names)
    print(f"`ablation.py {used}`, in per cent, each photograph counting once; intervals of 95 %, seed {settings.seed}.")


def _draw(table: pd.DataFrame, path: Path, params: Params) -> tuple[Path, pd.DataFrame]:
    return path, render(IMAGES, table, path, params.render).table


if __name__ == "__main__":
    main()
