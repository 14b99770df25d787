"""Repeats are stored byte for byte and predict as the models that they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask.core.errors import FacemaskError
from facemask.dataset.archive import Archive
from facemask.dataset.batches import read_image
from facemask.dataset.predictions import probabilities_of
from facemask.dataset.split import part_of
from facemask.models.classifier import first_trained_layer, load_model, save_model, split_model
from facemask.models.repeats import load_repeats, predict_repeats, save_repeats
from tests.training_project import untrained_model


def test_what_is_saved_is_loaded_in_order_and_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    repeats = [[np.full((2, 3), 10.0 * repeat + number, np.float32) for number in range(12)] for repeat in range(3)]
    for name in ("a.npz", "b.npz"):
        save_repeats(tmp_path / name, repeats)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = load_repeats(tmp_path / "a.npz")
    assert [[array[0, 0] for array in weights] for weights in loaded] == [
        [array[0, 0] for array in weights] for weights in repeats
    ]


def test_without_the_file_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"repeats\.npz is missing; run `dvc repro train`"):
        load_repeats(tmp_path / "repeats.npz")


@pytest.mark.slow
@pytest.mark.parametrize("from_layer", ["Conv_1", "block_16_project", "top"])
def test_each_repeat_predicts_as_a_model_with_its_weights(
    training_inputs: Path, tmp_path: Path, from_layer: str
) -> None:
    model = untrained_model(training_inputs)
    split_model(model, from_layer)
    save_model(model, tmp_path / "model.keras")
    model = load_model(tmp_path / "model.keras")
    assert first_trained_layer(model) == from_layer
    own = [np.asarray(weight) for weight in model.trainable_weights]
    other = [weight * np.float32(1.5) for weight in own]
    rows = part_of(pd.read_csv(training_inputs / "data/split.csv", dtype=str), "val")
    with Archive(training_inputs / "data/images.zip") as archive:
        pixels = np.stack([read_image(archive, name, 32) for name in rows["id"]])
        first, second = predict_repeats(model, [own, other], archive, rows)
    assert np.allclose(probabilities_of(first), model.predict_on_batch(pixels), atol=1e-3)
    for variable, value in zip(model.trainable_weights, other, strict=True):
        variable.assign(value)
    assert np.allclose(probabilities_of(second), model.predict_on_batch(pixels), atol=1e-3)
    assert not np.allclose(probabilities_of(first), probabilities_of(second), atol=1e-3)
