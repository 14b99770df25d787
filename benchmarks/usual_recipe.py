"""The recipe of most published notebooks for this task, beside ours: time and accuracy on the same images.

    python benchmarks/usual_recipe.py                            # both, one after the other
    python benchmarks/usual_recipe.py --only usual               # one alone; the table has the other if it was run
    python benchmarks/usual_recipe.py --limit 60 --epochs 2      # a trial

The usual recipe: MobileNetV2 with ImageNet weights, frozen; global average pooling, 128 ReLU units, softmax. Keras'
ImageDataGenerator reads files at 224 pixels, scales them to [0, 1] (the weights were made for [-1, 1]), shears, zooms
and flips them. Batches of 32, Adam at its default rate, 20 epochs at most, stopped when the validation loss has not
fallen for 7; the best epoch is kept. Its validation is what `validation_split=0.2` takes: the first fifth of each
class by file name, so copies of a photograph that is learnt are in it. All else is left as Keras has it.

Ours is what the stage `train` does, with params.yaml. Both get the images of the parts train and val, which ours uses
as the split has them, and are tested on the part test, each reading images in its own way. Ours gets what the stage
`render` drew as well, where there is such.

Run it after `dvc repro split render backbone`: it reads params.yaml, data/images.zip, data/split.csv,
models/backbone.weights.h5 and, if they exist, data/rendered.csv and data/rendered.zip. No file that an earlier training
left is used. The clock starts when TensorFlow is loaded and, for the usual recipe, the files are
unpacked; each recipe has a process of its own. Prints a Markdown table. Each recipe is kept in the file `--out` when it
is done, and is not run again as long as inputs and settings are the same; delete the file after a change of the code.
"""

import argparse
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.params import TrainParams, load_params
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.split import PARTS, SPLIT
from facemask.dataset.synthetic import SYNTHETIC
from facemask.evaluation.metrics import predict_parts

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.compare_splits import BACKBONE, IMAGES, SMALL_BATCH, SPLIT_FILE, figures, fingerprint
from benchmarks.kept import find_kept, keep

DRAWN, DRAWN_TABLE = Path("data/rendered.zip"), Path("data/rendered.csv")
RECIPES = ("usual", "ours")
SIDE, BATCH, VALIDATION, PATIENCE = 224, 32, 0.2, 7


def limited(split: pd.DataFrame, limit: int | None) -> pd.DataFrame:
    """Return the rows of train, val and test; with a limit, only the first so many of each class in each part."""
    rows = split[split["part"].isin(PARTS)]
    if limit is not None:
        rows = rows.groupby(["label", "part"]).head(limit)
    return rows.reset_index(drop=True)


def unpack(archive: Archive, rows: pd.DataFrame, folder: Path) -> None:
    """Write the images that `rows` names to `folder`/<class>/<id>, as Keras reads classes from folders.

    Raises:
        SystemExit: Keras would pass over a file because of its ending.
    """
    from facemask.models.tensorflow import tf

    read = {f".{ending}" for ending in tf.keras.preprocessing.image.DirectoryIterator.white_list_formats}
    if refused := {Path(name).suffix.lower() for name in rows["id"]} - read:
        sys.exit(f"ImageDataGenerator reads no {', '.join(sorted(refused))}: leave out sources with such files")
    for label, name in zip(rows["label"], rows["id"], strict=True):
        path = folder / label / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(name))


def flow(folder: Path, subset: str | None) -> Any:
    """Read the images below `folder` with Keras' ImageDataGenerator.

    Args:
        folder: with a folder for each class.
        subset: "training" (shuffled, augmented) or "validation" (the first fifth of each class by path); None for all,
            in order.

    Returns:
        A Keras data set of float32 (batch, 224, 224, 3) in [0, 1] and one-hot labels.
    """
    from facemask.models.tensorflow import tf

    augmentation: dict[str, Any] = {"shear_range": 0.2, "zoom_range": 0.2, "horizontal_flip": True}
    # Only tf.keras still has it; in the package keras its name is private.
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rescale=1 / 255, validation_split=VALIDATION, **(augmentation if subset == "training" else {})
    )
    return generator.flow_from_directory(
        folder,
        target_size=(SIDE, SIDE),
        batch_size=BATCH,
        classes=list(CLASSES),
        shuffle=subset == "training",
        subset=subset,
    )


