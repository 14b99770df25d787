"""The usual recipe gets what its notebooks give it, and the comparison keeps what it has run."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmarks.usual_recipe import RECIPES, describe_run, flow, limited, main, table_of, unpack
from facemask.core.classes import CLASSES
from facemask.core.files import write_csv
from facemask.core.params import TrainParams
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.split import SPLIT
from facemask.dataset.synthetic import SYNTHETIC

ROOT = Path(__file__).parents[2]

# Keras' deprecated generator calls SciPy by a deprecated name.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")


def images(of_a_class: int, ending: str = "png") -> pd.DataFrame:
    parts = ["train", "train", "train", "val", "test"]
    rows = [
        (f"s/{label}/{number}.{ending}", "s", label, f"{label} {number}", parts[number % 5], "")
        for label in CLASSES
        for number in range(of_a_class)
    ]
    return pd.DataFrame(rows, columns=SPLIT.columns)


def pack(path: Path, table: pd.DataFrame) -> None:
    """Write an archive of pictures that are dark to the left and bright to the right."""
    buffer = io.BytesIO()
    Image.fromarray(np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))).save(buffer, "PNG")
    write_archive(path, ((name, buffer.getvalue()) for name in sorted(table["id"])))


def result(seconds: float, **others: Any) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "processor seconds": seconds * 2,
        "megabytes": 1000.0,
        "figures": {"accuracy": 0.75},
        **others,
    }


def test_a_trial_takes_the_first_images_of_each_class_in_each_part_and_none_that_was_dropped() -> None:
    table = images(20)
    table.loc[0, "part"] = "dropped"
    taken = limited(table, 2)
    assert list(taken.groupby(["label", "part"]).size()) == [2] * 9
    assert list(taken.loc[taken["label"] == CLASSES[0], "id"].str.split("/").str[-1]) == [
        f"{number}.png" for number in (1, 2, 3, 4, 8, 9)
    ]
    assert len(limited(table, None)) == 59


@pytest.mark.slow
def test_validation_is_the_first_fifth_of_each_class_by_file_name(tmp_path: Path) -> None:
    table = images(12)
    pack(tmp_path / "images.zip", table)
    with Archive(tmp_path / "images.zip") as archive:
        unpack(archive, table, tmp_path / "files")
    validation, training = flow(tmp_path / "files", "validation"), flow(tmp_path / "files", "training")
    names = [Path(path).name for path in validation.filepaths]
    assert names == ["0.png", "1.png"] * 3  # 10 comes before 2
    assert sorted(validation.filepaths + training.filepaths) == sorted(flow(tmp_path / "files", None).filepaths)

    pixels, labels = validation[0]
    assert pixels.shape == (6, 224, 224, 3)
    assert (pixels.min(), pixels.max()) == (0, pytest.approx(248 / 255))
    assert (pixels == pixels[0]).all()
    assert labels.argmax(axis=1).tolist() == [0, 0, 1, 1, 2, 2]

    varied, _ = training[0]
    flipped = varied[:, :, :112].mean(axis=(1, 2, 3)) > varied[:, :, 112:].mean(axis=(1, 2, 3))
    assert 0 < flipped.mean() < 1
    assert len(np.unique(varied.reshape(len(varied), -1), axis=0)) == len(varied) == 30


def test_a_file_that_keras_would_pass_over_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    table = images(5, ending="webp")
    pack(tmp_path / "images.zip", table)
    with Archive(tmp_path / "images.zip") as archive, pytest.raises(SystemExit, match=r"reads no \.webp"):
        unpack(archive, table, tmp_path / "files")


def test_the_table_compares_the_best_epoch_of_the_usual_recipe_with_the_whole_of_ours() -> None:
    times = {"seconds to the best epoch": 150.0, "processor seconds to the best epoch": 250.0}
    usual = result(300.0, **{**times, "best epoch": 2, "epochs": [{}] * 4})
    both = table_of({"usual": usual, "ours": result(100.0)})
    assert "| seconds to the best epoch | 150.0 | under 100.0 |" in both
    assert "| best epoch | 2 of 4 |  |" in both
    assert "| accuracy, % | 75.00 | 75.00 |" in both
    assert "1.50 times as long as ours in all, and 1.25 times as many processor seconds" in both
    assert "in all it took 3.00 times" in both
    assert "times" not in table_of({"usual": usual})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the command reads, but the backbone: 45 images, 6 drawn, settings for a short training."""
    table = images(15)
    pack(tmp_path / "data/images.zip", table)
    SPLIT.write(tmp_path / "data/split.csv", table)
    shown = {"kind": "right", "style": "plain", "object": "none", "shield": 0, "yaw": 0, "pitch": 0}
    drawn = images(2).assign(part="train", source="rendered", photograph="p", **shown)
    drawn["id"] = "rendered/" + drawn["id"]
    pack(tmp_path / "data/rendered.zip", drawn)
    write_csv(tmp_path / "data/rendered.csv", SYNTHETIC.columns, drawn[[*SYNTHETIC.columns]].to_numpy().tolist())
    (tmp_path / "models").mkdir()
    (tmp_path / "models/backbone.weights.h5").write_bytes(b"weights")  # of which only the content counts
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["train"] |= {"image_size": 32, "epochs": 1, "draws": 48, "views": 1, "repeats": 0}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_a_run_is_another_when_its_settings_change_and_the_epochs_are_those_of_the_usual_recipe() -> None:
    settings = TrainParams()
    others = [(None, 5, settings), (9, 20, settings), (None, 20, settings.model_copy(update={"seed": 2}))]
    changed = {
        recipe: [describe_run(recipe, *other) != describe_run(recipe, None, 20, settings) for other in others]
        for recipe in RECIPES
    }
    assert changed == {"usual": [True, True, True], "ours": [False, True, True]}
    assert describe_run("usual", None, 20, settings) == json.loads(
        json.dumps(describe_run("usual", None, 20, settings))
    )


def test_drawn_pictures_are_inputs_of_ours_alone(project: Path) -> None:
    with_drawn = {recipe: describe_run(recipe, None, 20, TrainParams()) for recipe in RECIPES}
    for name in ("rendered.csv", "rendered.zip"):
        (project / "data" / name).unlink()
    same = {recipe: describe_run(recipe, None, 20, TrainParams()) == run for recipe, run in with_drawn.items()}
    assert same == {"usual": True, "ours": False}


@pytest.mark.nightly  # trains by both recipes
def test_a_recipe_in_the_file_is_not_run_again(
    project: Path, training_inputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(training_inputs / "models/backbone.weights.h5", project / "models/backbone.weights.h5")
    main(["--only", "usual", "--epochs", "2"])
    alone = capfd.readouterr()
    assert "| | usual |" in alone.out
    assert "27 images in train, 9 images in val, 9 images in test, 6 drawn for ours" in alone.out
    (entry,) = json.loads((project / "usual_recipe.json").read_text(encoding="utf-8"))["results"]
    epochs = pd.DataFrame(entry["result"]["epochs"])
    best = entry["result"]["best epoch"]
    assert epochs["val_loss"].argmin() == best - 1
    assert 0 < epochs["seconds"][0] < epochs["seconds"][1] == entry["result"]["seconds"]
    assert entry["result"]["seconds to the best epoch"] == epochs["seconds"][best - 1]

    main(["--epochs", "2"])
    both = capfd.readouterr()
    assert (both.err.count("recipe: usual"), both.err.count("recipe: ours")) == (0, 1)
    assert "| | usual | ours |" in both.out
    main(["--epochs", "2"])
    assert capfd.readouterr().out == both.out
