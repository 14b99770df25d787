"""Measure the accuracy of the exported model on corrupted test images."""

from pathlib import Path

from facemask.core.stage_runner import run

HEADLINE = {"accuracy_under_corruption": "mean_corruption_accuracy"}


def main() -> None:
    """Read the export, the decision, the images and the split; write figures, plot data and a sheet of examples."""
    import pandas as pd

    from facemask.core.files import write_bytes
    from facemask.core.metrics import write_metrics
    from facemask.core.params import load_params
    from facemask.core.tables import write_table
    from facemask.dataset.archive import Archive
    from facemask.dataset.split import SPLIT, part_of
    from facemask.evaluation.robustness import COLUMNS, choose_images, curves, example, predict_variants, summarise
    from facemask.models.decision import read_decision
    from facemask.models.onnx_session import image_size, open_session, read_model
    from facemask.presentation.contact_sheet import draw_sheet

    settings = load_params().robustness
    session = open_session(read_model(Path("export/model.onnx")), threads=1)
    decision = read_decision(Path("models/decision.json"))
    test = part_of(SPLIT.read(Path("data/split.csv")), "test")
    chosen = choose_images(test, settings.images, settings.seed)
    names = list(chosen["id"])
    with Archive(Path("data/images.zip")) as images:
        predictions = predict_variants(session, decision, images, names, settings.seed)
        summary, points = summarise(pd.concat([chosen, predictions], axis=1), settings.seed)
        blocks = example(images, names, image_size(session), settings.seed, points)
    write_metrics("robustness", summary, HEADLINE if names else {})
    write_table(Path("plots/troubles.csv"), points)
    wide = curves(points)
    write_table(Path("plots/robustness.csv"), wide)
    write_bytes(Path("data/robustness.jpg"), draw_sheet(blocks, COLUMNS))


if __name__ == "__main__":
    run(main)
