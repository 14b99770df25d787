"""Cutting faces out of annotated pictures, as `facemask predict` cuts out those that the detector finds."""

import io
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from facemask.core.errors import FacemaskError
from facemask.core.params import BoxParams
from facemask.core.progress import track
from facemask.data.sources.annotations import (
    AnnotatedBox,
    AnnotatedSet,
    Annotation,
    Finding,
    read_annotations,
    relative_to,
)
from facemask.dataset.archive import write_archive
from facemask.dataset.decode import UnusableImage, decode
from facemask.faces.defaults import MARGIN, MIN_FACE
from facemask.faces.detector import Box, Picture, crop_face

NO_FACE = "annotation names no face"
OTHER_SIZE = "picture and annotation differ in size"
OTHER_CLASS = "face of a class that is left out"
CROWD = "box around several faces"
NO_AREA = "box without area"
OUTSIDE_PICTURE = "box outside the picture"
SMALL = "face smaller than boxes.min_face"
TWICE = "face annotated twice"
TWO_CLASSES = "face annotated with two classes"

_SAME = 0.5  # intersection over union from which two boxes are of one face


def cut_faces(files: AnnotatedSet, boxes: BoxParams, archive: Path) -> list[Finding]:
    """Write every annotated face of a set into `archive`, as `<class>/<picture>/<number of the box>.png`.

    A box is clipped to its picture, then cut out as a square with a margin, both as shares of the mean of its width and
    height (`facemask.faces.detector.crop_face`): so it resembles what the model is shown by `facemask predict`. The
    detector's own box of the face may differ: annotators draw the forehead in or leave it out, and `boxes.margin` makes
    up for that. Pictures are decoded as `facemask predict` decodes them; PNG keeps every pixel.

    Args:
        files: the set.
        boxes: settings of the source.
        archive: the archive to write.

    Returns:
        What no face was cut out of, sorted: the path of a file, or of a picture followed by the number of the box; and
        the reason.

    Raises:
        FacemaskError: the annotations can't be used (`facemask.data.sources.annotations.read_annotations`), or not one
            face can be cut out. `archive` is as it was before.
    """
    annotations, left_out = read_annotations(files, boxes)
    # Faces come picture by picture, and the archive wants them by class: those of a large set are too many for memory.
    with tempfile.TemporaryFile() as scratch, zipfile.ZipFile(scratch, "w") as cut:
        for picture in track(sorted(annotations), total=len(annotations), desc="cutting out", unit="pictures"):
            where = relative_to(picture, boxes.images)
            for label, number, content in _cut(files, picture, annotations[picture], boxes, left_out):
                cut.writestr(f"{label}/{where}/{number}.png", content)
        names = sorted(cut.namelist())
        reasons = Counter(reason for _, reason in left_out)
        listing = ", ".join(f"{reason} ({count})" for reason, count in sorted(reasons.items()))
        if not names:
            raise FacemaskError(f"no face can be cut out of {files.title}: {listing or 'it has no boxes'}")
        if listing:
            print(f"{files.title}: {len(names)} faces cut out; left out: {listing}", file=sys.stderr)
        write_archive(archive, ((name, cut.read(name)) for name in names))
    return sorted(left_out)


def _cut(
    files: AnnotatedSet, picture: str, annotation: Annotation, boxes: BoxParams, left_out: list[Finding]
) -> Iterator[tuple[str, int, bytes]]:
    """Yield class, number and PNG file of each face in a picture; add the others to `left_out`."""
    if not annotation.boxes:
        left_out.append((picture, NO_FACE))
        return
    try:
        pixels = decode(files.read(picture))
    except UnusableImage as refusal:
        left_out.append((picture, refusal.reason))
        return
    height, width = pixels.shape[:2]
    # Such as a picture that its EXIF data turns, or one that was made smaller after it was annotated.
    if annotation.size not in (None, (width, height)):
        left_out.append((picture, OTHER_SIZE))
        return
    judged = [_judge(box, annotation, (width, height), boxes) for box in annotation.boxes]
    faces = {number: found for number, found in enumerate(judged, start=1) if not isinstance(found, str)}
    reasons = {number: found for number, found in enumerate(judged, start=1) if isinstance(found, str)}
    reasons |= _repeated(faces)
    left_out += [(f"{picture}, box {number}", reason) for number, reason in reasons.items()]
    margin = MARGIN if boxes.margin is None else boxes.margin
    for number, (label, box) in faces.items():
        if number not in reasons:
            yield label, number, _png(crop_face(pixels, box, margin))


def _judge(box: AnnotatedBox, annotation: Annotation, size: tuple[int, int], boxes: BoxParams) -> tuple[str, Box] | str:
    """Return class and box in pixels within a picture of this width and height, or a reason against it."""
    label = boxes.classes[box.name]
    if label is None:
        return OTHER_CLASS
    if box.crowd:
        return CROWD
    across, down = size if annotation.relative else (1, 1)
    left, top, right, bottom = box.left * across, box.top * down, box.right * across, box.bottom * down
    if right <= left or bottom <= top:
        return NO_AREA
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    if right <= left or bottom <= top:
        return OUTSIDE_PICTURE
    clipped = Box(left, top, right, bottom, 1.0)
    if clipped.side < (MIN_FACE if boxes.min_face is None else boxes.min_face):
        return SMALL
    return label, clipped


def _repeated(faces: dict[int, tuple[str, Box]]) -> dict[int, str]:
    """Find boxes of one face: of equal classes the first is kept, of two classes none."""
    reasons: dict[int, str] = {}
    numbers = sorted(faces)
    for place, number in enumerate(numbers):
        for other in numbers[place + 1 :]:
            (label, box), (other_label, other_box) = faces[number], faces[other]
            if _overlap(box, other_box) < _SAME:
                continue
            if label == other_label:
                reasons.setdefault(other, TWICE)
            else:
                reasons[number] = reasons[other] = TWO_CLASSES
    return reasons


def _overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    across = min(first.right, second.right) - max(first.left, second.left)
    down = min(first.bottom, second.bottom) - max(first.top, second.top)
    common = max(across, 0) * max(down, 0)
    return common / (_area(first) + _area(second) - common)


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


def _png(pixels: Picture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
