"""The frozen layers give the same with either engine."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facemask.models.classifier import TOP, split_model
from facemask.models.frozen_layers import build_frozen_layers, choose_backend
from facemask.models.tensorflow import tf
from facemask.training.mixed_precision import precision_policy
from tests.training_project import untrained_model

SIDE = 64


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("from_layer", "shape"), [("block_11_expand", (4, 4, 96)), ("Conv_1", (2, 2, 320)), (TOP, (1280,))]
)
def test_both_engines_give_the_same_and_what_keras_gives(
    training_inputs: Path, pixels: np.ndarray, from_layer: str, shape: tuple[int, ...]
) -> None:
    lower, _ = split_model(untrained_model(training_inputs, SIDE), from_layer)
    expected = np.asarray(lower.predict_on_batch(pixels))
    assert expected.shape == (5, *shape)
    assert expected.std() > 0.1
    for engine in ("tensorflow", "onnxruntime"):
        run = build_frozen_layers(lower, engine)
        for images in (pixels, pixels[:2]):  # batches of any size
            maps = run(images)
            assert maps.dtype == np.float32
            assert np.abs(maps - expected[: len(images)]).max() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_model_of_16_bits_runs_in_both_engines(training_inputs: Path, pixels: np.ndarray, policy: Any) -> None:
    lower, _ = split_model(untrained_model(training_inputs, SIDE), "block_6_expand")
    expected = np.asarray(lower.predict_on_batch(pixels))
    with precision_policy(policy):
        short, _ = split_model(untrained_model(training_inputs, SIDE), "block_6_expand")
    seen = build_frozen_layers(short, "tensorflow")(pixels)
    assert seen.dtype == np.float32
    assert 1e-4 < np.abs(seen - expected).mean() < 0.05 * np.abs(expected).mean()
    assert np.abs(build_frozen_layers(short, "onnxruntime")(pixels) - expected).max() < 1e-3  # it computes with 32 bits


def test_without_a_gpu_onnx_runtime_is_chosen() -> None:
    assert choose_backend() == ("tensorflow" if tf.config.list_physical_devices("GPU") else "onnxruntime")
