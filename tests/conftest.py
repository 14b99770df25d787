"""What several tests share: a small untrained model and its export, each made once."""

from pathlib import Path
from typing import Any

import pytest

SMALL = 32  # pixels; MobileNetV2 takes no smaller input


@pytest.fixture(scope="session")
def small_model() -> Any:
    """An untrained classifier of 32 x 32 pixels."""
    from facemask.model import build_model

    return build_model(SMALL, dropout=0.2, seed=1)


@pytest.fixture(scope="session")
def small_export(small_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export folder of `small_model`, as the stage writes it."""
    from facemask.export import describe, export_model
    from facemask.model import save_model
    from facemask.outs import write_json

    folder = tmp_path_factory.mktemp("export")
    keras_file = tmp_path_factory.mktemp("models") / "model.keras"
    save_model(small_model, keras_file)
    export_model(small_model, keras_file, folder)
    write_json(folder / "labels.json", describe(small_model))
    return folder


@pytest.fixture(scope="session")
def training_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the inputs of the stage `train`, as `make_inputs` writes them; not to be written to."""
    from tests.training_project import make_inputs

    return make_inputs(tmp_path_factory.mktemp("inputs"))
