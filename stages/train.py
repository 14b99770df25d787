"""Train the classifier: the new top first, then the backbone's upper blocks."""

from pathlib import Path

from facemask.archives import Archive
from facemask.model import save_model
from facemask.outs import write_csv, write_json
from facemask.params import load_params
from facemask.parts import read_split
from facemask.stage import run
from facemask.training import HISTORY, summarise, train


def main() -> None:
    """Read the images, the split and the backbone; write the model, its history and its figures."""
    settings = load_params().train
    split = read_split(Path("data/split.csv"))
    with Archive(Path("data/images.zip")) as images:
        model, history = train(images, split, Path("models/backbone.weights.h5"), settings)
    save_model(model, Path("models/model.keras"))
    write_csv(Path("plots/history.csv"), HISTORY, history.itertuples(index=False, name=None))
    write_json(Path("metrics/train.json"), summarise(model, split, history))


if __name__ == "__main__":
    run(main)
