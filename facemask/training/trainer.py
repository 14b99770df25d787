"""Transfer learning: the layers below stay as ImageNet left them and run once per view, those above learn.

Reads from top to bottom: `train`, then what it uses. Batch norm stays in inference mode, as in
keras.io/guides/transfer_learning. What each choice is worth, in figures: docs/training.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from facemask.core.classes import CLASSES
from facemask.core.hashing import digest
from facemask.core.params import TrainParams
from facemask.dataset.archive import Archives
from facemask.dataset.batches import one_hot
from facemask.dataset.split import part_of
from facemask.dataset.synthetic import SOURCE
from facemask.models.backbone import load_backbone
from facemask.models.classifier import LOGITS_LAYER, backbone_of, build_model, split_model
from facemask.models.frozen_layers import build_trunk, choose_engine
from facemask.models.tensorflow import keras, make_deterministic, tf
from facemask.training.checkpoint import Arrays, Resumable, fingerprint, listed, numbered
from facemask.training.distributed import Crew, gather_crew
from facemask.training.feature_cache import Maps, Views, plain_maps
from facemask.training.mixed_precision import choose_precision, precision_policy
from facemask.training.sampler import draws_per_epoch
from facemask.training.timer import Clock

HISTORY = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")

_AVERAGE_EVERY = 8  # steps; the weights are copied for it
_VALIDATION_BATCH = 256
_TOP_C = 0.01  # inverse strength of the regularisation of the first top; features are between 0 and 6


@dataclass(frozen=True)
class Folders:
    """Where a training keeps what is no out: `states`, to go on from when killed, and `views`, to use again.

    What is in `states` can be removed as soon as the outs are written, not before.
    """

    states: Path
    views: Path


def train(
    archives: Archives, rows: pd.DataFrame, backbone: Path, settings: TrainParams, folders: Folders
) -> tuple[Any, pd.DataFrame, bool]:
    """Train the classifier; the test part is not looked at.

    A training that was killed goes on from its last epoch when it is called again with the same arguments, and ends
    with the same weights as one that was not.

    Args:
        archives: the images.
        rows: columns id, source, label, group and part, of which `train` and `val` are used.
        backbone: weights that the stage `backbone` wrote.
        settings: the group `train` of the params.
        folders: for what is no out.

    Returns:
        The Keras model, float32, with the weights of the epoch that had the lowest validation loss; the history: one
        row per epoch with the columns `HISTORY`, validation weighted by `photograph_weights`; and whether this process
        is to write the outs, which only one of several workers does.

    Raises:
        FacemaskError: the weights don't fit, the layer to learn from does not exist, the devices can't be had, or
            another worker is gone.
    """
    make_deterministic(settings.seed)
    crew = gather_crew(settings.distribution, settings.batch_size)
    clock = Clock()
    training, validation = part_of(rows, "train"), part_of(rows, "val")
    learner = _Learner(crew, backbone, draws_per_epoch(len(training), settings), settings)
    trunk = build_trunk(learner.frozen, choose_engine() if settings.engine == "auto" else settings.engine)
    inputs = [digest(file) for file in (*archives.paths, backbone)]
    views = Views(archives, training, inputs, settings, crew, trunk, folders.views, clock)
    judge = _Judge(validation, plain_maps(archives, list(validation["id"]), settings.image_size, trunk, clock))
    state = Resumable(folders.states, fingerprint(settings.model_dump(), *inputs, rows.to_csv()))

    record = _Record.of(crew.agree(state.load()), learner)
    while record.epoch < settings.epochs and record.epochs_since_best < settings.patience:
        maps, labels = views.of_epoch(record.epoch)
        with crew.together():
            if record.epoch == 0:
                learner.begin(maps, labels, clock)
            loss, accuracy = learner.learn(maps, labels, record.epoch, clock)
            with learner.averaged():
                val_loss, val_accuracy = crew.agree_on(judge.judge(learner))
                record.add((loss, accuracy, val_loss, val_accuracy), learner)
        if crew.is_chief:
            state.save({**record.arrays(), **learner.arrays()})
        print(
            f"epoch {record.epoch} of {settings.epochs}: loss {loss:.4f}, accuracy {accuracy:.4f}; "
            f"on val loss {val_loss:.4f}, accuracy {val_accuracy:.4f}",
            flush=True,
        )
    print(f"time: {clock.report()}", flush=True)
    return learner.finished(record.best), record.history(), crew.is_chief


def summarise(model: Any, rows: pd.DataFrame, history: pd.DataFrame) -> dict[str, Any]:
    """Put the outcome of a training into figures for `metrics/train.json`."""
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


def photograph_weights(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Weigh images so that each class counts the same, and within it each photograph, however many copies it has.

    Args:
        rows: columns label and group.

    Returns:
        float64 (n,), of sum 1.
    """
    copies = rows.groupby(["label", "group"])["group"].transform("size")
    photographs = rows.groupby("label")["group"].transform("nunique")
    return (1 / (copies * photographs * rows["label"].nunique())).to_numpy()


