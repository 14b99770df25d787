"""Transfer learning on cached feature maps.

The lower layers keep their ImageNet weights and run once per augmented view; the layers above are trained. Batch
normalisation stays in inference mode, as in https://keras.io/guides/transfer_learning. docs/training.md has the
measured effect of each choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.hashing import digest
from facemask.core.params import EngineKind, TrainParams
from facemask.dataset.archive import Archives
from facemask.dataset.predictions import with_probabilities
from facemask.dataset.split import part_of
from facemask.dataset.synthetic import SOURCE
from facemask.models.frozen_layers import build_frozen_layers, choose_backend
from facemask.models.tensorflow import make_deterministic
from facemask.training.checkpoint import Arrays, Checkpoint, fingerprint
from facemask.training.distributed import connect
from facemask.training.feature_cache import FeatureContext, Views, plain_maps
from facemask.training.folds import assign_folds, choose_held_out
from facemask.training.history import History
from facemask.training.linear_probe import fit_logits
from facemask.training.live import OnEpoch
from facemask.training.network import Network
from facemask.training.repeat import Repeat, Weights
from facemask.training.step import TrainingStep
from facemask.training.timer import Timer
from facemask.training.validation import Validation


@dataclass(frozen=True)
class WorkFolders:
    """Directories for files that are not pipeline outputs.

    Attributes:
        states: checkpoints, from which an interrupted training resumes. Remove them once the outputs are written, not
            before.
        views: cached feature maps, which later trainings use again.
    """

    states: Path
    views: Path


@dataclass(frozen=True)
class Trained:
    """Result of a training.

    Attributes:
        model: the Keras model, float32.
        repeats: the trained weights of each repeat, at the same epoch as those of the model.
        history: one row per epoch, columns `HISTORY`; validation is weighted by `balanced_weights`.
        out_of_fold: predictions of training images by the repeat that left them out, columns `PREDICTIONS`; no rows
            without repeats.
        is_chief: whether this process is to write the outputs, which only one of several workers does.
    """

    model: Any
    repeats: Sequence[Sequence[np.ndarray]]
    history: pd.DataFrame
    out_of_fold: pd.DataFrame
    is_chief: bool


def train(
    archives: Archives,
    rows: pd.DataFrame,
    backbone: Path,
    settings: TrainParams,
    folders: WorkFolders,
    on_epoch: OnEpoch = lambda _: None,
    engine: EngineKind = "local",
) -> Trained:
    """Train the classifier; the test part is not used.

    An interrupted training resumes after its last epoch when it is called again with the same arguments, and ends with
    the same weights as an uninterrupted one.

    Args:
        archives: the images.
        rows: columns id, source, label, group and part, of which `train` and `val` are used.
        backbone: weights that the stage `backbone` wrote.
        settings: the group `train` of the params.
        folders: for checkpoints and cached feature maps.
        on_epoch: called with the history after each epoch, in the process that writes the outputs.
        engine: where the frozen layers run; the trained ones run here.

    Returns:
        The weights are those of the epoch in which the model has the lowest validation loss.

    Raises:
        FacemaskError: the weights do not fit, `train.from_layer` does not exist, the devices are unavailable, or
            another worker is gone.
    """
    make_deterministic(settings.seed)
    distributed = connect(settings.distribution, settings.batch_size)
    timer = Timer()
    training, validation = part_of(rows, "train"), part_of(rows, "val")
    network = Network(backbone, settings, distributed)
    step = TrainingStep(network, settings, distributed)
    start = network.weights(), network.optimizer_state()
    # Each leaves out the fold of its number; the last, whose number is no fold, becomes the model.
    numbers = [*range(settings.repeats), max(settings.repeats, 1)]
    repeats = [Repeat(number, *start, settings) for number in numbers]
    history = History()

    backend = choose_backend() if settings.engine == "auto" else settings.engine
    inputs = [digest(file) for file in (*archives.paths, backbone)]
    frozen = build_frozen_layers(network.frozen, backend)
    context = FeatureContext(archives, settings, frozen, distributed, timer, engine)
    views = Views(context, training, inputs, folders.views)
    validator = Validation(validation, plain_maps(context, list(validation["id"]), "val"))

    checkpoint = Checkpoint(folders.states, fingerprint(settings.model_dump(exclude={"live"}), *inputs, rows.to_csv()))
    if state := distributed.broadcast(checkpoint.load()):
        history.restore(state)
        for repeat in repeats:
            repeat.restore(state)
        print(f"resuming an interrupted training after epoch {history.epoch}", flush=True)

    while history.epoch < settings.epochs and history.epochs_since_best < settings.patience:
        data = views.of_epoch(history.epoch)
        with distributed.report_lost_workers():
            if history.epoch == 0:
                with timer.time("linear probe", len(data.maps)):
                    fit_logits(network, data, repeats, settings.batch_size, distributed)
            for repeat in repeats:
                loss, accuracy = repeat.train_epoch(step, data, history.epoch, timer)
            weights = [repeat.weights for repeat in repeats]
            network.set_weights(weights[-1])
            val_loss, val_accuracy = distributed.broadcast_figures(validator.evaluate(network))
            history.add((loss, accuracy, val_loss, val_accuracy), weights)
        if distributed.is_chief:
            checkpoint.save(state_of(history, repeats))
            on_epoch(history)
        print(
            f"epoch {history.epoch} of {settings.epochs}: loss {loss:.4f}, accuracy {accuracy:.4f}; "
            f"val loss {val_loss:.4f}, val accuracy {val_accuracy:.4f}",
            flush=True,
        )
    *of_repeats, best = history.best
    out_of_fold = predict_out_of_fold(network, of_repeats, context, training)
    print(f"time: {timer.report()}", flush=True)
    return Trained(network.finished_model(best), of_repeats, history.table(), out_of_fold, distributed.is_chief)


def state_of(history: History, repeats: Sequence[Repeat]) -> Arrays:
    """Collect everything that the next epoch depends on."""
    state = history.arrays()
    for repeat in repeats:
        state |= repeat.arrays()
    return state


def predict_out_of_fold(
    network: Network, of_repeats: Sequence[Weights], context: FeatureContext, training: pd.DataFrame
) -> pd.DataFrame:
    """Predict training images by the repeat that left them out.

    Args:
        network: its weights are overwritten.
        of_repeats: trained weights of each repeat.
        context: what feature maps are computed with.
        training: the training images, columns id, source, label, group and part.

    Returns:
        Columns `PREDICTIONS`, one row for each image of `choose_held_out`; no rows without repeats.
    """
    settings = context.settings
    table = choose_held_out(training, settings.seed)
    table = table if of_repeats else table.head(0)
    probabilities = np.zeros((len(table), len(CLASSES)), np.float32)
    if len(table):
        folds = pd.Series(assign_folds(training, settings.repeats, settings.seed), training["id"])[table["id"]]
        maps = plain_maps(context, list(table["id"]), "held-out images")
        for number, weights in enumerate(of_repeats):
            left_out = (folds == number).to_numpy()
            if left_out.any():
                network.set_weights(weights)
                probabilities[left_out] = network.predict(maps[left_out])
    return with_probabilities(table, probabilities)


def summarise(model: Any, rows: pd.DataFrame, history: pd.DataFrame) -> dict[str, Any]:
    """Summarise a training for `metrics/train.json`."""
    best = history.loc[history["val_loss"].idxmin()]
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    training = part_of(rows, "train")
    return {
        "epochs": len(history),
        "best_epoch": int(best["epoch"]),
        "best_val_loss": float(best["val_loss"]),
        "best_val_accuracy": float(best["val_accuracy"]),
        "images": {
            "train": len(training),
            "rendered": int((training["source"] == SOURCE).sum()),
            "val": len(part_of(rows, "val")),
        },
        "parameters": {"total": int(model.count_params()), "trained": trained},
    }
