"""Make the folder that docs/new-data.md looks at: python docs/new_data.py FOLDER, in a project with a finished run."""

import io
import sys
from pathlib import Path

from PIL import Image, ImageEnhance

from facemask.data.sources.sample import draw_sample
from facemask.dataset.archive import Archive


def main(folder: Path) -> None:
    """Draw 30 faces of each class in a dark room, and put among them what goes wrong in folders that people send."""
    for name, data in draw_sample(per_class=30, seed=2, workers=1):
        if name.endswith((".jpg", ".png")) and int(Path(name).stem) < 30:
            with Image.open(io.BytesIO(data)) as picture:
                save(ImageEnhance.Brightness(picture.convert("RGB")).enhance(0.5), folder / name)
    with Archive(Path("data/images.zip")) as there:
        known = [name for name in there.names if "/with_mask/" in name][:6]
        pictures = [Image.open(io.BytesIO(there.read(name))).convert("RGB") for name in known]
        (folder / "with_mask/equal.jpg").write_bytes(there.read(known[0]))
    for number, original in enumerate(pictures[1:4]):
        save(original.rotate(20), folder / f"with_mask/turned {number}.jpg")
    save(pictures[4].transpose(Image.Transpose.FLIP_LEFT_RIGHT), folder / "without_mask/mirrored.jpg")
    save(Image.new("RGB", (90, 90), (40, 40, 40)), folder / "without_mask/lens cap.jpg")
    (folder / "with_mask/cut off.jpg").write_bytes((folder / "with_mask/equal.jpg").read_bytes()[:500])


def save(picture: Image.Image, path: Path) -> None:
    """Write a JPEG file, and the folder that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, "JPEG", quality=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
