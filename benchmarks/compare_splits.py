"""What a split at random by file hides: the same model and settings, tested in two ways, in folds.

    python benchmarks/compare_splits.py                    # on the data of this project, with params.yaml
    python benchmarks/compare_splits.py --only linear      # minutes instead of hours
    python benchmarks/compare_splits.py --image-size 128   # for photographs of 128 pixels, a third of the time

`by file` deals the files out at random, as is usual; `by group` keeps all copies of a photograph on one side. Each fold
is tested once, by a model that was trained on the others. `linear` is a logistic regression on the pooled features of
the frozen backbone, and learns from the photographs that the settings (`draws`, `sampling` ...) draw for an epoch.
`full` is what the stages `render` and `train` do, stopped early on a part of the training folds that is taken from them
in the same manner.

Run it after `dvc repro split backbone`: it reads params.yaml, data/images.zip, data/split.csv (for the groups, and to
leave out what the stage `split` dropped) and models/backbone.weights.h5. Prints a Markdown table: mean and standard
deviation over the folds. Every fold is kept in the file `--out` when it is done, and is not run again as long as
inputs and settings are the same; delete the file after a change of the code.
"""

import argparse
import contextlib
import hashlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from facemask.core.classes import CLASSES
from facemask.core.params import Params, RenderParams, TrainParams, load_params
from facemask.dataset.archive import Archive
from facemask.dataset.split import DROPPED, SPLIT
from facemask.evaluation.metrics import headline, per_class
from facemask.training.sampler import sample_epoch

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.kept import find_kept, keep

IMAGES, SPLIT_FILE, BACKBONE = Path("data/images.zip"), Path("data/split.csv"), Path("models/backbone.weights.h5")
MODELS, MANNERS = ("linear", "full"), ("by file", "by group")
SMALL_BATCH = 64  # images at a time where nothing is learnt


def folds(table: pd.DataFrame, manner: str, count: int, seed: int) -> list[NDArray[np.int64]]:
    """Deal images out to `count` folds, stratified by class.

    Args:
        table: one row per image, with the columns `label` and `group`.
        manner: "by file", or "by group": no group in two folds.
        count: number of folds.
        seed: of the shuffling.

    Returns:
        For each fold the positions of its images, ascending; each position is in one fold.
    """
    if manner == "by file":
        dealt = StratifiedKFold(count, shuffle=True, random_state=seed).split(table, table["label"])
    else:
        grouped = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        dealt = grouped.split(table, table["label"], table["group"])
    return [np.sort(test) for _, test in dealt]


def parts(table: pd.DataFrame, manner: str, count: int, fold: int, val: float, seed: int) -> pd.DataFrame:
    """Split for one fold: it is the part `test`; of the others about the share `val` is `val`, the rest is `train`.

    Returns:
        `table` with the column `part` set.
    """
    part = np.full(len(table), "train", dtype=object)
    test = folds(table, manner, count, seed)[fold]
    others = np.setdiff1d(np.arange(len(table)), test)
    part[others[folds(table.iloc[others], manner, max(2, round(1 / val)), seed)[0]]] = "val"
    part[test] = "test"
    return table.assign(part=part)


def linear_features(archive: Archive, table: pd.DataFrame, settings: TrainParams) -> NDArray[np.float32]:
    """Compute what `run_linear` learns from, in the order of `table`: float32 (n, 1280)."""
    from facemask.models.features import compute_features

    return compute_features(archive, list(table["id"]), settings.image_size, BACKBONE, "tensorflow")


