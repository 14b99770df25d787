"""Evaluate the model on the parts val and test."""

from pathlib import Path

from facemask.core.files import write_json
from facemask.core.params import load_params
from facemask.core.stage_runner import run
from facemask.core.tables import write_table
from facemask.dataset.archive import Archive
from facemask.dataset.manifest import MANIFEST
from facemask.dataset.predictions import PREDICTIONS, write_answers
from facemask.dataset.split import SPLIT, part_of
from facemask.evaluation.metrics import (
    evaluate,
    evaluate_slices,
    precision_recall_points,
    predict_parts,
    reliability,
    risk_coverage,
    roc_points,
)
from facemask.evaluation.selective import choose_decision, decided
from facemask.models.classifier import load_model
from facemask.models.decision import write_decision


def main() -> None:
    """Read the model, the images, the split and the manifest; write predictions, decision, figures and plot data."""
    settings = load_params().evaluate
    model = load_model(Path("models/model.keras"))
    split = SPLIT.read(Path("data/split.csv"))
    with Archive(Path("data/images.zip")) as images:
        raw = predict_parts(model, images, split, ("val", "test"), settings.batch_size)
    decision = choose_decision(part_of(raw, "val"), settings)
    predictions = decided(raw, decision)
    write_decision(Path("models/decision.json"), decision)
    PREDICTIONS.write(Path("data/predictions.csv"), predictions)
    write_json(Path("metrics/evaluation.json"), evaluate(predictions, raw, decision))
    manifest, test = MANIFEST.read(Path("data/manifest.csv")), part_of(predictions, "test")
    write_json(Path("metrics/slices.json"), evaluate_slices(predictions, manifest))
    write_answers(Path("metrics/answers.csv"), test, manifest)
    curves = {
        "confusion": test.rename(columns={"label": "actual", "prediction": "predicted"})[["actual", "predicted"]],
        "precision_recall": precision_recall_points(test),
        "roc": roc_points(test),
        "reliability": reliability(part_of(raw, "test"), test),
        "risk_coverage": risk_coverage(test),
    }
    for name, curve in curves.items():
        write_table(Path(f"plots/{name}.csv"), curve)


if __name__ == "__main__":
    run(main)
