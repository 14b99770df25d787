"""Findings: the outputs of all other stages, read into one object."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.metrics import DETAILS
from facemask.core.tables import Dtype, TableSchema
from facemask.data.leakage import LEAKS
from facemask.dataset.manifest import LEFT_OUT, MANIFEST
from facemask.dataset.predictions import PREDICTIONS, chosen_probability, is_right
from facemask.dataset.split import SPLIT

Json = dict[str, Any]

_DATA_KEYS = (
    "images",
    "groups",
    "duplicates",
    "contradictions",
    "junk",
    "left_out",
    "label",
    "groups_by_label",
    "source",
    "width",
    "height",
    "format",
    "shortcuts",
)
_TRAIN_KEYS = ("epochs", "best_epoch", "best_val_loss", "images", "parameters")
_EXPORT_KEYS = ("size_bytes", "parity", "agreement", "accuracy", "parity_images")
_CURVE: dict[str, Dtype] = dict.fromkeys(CLASSES, "float64")
_CORRUPTIONS: dict[str, Dtype] = {
    "trouble": "str",
    "strength": "int64",
    "level": "float64",
    "images": "int64",
    **dict.fromkeys(("accuracy", "low", "high", "balanced_accuracy"), "float64"),
}
_RISK_COVERAGE: dict[str, Dtype] = {"coverage": "float64", "errors": "float64"}
_RELIABILITY: dict[str, Dtype] = {
    "calibration": "str",
    **dict.fromkeys(("confidence", "accuracy", "photographs"), "float64"),
}


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction; `confidence` is the probability of the predicted class."""

    id: str
    label: str
    prediction: str
    confidence: float


@dataclass(frozen=True)
class Findings:
    """Outs of the other stages, as they were written; the tables' columns are those of the files.

    Attributes:
        cards: for each source in use, sorted by name, its card `data/raw/<source>.json`.
        left_out: text columns `source`, `path`, `reason`.
        parts: what `data/split.csv` says of each image.
        leaks: the most similar pairs across the split, the most similar first.
        samples: the contact sheet, a JPEG file.
        drawn_masks: that of the drawn masks.
        mistakes: all wrong predictions of the part test, the most confident first.
        robustness_sheet: one image under every corruption.
        activation_sheet: predictions with their activation maps.
    """

    cards: dict[str, Json]
    data: Json
    split: Json
    render: Json
    train: Json
    evaluation: Json
    unseen: Json
    slices: Json
    export: Json
    model: Json
    manifest: pd.DataFrame
    left_out: pd.DataFrame
    parts: pd.DataFrame
    leaks: pd.DataFrame
    classes: pd.DataFrame
    sizes: pd.DataFrame
    history: pd.DataFrame
    precision_recall: pd.DataFrame
    roc: pd.DataFrame
    reliability: pd.DataFrame
    risk_coverage: pd.DataFrame
    robustness: Json
    corruptions: pd.DataFrame
    activation: Json
    mistakes: list[Mistake]
    samples: bytes
    drawn_masks: bytes
    robustness_sheet: bytes
    activation_sheet: bytes


def read_findings(project: Path, sources: Sequence[str]) -> Findings:
    """Read everything that the report is made of, but for the pictures in `data/images.zip`.

    Args:
        project: the folder in which the pipeline ran.
        sources: names of the sources in use.

    Raises:
        FacemaskError: a file is missing or is not what its stage writes; the message names the stage to run.
    """
    details, plots, data = project / DETAILS, project / "plots", project / "data"
    return Findings(
        cards={
            name: _read_json(data / "raw" / f"{name}.json", f"download@{name}", ("kind", "licence", "origin"))
            for name in sorted(sources)
        },
        data=_read_json(details / "data.json", "group", _DATA_KEYS),
        split=_read_json(details / "split.json", "split", ("images", "groups", "label", "source", "leaks")),
        render=_read_json(details / "render.json", "render", ("faces", "without_fit", "images", "label", "object")),
        train=_read_json(details / "train.json", "train", _TRAIN_KEYS),
        evaluation=_read_json(details / "evaluation.json", "evaluate", ("test", "val")),
        unseen=_read_json(details / "unseen.json", "unseen", ()),
        slices=_read_json(data / "slices.json", "evaluate", ("test", "val")),
        export=_read_json(details / "export.json", "export", _EXPORT_KEYS),
        model=_read_json(project / "export" / "labels.json", "export", ("classes", "input", "output")),
        manifest=MANIFEST.read(data / "manifest.csv"),
        left_out=LEFT_OUT.read(data / "left_out.csv"),
        parts=SPLIT.read(data / "split.csv"),
        leaks=LEAKS.read(data / "leaks.csv"),
        classes=TableSchema({"source": "str", "label": "str", "count": "int64"}, "merge").read(plots / "classes.csv"),
        sizes=TableSchema({"side": "int64", "label": "str", "count": "int64"}, "merge").read(plots / "sizes.csv"),
        history=TableSchema(
            {
                "epoch": "int64",
                **dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), "float64"),
            },
            "train",
        ).read(plots / "history.csv"),
        precision_recall=TableSchema({"recall": "float64", **_CURVE}, "evaluate").read(plots / "precision_recall.csv"),
        roc=TableSchema({"false_positive_rate": "float64", **_CURVE}, "evaluate").read(plots / "roc.csv"),
        reliability=TableSchema(_RELIABILITY, "evaluate").read(plots / "reliability.csv"),
        risk_coverage=TableSchema({"coverage": "float64", "errors": "float64"}, "evaluate").read(
            plots / "risk_coverage.csv"
        ),
        robustness=_read_json(details / "robustness.json", "robustness", ("images",)),
        corruptions=TableSchema(_CORRUPTIONS, "robustness").read(plots / "troubles.csv"),
        activation=_read_json(details / "activation.json", "explain", ("images", "lower_half", "shuffled")),
        mistakes=_mistakes(PREDICTIONS.read(data / "predictions.csv")),
        samples=_read_bytes(data / "samples.jpg", "group"),
        drawn_masks=_read_bytes(data / "rendered.jpg", "render"),
        robustness_sheet=_read_bytes(data / "robustness.jpg", "robustness"),
        activation_sheet=_read_bytes(data / "activations.jpg", "explain"),
    )


def _mistakes(predictions: pd.DataFrame) -> list[Mistake]:
    wrong = predictions[(predictions["part"] == "test") & ~is_right(predictions)]
    found = [
        Mistake(str(row["id"]), str(row["label"]), str(row["prediction"]), float(confidence))
        for row, confidence in zip(wrong.to_dict("records"), chosen_probability(wrong), strict=True)
    ]
    return sorted(found, key=lambda mistake: (-mistake.confidence, mistake.id))


def _read_bytes(path: Path, stage: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FacemaskError(f"{path} is missing; run `dvc repro {stage}`") from error


def _read_json(path: Path, stage: str, keys: Sequence[str]) -> Json:
    try:
        content = json.loads(_read_bytes(path, stage))
    except ValueError as error:
        raise FacemaskError(f"{path} is not valid JSON ({error}); run `dvc repro {stage}`") from error
    if missing := [key for key in keys if not isinstance(content, dict) or key not in content]:
        raise FacemaskError(f"{path} does not have {', '.join(missing)}; run `dvc repro {stage}`")
    return content
