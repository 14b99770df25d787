"""Evaluate the model on validation and test: all figures from the test part come from here."""

from pathlib import Path

from facemask.archives import Archive
from facemask.evaluation import (
    evaluate,
    evaluate_slices,
    precision_recall_points,
    predict_parts,
    roc_points,
    write_predictions,
)
from facemask.manifest import read_manifest
from facemask.model import load_model
from facemask.outs import write_json
from facemask.params import load_params
from facemask.parts import part_of, read_split
from facemask.stage import run
from facemask.tables import write_table


def main() -> None:
    """Read the model, the images, the split and the manifest; write predictions, figures and plot data."""
    settings = load_params().evaluate
    model = load_model(Path("models/model.keras"))
    split = read_split(Path("data/split.csv"))
    with Archive(Path("data/images.zip")) as images:
        predictions = predict_parts(model, images, split, ("val", "test"), settings.batch_size)
    write_predictions(Path("data/predictions.csv"), predictions)
    write_json(Path("metrics/evaluation.json"), evaluate(predictions))
    slices = evaluate_slices(predictions, read_manifest(Path("data/manifest.csv")))
    write_json(Path("metrics/slices.json"), slices)
    test = part_of(predictions, "test")
    confusion = test.rename(columns={"label": "actual", "prediction": "predicted"})
    write_table(Path("plots/confusion.csv"), confusion, ("actual", "predicted"))
    for name, curve in (("precision_recall", precision_recall_points(test)), ("roc", roc_points(test))):
        write_table(Path(f"plots/{name}.csv"), curve, list(curve))


if __name__ == "__main__":
    run(main)
