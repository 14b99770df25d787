"""Training learns, keeps its best epoch, is the same every time, and never looks at the test part."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facemask.archives import Archive, write_archive
from facemask.backbone import write_backbone
from facemask.labels import CLASSES
from facemask.outs import write_csv
from facemask.params import BackboneParams, TrainParams
from facemask.splitting import COLUMNS
from facemask.training import HISTORY, TrainingBatches, summarise, train

COLOURS = {"mask_weared_incorrect": (220, 40, 40), "with_mask": (40, 200, 40), "without_mask": (40, 40, 220)}
SMALL: dict[str, Any] = {
    "image_size": 32,
    "batch_size": 8,
    "head": {"epochs": 8, "learning_rate": 0.01, "views": 2},
    "fine_tuning": {"epochs": 2, "learning_rate": 1e-4, "from_layer": "Conv_1", "patience": 2},
    "augmentation": {"colour": 0.0, "grey": 0.0, "noise": 0.0, "jpeg": 0.0},
}


def png(colour: tuple[int, int, int], seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(-30, 30, (32, 32, 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose colour tells their class, a split of them, and a random backbone; test images are no images."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    members = {}
    for label, colour in COLOURS.items():
        for number in range(24):
            part = "train" if number < 16 else "val" if number < 20 else "test"
            name = f"s/{label}/{number:02}.png"
            members[name] = b"must not be read" if part == "test" else png(colour, number)
            rows.append((name, "s", label, name, part, ""))
    write_archive(folder / "images.zip", sorted(members.items()))
    write_csv(folder / "split.csv", COLUMNS, rows)
    write_backbone(folder / "backbone.weights.h5", BackboneParams(source="none", seed=1))
    return folder


def run(data: Path, **changes: Any) -> tuple[Any, pd.DataFrame]:
    settings = TrainParams.model_validate({**SMALL, **changes})
    split = pd.read_csv(data / "split.csv", dtype=str, keep_default_na=False)
    with Archive(data / "images.zip") as archive:
        return train(archive, split, data / "backbone.weights.h5", settings)


@pytest.mark.slow
def test_it_learns_what_can_be_learnt_and_never_reads_a_test_image(data: Path) -> None:
    model, history = run(data)
    assert list(history.columns) == list(HISTORY)
    assert list(history["phase"]) == ["head"] * 8 + ["fine_tuning"] * 2
    assert history["val_accuracy"].max() > 0.9
    pixels = np.stack([np.full((32, 32, 3), COLOURS[label], np.uint8) for label in CLASSES])
    assert list(np.asarray(model.predict_on_batch(pixels)).argmax(axis=1)) == [0, 1, 2]


@pytest.mark.slow
def test_the_weights_are_those_of_the_best_epoch(data: Path) -> None:
    # A rate that destroys what the first phase learned: the first phase's best epoch must come back.
    model, history = run(data, fine_tuning={**SMALL["fine_tuning"], "learning_rate": 1.0, "epochs": 3, "patience": 3})
    split = pd.read_csv(data / "split.csv", dtype=str)
    figures = summarise(model, split, history)
    best = history.loc[history["val_loss"].idxmin()]
    assert best["phase"] == "head"
    assert figures["best_epoch"] == best["epoch"] <= 8
    pixels = np.stack([np.full((32, 32, 3), COLOURS[label], np.uint8) for label in CLASSES])
    assert list(np.asarray(model.predict_on_batch(pixels)).argmax(axis=1)) == [0, 1, 2]


@pytest.mark.slow
def test_fine_tuning_stops_early_when_nothing_improves(data: Path) -> None:
    _, history = run(data, fine_tuning={**SMALL["fine_tuning"], "learning_rate": 1.0, "epochs": 10, "patience": 1})
    assert len(history) < 18


@pytest.mark.slow
def test_the_head_alone_can_be_trained(data: Path) -> None:
    _, history = run(data, fine_tuning={**SMALL["fine_tuning"], "epochs": 0})
    assert set(history["phase"]) == {"head"}


@pytest.mark.slow
def test_two_processes_train_the_same_bytes(data: Path, tmp_path: Path) -> None:
    script = (
        "import sys, json; from pathlib import Path; import pandas as pd; from facemask.archives import Archive\n"
        "from facemask.model import save_model; from facemask.params import TrainParams\n"
        "from facemask.training import train\n"
        "data = Path(sys.argv[1]); split = pd.read_csv(data / 'split.csv', dtype=str, keep_default_na=False)\n"
        "settings = TrainParams.model_validate(json.loads(sys.argv[3]))\n"
        "model, _ = train(Archive(data / 'images.zip'), split, data / 'backbone.weights.h5', settings)\n"
        "save_model(model, Path(sys.argv[2]))\n"
    )
    files = [tmp_path / name for name in ("a.keras", "b.keras")]
    for file in files:
        done = subprocess.run([sys.executable, "-c", script, data, file, json.dumps(SMALL)], capture_output=True)
        assert done.returncode == 0, done.stderr
    assert files[0].read_bytes() == files[1].read_bytes()


def test_every_image_comes_once_a_pass_in_an_order_of_its_own(data: Path) -> None:
    settings = TrainParams.model_validate(SMALL)
    names = [f"s/{label}/{number:02}.png" for label in CLASSES for number in range(7)]
    targets = np.eye(21, dtype=np.float32)  # tells which image a row is
    with Archive(data / "images.zip") as archive:
        batches = TrainingBatches(archive, names, targets, settings)
        passes = [np.concatenate([labels for _, labels in batches.passes(1)]).argmax(axis=1) for _ in range(2)]
    assert [len(order) for order in passes] == [21, 21]
    assert all(sorted(order) == list(range(21)) for order in passes)
    assert list(passes[0]) != list(passes[1])


def test_a_pass_shows_each_image_in_another_way(data: Path) -> None:
    settings = TrainParams.model_validate(SMALL)
    with Archive(data / "images.zip") as archive:
        batches = TrainingBatches(archive, ["s/with_mask/00.png"], np.eye(3, dtype=np.float32)[[1]], settings)
        (first, _), (second, _) = batches.passes(2)
    assert not np.array_equal(first, second)
