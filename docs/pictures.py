"""Make the pictures of the README from the outs of the last run on drawn faces: `python docs/pictures.py`."""

import json
import shutil
from pathlib import Path

from facemask.archives import Archive
from facemask.labels import CLASSES
from facemask.manifest import read_manifest
from facemask.outs import atomic_path, write_text
from facemask.parts import part_of, read_split
from facemask.report.figures import confusion_matrix

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write the contact sheet, the confusion matrix and one test face per class into `docs/images`."""
    data, images = ROOT / "data", ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    shutil.copyfile(data / "samples.jpg", images / "samples.jpg")
    evaluation = json.loads((ROOT / "metrics" / "evaluation.json").read_text(encoding="utf-8"))
    write_text(images / "confusion.svg", confusion_matrix(evaluation["test"]["confusion"]))
    test = part_of(read_split(data / "split.csv"), "test")[["id"]].merge(read_manifest(data / "manifest.csv"), on="id")
    clear = test[(test["attr_light"] == "normal") & (test["attr_sharpness"] == "sharp") & (test["attr_hand"] == "no")]
    with Archive(data / "images.zip") as archive:
        for label in CLASSES:
            name = clear.loc[clear["label"] == label, "id"].iloc[0]
            with atomic_path(images / f"{label}{Path(name).suffix}") as draft:
                draft.write_bytes(archive.read(name))


if __name__ == "__main__":
    main()
