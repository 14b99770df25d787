"""Make the pictures of the README from the outs of the last run on drawn faces: `python docs/pictures.py`."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from facemask.core.classes import CLASSES
from facemask.core.files import atomic_path, write_text
from facemask.core.metrics import DETAILS
from facemask.dataset.archive import Archive
from facemask.dataset.manifest import MANIFEST
from facemask.dataset.split import SPLIT, part_of
from facemask.presentation.charts import confusion_matrix

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.photos import drawn_portraits, video_call

ROOT = Path(__file__).parents[1]
CALLERS = 8
UNSEEN_SEED = 20  # the drawn people of this seed are not those of the data


def main() -> None:
    """Write the contact sheet, the confusion matrix, a test face per class and a photo, plain and marked."""
    data, images = ROOT / "data", ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    shutil.copyfile(data / "samples.jpg", images / "samples.jpg")
    evaluation = json.loads((ROOT / DETAILS / "evaluation.json").read_text(encoding="utf-8"))
    write_text(images / "confusion.svg", confusion_matrix(evaluation["test"]["confusion"]))
    test = part_of(SPLIT.read(data / "split.csv"), "test")[["id"]].merge(MANIFEST.read(data / "manifest.csv"), on="id")
    clear = test[(test["attr_light"] == "normal") & (test["attr_sharpness"] == "sharp") & (test["attr_hand"] == "no")]
    with Archive(data / "images.zip") as archive:
        for label in CLASSES:
            name = clear.loc[clear["label"] == label, "id"].iloc[0]
            with atomic_path(images / f"{label}{Path(name).suffix}") as draft:
                draft.write_bytes(archive.read(name))
    draw_video_call(images / "call.jpg")
    mark_faces(images / "call.jpg", images / "annotated.jpg")


def draw_video_call(target: Path) -> None:
    """Draw people of all classes in a video call."""
    people = drawn_portraits(per_class=CALLERS // 3 + 1, seed=UNSEEN_SEED)[:CALLERS]
    with atomic_path(target) as draft:
        Image.fromarray(video_call(people, columns=CALLERS // 2)).save(draft, format="JPEG", quality=95)


def mark_faces(photo: Path, target: Path) -> None:
    """Have `facemask predict` mark the faces of a photograph."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "facemask", "predict", str(photo), "--model", str(ROOT / "export")]
        subprocess.run([*command, "--pictures", folder], check=True, stdout=subprocess.DEVNULL)
        shutil.copyfile(Path(folder) / photo.name, target)


if __name__ == "__main__":
    main()
