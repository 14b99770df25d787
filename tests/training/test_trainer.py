"""Training learns, keeps its best epoch, is the same every time, and never looks at the test part."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import AugmentationParams, TrainParams
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.batches import read_image
from facemask.dataset.split import part_of
from facemask.training.history import HISTORY
from facemask.training.repeat import learning_rate
from facemask.training.trainer import Trained, WorkFolders, summarise, train
from tests.training_project import COLOURS, SMALL, untrained_model

PLAIN = np.stack([np.full((32, 32, 3), COLOURS[label], np.uint8) for label in CLASSES])


def read_rows(inputs: Path) -> pd.DataFrame:
    """Photographs and rendered pictures, as the stage reads them."""
    tables = [pd.read_csv(inputs / "data" / name, dtype=str) for name in ("split.csv", "rendered.csv")]
    return pd.concat(tables, ignore_index=True)


def run(inputs: Path, folder: Path, rows: pd.DataFrame | None = None, **changes: Any) -> tuple[Any, pd.DataFrame]:
    """Train once; return the model and its history."""
    trained = run_repeats(inputs, folder, rows, **{"repeats": 0, **changes})
    return trained.model, trained.history


def run_repeats(inputs: Path, folder: Path, rows: pd.DataFrame | None = None, **changes: Any) -> Trained:
    settings = TrainParams.model_validate({**SMALL, **changes})
    with Archive(inputs / "data/images.zip") as images, Archive(inputs / "data/rendered.zip") as rendered:
        return train(
            Archives(images, rendered),
            read_rows(inputs) if rows is None else rows,
            inputs / "models/backbone.weights.h5",
            settings,
            WorkFolders(folder / "states", folder / "views"),
        )


def changed_weights(model: Any, inputs: Path) -> list[str]:
    """Name the weights that are not what they were before training."""
    before = {weight.path: np.asarray(weight) for weight in untrained_model(inputs).weights}
    return [weight.path for weight in model.weights if not np.array_equal(np.asarray(weight), before[weight.path])]


def loss_on_val(model: Any, inputs: Path) -> float:
    """Mean cross-entropy of the validation images, of which there are equally many of each class, without copies."""
    rows = part_of(read_rows(inputs), "val")
    with Archive(inputs / "data/images.zip") as images:
        pixels = np.stack([read_image(images, name, 32) for name in rows["id"]])
    of_truth = np.asarray(model.predict_on_batch(pixels))[range(len(rows)), rows["label"].map(CLASSES.index)]
    return float(-np.log(of_truth).mean())


@pytest.mark.slow
def test_it_learns_what_can_be_learnt_and_never_reads_a_test_image(training_inputs: Path, tmp_path: Path) -> None:
    model, history = run(training_inputs, tmp_path, epochs=8, learning_rate=0.001)
    assert list(history.columns) == list(HISTORY) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert list(history["epoch"]) == list(range(1, len(history) + 1))
    assert history["val_accuracy"].max() > 0.9
    assert list(np.asarray(model.predict_on_batch(PLAIN)).argmax(axis=1)) == [0, 1, 2]


@pytest.mark.slow
def test_it_stops_early_when_nothing_improves_and_the_weights_are_those_of_the_best_epoch(
    training_inputs: Path, tmp_path: Path
) -> None:
    # The rate rises to where it destroys what was learnt.
    changes = {"epochs": 20, "patience": 2, "learning_rate": 0.5, "warmup": 60}
    model, history = run(training_inputs, tmp_path, **changes)
    losses = history["val_loss"]
    assert len(history) == losses.argmin() + 1 + 2 < 20
    assert loss_on_val(model, training_inputs) == pytest.approx(losses.min(), abs=1e-3)
    figures = summarise(model, read_rows(training_inputs), history)
    assert figures["best_epoch"] == losses.argmin() + 1
    assert figures["best_val_loss"] == losses.min()


@pytest.mark.slow
def test_the_top_alone_can_be_trained(training_inputs: Path, tmp_path: Path) -> None:
    model, history = run(training_inputs, tmp_path, from_layer="top", epochs=2)
    assert changed_weights(model, training_inputs) == ["logits/kernel", "logits/bias"]
    trained = summarise(model, read_rows(training_inputs), history)["parameters"]["trained"]
    assert trained == 1280 * 3 + 3


@pytest.mark.slow
def test_only_the_layers_from_the_named_one_on_learn_and_batch_norm_stays(
    training_inputs: Path, tmp_path: Path
) -> None:
    model, history = run(training_inputs, tmp_path, from_layer="block_16_project", epochs=1)
    learnt = ["block_16_project/kernel", "Conv_1/kernel", "logits/kernel", "logits/bias"]
    assert changed_weights(model, training_inputs) == learnt
    figures = summarise(model, read_rows(training_inputs), history)
    assert figures["parameters"]["trained"] == 960 * 320 + 320 * 1280 + 1280 * 3 + 3
    assert figures["images"] == {"train": 54, "rendered": 6, "val": 12}


@pytest.mark.slow
def test_rendered_pictures_are_trained_on_and_photographs_alone_are_validated_on(
    training_inputs: Path, tmp_path: Path
) -> None:
    rows = read_rows(training_inputs)
    # Photographs without a mask are in val only: what the class looks like can be learnt from rendered pictures alone.
    bare = (rows["label"] == "without_mask") & (rows["part"] == "train") & (rows["source"] == "s")
    model, history = run(training_inputs, tmp_path, rows[~bare], epochs=8, learning_rate=0.001)
    assert np.asarray(model.predict_on_batch(PLAIN)).argmax(axis=1)[2] == 2
    assert history["val_accuracy"].max() > 0.9
    assert summarise(model, rows[~bare], history)["images"] == {"train": 38, "rendered": 6, "val": 12}


@pytest.mark.slow
def test_an_epoch_that_misses_a_class_trains_all_the_same_and_without_repeats_nothing_is_predicted_out_of_fold(
    training_inputs: Path, tmp_path: Path
) -> None:
    trained = run_repeats(training_inputs, tmp_path, repeats=0, batch_size=2, draws=2, epochs=1)
    assert len(trained.history) == 1
    assert trained.repeats == []
    assert trained.out_of_fold.empty


@pytest.mark.slow
def test_a_layer_that_does_not_exist_is_told_before_an_image_is_read(training_inputs: Path, tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match=r"train\.from_layer: the backbone has no layer 'block_99'"):
        run(training_inputs, tmp_path, from_layer="block_99")


@pytest.mark.slow
def test_each_repeat_predicts_what_it_was_not_trained_on_and_all_differ(training_inputs: Path, tmp_path: Path) -> None:
    rows = read_rows(training_inputs)
    trained = run_repeats(training_inputs, tmp_path, repeats=3, epochs=6, learning_rate=0.001)
    own = [np.asarray(weight) for weight in trained.model.trainable_weights]
    assert len(trained.repeats) == 3
    for one, other in itertools.combinations([own, *trained.repeats], 2):
        assert not any(np.array_equal(first, second) for first, second in zip(one, other, strict=True))
    photographs = part_of(rows, "train")
    photographs = photographs[photographs["source"] == "s"]
    assert set(trained.out_of_fold["id"]) == set(photographs["id"])
    assert (trained.out_of_fold["prediction"] == trained.out_of_fold["label"]).mean() > 0.9
    assert trained.out_of_fold["part"].unique().tolist() == ["train"]


@pytest.mark.slow
def test_out_of_fold_predictions_do_not_know_the_labels_of_what_they_predict(
    training_inputs: Path, tmp_path: Path
) -> None:
    # Grey noise whose labels are random: who has seen a photograph can know its label, who has not can't.
    rows = read_rows(training_inputs)
    rows = rows[(rows["source"] == "s") & rows["part"].isin(["train", "val"])].copy()
    generator = np.random.default_rng(1)
    rows["label"] = generator.permutation(rows["label"].to_numpy())
    unvaried = dict.fromkeys(AugmentationParams.model_fields, 0.0)
    changes = {"repeats": 3, "epochs": 12, "patience": 12, "augmentation": unvaried}
    trained = run_repeats(training_inputs, tmp_path, rows, **changes)
    right = (trained.out_of_fold["prediction"] == trained.out_of_fold["label"]).mean()
    assert trained.history["accuracy"].iloc[-1] > right + 0.4


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    settings = TrainParams.model_validate({**SMALL, "learning_rate": 0.01, "warmup": 10})
    rates = [learning_rate(step, 50, settings) for step in range(51)]
    assert (rates[0], rates[5], rates[10]) == (0, 0.005, 0.01)
    assert rates[30] == pytest.approx(0.005)
    assert rates[50] == pytest.approx(0)
    assert max(rates) == 0.01


@pytest.mark.slow
def test_changed_settings_or_data_start_afresh_and_remove_the_old_state(
    training_inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def states() -> list[str]:
        return [path.name for path in (tmp_path / "states").glob("*.npz")]

    rows, short = read_rows(training_inputs), {"epochs": 1, "from_layer": "top"}
    run(training_inputs, tmp_path, rows, **short)
    (first,) = states()
    run(training_inputs, tmp_path, rows, **short)
    assert "resuming an interrupted training after epoch 1" in capsys.readouterr().out
    run(training_inputs, tmp_path, rows, dropout=0.3, **short)
    (second,) = states()
    run(training_inputs, tmp_path, rows[rows["id"] != "s/with_mask/00.png"], dropout=0.3, **short)
    (third,) = states()
    assert len({first, second, third}) == 3
    assert "resuming" not in capsys.readouterr().out
