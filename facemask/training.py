"""Transfer learning in two phases: the new top on the frozen backbone, then the backbone's upper blocks at a low rate.

Reads from top to bottom: `train`, then what it uses. The recipe is that of keras.io/guides/transfer_learning.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.archives import Archive
from facemask.augmentation import augment
from facemask.backbone import load_backbone
from facemask.batches import epoch_order, one_hot, plain_batches, read_image
from facemask.engine import keras, make_deterministic
from facemask.model import FEATURES_LAYER, backbone_layers, build_model, freeze, unfreeze_from
from facemask.params import TrainParams
from facemask.parts import part_of
from facemask.progress import track

HISTORY = ("epoch", "phase", "loss", "accuracy", "val_loss", "val_accuracy")


def train(archive: Archive, split: pd.DataFrame, backbone: Path, settings: TrainParams) -> tuple[Any, pd.DataFrame]:
    """Train the classifier; the test part is not looked at.

    Args:
        archive: the images.
        split: as `facemask.parts.read_split` gives it.
        backbone: weights that the stage `backbone` wrote.
        settings: the group `train` of the params.

    Returns:
        The Keras model with the weights of the epoch that had the lowest validation loss, and the history: one row
        per epoch with the columns `HISTORY`.

    Raises:
        FacemaskError: the weights don't fit, or the layer to fine-tune from does not exist.
    """
    make_deterministic(settings.seed)
    model = build_model(settings.image_size, settings.dropout, settings.seed)
    load_backbone(keras.Model(model.input, backbone_layers(model)[-1].output), backbone)
    unfreeze_from(model, settings.fine_tuning.from_layer)  # a wrong name is told now, not after the first phase
    training, validation = part_of(split, "train"), part_of(split, "val")
    head = _train_head(model, archive, training, validation, settings)
    fine = _fine_tune(model, archive, training, validation, settings, head["val_loss"].min())
    history = pd.concat([head.assign(phase="head"), fine.assign(phase="fine_tuning")], ignore_index=True)
    history["epoch"] = np.arange(1, len(history) + 1)
    return model, history[list(HISTORY)]


def summarise(model: Any, split: pd.DataFrame, history: pd.DataFrame) -> dict[str, Any]:
    """Put the outcome of a training into figures for `metrics/train.json`."""
    best = history.loc[history["val_loss"].idxmin()]
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return {
        "epochs": len(history),
        "best_epoch": int(best["epoch"]),
        "best_val_loss": float(best["val_loss"]),
        "best_val_accuracy": float(best["val_accuracy"]),
        "images": {part: len(part_of(split, part)) for part in ("train", "val")},
        "parameters": {"total": int(model.count_params()), "trained": trained},
    }


def _train_head(
    model: Any, archive: Archive, training: pd.DataFrame, validation: pd.DataFrame, settings: TrainParams
) -> pd.DataFrame:
    """Train the top on features that the frozen backbone computes once, not once per epoch."""
    freeze(model)
    extractor = keras.Model(model.input, model.get_layer(FEATURES_LAYER).output)
    views = TrainingBatches(archive, training, settings)
    features, targets = [], []
    for pixels, labels in track(
        views.passes(settings.head.views), len(views) * settings.head.views, "features", "batches"
    ):
        features.append(np.asarray(extractor.predict_on_batch(pixels)))
        targets.append(labels)
    plain = plain_batches(archive, list(validation["id"]), settings.image_size, settings.batch_size)
    seen = track(plain, -(-len(validation) // settings.batch_size), "features of val", "batches")
    val_features = np.concatenate([np.asarray(extractor.predict_on_batch(pixels)) for pixels in seen])
    top = model.layers[model.layers.index(model.get_layer(FEATURES_LAYER)) + 1 :]
    head = keras.Sequential([keras.Input(val_features.shape[1:]), *top])
    head.compile(
        optimizer=keras.optimizers.Adam(settings.head.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,
    )
    fitted = head.fit(
        np.concatenate(features),
        np.concatenate(targets),
        batch_size=settings.batch_size,
        validation_data=(val_features, one_hot(list(validation["label"]))),
        epochs=settings.head.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=settings.head.epochs, restore_best_weights=True)],
        verbose=_verbosity(),
    )
    return pd.DataFrame(fitted.history)


def _fine_tune(
    model: Any,
    archive: Archive,
    training: pd.DataFrame,
    validation: pd.DataFrame,
    settings: TrainParams,
    loss_to_beat: float,
) -> pd.DataFrame:
    """Train the upper blocks and the top; end with the best epoch's weights, those of the first phase included."""
    fine = settings.fine_tuning
    if fine.epochs == 0:
        return pd.DataFrame()
    unfreeze_from(model, fine.from_layer)
    # Counted on from the first phase: other views, and the rounds through the photographs go on.
    batches = TrainingBatches(archive, training, settings, epoch=settings.head.views)
    steps = fine.epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(
        # Starting at the full rate threw away the first phase: Adam's first steps are as large as its later ones.
        0.0,
        steps,
        warmup_target=fine.learning_rate,
        warmup_steps=max(1, steps // 10),
    )
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,  # XLA ran MobileNetV2 ten times slower on a CPU
    )
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder) / "best.weights.h5"
        model.optimizer.build(
            model.trainable_variables
        )  # or Keras warns that the file of the first phase lacks its state
        model.save_weights(best)
        fitted = model.fit(
            batches,
            validation_data=Batches(archive, validation, settings),
            epochs=fine.epochs,
            callbacks=[
                keras.callbacks.ModelCheckpoint(
                    best, save_best_only=True, save_weights_only=True, initial_value_threshold=loss_to_beat
                ),
                keras.callbacks.EarlyStopping(patience=fine.patience),
            ],
            verbose=_verbosity(),
        )
        model.load_weights(best)
    return pd.DataFrame(fitted.history)