def mix(
    maps: NDArray[np.float32], labels: NDArray[np.float32], own: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Blend neighbours, feature maps and labels alike; draws stand in random order, so any neighbour will do.

    Mixup is Zhang et al., 2018, https://arxiv.org/abs/1710.09412; on feature maps it is Verma et al., 2019,
    https://arxiv.org/abs/1806.05236.

    Args:
        maps: float32 (n, ...).
        labels: float32 (n, 3), distributions.
        own: float32 (n,), how much of itself each keeps, from 0 to 1; the rest comes from its neighbour.

    Returns:
        Blended maps and labels, of the same shapes.
    """
    neighbour = np.minimum(np.arange(len(maps)) ^ 1, len(maps) - 1)
    of_maps = own.reshape(-1, *[1] * (maps.ndim - 1))
    blended = of_maps * maps + (1 - of_maps) * maps[neighbour]
    return blended, own[:, None] * labels + (1 - own[:, None]) * labels[neighbour]


class _Learner:
    """The model, its optimizer and the running average of its weights."""

    def __init__(self, crew: Crew, backbone: Path, draws: int, settings: TrainParams) -> None:
        self._crew, self._settings = crew, settings
        self._policy = choose_precision() if settings.precision == "auto" else settings.precision
        with crew.strategy.scope(), precision_policy(self._policy):
            self._model = build_model(settings.image_size, settings.dropout, settings.seed)
            load_backbone(backbone_of(self._model), backbone)
            self.frozen, self._upper = split_model(self._model, settings.from_layer)
            self._logits = self._model.get_layer(LOGITS_LAYER)
            self._variables = [*self._upper.trainable_variables, *self._logits.trainable_variables]
            optimizer = keras.optimizers.Adam(_schedule(settings.epochs * draws // settings.batch_size, settings))
            if self._policy == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build(self._variables)
        self._optimizer = optimizer
        self._averages = self.weights()
        self._step = tf.function(self._one_step)
        self._features = tf.function(lambda maps: self._upper(maps, training=False), reduce_retracing=True)
        self._probabilities = tf.function(self._predict, reduce_retracing=True)

    def begin(self, maps: Maps, labels: NDArray[np.float32], clock: Clock) -> None:
        """Fit the top to what the untouched backbone sees in the first epoch's views, by logistic regression.

        Gradients from a random top would distort the layers below, which costs accuracy on photographs of another
        origin more than on one's own: Kumar et al., 2022, https://arxiv.org/abs/2202.10054.
        """
        with clock.time("first top", len(maps)):
            own = np.concatenate([self._features(batch).numpy() for batch in _batches(maps)])
            size = self._settings.batch_size
            features, targets = (self._crew.put_together(each, size) for each in (own, labels.argmax(axis=1)))
            if len(np.unique(targets)) < len(CLASSES):
                return  # an epoch of few draws that misses a class says nothing about it
            fitted = LogisticRegression(C=_TOP_C, max_iter=100, tol=1e-3).fit(features, targets)
        # Fitted by all, used as the chief has it: another machine may round otherwise.
        self._logits.kernel.assign(self._crew.gather(fitted.coef_.T.astype(np.float32))[0])
        self._logits.bias.assign(self._crew.gather(fitted.intercept_.astype(np.float32))[0])
        self._averages = self.weights()

    def learn(self, maps: Maps, labels: NDArray[np.float32], epoch: int, clock: Clock) -> tuple[float, float]:
        """Learn from one epoch's views; return the mean loss and the accuracy."""
        share = self._settings.batch_size // self._crew.workers
        steps = len(maps) // share
        totals = np.zeros(2)
        for step in range(steps):
            with clock.time("learning layers", share):
                batch = slice(step * share, (step + 1) * share)
                chance = np.random.default_rng([self._settings.seed, epoch, step])
                mixed, targets = self._mix(maps[batch].astype(np.float32), labels[batch], chance)
                kept = self._dropout_mask(chance)
                handed = [self._crew.hand_out(values) for values in (mixed, targets, kept)]
                totals += np.array([float(value) for value in self._step(*handed)])
                if (step + 1) % _AVERAGE_EVERY == 0 or step + 1 == steps:
                    self._average(epoch * steps + step + 1, since=step % _AVERAGE_EVERY + 1)
        loss, accuracy = totals / steps
        return float(loss), float(accuracy)

    def predict(self, maps: Maps) -> NDArray[np.float32]:
        """Return the probabilities of each class, float32 (n, 3)."""
        return np.concatenate([self._probabilities(batch).numpy() for batch in _batches(maps)])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averages in the weights' place, and the weights back afterwards."""
        weights = self.weights()
        self._assign(self._averages)
        try:
            yield
        finally:
            self._assign(weights)

    def weights(self) -> list[np.ndarray]:
        """Copy the weights that learn."""
        return [variable.numpy() for variable in self._variables]

    def arrays(self) -> Arrays:
        """Return all that the next epoch depends on."""
        optimizer = [variable.numpy() for variable in self._optimizer.variables]
        return (
            numbered("weights", self.weights())
            | numbered("averages", self._averages)
            | numbered("optimizer", optimizer)
        )

    def restore(self, state: Arrays) -> None:
        """Take up what `arrays` returned."""
        self._assign(listed("weights", state))
        self._averages = listed("averages", state)
        for variable, value in zip(self._optimizer.variables, listed("optimizer", state), strict=True):
            variable.assign(value)

    def finished(self, weights: Sequence[np.ndarray]) -> Any:
        """Return the whole model, in float32, with `weights` where it has learnt."""
        self._assign(weights)
        if self._policy == "float32":
            return self._model
        model = build_model(self._settings.image_size, self._settings.dropout, self._settings.seed)
        model.set_weights(self._model.get_weights())
        split_model(model, self._settings.from_layer)  # so that it says itself what was trained
        return model

    def _one_step(self, maps: Any, targets: Any, kept: Any) -> tuple[Any, Any]:
        """Learn from one batch of all devices; return its mean loss and its accuracy."""
        each = self._crew.strategy.run(self._on_one_device, args=(maps, targets, kept))
        loss, right = (self._crew.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for value in each)
        return loss / self._settings.batch_size, right / self._settings.batch_size

    def _on_one_device(self, maps: Any, targets: Any, kept: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            # Dropout as a product with a mask made outside: which features are dropped depends on the seed and the
            # step alone, not on a generator's state, on the number of devices or on when a training was killed.
            logits = tf.cast(self._logits(tf.cast(self._upper(maps, training=True), tf.float32) * kept), tf.float32)
            smoothed = targets * (1 - self._settings.label_smoothing) + self._settings.label_smoothing / len(CLASSES)
            losses = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
            # By the whole batch of all devices: Keras' optimizer adds up the devices' gradients.
            scaled = self._optimizer.scale_loss(tf.reduce_sum(losses) / self._settings.batch_size)
        gradients = tape.gradient(scaled, [variable.value for variable in self._variables])
        if self._policy == "mixed_float16":
            # Keras passes over a step whose gradients are not finite, but looks at those of the first device alone.
            zero = tf.add_n([tf.reduce_sum(0 * gradient) for gradient in gradients])  # NaN where one is not finite
            of_all = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, zero)
            gradients = [gradient + of_all for gradient in gradients]
        self._optimizer.apply(gradients, self._variables)
        right = tf.cast(tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1), tf.float32)
        return tf.reduce_sum(losses), tf.reduce_sum(right)

    def _predict(self, maps: Any) -> Any:
        return tf.nn.softmax(tf.cast(self._logits(self._upper(maps, training=False)), tf.float32))

    def _mix(
        self, maps: NDArray[np.float32], labels: NDArray[np.float32], chance: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self._settings.mixup == 0:
            return maps, labels
        size = self._settings.batch_size
        # For the whole batch, also where this process has a part of it: the blends do not depend on who makes them.
        share = chance.beta(self._settings.mixup, self._settings.mixup, size=-(-size // 2)).repeat(2)[:size]
        return mix(maps, labels, np.maximum(share, 1 - share).astype(np.float32)[self._crew.share(size)])

    def _dropout_mask(self, chance: np.random.Generator) -> NDArray[np.float32]:
        size, rate = self._settings.batch_size, self._settings.dropout
        kept = chance.random((size, self._logits.input.shape[-1]), dtype=np.float32) >= rate
        return (kept[self._crew.share(size)] / np.float32(1 - rate)).astype(np.float32)

    def _average(self, steps: int, since: int) -> None:
        """Move the averages towards the weights, `since` steps after the last time; in the beginning quickly.

        Averages over the last steps generalise better than the last weights: Izmailov et al., 2018,
        https://arxiv.org/abs/1803.05407.
        """
        decay = min(self._settings.averaging, (1 + steps) / (10 + steps)) ** since
        self._averages = [
            decay * average + (1 - decay) * weight
            for average, weight in zip(self._averages, self.weights(), strict=True)
        ]

    def _assign(self, values: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)


def _batches(maps: Maps) -> Iterator[Any]:
    for start in range(0, len(maps), _VALIDATION_BATCH):
        yield tf.constant(maps[start : start + _VALIDATION_BATCH].astype(np.float32))


def _schedule(steps: int, settings: TrainParams) -> Any:
    """Rise from nothing to the full rate, then fall to nothing along a cosine.

    Starting at the full rate would throw away what ImageNet taught: Adam's first steps are as large as its later ones.
    """
    rest = max(1, steps - settings.warmup)
    return keras.optimizers.schedules.CosineDecay(
        0.0, rest, warmup_target=settings.learning_rate, warmup_steps=settings.warmup
    )


class _Judge:
    """Validation: how good a learner is on images as they are."""

    def __init__(self, validation: pd.DataFrame, maps: Maps) -> None:
        self._maps, self._targets = maps, one_hot(list(validation["label"]))
        self._weights = photograph_weights(validation)

    def judge(self, learner: _Learner) -> tuple[float, float]:
        """Return cross-entropy and accuracy, each photograph of a class weighing the same, and each class too."""
        probabilities = learner.predict(self._maps)
        of_truth = np.clip((probabilities * self._targets).sum(axis=1), 1e-7, 1)
        right = probabilities.argmax(axis=1) == self._targets.argmax(axis=1)
        return float(-np.log(of_truth) @ self._weights), float(right @ self._weights)


@dataclass
class _Record:
    """What happened so far: a row per epoch, and the weights of the best one."""

    rows: list[tuple[float, ...]]
    best: list[np.ndarray]

    @classmethod
    def of(cls, state: Arrays | None, learner: _Learner) -> "_Record":
        """Begin, or take up a state that a killed training left, with the learner."""
        if state is None:
            return cls([], learner.weights())
        learner.restore(state)
        print(f"going on after epoch {len(state['rows'])} of a training that was interrupted", flush=True)
        return cls([tuple(row) for row in state["rows"].tolist()], listed("best", state))

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.rows)

    @property
    def epochs_since_best(self) -> int:
        """Number of epochs after the one with the lowest validation loss."""
        losses = [row[2] for row in self.rows]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def add(self, figures: tuple[float, float, float, float], learner: _Learner) -> None:
        """Write down an epoch; keep the learner's weights if there was no better one."""
        self.rows.append(figures)
        if self.epochs_since_best == 0:
            self.best = learner.weights()

    def arrays(self) -> Arrays:
        """Return it as arrays, to be saved."""
        return {"rows": np.array(self.rows), **numbered("best", self.best)}

    def history(self) -> pd.DataFrame:
        """Return a row per epoch, columns `HISTORY`."""
        table = pd.DataFrame(self.rows, columns=list(HISTORY[1:]))
        table.insert(0, HISTORY[0], np.arange(1, len(table) + 1))
        return table
