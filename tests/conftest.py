"""What several tests share: a small untrained model and its export, each made once."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

SMALL = 32  # pixels; MobileNetV2 takes no smaller input

# There is a worker for each core: more threads, here and in the processes that tests start, only wait for each other.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ.setdefault(_variable, "1")

MakeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> MakeOnce:
    """Returns a folder by name, filled by the first worker that asks for it; not to be written to."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def folder_of(name: str, fill: Callable[[Path], object]) -> Path:
        folder, draft = shared / name, shared / f"{name}-draft"
        with FileLock(shared / f"{name}.lock"):
            if not folder.exists():
                shutil.rmtree(draft, ignore_errors=True)  # of a worker that failed
                draft.mkdir()
                fill(draft)
                draft.rename(folder)
        return folder

    return folder_of


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
def small_export(request: pytest.FixtureRequest, make_once: MakeOnce) -> Path:
    """The export folder of `small_model`, as the stage writes it, without the face detector."""

    def export(folder: Path) -> None:
        from facemask.core.files import write_json
        from facemask.export.exporter import export_model
        from facemask.models.classifier import calibrated

        model, labels = (request.getfixturevalue(name) for name in ("small_model", "small_labels"))
        noise = np.random.default_rng(1).integers(0, 256, (4, SMALL, SMALL, 3), dtype=np.uint8)
        export_model(calibrated(model, labels["temperature"]), labels, noise, folder)
        write_json(folder / "labels.json", labels)

    return make_once("small_export", export)


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
def photo_export(request: pytest.FixtureRequest, make_once: MakeOnce) -> Path:
    """What `facemask predict` needs of an export folder: `plain_model`, labels, and the face detector."""

    def export(folder: Path) -> None:
        from facemask.core.files import write_bytes, write_json
        from facemask.faces.detector import write_detector
        from facemask.models.tensorflow import tf

        model, labels = (request.getfixturevalue(name) for name in ("plain_model", "small_labels"))
        write_bytes(folder / "model.tflite", tf.lite.TFLiteConverter.from_keras_model(model).convert())
        write_json(folder / "labels.json", labels)
        write_detector(folder)

    return make_once("photo_export", export)


@pytest.fixture(scope="session")
def training_inputs(make_once: MakeOnce) -> Path:
    """A folder with the inputs of the stage `train`, as `make_inputs` writes them; not to be written to."""
    from tests.training_project import make_inputs

    return make_once("training_inputs", make_inputs)