def build_usual(backbone: Path) -> Any:
    """Build and compile the usual model: float32 (batch, 224, 224, 3) in, probabilities (batch, 3) out."""
    from facemask.models.backbone import build_backbone, load_backbone
    from facemask.models.tensorflow import keras

    base = build_backbone(keras.Input((SIDE, SIDE, 3)))
    load_backbone(base, backbone)
    base.trainable = False
    features = keras.layers.GlobalAveragePooling2D()(base.output)
    hidden = keras.layers.Dense(128, activation="relu")(features)
    model = keras.Model(base.input, keras.layers.Dense(len(CLASSES), activation="softmax")(hidden))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def train_usual(folder: Path, backbone: Path, epochs: int, seed: int) -> tuple[Any, pd.DataFrame]:
    """Train by the usual recipe on the images below `folder`.

    Args:
        folder: with a folder for each class.
        backbone: weights that the stage `backbone` wrote.
        epochs: at most.
        seed: of weights, order and augmentation, which draws from NumPy's global state.

    Returns:
        The model of the epoch with the lowest validation loss, and one row per epoch: `seconds` and
        `processor seconds` from the start to its end, `loss`, `accuracy`, `val_loss`, `val_accuracy`.
    """
    from facemask.models.tensorflow import keras

    start, used = time.perf_counter(), time.process_time()
    keras.utils.set_random_seed(seed)
    training, validation = flow(folder, "training"), flow(folder, "validation")
    model = build_usual(backbone)
    seconds: list[tuple[float, float]] = []

    def note_time(*_: object) -> None:
        seconds.append((time.perf_counter() - start, time.process_time() - used))

    with tempfile.TemporaryDirectory() as checkpoints:
        best = Path(checkpoints) / "best.keras"
        fitted = model.fit(
            training,
            validation_data=validation,
            epochs=epochs,
            callbacks=[
                keras.callbacks.EarlyStopping(monitor="val_loss", patience=PATIENCE),
                keras.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True),
                # Last, so that an epoch ends when its model has been kept.
                keras.callbacks.LambdaCallback(on_epoch_end=note_time),
            ],
            verbose=1 if sys.stderr.isatty() else 2,
        )
        model = keras.models.load_model(best)
    times = pd.DataFrame(seconds, columns=["seconds", "processor seconds"])
    return model, times.assign(**fitted.history)


def train_ours(archives: Archives, rows: pd.DataFrame, settings: TrainParams) -> tuple[Any, float, float]:
    """Train as the stage `train` does; return the model, the seconds of the whole call and the processor's seconds."""
    from facemask.training.trainer import WorkFolders, train

    with tempfile.TemporaryDirectory() as empty:
        folders = WorkFolders(states=Path(empty) / "states", views=Path(empty) / "views")
        start, used = time.perf_counter(), time.process_time()
        model = train(archives, rows, BACKBONE, settings, folders).model
        return model, time.perf_counter() - start, time.process_time() - used


def run_usual(archive: Archive, split: pd.DataFrame, epochs: int, seed: int) -> dict[str, Any]:
    """Train by the usual recipe on train and val, test on test; return what the table needs, and the epochs."""
    tested = split["part"] == "test"
    with tempfile.TemporaryDirectory() as folder:
        known, unknown = Path(folder) / "known", Path(folder) / "unknown"
        unpack(archive, split[~tested], known)
        unpack(archive, split[tested], unknown)
        model, history = train_usual(known, BACKBONE, epochs, seed)
        megabytes = peak_megabytes()
        images = flow(unknown, None)
        places = model.predict(images, verbose=0).argmax(axis=1)
    names = np.asarray(CLASSES)
    rows = pd.DataFrame({"label": names[images.classes], "prediction": names[places]})
    best = int(history["val_loss"].argmin())
    return {
        "seconds to the best epoch": float(history["seconds"].iloc[best]),
        "processor seconds to the best epoch": float(history["processor seconds"].iloc[best]),
        "seconds": float(history["seconds"].iloc[-1]),
        "best epoch": best + 1,
        "megabytes": megabytes,
        "figures": figures(rows),
        "epochs": history.to_dict("records"),
    }


def run_ours(archive: Archive, split: pd.DataFrame, drawn: pd.DataFrame, settings: TrainParams) -> dict[str, Any]:
    """Train as the stage `train` does, on what was drawn too; test on test; return what the table needs."""
    with contextlib.ExitStack() as opened:
        more = [opened.enter_context(Archive(DRAWN))] if len(drawn) else []
        rows = pd.concat([split, drawn], ignore_index=True)
        model, seconds, used = train_ours(Archives(archive, *more), rows, settings)
    megabytes = peak_megabytes()
    rows = predict_parts(model, archive, split, ["test"], SMALL_BATCH)
    return {"seconds": seconds, "processor seconds": used, "megabytes": megabytes, "figures": figures(rows)}


