"""Compute class activation maps of the test images."""

from pathlib import Path

from facemask.core.stage_runner import run


def main() -> None:
    """Read the export, the predictions and the images; write figures and a sheet of activation maps."""
    from facemask.core.files import write_bytes, write_json
    from facemask.core.metrics import DETAILS, DIGITS
    from facemask.core.params import load_params
    from facemask.dataset.archive import Archive
    from facemask.dataset.predictions import PREDICTIONS
    from facemask.dataset.split import part_of
    from facemask.evaluation.class_activation import (
        COLUMNS,
        choose_shown,
        draw_blocks,
        explain,
        read_explainer,
        summarise,
    )
    from facemask.models.onnx_session import read_model
    from facemask.presentation.contact_sheet import draw_sheet

    settings = load_params().explain
    explainer = read_explainer(read_model(Path("export/model.onnx")))
    test = part_of(PREDICTIONS.read(Path("data/predictions.csv")), "test")
    chosen = choose_shown(test, settings.wrong, settings.right, settings.seed)
    with Archive(Path("data/images.zip")) as images:
        explained = explain(explainer, images, test, settings.seed)
        blocks = draw_blocks(test, explained, chosen, images)
    write_json(DETAILS / "activation.json", summarise(test, explained), DIGITS)
    write_bytes(Path("data/activations.jpg"), draw_sheet(blocks, COLUMNS))


if __name__ == "__main__":
    run(main)