class Batches(keras.utils.PyDataset):
    """Batches in order, as they are: pixels, uint8 (batch, side, side, 3), and one-hot labels, float32 (batch, 3)."""

    def __init__(self, archive: Archive, rows: pd.DataFrame, settings: TrainParams) -> None:
        """Take the images that `rows` names, as `facemask.parts.part_of` gives them."""
        super().__init__(workers=2, max_queue_size=8)
        self._archive, self._settings = archive, settings
        self._names, self._targets = list(rows["id"]), one_hot(list(rows["label"]))
        self._order = np.arange(len(rows))

    def __len__(self) -> int:
        """Return the number of batches of a pass."""
        return -(-len(self._order) // self._settings.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return batch `index`."""
        start = index * self._settings.batch_size
        places = range(start, min(start + self._settings.batch_size, len(self._order)))
        return np.stack([self._pixels(place) for place in places]), self._targets[self._order[places]]

    def _pixels(self, place: int) -> NDArray[np.uint8]:
        return read_image(self._archive, self._names[self._order[place]], self._settings.image_size)


class TrainingBatches(Batches):
    """Augmented batches of what `epoch_order` draws; what stands in which depends on the seed and the epoch alone."""

    def __init__(self, archive: Archive, rows: pd.DataFrame, settings: TrainParams, epoch: int = 0) -> None:
        """Begin with `epoch`; Keras moves on from there, and each epoch has draws and views of its own."""
        super().__init__(archive, rows, settings)
        self._labels = list(rows["label"])
        self._photographs = list(rows["group" if settings.sampling == "photograph" else "id"])
        self._begin(epoch)

    def on_epoch_end(self) -> None:
        """Go on to the next pass; Keras calls this."""
        self._begin(self._epoch + 1)

    def passes(self, count: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        """Yield the batches of `count` passes one after the other."""
        for _ in range(count):
            for index in range(len(self)):
                yield self[index]
            self.on_epoch_end()

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._order = epoch_order(
            self._labels, self._photographs, self._settings.class_balance, self._settings.seed, epoch
        )

    def _pixels(self, place: int) -> NDArray[np.uint8]:
        # By place, not by image: one that comes twice in an epoch is to be seen in two ways.
        rng = np.random.default_rng([self._settings.seed, self._epoch, place])
        return augment(super()._pixels(place), self._settings.augmentation, rng)


def _verbosity() -> int:
    """Choose Keras' progress: a bar on a terminal, a line per epoch elsewhere."""
    return 1 if sys.stdout.isatty() else 2
