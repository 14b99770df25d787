"""How much the figures of a training owe to its seed.

    python benchmarks/seeds.py                        # seeds 1 to 5 of params.yaml
    python benchmarks/seeds.py --repeats 0 3          # calibrated on val alone, and on left-out photographs too
    python benchmarks/seeds.py --seeds 1 2 3

Trains with each seed, as the stages `train` and `evaluate` do, and tests on the part test, each photograph counting
once. Run it after `dvc repro render backbone`. Prints a Markdown table: a row for each seed, then mean and standard
deviation; and how many pairs of seeds `facemask compare` calls different. Each training is kept in the file `--out` and
not run again as long as inputs and settings are the same; delete the file after a change of the code.
"""

import argparse
import contextlib
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facemask.core.classes import CLASSES, TITLES
from facemask.core.params import Params, TrainParams, load_params
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.split import SPLIT, part_of
from facemask.dataset.synthetic import SYNTHETIC
from facemask.evaluation.metrics import evaluate, predict_parts
from facemask.evaluation.selective import choose_decision, decided
from facemask.evaluation.training_spread import training_spread
from facemask.models.repeats import predict_repeats
from facemask.review.comparison import Verdict, combine_spreads, compare
from facemask.training.trainer import WorkFolders, train

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.compare_splits import BACKBONE, IMAGES, SMALL_BATCH, SPLIT_FILE, fingerprint
from benchmarks.kept import find_kept, keep

RENDERED, RENDERED_TABLE = Path("data/rendered.zip"), Path("data/rendered.csv")


def run(params: Params, settings: TrainParams, views: Path) -> dict[str, Any]:
    """Train and evaluate once; return the figures by title, the answers and the spread of the repeats."""
    from facemask.models.tensorflow import keras

    keras.backend.clear_session()  # or each model stays in memory
    split = SPLIT.read(SPLIT_FILE)
    rows = pd.concat([split, SYNTHETIC.read(RENDERED_TABLE)], ignore_index=True)
    started = time.perf_counter()
    with (
        Archive(IMAGES) as images,
        Archive(RENDERED) as rendered,
        tempfile.TemporaryDirectory() as states,
        contextlib.redirect_stdout(sys.stderr),
    ):
        folders = WorkFolders(states=Path(states), views=views)
        trained = train(Archives(images, rendered), rows, BACKBONE, settings, folders)
        seconds = time.perf_counter() - started
        raw = predict_parts(trained.model, images, split, ["val", "test"], SMALL_BATCH)
        decision = choose_decision([part_of(raw, "val"), trained.out_of_fold], params.evaluate)
        of_repeats = predict_repeats(trained.model, trained.repeats, images, part_of(split, "test"))
    predictions = decided(raw, decision)
    test = evaluate(predictions, raw, decision)["test"]
    spread = training_spread([decided(rows, decision) for rows in of_repeats])
    answers = part_of(predictions, "test")
    figures = {
        "accuracy": test["accuracy"],
        "balanced accuracy": test["balanced_accuracy"],
        **{f"recall: {TITLES[name].lower()}": test["class"][name]["recall"] for name in CLASSES},
        "answered": test["decision"]["answered"],
        "wrong of these": test["decision"]["errors_of_answered"] or 0.0,
        "said sd of balanced accuracy": spread.get("balanced_accuracy", 0.0),
        "seconds": seconds / 100,
    }
    kept = {name: list(answers[name]) for name in ("id", "label", "group", "prediction")}
    return {"figures": figures, "answers": kept, "evaluation": {"test": {}, "training_spread": spread}}


def compare_pairs(entries: list[dict[str, Any]]) -> str:
    """Compare each pair of seeds as `facemask compare` does; say how many are called better or worse."""
    verdicts, others = [], 0
    for first, second in itertools.combinations(entries, 2):
        images = pd.DataFrame(first["answers"]).rename(columns={"prediction": "before"})
        images["after"] = second["answers"]["prediction"]
        images = images.assign(sha256="", confidence_before=np.nan, confidence_after=np.nan)
        comparison = compare(images, combine_spreads(first["evaluation"], second["evaluation"]))
        verdicts.append(comparison.verdict)
        others += any(other.verdict in (Verdict.BETTER, Verdict.WORSE) for other in comparison.others)
    called = sum(verdict in (Verdict.BETTER, Verdict.WORSE) for verdict in verdicts)
    return f"{called} of {len(verdicts)} pairs of seeds are called different, {others} in another figure"


def main(arguments: list[str] | None = None) -> None:
    """Run what is not in the file yet, then print a table for each number of repeats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--repeats", type=int, nargs="+", help="instead of train.repeats")
    parser.add_argument("--out", type=Path, default=Path("seeds.json"), help="(default: %(default)s)")
    given = parser.parse_args(arguments)
    params = load_params()
    inputs = fingerprint(IMAGES, SPLIT_FILE, BACKBONE, RENDERED)
    with tempfile.TemporaryDirectory() as views:
        for repeats in given.repeats or [params.train.repeats]:
            found = []
            for seed in given.seeds:
                settings = TrainParams.model_validate(params.train.model_dump() | {"seed": seed, "repeats": repeats})
                what = {"settings": settings.model_dump(exclude={"kept_views"}), "inputs": inputs}
                entry = find_kept(given.out, what)
                if entry is None:
                    print(f"repeats {repeats}, seed {seed}", file=sys.stderr, flush=True)
                    entry = {"run": what, **run(params, settings, Path(views))}
                    keep(given.out, entry)
                found.append(entry)
            table = table_of(given.seeds, [entry["figures"] for entry in found])
            print(f"{repeats} repeats\n\n{table}\n\n{compare_pairs(found)}\n", flush=True)


def table_of(seeds: list[int], found: list[dict[str, float]]) -> str:
    """Format the figures of each seed as Markdown, in per cent, with their mean and standard deviation."""
    names = list(found[0])
    values = 100 * np.array([[figures[name] for name in names] for figures in found])
    rows = [(str(seed), *(f"{value:.1f}" for value in row)) for seed, row in zip(seeds, values, strict=True)]
    rows.append(("mean", *(f"{value:.2f}" for value in values.mean(axis=0))))
    if len(values) > 1:
        rows.append(("sd", *(f"{value:.2f}" for value in values.std(axis=0, ddof=1))))
    heads = ["seed", *names]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * len(names)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


if __name__ == "__main__":
    main()
