"""What several tests share: a small untrained model and its export, each made once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

SMALL = 32  # pixels; MobileNetV2 takes no smaller input


@pytest.fixture(scope="session")
def small_model() -> Any:
    """An untrained classifier of 32 x 32 pixels."""
    from facemask.models.classifier import build_model

    return build_model(SMALL, dropout=0.2, seed=1)


@pytest.fixture(scope="session")
def small_labels(small_model: Any) -> dict[str, Any]:
    """What `labels.json` says of `small_model`; no answer is `uncertain`."""
    from facemask.core.classes import CLASSES
    from facemask.export.exporter import describe
    from facemask.models.decision import Decision

    costs = {actual: {said: float(said != actual) for said in CLASSES} for actual in CLASSES}
    return describe(small_model, Decision(temperature=0.8, costs=costs, thresholds=dict.fromkeys(CLASSES, 0.0)))


@pytest.fixture(scope="session")
def small_export(small_model: Any, small_labels: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export folder of `small_model`, as the stage writes it, without the face detector."""
    from facemask.core.files import write_json
    from facemask.export.exporter import export_model
    from facemask.models.classifier import calibrated

    folder = tmp_path_factory.mktemp("export")
    noise = np.random.default_rng(1).integers(0, 256, (4, SMALL, SMALL, 3), dtype=np.uint8)
    export_model(calibrated(small_model, small_labels["temperature"]), small_labels, noise, folder)
    write_json(folder / "labels.json", small_labels)
    return folder


@pytest.fixture(scope="session")
def plain_model() -> Any:
    """A classifier of 32 x 32 pixels with random weights, whose answers depend on light and colour in 16 places.

    In `small_model`, which is deep and untrained, nothing of a picture reaches the answer.
    """
    from facemask.models.tensorflow import keras

    image = keras.Input((SMALL, SMALL, 3), dtype="uint8", name="image")
    places = keras.layers.AveragePooling2D(SMALL // 4)(keras.layers.Rescaling(1 / 127.5, offset=-1)(image))
    weights = keras.initializers.RandomNormal(stddev=1, seed=1)
    flat = keras.layers.Flatten()(places)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", kernel_initializer=weights)(flat))


@pytest.fixture(scope="session")
def photo_export(plain_model: Any, small_labels: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `facemask predict` needs of an export folder: `plain_model`, labels, and the face detector."""
    from facemask.core.files import write_bytes, write_json
    from facemask.faces.detector import write_detector
    from facemask.models.tensorflow import tf

    folder = tmp_path_factory.mktemp("photo_export")
    write_bytes(folder / "model.tflite", tf.lite.TFLiteConverter.from_keras_model(plain_model).convert())
    write_json(folder / "labels.json", small_labels)
    write_detector(folder)
    return folder


@pytest.fixture(scope="session")
def training_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the inputs of the stage `train`, as `make_inputs` writes them; not to be written to."""
    from tests.training_project import make_inputs

    return make_inputs(tmp_path_factory.mktemp("inputs"))
