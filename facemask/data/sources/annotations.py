"""Annotations of faces in pictures: Pascal VOC, COCO, YOLO and CSV."""

import io
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from facemask.core.errors import FacemaskError
from facemask.core.params import BoxColumns, BoxParams
from facemask.dataset.decode import is_image

Finding = tuple[str, str]  # path in the set, and why no face came of it

NO_ANNOTATION = "picture without annotation"
NO_PICTURE = "annotation without picture"
BROKEN = "annotation is broken"
AMBIGUOUS = "several pictures have the name of the annotation"
OTHER_FILE = "neither a picture nor an annotation"

_HEAD = 4096  # bytes that tell an image
_SUFFIXES = {"voc": ".xml", "yolo": ".txt"}


@dataclass(frozen=True)
class AnnotatedBox:
    """A box around a face, as annotated: perhaps beyond the picture, perhaps without area.

    Attributes:
        name: the class name in the set.
        left: in pixels, or as a share of the picture, as are `top`, `right` and `bottom`; VOC's pixels, which some
            tools count from 1, are taken as counted from 0: one pixel is far below the margin.
        crowd: whether the box is around several faces (COCO's `iscrowd`).
    """

    name: str
    left: float
    top: float
    right: float
    bottom: float
    crowd: bool = False


@dataclass(frozen=True)
class Annotation:
    """The boxes in one picture.

    Attributes:
        boxes: in the order of the file.
        size: width and height of the picture, if the annotation says them.
        relative: whether the boxes are given as shares of the picture.
    """

    boxes: list[AnnotatedBox] = field(default_factory=list)
    size: tuple[int, int] | None = None
    relative: bool = False


@dataclass(frozen=True)
class AnnotatedSet:
    """The files of a set.

    Attributes:
        title: of the set, for messages.
        names: paths of the files, with "/".
        read: returns the content of one of them.
    """

    title: str
    names: Sequence[str]
    read: Callable[[str], bytes]


class _BrokenAnnotation(ValueError):  # noqa: N818 - a finding about a file, not a fault of the program
    """A file that is no annotation."""


def read_annotations(files: AnnotatedSet, boxes: BoxParams) -> tuple[dict[str, Annotation], list[Finding]]:
    """Read the annotations of a set, which is not trusted.

    A VOC or YOLO file belongs to the picture with the same path, but for the ending, below `boxes.images` as it has
    below `boxes.annotations`.

    Returns:
        Path of each annotated picture -> its annotation; and what could not be brought together.

    Raises:
        FacemaskError: a folder or file that `boxes` names is missing, the COCO, CSV or names file is broken, or class
            names occur that are not among `boxes.classes`.
    """
    readers = {"voc": _read_files, "yolo": _read_files, "coco": _read_coco, "csv": _read_csv}
    found, left_out = readers[boxes.format](files, boxes)
    _check_names(files, boxes, found.values())
    return found, sorted(left_out)


def relative_to(path: str, folder: str) -> str | None:
    """Return a path as seen from a folder ("." is the root of the set), None if it lies elsewhere."""
    if folder == ".":
        return path
    return path.removeprefix(f"{folder}/") if path.startswith(f"{folder}/") else None


# --- VOC and YOLO: a file per picture


def _read_files(files: AnnotatedSet, boxes: BoxParams) -> tuple[dict[str, Annotation], list[Finding]]:
    suffix = _SUFFIXES[boxes.format]
    names = _numbered_names(files, boxes)
    others = [name for name in files.names if name != boxes.names]
    annotations = {
        name: relative[: -len(suffix)]
        for name in others
        if name.lower().endswith(suffix) and (relative := relative_to(name, boxes.annotations)) is not None
    }
    pictures: defaultdict[str, list[str]] = defaultdict(list)
    for name in others:
        if name not in annotations and (relative := relative_to(name, boxes.images)) is not None:
            pictures[str(PurePosixPath(relative).with_suffix(""))].append(name)
    _require(files, boxes, pictures=bool(pictures), annotations=bool(annotations))

    found: dict[str, Annotation] = {}
    left_out: list[Finding] = []
    for name, stem in annotations.items():
        belonging = pictures.pop(stem, [])
        if len(belonging) > 1:  # such as annotations in another format beside the picture
            belonging = [one for one in belonging if is_image(files.read(one)[:_HEAD])] or belonging
        if len(belonging) != 1:
            left_out += [(name, NO_PICTURE)] if not belonging else [(one, AMBIGUOUS) for one in [name, *belonging]]
            continue
        try:
            found[belonging[0]] = (
                _parse_voc(files.read(name)) if suffix == ".xml" else _parse_yolo(files.read(name), names)
            )
        except _BrokenAnnotation:
            left_out += [(name, BROKEN), (belonging[0], NO_ANNOTATION)]
    known = {name for of_stem in pictures.values() for name in of_stem}
    left_out += [(name, NO_ANNOTATION) for name in sorted(known)]
    known |= found.keys() | annotations.keys() | {name for name, _ in left_out}
    return found, left_out + [(name, OTHER_FILE) for name in others if name not in known]


