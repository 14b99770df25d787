"""A tiny project folder in which the real stage `train` runs: images whose colour tells their class."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from facemask.core.files import write_csv
from facemask.core.params import BackboneParams
from facemask.dataset import synthetic
from facemask.dataset.archive import write_archive
from facemask.dataset.split import SPLIT
from facemask.models.backbone import load_backbone, write_backbone
from facemask.models.classifier import backbone_of, build_model

ROOT = Path(__file__).parents[1]
OUTS = ("models/model.keras", "models/repeats.npz", "data/out_of_fold.csv", "plots/history.csv", "metrics/train.json")
COLOURS = {"mask_weared_incorrect": (220, 40, 40), "with_mask": (40, 200, 40), "without_mask": (40, 40, 220)}
SMALL: dict[str, Any] = {
    "image_size": 32,
    "from_layer": "Conv_1",
    "epochs": 4,
    "draws": 48,
    "views": 3,
    "repeats": 1,
    "batch_size": 8,
    "learning_rate": 0.002,
    "warmup": 4,
    "precision": "float32",
    "augmentation": {"colour": 0.0, "grey": 0.0, "noise": 0.0, "jpeg": 0.0},
}


# At a high rate a difference in the last bit, as in the order of a sum, would grow from step to step.
CALM = {"learning_rate": 2e-4}


def png(colour: tuple[int, int, int], seed: int) -> bytes:
    """Draw 32 x 32 pixels of a colour with noise on it."""
    noise = np.random.default_rng(seed).integers(-30, 30, (32, 32, 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def make_inputs(folder: Path) -> Path:
    """Write what the stage reads but params.yaml: 16 images of a class in train, 4 in val, 4 in test, 2 rendered.

    Images of the part test are no images: whoever reads one fails.
    """
    rows, members = [], {}
    for label, colour in COLOURS.items():
        for number in range(24):
            part = "train" if number < 16 else "val" if number < 20 else "test"
            name = f"s/{label}/{number:02}.png"
            members[name] = b"must not be read" if part == "test" else png(colour, number)
            rows.append((name, "s", label, name, part, ""))
    write_archive(folder / "data/images.zip", sorted(members.items()))
    write_csv(folder / "data/split.csv", SPLIT.columns, rows)
    shown = ("right", "plain", "none", 0, 0, 0)
    drawn = [
        (f"rendered/{label}/{number}.png", "rendered", label, f"{label} {number}", "train", "p", *shown)
        for label in COLOURS
        for number in range(2)
    ]
    write_csv(folder / "data/rendered.csv", synthetic.SYNTHETIC.columns, drawn)
    pictures = [(row[0], png(COLOURS[row[2]], 100 + place)) for place, row in enumerate(drawn)]
    write_archive(folder / "data/rendered.zip", sorted(pictures))
    write_backbone(folder / "models/backbone.weights.h5", BackboneParams(source="none", seed=1))
    return folder


def make_project(folder: Path, inputs: Path, **changes: Any) -> Path:
    """Make a project folder with the code and `inputs`, as `make_inputs` wrote them, and with settings of its own."""
    for name in ("facemask", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("data", "models"):
        shutil.copytree(inputs / name, folder / name)
    write_params(folder, **changes)
    return folder


def untrained_model(inputs: Path, image_size: int = 32) -> Any:
    """Build the model with the backbone of `inputs`: random weights of a size that keeps the signal alive."""
    model = build_model(image_size, dropout=0.2, seed=1)
    load_backbone(backbone_of(model), inputs / "models/backbone.weights.h5")
    return model


def write_params(folder: Path, **changes: Any) -> None:
    """Write params.yaml: the project's, with `SMALL` and `changes` for the group `train`."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["train"] = {**SMALL, **changes}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8", newline="\n")


def start_training(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the stage `train` in a project folder, with a cache folder of its own."""
    return subprocess.Popen(
        [sys.executable, "stages/train.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "FACEMASK_CACHE": str(folder / "cache"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def train_there(folder: Path) -> str:
    """Run the stage `train` to its end in a project folder; return what it printed."""
    done = start_training(folder)
    out, err = done.communicate()
    assert done.returncode == 0, out + err
    return out


def outs_of(folder: Path) -> dict[str, bytes]:
    """Read what the stage wrote."""
    return {name: (folder / name).read_bytes() for name in OUTS}
