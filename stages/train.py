"""Train the classifier: frozen lower layers with ImageNet weights, trained upper layers."""

import shutil
from pathlib import Path

import pandas as pd

from facemask.core.cache import cache_folder
from facemask.core.files import write_json
from facemask.core.params import load_params
from facemask.core.stage_runner import run
from facemask.core.tables import write_table
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.split import SPLIT
from facemask.dataset.synthetic import SYNTHETIC
from facemask.models.classifier import save_model
from facemask.training.trainer import WorkFolders, summarise, train


def main() -> None:
    """Read the images, the split and the backbone; write the model, its history and a summary."""
    settings = load_params().train
    rows = pd.concat([SPLIT.read(Path("data/split.csv")), SYNTHETIC.read(Path("data/rendered.csv"))], ignore_index=True)
    folders = WorkFolders(states=Path(".facemask/training"), views=cache_folder() / "views")
    with Archive(Path("data/images.zip")) as images, Archive(Path("data/rendered.zip")) as rendered:
        archives = Archives(images, rendered)
        model, history, is_chief = train(archives, rows, Path("models/backbone.weights.h5"), settings, folders)
    if is_chief:
        save_model(model, Path("models/model.keras"))
        write_table(Path("plots/history.csv"), history)
        write_json(Path("metrics/train.json"), summarise(model, rows, history))
        shutil.rmtree(folders.states)  # last, so that a run that is interrupted before can resume


if __name__ == "__main__":
    run(main)
