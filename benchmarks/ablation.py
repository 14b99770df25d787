"""What each choice of drawing and training is worth on photographs of an origin that the model never saw.

    python benchmarks/ablation.py                                # all of it, with params.yaml
    python benchmarks/ablation.py --only chosen "no drawn masks"
    python benchmarks/ablation.py --epochs 2 --draws 3000        # shorter trainings
    python benchmarks/ablation.py --finished                     # the table of what is done

Leaves out one source at a time: trains on the others (masks are drawn over their bare faces only), and tests on all
images of the one left out, at most 8 copies of a photograph, each photograph counting once. `linear` is a logistic
regression on the pooled features of the frozen backbone, on images as they are and without drawn masks; `chosen` is
params.yaml; every other row changes something in it.

A training is a draw, so each row is trained with several seeds, and has mean and standard deviation over them. The last
column is the difference of balanced accuracy to `chosen` with its 95 % interval, by Student's t and the standard
deviation pooled over all rows of the table; a difference whose interval holds 0 is called chance.

Run it after `dvc repro split backbone` with two or more sources: it reads params.yaml, data/images.zip, data/split.csv
and models/backbone.weights.h5. Prints a Markdown table for each source. Each training is kept in the file `--out` when
it is done, and is not run again as long as inputs and settings are the same; delete it after a change of the code.
"""

import argparse
import contextlib
import hashlib
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from facemask.core.classes import CLASSES
from facemask.core.params import Params, RenderParams, TrainParams, load_params
from facemask.data.synthetic.pipeline import render
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.split import SPLIT
from facemask.dataset.synthetic import SYNTHETIC
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

CHOSEN, LINEAR = "chosen", "linear"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Times:
    """A change by a factor, whatever params.yaml has."""

    factor: float


GEOMETRY = {"rotation": 0, "zoom_in": 0, "zoom_out": 0, "stretch": 0, "shear": 0, "shift": 0}
LIGHT = {"darker": 0, "brighter": 0, "contrast": 0, "colour": 0, "gamma": 0, "side_light": 0, "grey": 0}
CAMERA = {"blur": 0, "motion": 0, "low_resolution": 0, "noise": 0, "jpeg": 0}
# A margin of 35 % on each side, and the contrast of the mildest level in facemask/evaluation/corruptions.py.
WIDER = {"zoom_out": 0.7, "contrast": 0.6}
USUAL = {**GEOMETRY, **LIGHT, **CAMERA, "zoom_in": 0.2, "zoom_out": 0.2, "shear": 10}

# Of the drawing; all but objects is off in params.yaml.
NO_OBJECTS = {"with_object": {"bare": 0, "masked": 0}}
KINDS = {
    "kinds": {
        "right": 0.34,
        "nose_out": 0.16,
        "nose_just_out": 0.15,
        "mouth_out": 0.06,
        "below_chin": 0.08,
        "chin_out": 0.02,
        "askew": 0.04,
        "one_ear": 0.03,
        "forehead": 0.01,
        "over_eyes": 0.01,
        "bare": 0.1,
    }
}
LOW_ON_NOSE = {"kinds": KINDS["kinds"] | {"right": 0.24, "right_low": 0.1}}
STYLES = {
    "styles": {
        "photographed": 0.4,
        "surgical": 0.2,
        "cloth": 0.15,
        "printed": 0.08,
        "face_print": 0.03,
        "cup": 0.07,
        "window": 0.02,
        "bandana": 0.05,
    },
    "dark": 0.15,
    "face_shield": 0.05,
}
TURNED_FACES = {"turned": 0.5, "childlike": 0.15}
TURNED = {**TURNED_FACES, "turned_photographs": 300}

