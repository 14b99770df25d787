"""Transfer learning on cached feature maps.

The lower layers keep their ImageNet weights and run once per augmented view; the layers above are trained. Batch
normalisation stays in inference mode, as in https://keras.io/guides/transfer_learning. docs/training.md has the
measured effect of each choice.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.hashing import digest
from facemask.core.params import TrainParams
from facemask.dataset.archive import Archives
from facemask.dataset.split import part_of
from facemask.dataset.synthetic import SOURCE
from facemask.models.frozen_layers import build_frozen_layers, choose_backend
from facemask.models.tensorflow import make_deterministic
from facemask.training.averaging import AVERAGE_EVERY, WeightAverage
from facemask.training.checkpoint import Arrays, Checkpoint, fingerprint, listed, numbered
from facemask.training.distributed import connect
from facemask.training.feature_cache import FeatureContext, Maps, Views, plain_maps
from facemask.training.history import History
from facemask.training.linear_probe import fit_logits
from facemask.training.network import Network
from facemask.training.sampler import samples_per_epoch
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


def train(
    archives: Archives, rows: pd.DataFrame, backbone: Path, settings: TrainParams, folders: WorkFolders
) -> tuple[Any, pd.DataFrame, bool]:
    """Train the classifier; the test part is not used.

    An interrupted training resumes after its last epoch when it is called again with the same arguments, and ends with
    the same weights as an uninterrupted one.

    Args:
        archives: the images.
        rows: columns id, source, label, group and part, of which `train` and `val` are used.
        backbone: weights that the stage `backbone` wrote.
        settings: the group `train` of the params.
        folders: for checkpoints and cached feature maps.

    Returns:
        The Keras model, float32, with the weights of the epoch of the lowest validation loss; the history, one row per
        epoch with the columns `HISTORY`, validation weighted by `photograph_weights`; and whether this process is to
        write the outputs, which only one of several workers does.

    Raises:
        FacemaskError: the weights do not fit, `train.from_layer` does not exist, the devices are unavailable, or
            another worker is gone.
    """
    make_deterministic(settings.seed)
    distributed = connect(settings.distribution, settings.batch_size)
    timer = Timer()
    training, validation = part_of(rows, "train"), part_of(rows, "val")
    steps = settings.epochs * samples_per_epoch(len(training), settings) // settings.batch_size
    network = Network(backbone, steps, settings, distributed)
    step = TrainingStep(network, settings, distributed)
    average = WeightAverage(network.weights(), settings.averaging)
    history = History(network.weights())

    backend = choose_backend() if settings.engine == "auto" else settings.engine
    inputs = [digest(file) for file in (*archives.paths, backbone)]
    context = FeatureContext(archives, settings, build_frozen_layers(network.frozen, backend), distributed, timer)
    views = Views(context, training, inputs, folders.views)
    validator = Validation(validation, plain_maps(context, list(validation["id"])))

    checkpoint = Checkpoint(folders.states, fingerprint(settings.model_dump(), *inputs, rows.to_csv()))
    if state := distributed.broadcast(checkpoint.load()):
        restore(state, network, average, history)
        print(f"resuming an interrupted training after epoch {history.epoch}", flush=True)

    while history.epoch < settings.epochs and history.epochs_since_best < settings.patience:
        maps, labels = views.of_epoch(history.epoch)
        with distributed.report_lost_workers():
            if history.epoch == 0:
                with timer.time("linear probe", len(maps)):
                    fit_logits(network, maps, labels, settings.batch_size, distributed)
                average = WeightAverage(network.weights(), settings.averaging)
            loss, accuracy = train_epoch(step, average, maps, labels, history.epoch, timer)
            weights = network.weights()
            network.set_weights(average.weights)
            val_loss, val_accuracy = distributed.broadcast_figures(validator.evaluate(network))
            history.add((loss, accuracy, val_loss, val_accuracy), network.weights())
            network.set_weights(weights)
        if distributed.is_chief:
            checkpoint.save(state_of(network, average, history))
        print(
            f"epoch {history.epoch} of {settings.epochs}: loss {loss:.4f}, accuracy {accuracy:.4f}; "
            f"val loss {val_loss:.4f}, val accuracy {val_accuracy:.4f}",
            flush=True,
        )
    print(f"time: {timer.report()}", flush=True)
    return network.finished_model(history.best), history.table(), distributed.is_chief


def train_epoch(
    step: TrainingStep, average: WeightAverage, maps: Maps, labels: NDArray[np.float32], epoch: int, timer: Timer
) -> tuple[float, float]:
    """Train on this process' share of one epoch, batch by batch; return the mean loss and accuracy."""
    share = step.images_of_this_process
    steps = len(maps) // share
    totals = np.zeros(2)
    for number in range(steps):
        with timer.time("trained layers", share):
            batch = slice(number * share, (number + 1) * share)
            rng = np.random.default_rng([step.settings.seed, epoch, number])
            totals += step(maps[batch].astype(np.float32), labels[batch], rng)
            if (number + 1) % AVERAGE_EVERY == 0 or number + 1 == steps:
                average.update(step.network.weights(), epoch * steps + number + 1, since=number % AVERAGE_EVERY + 1)
    loss, accuracy = totals / steps
    return float(loss), float(accuracy)


def state_of(network: Network, average: WeightAverage, history: History) -> Arrays:
    """Collect everything that the next epoch depends on."""
    return (
        history.arrays()
        | numbered("weights", network.weights())
        | numbered("averages", average.weights)
        | numbered("optimizer", network.optimizer_state())
    )


def restore(state: Arrays, network: Network, average: WeightAverage, history: History) -> None:
    """Restore what `state_of` collected."""
    history.restore(state)
    network.set_weights(listed("weights", state))
    average.weights = listed("averages", state)
    network.set_optimizer_state(listed("optimizer", state))


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
