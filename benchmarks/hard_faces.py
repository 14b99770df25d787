"""Recall on faces of the test part with objects before them that are easily taken for a badly worn mask.

    python benchmarks/hard_faces.py                               # models/model.keras and models/decision.json
    python benchmarks/hard_faces.py --model export                # the exported model and its decision
    python benchmarks/hard_faces.py --faces 0 --sheet hard.jpg    # all faces; and a contact sheet

Draws each object of `render.objects` over bare faces of the part test, with a seed of its own, one image of each
photograph, and beside them objects that training never draws (benchmarks/hard_objects.py). Prints a Markdown table:
the recall of `without_mask` with the object and on the same faces without it, with 95 % intervals over photographs.
Further rows are faces with a mask worn right, with spectacles or a hand drawn on: the recall of `with_mask`.

Faces that the face mesh does not fit, and objects that do not come out on a face, are left out; `drawn` is the share of
the tries that gave a picture. Reads data/images.zip and data/split.csv.
"""

import argparse
import hashlib
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import write_bytes
from facemask.core.progress import track
from facemask.data.synthetic.fabric import Image
from facemask.data.synthetic.objects import draw_before_bare, draw_before_mask
from facemask.dataset.archive import Archive
from facemask.dataset.decode import decode, resize
from facemask.dataset.split import SPLIT, part_of
from facemask.dataset.synthetic import OBJECTS
from facemask.evaluation.bootstrap import intervals
from facemask.faces.mesh import Face, FaceMesh, load_mesh
from facemask.presentation.contact_sheet import contact_sheet

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.hard_objects import UNSEEN, draw_unseen

IMAGES, SPLIT_FILE = Path("data/images.zip"), Path("data/split.csv")
SEED = 1001  # not that of `render`
BEFORE_MASKS = ("spectacles", "hand")
BATCH = 64
SHOWN = 16
_ROW = ["label", "name"]

Predict = Callable[[list[Image]], list[str]]
Mesh = NDArray[np.floating]
Draw = Callable[[Image, Mesh, np.random.Generator], Image | None]


@dataclass(frozen=True)
class Case:
    """A row of the table: what is drawn, over faces of which class."""

    name: str
    label: str
    draw: Draw
    trained: bool = True


def cases() -> list[Case]:
    """List the rows."""
    return [
        *(Case(name, "without_mask", partial(_before_bare, name)) for name in OBJECTS),
        *(Case(name, "without_mask", partial(_unseen, name), trained=False) for name in UNSEEN),
        *(Case(name, "with_mask", partial(_before_mask, name)) for name in BEFORE_MASKS),
    ]


def _before_bare(name: str, image: Image, points: Mesh, rng: np.random.Generator) -> Image | None:
    return draw_before_bare(image, points, name, rng)


def _unseen(name: str, image: Image, points: Mesh, rng: np.random.Generator) -> Image | None:
    return draw_unseen(image, points, name, rng)


def _before_mask(name: str, image: Image, points: Mesh, rng: np.random.Generator) -> Image | None:
    picture, drawn = draw_before_mask(None, image, points, "right", name, rng)
    return picture if drawn else None


def predictor(model: Path, decision: Path | None) -> Predict:
    """Load a Keras model and its decision, or an export folder; return a function from images to answers.

    Raises:
        FacemaskError: a file is missing or damaged.
    """
    if model.is_dir():
        from facemask.inference.predictor import Classifier

        exported = Classifier(model)

        def ask(images: list[Image]) -> list[str]:
            pixels = np.stack([resize(image, exported.image_size) for image in images])
            return [CLASSES[place] for place in exported.decision.choose(exported.probabilities(pixels))]

        return ask
    from facemask.evaluation.calibration import scaled
    from facemask.models.classifier import load_model
    from facemask.models.decision import read_decision

    loaded, rule = load_model(model), read_decision(decision or model.with_name("decision.json"))

    def predict(images: list[Image]) -> list[str]:
        pixels = np.stack([resize(image, loaded.input_shape[1]) for image in images])
        probabilities = scaled(np.asarray(loaded.predict_on_batch(pixels)), rule.temperature)
        return [CLASSES[place] for place in rule.choose(probabilities)]

    return predict


def fitted_faces(
    archive: Archive, table: pd.DataFrame, label: str, most: int, seed: int
) -> list[tuple[str, str, Image, Face]]:
    """Fit the mesh to one image of each photograph of a class; return ids, photographs, images and meshes.

    Args:
        archive: of all images.
        table: the split.
        label: the class.
        most: how many photographs at most; 0 for all.
        seed: of the choice.
    """
    rows = part_of(table, "test").query("label == @label").sample(frac=1, random_state=seed).drop_duplicates("group")
    rows = rows.head(most) if most else rows
    mesh = FaceMesh(load_mesh())
    faces = []
    for row in track(rows.itertuples(), len(rows), f"faces {label}", "faces"):
        image = decode(archive.read(row.id), math.inf)
        fitted = mesh.fit(image)
        if fitted is not None:
            faces.append((str(row.id), str(row.group), image, fitted))
    return faces


