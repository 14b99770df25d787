"""How good the training is on photographs of an origin that it never saw: one source left out after the other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from facemask.core.params import RenderParams, TrainParams
from facemask.data.synthetic.pipeline import render
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.split import DROPPED
from facemask.evaluation.metrics import figures, named_intervals, predict_parts
from facemask.training.trainer import WorkFolders, train

COPIES = 8  # of a photograph that are tested: some have a hundred


def leave_out(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Set the parts: `test` is what is left out, at most `COPIES` of a photograph; the test part of others is unused.

    Photographs of which copies are in both are left out of the training.

    Args:
        table: as `SPLIT.read` returns it.
        source: the one to leave out.
    """
    away = table["source"] == source
    known = table[~away & table["part"].isin(["train", "val"]) & ~table["group"].isin(table.loc[away, "group"])]
    tested = table[away & (table["part"] != DROPPED)]
    tested = tested[tested.groupby("group").cumcount() < COPIES].assign(part="test")
    return pd.concat([known, tested], ignore_index=True)


def predict_unseen(
    images: Path, held: pd.DataFrame, backbone: Path, drawing: RenderParams, training: TrainParams, folders: WorkFolders
) -> pd.DataFrame:
    """Draw masks over what is trained on, train, and predict what was left out.

    Args:
        images: `data/images.zip`.
        held: as `leave_out` gives it.
        backbone: weights that the stage `backbone` wrote.
        drawing: the group `render` of the params.
        training: the group `train`.
        folders: for what is no out; the drawn masks are kept in `folders.states` too.

    Returns:
        As `facemask.evaluation.metrics.predict_parts`.
    """
    folders.states.mkdir(parents=True, exist_ok=True)
    drawn = folders.states / "drawn.zip"
    table = render(images, held, drawn, drawing).table
    rows = pd.concat([held, table], ignore_index=True)
    with Archive(images) as photographs, Archive(drawn) as masks:
        model, _, _ = train(Archives(photographs, masks), rows, backbone, training, folders)
        return predict_parts(model, photographs, held, ["test"], training.batch_size)


def summarise_unseen(predictions: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Compute the figures for `metrics/unseen.json`: those of `facemask.evaluation.metrics.figures`, with intervals."""
    return {name: {**figures(rows), "interval": named_intervals(rows)} for name, rows in predictions.items()}
