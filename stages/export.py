"""Write the model in the formats that people deploy, and check that each gives what Keras gives."""

from pathlib import Path

import numpy as np

from facemask.archives import Archive
from facemask.batches import plain_batches
from facemask.export import check_parity, describe, evenly_chosen, export_model, sizes
from facemask.model import load_model
from facemask.outs import atomic_path, write_json
from facemask.params import load_params
from facemask.parts import part_of, read_split
from facemask.stage import run


def main() -> None:
    """Read the model and some test images; write `export/` and `metrics/export.json`."""
    settings = load_params().export
    keras_file = Path("models/model.keras")
    model = load_model(keras_file)
    test = part_of(read_split(Path("data/split.csv")), "test")
    names = evenly_chosen(list(test["id"]), settings.parity_images)
    with Archive(Path("data/images.zip")) as archive:
        images = np.concatenate(list(plain_batches(archive, names, model.input_shape[1], len(names))))
    with atomic_path(Path("export")) as folder:
        folder.mkdir()
        export_model(model, keras_file, folder)
        write_json(folder / "labels.json", describe(model))
        parity = check_parity(model, folder, images, settings.parity_tolerance)
        figures = {"size_bytes": sizes(folder), "parity": parity, "parity_images": len(names)}
    write_json(Path("metrics/export.json"), figures)


if __name__ == "__main__":
    run(main)
