"""Training learns, keeps its best epoch, is the same every time, and never looks at the test part."""

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
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
from facemask.params import AugmentationParams, BackboneParams, TrainParams
from facemask.parts import COLUMNS, part_of
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


def plain(**changes: Any) -> TrainParams:
    """Settings without augmentation, so that one can tell which image one looks at."""
    off = dict.fromkeys(AugmentationParams.model_fields, 0.0)
    return TrainParams.model_validate({**SMALL, "augmentation": off, **changes})


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[tuple[Archive, pd.DataFrame]]:
    """One class: a photograph with eight copies and four others; the grey level tells which image it is."""
    members = {}
    rows = []
    for number in range(12):
        buffer = io.BytesIO()
        Image.new("L", (32, 32), 20 * number).save(buffer, "PNG")
        members[f"{number:02}.png"] = buffer.getvalue()
        group = "inflated" if number < 8 else f"single{number}"
        rows.append((f"{number:02}.png", "s", "with_mask", group, "train", ""))
    write_archive(tmp_path / "images.zip", sorted(members.items()))
    with Archive(tmp_path / "images.zip") as archive:
        yield archive, pd.DataFrame(rows, columns=COLUMNS)


def shown(batches: TrainingBatches, passes: int) -> list[int]:
    """Say which image stands at each place of the next passes."""
    return [int(image[0, 0, 0]) // 20 for pixels, _ in batches.passes(passes) for image in pixels]


def test_eight_copies_count_as_one_photograph(copies: tuple[Archive, pd.DataFrame]) -> None:
    images = shown(TrainingBatches(*copies, plain(sampling="photograph")), passes=5)
    times = Counter("inflated" if image < 8 else f"single{image}" for image in images)
    assert set(times.values()) == {12}  # five epochs of 12 draws, for five photographs
    assert {image for image in images if image < 8} == set(range(8))  # seen in eight ways


def test_each_file_counts_where_images_are_sampled(copies: tuple[Archive, pd.DataFrame]) -> None:
    images = shown(TrainingBatches(*copies, plain(sampling="image")), passes=5)
    assert Counter(images) == dict.fromkeys(range(12), 5)


def test_pixels_and_labels_belong_together(data: Path) -> None:
    split = pd.read_csv(data / "split.csv", dtype=str, keep_default_na=False)
    with Archive(data / "images.zip") as archive:
        for pixels, labels in TrainingBatches(archive, part_of(split, "train"), plain()).passes(1):
            strongest = pixels.mean(axis=(1, 2)).argmax(axis=1)  # red, green, blue: the classes in their order
            assert np.array_equal(strongest, labels.argmax(axis=1))


def test_training_can_begin_with_any_epoch(copies: tuple[Archive, pd.DataFrame]) -> None:
    settings = TrainParams.model_validate(SMALL)
    third = list(TrainingBatches(*copies, settings).passes(3))[-2:]
    alone = list(TrainingBatches(*copies, settings, epoch=2).passes(1))
    for (pixels, labels), (same_pixels, same_labels) in zip(third, alone, strict=True):
        assert np.array_equal(pixels, same_pixels)
        assert np.array_equal(labels, same_labels)


def test_an_image_that_comes_again_is_seen_in_another_way(copies: tuple[Archive, pd.DataFrame]) -> None:
    archive, rows = copies
    settings = TrainParams.model_validate(SMALL)
    (within, _), (later, _) = TrainingBatches(
        archive, pd.concat([rows.iloc[[9]]] * 2, ignore_index=True), settings
    ).passes(2)
    assert not np.array_equal(within[0], within[1])
    assert not np.array_equal(within[0], later[0])