def draw_all(case: Case, faces: list[tuple[str, str, Image, Face]], seed: int) -> Iterator[tuple[str, Image, Image]]:
    """Yield photograph, image and image with the object, for each face on which it comes out."""
    for name, group, image, face in faces:
        digest = hashlib.sha256(f"{case.name} {case.label} {name}".encode()).hexdigest()[:16]
        picture = case.draw(image, face.points, np.random.default_rng([seed, int(digest, 16)]))
        if picture is not None:
            yield group, image, picture


def in_batches(predict: Predict, images: list[Image]) -> list[str]:
    """Predict images, some at a time."""
    return [answer for start in range(0, len(images), BATCH) for answer in predict(images[start : start + BATCH])]


def recall(rows: pd.DataFrame, label: str, column: str) -> str:
    """Format the recall of a class and its 95 % interval over photographs, in per cent.

    Args:
        rows: of images of that class; columns group and `column`, the prediction.
        label: the class.
        column: which prediction.
    """
    by_photograph = (rows[column] == label).groupby(rows["group"]).mean()
    low, high = intervals(rows.assign(label=label, prediction=rows[column]))["class"][label]["recall"]
    return f"{100 * by_photograph.mean():.1f} ({100 * low:.1f} to {100 * high:.1f})"


def table_of(rows: pd.DataFrame, tried: dict[tuple[str, str], int]) -> str:
    """Format the results as Markdown.

    Args:
        rows: one of each picture: name, label, trained, group, with_object, without.
        tried: on how many faces each object was tried, by name and label.
    """
    lines = [
        "| on faces | object | photographs | drawn | recall with it | without it |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    blocks = [(label, name, found, tried[name, label]) for (label, name), found in rows.groupby(_ROW, sort=False)]
    bare = rows[rows["label"] == "without_mask"]
    for trained, title in ((True, "**all that training draws**"), (False, "**all that it never draws**")):
        of_kind = bare[bare["trained"] == trained]
        if len(of_kind):
            count = sum(tried[name, "without_mask"] for name in of_kind["name"].unique())
            blocks.append(("without_mask", title, of_kind, count))
    for label, title, found, count in blocks:
        lines.append(
            f"| `{label}` | {title} | {found['group'].nunique()} | {100 * len(found) / count:.0f} % "
            f"| {recall(found, label, 'with_object')} | {recall(found, label, 'without')} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Draw, predict and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/model.keras"), help="or an export folder")
    parser.add_argument("--decision", type=Path, help="of a Keras model (default: decision.json beside it)")
    parser.add_argument("--faces", type=int, default=300, help="photographs of a class, at most; 0: all (%(default)s)")
    parser.add_argument("--objects", nargs="+", metavar="NAME", help="these rows alone")
    parser.add_argument("--seed", type=int, default=SEED, help="(default: %(default)s)")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of what was drawn, a JPEG file")
    options = parser.parse_args(arguments)
    chosen = [case for case in cases() if options.objects is None or case.name in options.objects]
    if not chosen:
        parser.error(f"--objects: no such rows; choose from {', '.join(case.name for case in cases())}")
    try:
        predict = predictor(options.model, options.decision)
        results, tried, shown = [], {}, {}
        table = SPLIT.read(SPLIT_FILE)
        with Archive(IMAGES) as archive:
            faces = {
                label: fitted_faces(archive, table, label, options.faces, options.seed)
                for label in dict.fromkeys(case.label for case in chosen)
            }
        for case in track(chosen, len(chosen), "drawing", "objects"):
            drawn = list(draw_all(case, faces[case.label], options.seed))
            tried[case.name, case.label] = len(faces[case.label])
            shown[f"{case.name}, {case.label}"] = [picture for _, _, picture in drawn]
            before = in_batches(predict, [image for _, image, _ in drawn])
            after = in_batches(predict, [picture for _, _, picture in drawn])
            for (group, _, _), without, with_object in zip(drawn, before, after, strict=True):
                results.append((case.name, case.label, case.trained, group, with_object, without))
    except FacemaskError as error:
        sys.exit(f"error: {error}")
    if not results:
        sys.exit("error: the face mesh fits no face of the part test; there is nothing to draw on")
    columns = ["name", "label", "trained", "group", "with_object", "without"]
    print(f"Seed {options.seed}; recall in per cent, each photograph counting once, with intervals of 95 %.\n")
    print(table_of(pd.DataFrame(results, columns=columns), tried))
    if options.sheet:
        tiles = {title: pictures[:SHOWN] for title, pictures in shown.items()}
        write_bytes(options.sheet, contact_sheet(tiles, {title: len(pictures) for title, pictures in shown.items()}))


if __name__ == "__main__":
    main()
