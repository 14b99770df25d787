"""How well faces are found in photos, and what the found crops are worth to the classifier.

    python benchmarks/faces.py --data FOLDER --model FOLDER        # images.zip and split.csv; an export folder
    python benchmarks/faces.py --part train                        # what the settings were chosen on

Three tables, all on one image of each photograph of a part of the data, equally many of each class of each source:

1. Collages: face crops pasted before scenes without a face (from scikit-image and scikit-learn), by the crop's longer
   side in pixels, in photos of 1280 x 960. A crop counts as found if a box of about its size has its middle in it. All
   other boxes are false. Pasted crops are harder than photographs: a tight crop has no head around the face.
2. The margin: each image as it is; what share of the answers are right if the crop that the detector leads to is
   classified instead of the image, by margin.
3. Small faces: the same with the default margin, if the face had been so many pixels wide, and what share of the faces
   still gets an answer other than `uncertain`.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import skimage.data
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.progress import track
from facemask.dataset.archive import Archive
from facemask.dataset.decode import decode, resize
from facemask.dataset.split import SPLIT, part_of
from facemask.faces.defaults import MIN_SCORE
from facemask.faces.detector import LEVELS, SMALL_FACES, Box, FaceDetector, crop_face
from facemask.inference.predictor import Classifier
from facemask.models.decision import UNCERTAIN

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 1280, 960
SIZES = (32, 48, 64, 96, 128, 192, 256, 384, 600)
MARGINS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
FACE_SIDES = (8, 12, 16, 20, 24, 32, 48, 64)
SCORES = (0.55, 0.6, MIN_SCORE, 0.7, 0.75)
MOST_FACES = 6
SCENES = ("brick", "chelsea", "coffee", "grass", "gravel", "hubble_deep_field", "page", "retina", "rocket")


def load_scenes() -> list[Picture]:
    """Return pictures without a person in them, uint8 RGB; one is of a cat."""
    pictures = [getattr(skimage.data, name)() for name in SCENES]
    pictures += [skimage.data.stereo_motorcycle()[0], *load_sample_images().images]
    return [np.ascontiguousarray(cv2.cvtColor(one, cv2.COLOR_GRAY2RGB) if one.ndim == 2 else one) for one in pictures]


def choose(split: pd.DataFrame, part: str, per_class: int, seed: int) -> pd.DataFrame:
    """Choose one image of each photograph of a part, at most so many of each class of each source; they alternate."""
    table = part_of(split, part).sample(frac=1, random_state=seed).drop_duplicates("group")
    table = table.groupby(["source", "label"]).head(per_class)
    turn = table.groupby(["source", "label"]).cumcount()
    return table.assign(turn=turn).sort_values(["turn", "source", "label"]).reset_index(drop=True)


def scene(pictures: Sequence[Picture], rng: np.random.Generator) -> Picture:
    """Cut a scene of 1280 x 960 out of one of the pictures."""
    picture = pictures[int(rng.integers(len(pictures)))]
    scale = max(WIDTH / picture.shape[1], HEIGHT / picture.shape[0]) * rng.uniform(1, 1.3)
    large = cv2.resize(picture, None, fx=scale + 0.01, fy=scale + 0.01, interpolation=cv2.INTER_LINEAR)
    top, left = (int(rng.integers(have - want + 1)) for have, want in zip(large.shape, (HEIGHT, WIDTH), strict=False))
    return np.asarray(large[top : top + HEIGHT, left : left + WIDTH], dtype=np.uint8).copy()


def paste(photo: Picture, faces: Sequence[Picture], size: int, rng: np.random.Generator) -> list[Box]:
    """Paste crops, their longer side `size` pixels, into cells of a photo; return where they are."""
    columns, rows = min(WIDTH // (size + 4), 4), min(HEIGHT // (size + 4), 3)
    places = []
    for face, cell in zip(faces, rng.permutation(columns * rows), strict=False):
        scale = size / max(face.shape)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = cv2.resize(face, None, fx=scale, fy=scale, interpolation=method)
        height, width = small.shape[:2]
        left = cell % columns * (WIDTH // columns) + int(rng.integers(WIDTH // columns - width + 1))
        top = cell // columns * (HEIGHT // rows) + int(rng.integers(HEIGHT // rows - height + 1))
        photo[top : top + height, left : left + width] = small
        places.append(Box(left, top, left + width, top + height, 1.0))
    return places


def matches(box: Box, place: Box) -> bool:
    """Whether a box is of the face pasted at a place."""
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    inside = place.left < x < place.right and place.top < y < place.bottom
    return inside and 0.3 * place.side < box.side < 1.6 * place.side


def collages(archive: Archive, table: pd.DataFrame, size: int, photos: int, seed: int) -> Iterator[tuple]:
    """Yield photos with faces of one size, the places of the faces, and their rows of the table."""
    rng, pictures = np.random.default_rng([seed, size]), load_scenes()
    rows = table.sample(frac=1, random_state=seed + size)
    for number in range(photos):
        photo, chosen = scene(pictures, rng), rows.iloc[number * MOST_FACES : (number + 1) * MOST_FACES]
        places = paste(photo, [decode(archive.read(name)) for name in chosen["id"]], size, rng)
        yield photo, places, chosen.head(len(places))


def measure_collages(
    archive: Archive, table: pd.DataFrame, detector: FaceDetector, arguments: argparse.Namespace
) -> None:
    """Print the share of faces found by size, class and source, and false boxes by score."""
    found, false = [], []
    for size in track(SIZES, len(SIZES), "collages", "sizes"):
        for photo, places, chosen in collages(archive, table, size, arguments.photos, arguments.seed):
            boxes = detector.detect(photo, min(SCORES))
            for place, row in zip(places, chosen.itertuples(), strict=True):
                best = max((box.score for box in boxes if matches(box, place)), default=0.0)
                found.append((size, row.source, row.label, best))
            strangers = [box for box in boxes if not any(matches(box, place) for place in places)]
            false.append([sum(box.score >= score for box in strangers) for score in SCORES])
    scores = pd.DataFrame(found, columns=["size", "source", "label", "score"])
    scores["found"] = scores["score"] >= MIN_SCORE
    print(f"\nShare of {len(scores)} pasted faces that is found, by size of the crop in pixels:")
    print_table(scores.pivot_table(index=["source", "label"], columns="size", values="found"), "{:.0%}")
    print(f"\nFalse boxes in a photo, {len(false)} photos, and faces found, by --min-score:")
    rates = {
        score: [mean, (scores["score"] >= score).mean()] for score, mean in zip(SCORES, np.mean(false, 0), strict=True)
    }
    print_table(pd.DataFrame(rates, index=["false boxes", "found"]), "{:.2f}")


def measure_crops(archive: Archive, table: pd.DataFrame, detector: FaceDetector, classifier: Classifier) -> None:
    """Print what the classifier says of detected crops, by margin and by size of the face."""
    side = classifier.image_size
    rows, small = [], []
    for name, label in track(table[["id", "label"]].itertuples(index=False), len(table), "crops"):
        image = decode(archive.read(name))
        boxes = detector.detect(image)
        if not boxes:
            continue
        box = max(boxes, key=lambda one: one.side)
        crops = [image, *(crop_face(image, box, margin) for margin in MARGINS)]
        rows.append([label, *said(classifier, [resize(crop, side) for crop in crops])])
        crop = crop_face(image, box)
        shrunk = [resize(crop, round(face * len(crop) / box.side)) for face in FACE_SIDES]
        small.append([label, *said(classifier, [resize(one, side) for one in shrunk], certain=True)])
    print(f"\nRight answers on {len(rows)} images with a face found in {len(table)}, by margin:")
    print_right(pd.DataFrame(rows, columns=["label", "image as it is", *MARGINS]), "{:.1%}")
    answers = pd.DataFrame(small, columns=["label", *FACE_SIDES])
    print("\nRight among the answers that are not `uncertain`, by width of the face in pixels:")
    print_right(answers.where(answers != UNCERTAIN), "{:.1%}")
    print("\nShare of faces with an answer that is not `uncertain`:")
    certain = (answers[list(FACE_SIDES)] != UNCERTAIN).groupby(answers["label"]).mean()
    print_table(certain, "{:.1%}")


def said(classifier: Classifier, crops: Sequence[Picture], certain: bool = False) -> list[str]:
    """Return the classifier's answers; the chosen classes, unless only certain answers count."""
    probabilities = classifier.probabilities(np.stack(crops))
    if certain:
        return classifier.decision.answers(probabilities)
    return [CLASSES[place] for place in classifier.decision.choose(probabilities)]