# What each row changes in params.yaml.
VARIANTS: dict[str, dict[str, Any]] = {
    LINEAR: {},
    CHOSEN: {},
    "no drawn masks": {"render": {"faces": 0}},
    "no objects": {"render": NO_OBJECTS},
    "rare kinds too": {"render": KINDS},
    "rare styles too": {"render": STYLES},
    "turned faces too": {"render": TURNED_FACES},
    "rare kinds instead of objects": {"render": {**KINDS, **NO_OBJECTS}},
    "rare styles instead of objects": {"render": {**STYLES, **NO_OBJECTS}},
    "turned faces instead of objects": {"render": {**TURNED_FACES, **NO_OBJECTS}},
    "turned faces and photographs instead of objects": {"render": {**TURNED, **NO_OBJECTS}},
    "all that can be drawn": {"render": {**LOW_ON_NOSE, **STYLES, **TURNED}},
    "usual augmentation (zoom, shear, flip)": {"train": {"augmentation": USUAL}},
    "no varied crops": {"train": {"augmentation": GEOMETRY}},
    "no varied light": {"train": {"augmentation": LIGHT}},
    "light half as varied": {"train": {"augmentation": dict.fromkeys(LIGHT, Times(0.5))}},
    "no camera corruptions": {"train": {"augmentation": CAMERA}},
    "wider crops, weaker contrast": {"train": {"augmentation": WIDER}},
    "half as many drawn masks": {"train": {"drawn_masks": Times(0.5)}},
    "twice as many drawn masks": {"train": {"drawn_masks": Times(2)}},
    "twice the draws": {"train": {"draws": Times(2)}},
    "half the draws": {"train": {"draws": Times(0.5)}},
    "twice the epochs": {"train": {"epochs": Times(2)}},
    "each file counts": {"train": {"sampling": "image"}},
    "sources by size": {"train": {"source_balance": False}},
    "classes by size": {"train": {"class_balance": False}},
    "top alone learns": {"train": {"from_layer": "top"}},
    "learns from block 13": {"train": {"from_layer": "block_13_expand"}},
    "learns from block 7": {"train": {"from_layer": "block_7_expand"}},
    "128 pixels": {"train": {"image_size": 128}},
    "192 pixels": {"train": {"image_size": 192}},
    "224 pixels": {"train": {"image_size": 224}},
    "half the rate": {"train": {"learning_rate": Times(0.5)}},
    "twice the rate": {"train": {"learning_rate": Times(2)}},
    "mixup": {"train": {"mixup": 0.2}},
    "no label smoothing": {"train": {"label_smoothing": 0}},
    "no dropout": {"train": {"dropout": 0}},
}


def changed(params: Params, change: dict[str, Any], seed: int | None = None) -> Params:
    """Apply one change of `VARIANTS`, and the seed of the training unless it is None."""
    train = _merged(params.train.model_dump(), change.get("train", {})) | {"repeats": 0}  # nothing is calibrated here
    if seed is not None:
        train["seed"] = seed
    drawing = _merged(params.render.model_dump(), change.get("render", {}))
    groups = {"train": TrainParams.model_validate(train), "render": RenderParams.model_validate(drawing)}
    return params.model_copy(update=groups)


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


def figures(rows: pd.DataFrame) -> dict[str, float]:
    """Compute the figures of predictions, each photograph counting once.

    Args:
        rows: columns label, group and prediction.
    """
    right = (rows["prediction"] == rows["label"]).astype(float).groupby([rows["label"], rows["group"]]).mean()
    recalls = right.groupby("label").mean().reindex(list(CLASSES))
    return {
        "accuracy": float(right.mean()),
        "balanced accuracy": float(recalls.mean()),
        **{f"recall of `{name}`": float(recalls[name]) for name in CLASSES},
    }


def run(variant: str, table: pd.DataFrame, params: Params, work: Path) -> pd.DataFrame:
    """Train one variant and predict what was left out; return the rows of `test` with the column `prediction`."""
    if variant == LINEAR:  # learns from images as they are
        with Archive(IMAGES) as images:
            return run_linear(table, linear_features(images, table, params.train), params.train)
    drawn, rendered = _drawn(table, params, work)
    with Archive(IMAGES) as images, Archive(drawn) as pictures, tempfile.TemporaryDirectory() as states:
        from facemask.models.tensorflow import keras

        keras.backend.clear_session()  # or each model stays in memory
        rows = pd.concat([table, rendered], ignore_index=True)
        with contextlib.redirect_stdout(sys.stderr):
            folders = WorkFolders(states=Path(states), views=work / "views")
            trained = train(Archives(images, pictures), rows, BACKBONE, params.train, folders)
            predictions = predict_parts(trained.model, images, table, ["test"], SMALL_BATCH)
    return table[table["part"] == "test"].merge(predictions[["id", "prediction"]], on="id", validate="one_to_one")


def _drawn(table: pd.DataFrame, params: Params, work: Path) -> tuple[Path, pd.DataFrame]:
    """Draw synthetic masks once for all trainings that want the same."""
    wanted = json.dumps([sorted(table.loc[table["part"] == "train", "id"]), params.render.model_dump(mode="json")])
    name = hashlib.sha256(wanted.encode()).hexdigest()[:16]
    path, rows = work / f"{name}.zip", work / f"{name}.csv"
    if not rows.exists():
        SYNTHETIC.write(rows, render(IMAGES, table, path, params.render).table)
    return path, SYNTHETIC.read(rows)


