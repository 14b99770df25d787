"""Show where in the test images the evidence for the model's answers lies."""

from pathlib import Path

from facemask.activation import COLUMNS, choose_shown, draw_blocks, explain, read_explainer, summarise
from facemask.archives import Archive
from facemask.outs import write_bytes, write_json
from facemask.params import load_params
from facemask.parts import part_of
from facemask.predictions import read_predictions
from facemask.sessions import read_model
from facemask.sheets import draw_sheet
from facemask.stage import run


def main() -> None:
    """Read the export, the predictions and the images; write figures and a sheet of activation maps."""
    settings = load_params().explain
    explainer = read_explainer(read_model(Path("export/model.onnx")))
    test = part_of(read_predictions(Path("data/predictions.csv")), "test")
    chosen = choose_shown(test, settings.wrong, settings.right, settings.seed)
    with Archive(Path("data/images.zip")) as images:
        explained = explain(explainer, images, test, settings.seed)
        blocks = draw_blocks(test, explained, chosen, images)
    write_json(Path("metrics/activation.json"), summarise(test, explained))
    write_bytes(Path("data/activations.jpg"), draw_sheet(blocks, COLUMNS))


if __name__ == "__main__":
    run(main)
