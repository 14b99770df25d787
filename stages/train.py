"""Train the classifier: frozen lower layers with ImageNet weights, trained upper layers."""

import shutil
from pathlib import Path

from facemask.core.stage_runner import run

HEADLINE = {"val_accuracy": "best_val_accuracy", "best_epoch": "best_epoch"}


def main() -> None:
    """Read the images, the split and the backbone; write the model, its repeats, its history and a summary."""
    import pandas as pd

    from facemask.core.cache import cache_folder
    from facemask.core.metrics import write_metrics
    from facemask.core.params import load_params
    from facemask.core.tables import write_table
    from facemask.dataset.archive import Archive, Archives
    from facemask.dataset.predictions import PREDICTIONS
    from facemask.dataset.split import SPLIT
    from facemask.dataset.synthetic import SYNTHETIC
    from facemask.models.classifier import save_model
    from facemask.models.repeats import save_repeats
    from facemask.training.live import live_curves
    from facemask.training.trainer import WorkFolders, summarise, train

    params = load_params()
    settings = params.train
    rows = pd.concat([SPLIT.read(Path("data/split.csv")), SYNTHETIC.read(Path("data/rendered.csv"))], ignore_index=True)
    folders = WorkFolders(states=Path(".facemask/training"), views=cache_folder() / "views")
    with (
        Archive(Path("data/images.zip")) as images,
        Archive(Path("data/rendered.zip")) as rendered,
        live_curves(settings.live, Path(".facemask/live")) as show,
    ):
        archives = Archives(images, rendered)
        trained = train(archives, rows, Path("models/backbone.weights.h5"), settings, folders, show, params.engine.kind)
    if trained.is_chief:
        save_model(trained.model, Path("models/model.keras"))
        save_repeats(Path("models/repeats.npz"), trained.repeats)
        PREDICTIONS.write(Path("data/out_of_fold.csv"), trained.out_of_fold)
        write_table(Path("plots/history.csv"), trained.history)
        write_metrics("train", summarise(trained.model, rows, trained.history), HEADLINE)
        shutil.rmtree(folders.states)  # last, so that a run that is interrupted before can resume


if __name__ == "__main__":
    run(main)