def peak_megabytes() -> float:
    """Return the largest resident memory that this process has had so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def describe_run(recipe: str, limit: int | None, epochs: int, settings: TrainParams) -> dict[str, Any]:
    """Return what identifies a run: all that its figures depend on but the code, the libraries and the machine."""
    common = {"recipe": recipe, "limit": limit}
    if recipe == "usual":
        inputs = fingerprint(IMAGES, SPLIT_FILE, BACKBONE)
        return common | {"inputs": inputs, "epochs": epochs, "seed": settings.seed}
    drawn = [path for path in (DRAWN, DRAWN_TABLE) if path.exists()]
    return common | {"inputs": fingerprint(IMAGES, SPLIT_FILE, BACKBONE, *drawn), "settings": settings.model_dump()}


def table_of(results: dict[str, dict[str, Any]]) -> str:
    """Format the results of one or both recipes as Markdown: one column for each, and below it what took how long."""
    rows = {
        "seconds to the best epoch": [
            f"{result['seconds to the best epoch']:.1f}" if "best epoch" in result else f"under {result['seconds']:.1f}"
            for result in results.values()
        ],
        "processor seconds to the best epoch": [
            f"{result['processor seconds to the best epoch']:.0f}"
            if "best epoch" in result
            else f"under {result['processor seconds']:.0f}"
            for result in results.values()
        ],
        "seconds in all": [f"{result['seconds']:.1f}" for result in results.values()],
        "best epoch": [
            f"{result['best epoch']} of {len(result['epochs'])}" if "best epoch" in result else ""
            for result in results.values()
        ],
        "peak memory, MB": [f"{result['megabytes']:.0f}" for result in results.values()],
    }
    for name in next(iter(results.values()))["figures"]:
        rows[f"{name}, %"] = [f"{100 * result['figures'][name]:.2f}" for result in results.values()]
    lines = [f"| | {' | '.join(results)} |", f"| --- |{' ---: |' * len(results)}"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    if set(results) == set(RECIPES):
        usual, ours = results["usual"], results["ours"]["seconds"]
        ratio, whole = usual["seconds to the best epoch"] / ours, usual["seconds"] / ours
        used = usual["processor seconds to the best epoch"] / results["ours"]["processor seconds"]
        lines += [
            "",
            f"Up to the end of its best epoch the usual recipe took {ratio:.2f} times as long as ours in all, and "
            f"{used:.2f} times as many processor seconds, which other work on the machine changes less; in all it took "
            f"{whole:.2f} times as long. The time of ours is that of the whole training, which is more than "
            "up to the end of its best epoch.",
        ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run what is not in the file yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=RECIPES, help="run this recipe alone (default: both)")
    parser.add_argument("--epochs", type=int, default=20, help="of the usual recipe, at most (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="images of a class in a part, for a trial (default: all)")
    parser.add_argument("--out", type=Path, default=Path("usual_recipe.json"), help="(default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.epochs < 1 or (given.limit is not None and given.limit < 5):
        parser.error("--epochs must be 1 or more, --limit 5 or more: validation is a fifth")

    settings = load_params().train
    split = limited(SPLIT.read(SPLIT_FILE), given.limit)
    drawn = limited(SYNTHETIC.read(DRAWN_TABLE), given.limit) if DRAWN_TABLE.exists() else split.iloc[:0]
    runs = {recipe: describe_run(recipe, given.limit, given.epochs, settings) for recipe in RECIPES}
    for recipe in [given.only] if given.only else RECIPES:
        if find_kept(given.out, runs[recipe]) is not None:
            continue
        if given.only is None:
            options = ["--only", recipe, "--epochs", str(given.epochs), "--out", str(given.out)]
            options += [] if given.limit is None else ["--limit", str(given.limit)]
            done = subprocess.run([sys.executable, __file__, *options], stdout=subprocess.DEVNULL, check=False)
            if done.returncode:
                sys.exit(f"the recipe {recipe!r} failed, as said above")
            continue
        print(f"recipe: {recipe}", file=sys.stderr)
        with contextlib.redirect_stdout(sys.stderr), Archive(IMAGES) as archive:
            if recipe == "usual":
                entry = {"run": runs[recipe], "result": run_usual(archive, split, given.epochs, settings.seed)}
            else:
                entry = {"run": runs[recipe], "result": run_ours(archive, split, drawn, settings)}
        keep(given.out, entry)

    finished = {recipe: find_kept(given.out, run) for recipe, run in runs.items()}
    print(table_of({recipe: entry["result"] for recipe, entry in finished.items() if entry is not None}))
    counts = split["part"].value_counts()
    print(
        f"\n`usual_recipe.py --epochs {given.epochs}{'' if given.limit is None else f' --limit {given.limit}'}`; "
        f"{', '.join(f'{counts[part]} images in {part}' for part in PARTS)}, {len(drawn)} drawn for ours, seed "
        f"{settings.seed}."
    )


if __name__ == "__main__":
    main()