def _parse_voc(content: bytes) -> Annotation:
    try:
        _refuse_doctype(content)
        root = ElementTree.fromstring(content)  # noqa: S314 - without a DOCTYPE no entity can be defined
        size = (round(_number(root.findtext("size/width", "0"))), round(_number(root.findtext("size/height", "0"))))
        boxes = [_voc_box(item) for item in root.findall("object")]
    except (ElementTree.ParseError, expat.ExpatError, LookupError, ValueError) as error:
        raise _BrokenAnnotation from error
    # Some tools write a size of 0 x 0.
    return Annotation(boxes, size if all(size) else None)


def _voc_box(item: ElementTree.Element) -> AnnotatedBox:
    left, top, right, bottom = (_number(item.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax"))
    return AnnotatedBox((item.findtext("name") or "").strip(), left, top, right, bottom)


def _refuse_doctype(content: bytes) -> None:
    """Raise for XML with a DOCTYPE, which could define entities that grow without bound; VOC files have none."""

    def refuse(*_: Any) -> None:
        raise _BrokenAnnotation

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(content, True)


def _parse_yolo(content: bytes, names: Sequence[str] | None) -> Annotation:
    boxes = []
    try:
        for line in content.decode("utf-8-sig").split("\n"):
            if not line.strip():
                continue
            number, *rest = line.split()
            x, y, width, height = (_number(part) for part in rest)
            name = number if names is None else names[int(number)] if int(number) >= 0 else number
            boxes.append(AnnotatedBox(name, x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    except (ValueError, IndexError) as error:
        raise _BrokenAnnotation from error
    return Annotation(boxes, relative=True)


def _numbered_names(files: AnnotatedSet, boxes: BoxParams) -> list[str] | None:
    """Read the class names of a YOLO set, in the order of their numbers; None if the numbers are the names."""
    if boxes.names is None:
        return None
    if boxes.names not in files.names:
        raise FacemaskError(f"{files.title} has no file {boxes.names}: correct `boxes.names` of the source")
    try:
        return [line.strip() for line in files.read(boxes.names).decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise FacemaskError(
            f"{boxes.names} in {files.title} is no UTF-8 text with a class name per line: correct it, or leave out "
            "`boxes.names` of the source and write the numbers of the classes"
        ) from error


def _number(text: str | None) -> float:
    number = float(text or "")
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


# --- COCO and CSV: one file


def _pictures_beside_one_file(files: AnnotatedSet, boxes: BoxParams) -> dict[str, str]:
    """Map the paths of the pictures, as seen from their folder, to those in the set."""
    pictures = {
        relative: name
        for name in files.names
        if name != boxes.annotations and (relative := relative_to(name, boxes.images)) is not None
    }
    _require(files, boxes, pictures=bool(pictures), annotations=boxes.annotations in files.names)
    return pictures


def _unused_beside_one_file(
    files: AnnotatedSet, boxes: BoxParams, pictures: dict[str, str], found: dict[str, Annotation]
) -> list[Finding]:
    known = {boxes.annotations, *pictures.values()}
    unused = [(name, NO_ANNOTATION) for name in pictures.values() if name not in found]
    return unused + [(name, OTHER_FILE) for name in files.names if name not in known]


class _Strict(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)


class _CocoImage(_Strict):
    id: int
    file_name: str
    width: int = 0
    height: int = 0


class _CocoBox(_Strict):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: bool = False


class _CocoCategory(_Strict):
    id: int
    name: str


class _Coco(_Strict):
    images: list[_CocoImage]
    annotations: list[_CocoBox]
    categories: list[_CocoCategory]


def _read_coco(files: AnnotatedSet, boxes: BoxParams) -> tuple[dict[str, Annotation], list[Finding]]:
    pictures = _pictures_beside_one_file(files, boxes)
    coco = _parse_coco(files, boxes.annotations)
    classes = {category.id: category.name for category in coco.categories}
    found: dict[str, Annotation] = {}
    by_id: dict[int, Annotation] = {}
    left_out: list[Finding] = []
    for image in coco.images:
        size = (image.width, image.height) if image.width and image.height else None
        by_id[image.id] = Annotation(size=size)
        if image.file_name in pictures:
            by_id[image.id] = found.setdefault(pictures[image.file_name], by_id[image.id])
        else:
            left_out.append((image.file_name, NO_PICTURE))
    for box in coco.annotations:
        if box.image_id not in by_id:
            left_out.append((f"{boxes.annotations}, picture {box.image_id}", NO_PICTURE))
            continue
        left, top, width, height = box.bbox
        name = classes.get(box.category_id, f"number {box.category_id}")
        edges = (left, top, left + width, top + height)
        by_id[box.image_id].boxes.append(AnnotatedBox(name, *edges, crowd=box.iscrowd))
    return found, left_out + _unused_beside_one_file(files, boxes, pictures, found)


def _parse_coco(files: AnnotatedSet, path: str) -> _Coco:
    try:
        return _Coco.model_validate_json(files.read(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise FacemaskError(
            f"{path} in {files.title} is no COCO annotation ({f'{place}: ' if place else ''}{first['msg']}): correct "
            "it, or `boxes.annotations` of the source"
        ) from error


def _read_csv(files: AnnotatedSet, boxes: BoxParams) -> tuple[dict[str, Annotation], list[Finding]]:
    pictures = _pictures_beside_one_file(files, boxes)
    found: defaultdict[str, Annotation] = defaultdict(Annotation)
    left_out: list[Finding] = []
    rows = _parse_csv(files, boxes.annotations, boxes.columns or BoxColumns())
    for line, row in enumerate(rows, start=2):  # the first line has the names of the columns
        if row["picture"] not in pictures:
            left_out.append((row["picture"], NO_PICTURE))
            continue
        try:
            left, top, right, bottom = (_number(row[edge]) for edge in ("left", "top", "right", "bottom"))
        except ValueError:
            left_out.append((f"{boxes.annotations}, line {line}", BROKEN))
            continue
        found[pictures[row["picture"]]].boxes.append(AnnotatedBox(row["name"].strip(), left, top, right, bottom))
    return found, sorted(set(left_out)) + _unused_beside_one_file(files, boxes, pictures, found)


def _parse_csv(files: AnnotatedSet, path: str, columns: BoxColumns) -> list[dict[str, str]]:
    """Read the columns of a CSV file as text, under their names in `BoxColumns`."""
    wanted = columns.model_dump()
    try:
        table = pd.read_csv(io.BytesIO(files.read(path)), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise FacemaskError(
            f"{path} in {files.title} is no CSV file: correct it, or `boxes.annotations` of the source"
        ) from error
    if missing := [name for name in wanted.values() if name not in table]:
        raise FacemaskError(
            f"{path} in {files.title} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, table))}: name them in `boxes.columns` of the source"
        )
    return [dict(zip(wanted, row, strict=True)) for row in table[list(wanted.values())].itertuples(index=False)]


# --- checks


def _require(files: AnnotatedSet, boxes: BoxParams, *, pictures: bool = True, annotations: bool = True) -> None:
    missing = [
        f"`boxes.{key}` ({place})"
        for key, place, there in (
            ("images", boxes.images, pictures),
            ("annotations", boxes.annotations, annotations),
        )
        if not there
    ]
    if missing:
        folders = sorted({str(PurePosixPath(name).parent) for name in files.names})
        listing = ", ".join(folders[:10]) + (" ..." if len(folders) > 10 else "") or "nowhere"
        raise FacemaskError(
            f"{files.title} has nothing of the format {boxes.format} where {' and '.join(missing)} of the source says; "
            f"its files are in {listing}: correct the entry"
        )


def _check_names(files: AnnotatedSet, boxes: BoxParams, annotations: Iterable[Annotation]) -> None:
    counts: defaultdict[str, int] = defaultdict(int)
    for annotation in annotations:
        for box in annotation.boxes:
            counts[box.name] += 1
    if unknown := sorted(counts.keys() - boxes.classes.keys()):
        listing = ", ".join(f"{name!r} ({counts[name]})" for name in unknown[:20]) + (" ..." if unknown[20:] else "")
        raise FacemaskError(
            f"{files.title} has boxes of classes that `boxes.classes` of the source does not name: {listing}; add "
            "them there, with null for those that are to be left out"
        )
