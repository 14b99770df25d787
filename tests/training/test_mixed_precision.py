"""Training with numbers of 16 bits ends with a model of 32 bits."""

from pathlib import Path

import numpy as np
import pytest

from facemask.models.classifier import build_model, load_model, save_model
from facemask.models.tensorflow import keras, tf
from facemask.training.mixed_precision import choose_precision, precision_policy
from tests.training.test_trainer import PLAIN, run


@pytest.mark.parametrize(
    "precision",
    [pytest.param("mixed_float16", marks=pytest.mark.slow), pytest.param("mixed_bfloat16", marks=pytest.mark.nightly)],
)
def test_a_training_with_16_bits_learns_and_its_model_is_float32(
    training_inputs: Path, tmp_path: Path, precision: str
) -> None:
    model, history = run(training_inputs, tmp_path, precision=precision, epochs=8, learning_rate=0.001)
    assert history["val_accuracy"].max() > 0.9
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    save_model(model, tmp_path / "model.keras")
    probabilities = np.asarray(load_model(tmp_path / "model.keras").predict_on_batch(PLAIN))
    assert probabilities.dtype == np.float32
    assert list(probabilities.argmax(axis=1)) == [0, 1, 2]
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 320 * 1280 + 1280 * 3 + 3


def test_on_a_cpu_32_bits_are_chosen() -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    assert choose_precision() == "float32"


def build_and_fail() -> None:
    with precision_policy("mixed_bfloat16"):
        model = build_model(32, 0.2, 1)
        assert model.get_layer("logits").compute_dtype == "bfloat16"
        assert {weight.dtype for weight in model.weights} == {"float32"}
        raise ZeroDivisionError


def test_the_policy_holds_inside_alone_also_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        build_and_fail()
    assert keras.config.dtype_policy().name == "float32"