def print_right(answers: pd.DataFrame, form: str) -> None:
    """Print the share of right answers, by class and in all, for each column but `label`; gaps don't count."""
    right = answers.drop(columns="label").apply(lambda column: (column == answers["label"]).where(column.notna()))
    shares = right.astype(float).groupby(answers["label"]).mean()
    print_table(pd.concat([shares, right.astype(float).mean().to_frame("all").T]), form)


def print_table(table: pd.DataFrame, form: str) -> None:
    """Print a table of numbers in Markdown."""
    print(f"| | {' | '.join(map(str, table.columns))} |\n|{' --- |' * (len(table.columns) + 1)}")
    for name, row in table.iterrows():
        label = " ".join(name) if isinstance(name, tuple) else name
        print(f"| {label} | {' | '.join(form.format(value) for value in row)} |")


def main() -> None:
    """Read the command line, choose the images, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of a run's data (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=Path("export"), help="export folder (default: %(default)s)")
    parser.add_argument("--part", default="val", help="of the data: train, val or test (default: %(default)s)")
    parser.add_argument(
        "--per-class", type=int, default=100, help="images of each class and source (default: %(default)s)"
    )
    parser.add_argument("--photos", type=int, default=30, help="collages of each size (default: %(default)s)")
    parser.add_argument("--small-faces", action="store_true", help="look for small faces too, as the command does")
    parser.add_argument("--seed", type=int, default=1, help="of every choice (default: %(default)s)")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"load of the last minute: {os.getloadavg()[0]:.1f}")
    try:
        table = choose(SPLIT.read(arguments.data / "split.csv"), arguments.part, arguments.per_class, arguments.seed)
        detector = FaceDetector(arguments.model, SMALL_FACES if arguments.small_faces else LEVELS)
        with Archive(arguments.data / "images.zip") as archive:
            measure_collages(archive, table, detector, arguments)
            measure_crops(archive, table, detector, Classifier(arguments.model))
    except FacemaskError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
