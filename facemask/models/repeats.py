"""Trained weights of the repeats of a training, and their predictions.

`facemask.training.repeat` says what repeats are.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facemask.core.errors import FacemaskError
from facemask.core.files import write_bytes
from facemask.dataset.archive import Archive
from facemask.dataset.batches import plain_batches
from facemask.dataset.predictions import with_probabilities
from facemask.models.classifier import LOGITS_LAYER, first_trained_layer, split_model
from facemask.models.frozen_layers import build_frozen_layers, choose_backend
from facemask.models.tensorflow import tf

Weights = Sequence[np.ndarray]

_BATCH = 64


def save_repeats(path: Path, of_repeats: Sequence[Weights]) -> None:
    """Write the trained weights of each repeat; equal weights give equal bytes."""
    arrays = {
        f"{repeat}/{number}": array for repeat, weights in enumerate(of_repeats) for number, array in enumerate(weights)
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes no mapping of arrays
    write_bytes(path, buffer.getvalue())


def load_repeats(path: Path) -> list[list[np.ndarray]]:
    """Read what `save_repeats` wrote.

    Raises:
        FacemaskError: the file is missing.
    """
    if not path.is_file():
        raise FacemaskError(f"{path} is missing; run `dvc repro train`, or `dvc pull {path}` if there is a DVC remote")
    of_repeats: dict[int, list[np.ndarray]] = {}
    with np.load(path, allow_pickle=False) as stored:
        for name in stored.files:  # in the order in which they were written
            of_repeats.setdefault(int(name.partition("/")[0]), []).append(stored[name])
    return list(of_repeats.values())


def predict_repeats(
    model: Any, of_repeats: Sequence[Weights], archive: Archive, test: pd.DataFrame
) -> list[pd.DataFrame]:
    """Predict the test images by each repeat; the frozen layers run once for all.

    Args:
        model: the Keras model; its own weights are restored afterwards.
        of_repeats: trained weights of each repeat.
        archive: the images.
        test: rows of the part test, as returned by `SPLIT.read`.

    Returns:
        For each repeat a table with the columns of `PREDICTIONS`, uncalibrated.
    """
    lower, upper = split_model(model, first_trained_layer(model))
    logits = model.get_layer(LOGITS_LAYER)
    variables = [*upper.trainable_variables, *logits.trainable_variables]
    kept = [variable.numpy() for variable in variables]
    predict = tf.function(lambda maps: tf.nn.softmax(logits(upper(maps, training=False))), reduce_retracing=True)
    frozen = build_frozen_layers(lower, choose_backend())
    probabilities: list[list[np.ndarray]] = [[] for _ in of_repeats]
    for pixels in plain_batches(archive, list(test["id"]), model.input_shape[1], _BATCH):
        maps = tf.constant(frozen(pixels))
        for found, weights in zip(probabilities, of_repeats, strict=True):
            for variable, value in zip(variables, weights, strict=True):
                variable.assign(value)
            found.append(predict(maps).numpy())
    for variable, value in zip(variables, kept, strict=True):
        variable.assign(value)
    return [with_probabilities(test, np.concatenate(found)) for found in probabilities]