def run_linear(split: pd.DataFrame, features: NDArray[np.float32], settings: TrainParams) -> pd.DataFrame:
    """Fit on one epoch's draws from `train` and `val`, since nothing is stopped early; predict `test`.

    Returns:
        The rows of `test`, with the column `prediction`.
    """
    tested = (split["part"] == "test").to_numpy()
    known = split[~tested]
    drawn = sample_epoch(known, settings, epoch=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(features[~tested][drawn], known["label"].to_numpy()[drawn])
    return split[tested].assign(prediction=model.predict(features[tested]))


def run_full(split: pd.DataFrame, settings: TrainParams, drawing: RenderParams) -> pd.DataFrame:
    """Draw masks and train as the stages do; predict `test`.

    Returns:
        The rows of `test`, with the column `prediction`.
    """
    from facemask.evaluation.leave_one_source_out import predict_unseen
    from facemask.models.tensorflow import keras
    from facemask.training.trainer import WorkFolders

    keras.backend.clear_session()  # or each fold's model stays in memory
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as empty:
        folders = WorkFolders(states=Path(empty) / "states", views=Path(empty) / "views")
        return predict_unseen(IMAGES, split, BACKBONE, drawing, settings, folders)


def figures(rows: pd.DataFrame) -> dict[str, float]:
    """Accuracy, balanced accuracy and the recall of each class, between 0 and 1."""
    every_file = np.ones(len(rows))  # as the usual recipe counts
    overall, classes = headline(rows, every_file), per_class(rows, every_file)
    return {
        "accuracy": overall["accuracy"],
        "balanced accuracy": overall["balanced_accuracy"],
        **{f"recall of `{name}`": classes[name]["recall"] for name in CLASSES},
    }


def fingerprint(*paths: Path) -> str:
    """SHA-256, in hex, over the bytes of the files one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def plan(models: list[str], count: int, params: Params, settings: TrainParams) -> Iterator[dict[str, Any]]:
    """Yield what identifies each run: all that its figures depend on but the code and the libraries."""
    inputs = fingerprint(IMAGES, SPLIT_FILE, BACKBONE)
    common = {
        "folds": count,
        "val": params.split.val,
        "split_seed": params.split.seed,
        "settings": settings.model_dump(),
        "drawing": params.render.model_dump(),
        "inputs": inputs,
    }
    for model in models:
        for fold in range(count):  # both manners in turn, so that what there is of a long run can be compared
            for manner in MANNERS:
                yield {"model": model, "split": manner, "fold": fold, **common}


def table_of(results: list[dict[str, Any]]) -> str:
    """Format results as Markdown: one row for each model and manner, in per cent."""
    names = list(results[0]["figures"])
    lines = [f"| model | split | folds | {' | '.join(names)} |", f"| --- | --- | ---: |{' ---: |' * len(names)}"]
    rows = pd.DataFrame([{**entry["run"], **entry["figures"]} for entry in results])
    for (model, manner), group in rows.groupby(["model", "split"], sort=False):
        cells = [f"{100 * group[name].mean():.2f} ± {100 * group[name].std(ddof=1):.2f}" for name in names]
        lines.append(f"| {model} | {manner} | {len(group)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run what is not in the file yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=5, help="2 or more (default: %(default)s)")
    parser.add_argument("--only", choices=MODELS, help="this model alone (default: both)")
    parser.add_argument("--image-size", type=int, help="instead of train.image_size")
    parser.add_argument("--split", choices=MANNERS, help="in this manner alone (default: both)")
    parser.add_argument("--sampling", choices=["photograph", "image"], help="instead of train.sampling")
    parser.add_argument("--finished", action="store_true", help="print what is in the file already, run nothing")
    parser.add_argument("--out", type=Path, default=Path("compare_splits.json"), help="(default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.folds < 2:
        parser.error("--folds must be 2 or more: each fold is tested by a model trained on the others")

    params = load_params()
    changes = {"image_size": given.image_size, "sampling": given.sampling}
    changes = {name: value for name, value in changes.items() if value is not None}
    settings = TrainParams.model_validate(params.train.model_dump() | changes)
    table = SPLIT.read(SPLIT_FILE)
    table = table[table["part"] != DROPPED].reset_index(drop=True)

    features = None
    results = []
    with Archive(IMAGES) as archive:
        for run in plan([given.only] if given.only else list(MODELS), given.folds, params, settings):
            entry = find_kept(given.out, run)
            if given.split not in (None, run["split"]) or (entry is None and given.finished):
                continue
            if entry is None:
                print(f"{run['model']}, {run['split']}, fold {run['fold'] + 1} of {given.folds}", file=sys.stderr)
                split = parts(table, run["split"], given.folds, run["fold"], params.split.val, params.split.seed)
                if run["model"] == "full":
                    rows = run_full(split, settings, params.render)
                else:
                    if features is None:
                        features = linear_features(archive, table, settings)
                    rows = run_linear(split, features, settings)
                entry = {"run": run, "figures": figures(rows)}
                keep(given.out, entry)
            results.append(entry)
    command = f"--folds {given.folds} --image-size {settings.image_size} --sampling {settings.sampling}"
    print(table_of(results))
    print(
        f"\n`compare_splits.py {command}`, in per cent, mean ± standard deviation over the folds; {len(table)} images "
        f"of {table['group'].nunique()} photographs, seed {settings.seed}."
    )


if __name__ == "__main__":
    main()
