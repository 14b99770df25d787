"""The model takes plain pixels, learns where it should, and is saved with the same bytes every time."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.models.classifier import TOP, backbone_layers, load_model, save_model, split_model
from facemask.models.tensorflow import keras
from tests.training_project import untrained_model

pytestmark = pytest.mark.slow  # builds Keras models


@pytest.fixture(scope="module")
def model(training_inputs: Path) -> Any:
    """One model for all tests that split it: each marks anew which layers learn, and none changes a weight."""
    return untrained_model(training_inputs)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def test_plain_pixels_go_in_and_probabilities_come_out(small_model: Any, pixels: np.ndarray) -> None:
    assert small_model.input_shape == (None, 32, 32, 3)
    assert small_model.inputs[0].dtype == "uint8"
    probabilities = np.asarray(small_model.predict_on_batch(pixels))
    assert probabilities.shape == (3, len(CLASSES))
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_saved_model_gives_the_same_answers(small_model: Any, pixels: np.ndarray, tmp_path: Path) -> None:
    save_model(small_model, tmp_path / "m.keras")
    loaded = load_model(tmp_path / "m.keras")
    assert np.array_equal(loaded.predict_on_batch(pixels), small_model.predict_on_batch(pixels))


def test_a_saved_model_carries_neither_a_date_nor_an_optimizer(small_model: Any, tmp_path: Path) -> None:
    small_model.compile(optimizer="adam", loss="categorical_crossentropy")
    save_model(small_model, tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert b"date_saved" not in archive.read("metadata.json")
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"optimizer" not in archive.read("model.weights.h5")


def test_learning_starts_at_the_named_layer_and_spares_batch_norm(model: Any) -> None:
    split_model(model, "block_11_expand")
    learning = [layer.name for layer in backbone_layers(model) if layer.trainable and layer.weights]
    assert learning[0] == "block_11_expand"
    assert not any(name.endswith("BN") or name.startswith("bn_") for name in learning)
    assert model.get_layer("logits").trainable


def test_a_frozen_backbone_leaves_only_the_top_to_learn(model: Any) -> None:
    split_model(model, "block_11_expand")
    split_model(model, TOP)
    assert [weight.path for weight in model.trainable_weights] == ["logits/kernel", "logits/bias"]


@pytest.mark.parametrize("from_layer", [TOP, "Conv1", "block_1_pad", "block_11_expand", "block_13_depthwise", "Conv_1"])
def test_the_two_halves_one_after_the_other_are_the_model(model: Any, pixels: np.ndarray, from_layer: str) -> None:
    lower, upper = split_model(model, from_layer)
    features = upper(lower(pixels, training=False), training=True)  # batch norm as ever, also while training
    probabilities = keras.ops.softmax(model.get_layer("logits")(features))
    assert features.shape == (3, 1280)
    assert np.allclose(probabilities, model.predict_on_batch(pixels), atol=1e-5)
    assert np.asarray(features).std() > 0.1


def test_batch_norm_keeps_the_statistics_of_imagenet_while_training(model: Any, pixels: np.ndarray) -> None:
    lower, upper = split_model(model, "Conv1")
    before = [np.asarray(weight) for weight in model.non_trainable_weights]
    upper(lower(pixels, training=True), training=True)
    assert len(before) == 52 * 4  # mean, variance, scale and offset
    assert all(np.array_equal(*pair) for pair in zip(before, model.non_trainable_weights, strict=True))


def test_a_layer_that_does_not_exist_is_told_with_the_name_of_the_setting(model: Any) -> None:
    with pytest.raises(
        FacemaskError, match=r"train\.from_layer: the backbone has no layer 'block_99'.*block_11_expand"
    ):
        split_model(model, "block_99")


@pytest.mark.parametrize("from_layer", ["block_11_expand_relu", "block_11_project", "block_11_add"])
def test_a_layer_that_a_shortcut_leads_past_is_refused(model: Any, from_layer: str) -> None:
    with pytest.raises(FacemaskError, match=f"cannot be split at '{from_layer}', because a shortcut bypasses it"):
        split_model(model, from_layer)


@pytest.mark.parametrize("content", [b"", b"no zip at all"])
def test_a_broken_model_file_says_what_to_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.keras").write_bytes(content)
    with pytest.raises(FacemaskError, match="run `dvc repro train`"):
        load_model(tmp_path / "m.keras")


def test_a_missing_model_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"dvc repro train.*dvc pull"):
        load_model(tmp_path / "m.keras")
