"""Leave-one-source-out evaluation: train without a source and test on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from facemask.core.params import EngineKind, RenderParams, TrainParams
from facemask.data.synthetic.pipeline import render
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.manifest import clusters
from facemask.dataset.split import DROPPED
from facemask.evaluation.metrics import figures, named_intervals, predict_parts
from facemask.training.trainer import WorkFolders, train

COPIES = 8  # of a photograph in the test; some have a hundred


def leave_out(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return a split with the source as test part, at most `COPIES` of each photograph, and without other test images.

    Photographs with copies in the source, and other faces of the same pictures, are removed from the training.

    Args:
        table: as returned by `SPLIT.read`.
        source: name of the source to leave out.
    """
    away = table["source"] == source
    cluster = clusters(table)
    known = table[~away & table["part"].isin(["train", "val"]) & ~cluster.isin(cluster[away])]
    tested = table[away & (table["part"] != DROPPED)]
    tested = tested[tested.groupby("group").cumcount() < COPIES].assign(part="test")
    return pd.concat([known, tested], ignore_index=True)


def predict_unseen(
    images: Path,
    held: pd.DataFrame,
    backbone: Path,
    drawing: RenderParams,
    training: TrainParams,
    folders: WorkFolders,
    engine: EngineKind = "local",
) -> pd.DataFrame:
    """Draw synthetic masks over the training images, train, and predict the source left out.

    Args:
        images: `data/images.zip`.
        held: as returned by `leave_out`.
        backbone: weights written by the stage `backbone`.
        drawing: the group `render` of the params.
        training: the group `train` of the params.
        folders: directories for files that are not pipeline outputs; synthetic images go to `folders.states`.
        engine: where masks are drawn and the frozen layers run.

    Returns:
        Predictions, as `facemask.evaluation.metrics.predict_parts` returns them.
    """
    folders.states.mkdir(parents=True, exist_ok=True)
    drawn = folders.states / "drawn.zip"
    table = render(images, held, drawn, drawing, engine).table
    rows = pd.concat([held, table], ignore_index=True)
    training = training.model_copy(update={"repeats": 0})  # nothing is calibrated here
    with Archive(images) as photographs, Archive(drawn) as masks:
        trained = train(Archives(photographs, masks), rows, backbone, training, folders, engine=engine)
        return predict_parts(trained.model, photographs, held, ["test"], training.batch_size)


def summarise_unseen(predictions: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Compute the figures for `metrics/unseen.json`: those of `facemask.evaluation.metrics.figures`, with intervals."""
    return {name: {**figures(rows), "interval": named_intervals(rows)} for name, rows in predictions.items()}
