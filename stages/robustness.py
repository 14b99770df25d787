"""Trouble test images as cameras do, and see how often the exported model is still right."""

from pathlib import Path

import pandas as pd

from facemask.archives import Archive
from facemask.decision import read_decision
from facemask.outs import write_bytes, write_json
from facemask.params import load_params
from facemask.parts import part_of, read_split
from facemask.robustness import (
    COLUMNS,
    POINTS,
    answer_variants,
    choose_images,
    curves,
    example,
    summarise,
)
from facemask.sessions import image_size, open_session, read_model
from facemask.sheets import draw_sheet
from facemask.stage import run
from facemask.tables import write_table


def main() -> None:
    """Read the export, the decision, the images and the split; write figures, plot data and a sheet of examples."""
    settings = load_params().robustness
    session = open_session(read_model(Path("export/model.onnx")))
    decision = read_decision(Path("models/decision.json"))
    test = part_of(read_split(Path("data/split.csv")), "test")
    chosen = choose_images(test, settings.images, settings.seed)
    names = list(chosen["id"])
    with Archive(Path("data/images.zip")) as images:
        answers = answer_variants(session, decision, images, names, settings.seed)
        summary, points = summarise(pd.concat([chosen, answers], axis=1), settings.seed)
        blocks = example(images, names, image_size(session), settings.seed, points)
    write_json(Path("metrics/robustness.json"), summary)
    write_table(Path("plots/troubles.csv"), points, POINTS)
    wide = curves(points)
    write_table(Path("plots/robustness.csv"), wide, list(wide))
    write_bytes(Path("data/robustness.jpg"), draw_sheet(blocks, COLUMNS))


if __name__ == "__main__":
    run(main)
