"""Evaluate the model on the parts val and test."""

from pathlib import Path

from facemask.core.classes import CLASSES
from facemask.core.stage_runner import run

HEADLINE = {
    "accuracy": "test.accuracy",
    "balanced_accuracy": "test.balanced_accuracy",
    **{f"recall_{name}": f"test.class.{name}.recall" for name in CLASSES},
    "answered": "test.decision.answered",
    "wrong_of_answered": "test.decision.errors_of_answered",
    "calibration_error": "test.calibration.calibration_error",
}


def main() -> None:
    """Read the model, its repeats, the images and the split; write predictions, decision, figures and plot data."""
    from facemask.core.files import write_json
    from facemask.core.metrics import DIGITS, write_metrics
    from facemask.core.params import load_params
    from facemask.core.tables import write_table
    from facemask.dataset.archive import Archive
    from facemask.dataset.manifest import MANIFEST
    from facemask.dataset.predictions import PREDICTIONS, write_answers
    from facemask.dataset.split import SPLIT, part_of
    from facemask.evaluation.metrics import (
        confusion_pairs,
        evaluate,
        evaluate_slices,
        precision_recall_points,
        predict_parts,
        reliability,
        risk_coverage,
        roc_points,
    )
    from facemask.evaluation.selective import choose_decision, decided
    from facemask.evaluation.training_spread import training_spread
    from facemask.models.classifier import load_model
    from facemask.models.decision import write_decision
    from facemask.models.repeats import load_repeats, predict_repeats

    settings = load_params().evaluate
    model = load_model(Path("models/model.keras"))
    split = SPLIT.read(Path("data/split.csv"))
    with Archive(Path("data/images.zip")) as images:
        raw = predict_parts(model, images, split, ("val", "test"), settings.batch_size)
        repeats = load_repeats(Path("models/repeats.npz"))
        of_repeats = predict_repeats(model, repeats, images, part_of(split, "test"))
    decision = choose_decision([part_of(raw, "val"), PREDICTIONS.read(Path("data/out_of_fold.csv"))], settings)
    predictions = decided(raw, decision)
    write_decision(Path("models/decision.json"), decision)
    PREDICTIONS.write(Path("data/predictions.csv"), predictions)
    spread = training_spread([decided(rows, decision) for rows in of_repeats])
    write_metrics("evaluation", {**evaluate(predictions, raw, decision), "training_spread": spread}, HEADLINE)
    manifest, test = MANIFEST.read(Path("data/manifest.csv")), part_of(predictions, "test")
    write_json(Path("data/slices.json"), evaluate_slices(predictions, manifest), DIGITS)
    write_answers(Path("metrics/answers.csv"), test, manifest)
    curves = {
        "confusion": confusion_pairs(test),
        "precision_recall": precision_recall_points(test),
        "roc": roc_points(test),
        "reliability": reliability(part_of(raw, "test"), test),
        "risk_coverage": risk_coverage(test),
    }
    for name, curve in curves.items():
        write_table(Path(f"plots/{name}.csv"), curve)


if __name__ == "__main__":
    run(main)