def table_of(results: list[dict[str, Any]], source: str) -> str:
    """Format the results of one source left out as Markdown: mean and standard deviation over seeds, in per cent."""
    of_source = pd.DataFrame(
        [{"row": entry["run"]["variant"], **entry["figures"]} for entry in results if entry["run"]["source"] == source]
    )
    rows = of_source.groupby("row", sort=False)
    means, spreads, counts = 100 * rows.mean(), 100 * rows.std(), rows.size()
    lines = [
        f"| trained without {source} | {' | '.join(means.columns)} | balanced accuracy against `{CHOSEN}` |",
        f"| --- |{' ---: |' * (len(means.columns) + 1)}",
    ]
    for name in means.index:
        cells = [
            f"{mean:.1f}" + (f" ± {spread:.1f}" if counts[name] > 1 else "")
            for mean, spread in zip(means.loc[name], spreads.loc[name], strict=True)
        ]
        gain = "" if name == CHOSEN or CHOSEN not in means.index else gain_of(of_source, name)
        lines.append(f"| {name} | {' | '.join(cells)} | {gain} |")
    return "\n".join(lines)


def gain_of(results: pd.DataFrame, name: str) -> str:
    """Format the difference of balanced accuracy between a row and `chosen`, with its interval.

    Args:
        results: a row per training: `row`, and the figures, as a share.
        name: of the row.
    """
    of_rows = (100 * results["balanced accuracy"]).groupby(results["row"])
    counts = of_rows.size()
    gain = of_rows.mean()[name] - of_rows.mean()[CHOSEN]
    freedom = int((counts - 1).sum())
    if counts[name] < 2 or counts[CHOSEN] < 2:
        return f"{gain:+.1f}"
    # One spread for all rows: a row alone has too few trainings to tell.
    variance = float(((counts - 1) * of_rows.var().fillna(0)).sum()) / freedom
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * float(
        np.sqrt(variance * (1 / counts[name] + 1 / counts[CHOSEN]))
    )
    return f"{gain:+.1f} ({gain - half:+.1f} to {gain + half:+.1f})" + ("" if abs(gain) > half else ", chance")


def main(arguments: list[str] | None = None) -> None:
    """Run what is not in the file yet, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), metavar="ROW", help="these rows alone")
    parser.add_argument("--sources", nargs="+", help="leave out these in turn (default: each)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the trainings (default: 1 2 3)")
    parser.add_argument("--epochs", type=int, help="instead of train.epochs")
    parser.add_argument("--draws", type=int, help="instead of train.draws")
    parser.add_argument("--finished", action="store_true", help="print what is in the file already, run nothing")
    parser.add_argument("--out", type=Path, default=Path("ablation.json"), help="(default: %(default)s)")
    given = parser.parse_args(arguments)

    shorter = {name: value for name in ("epochs", "draws") if (value := getattr(given, name)) is not None}
    params = changed(load_params(), {"train": shorter})
    table = SPLIT.read(SPLIT_FILE)
    sources = given.sources or sorted(table["source"].unique())
    if len(set(table["source"])) < 2:
        parser.error("there is one source only: name two in data.sources, and run `dvc repro split`")
    inputs = fingerprint(IMAGES, SPLIT_FILE, BACKBONE)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for variant in given.only or list(VARIANTS):
            for source in sources:
                for seed in given.seeds if variant != LINEAR else given.seeds[:1]:
                    used = changed(params, VARIANTS[variant], seed)
                    values = {"train": used.train.model_dump(exclude={"kept_views", "live"})}
                    values["render"] = used.render.model_dump(mode="json")
                    what = {"variant": variant, "source": source, "settings": values, "inputs": inputs}
                    entry = find_kept(given.out, what)
                    if entry is None and given.finished:
                        continue
                    if entry is None:
                        print(f"{variant}, without {source}, seed {seed}", file=sys.stderr, flush=True)
                        found = run(variant, leave_out(table, source), used, Path(folder))
                        entry = {"run": what, "figures": figures(found)}
                        keep(given.out, entry)
                    results.append(entry)
    for source in dict.fromkeys(entry["run"]["source"] for entry in results):
        print(table_of(results, source), end="\n\n")
    print(
        f"`ablation.py --epochs {params.train.epochs} --draws {params.train.draws}`, mean and standard deviation over "
        f"{len(given.seeds)} seeds at most (no deviation: over one), in per cent, each photograph counting once."
    )


if __name__ == "__main__":
    main()
