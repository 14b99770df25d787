"""Sets of pictures with boxes around faces, in every format that annotation tools write."""

import io
import json
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from facemask.core.classes import CLASSES

WIDTH, HEIGHT = 320, 240

Boxes = Sequence[tuple[str, tuple[int, int, int, int]]]  # class name; left, top, right, bottom


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Draw a picture unlike any other: uint8 (height, width, 3) of blurred noise with texture for local features."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def crowd(number: int, people: int) -> Boxes:
    """Boxes of `people` faces side by side, one class after another; four people fit into a picture."""
    return [
        (CLASSES[(number + place) % 3], (20 + 72 * place, 60 + place, 68 + 72 * place, 112 + place))
        for place in range(people)
    ]


def annotated(format_: str, faces: Mapping[str, Boxes], pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a set: the pictures below `images`, and the boxes as `voc`, `coco`, `yolo` or `csv`.

    Args:
        format_: of the annotations.
        faces: name of a picture -> its boxes.
        pictures: name -> PNG file, `WIDTH` x `HEIGHT`.
    """
    files = {f"images/{name}": content for name, content in pictures.items()}
    if format_ == "coco":
        return files | {"annotations/all.json": coco(faces)}
    if format_ == "csv":
        return files | {"annotations/all.csv": csv(faces)}
    if format_ == "voc":
        return files | {f"annotations/{name[:-4]}.xml": voc(boxes, name) for name, boxes in faces.items()}
    texts = {f"annotations/{name[:-4]}.txt": yolo(boxes) for name, boxes in faces.items()}
    return files | texts | {"annotations/classes.txt": "\n".join(CLASSES).encode()}


def voc(boxes: Boxes, name: str = "x.png", size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = name
    _with_numbers(ElementTree.SubElement(root, "size"), width=size[0], height=size[1], depth=3)
    for label, (left, top, right, bottom) in boxes:
        face = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(face, "name").text = label
        _with_numbers(ElementTree.SubElement(face, "bndbox"), xmin=left, ymin=top, xmax=right, ymax=bottom)
    return ElementTree.tostring(root)


def coco(faces: Mapping[str, Boxes]) -> bytes:
    ids = {name: number for number, name in enumerate(faces, start=1)}
    boxes = [(ids[name], label, box) for name, of_picture in faces.items() for label, box in of_picture]
    return json.dumps(
        {
            "images": [{"id": id_, "file_name": name, "width": WIDTH, "height": HEIGHT} for name, id_ in ids.items()],
            "annotations": [
                {
                    "id": number,
                    "image_id": id_,
                    "category_id": CLASSES.index(label),
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "iscrowd": 0,
                }
                for number, (id_, label, box) in enumerate(boxes)
            ],
            "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES)],
        }
    ).encode()


def csv(faces: Mapping[str, Boxes], header: str = "filename,xmin,ymin,xmax,ymax,class") -> bytes:
    rows = [",".join(map(str, (name, *box, label))) for name, boxes in faces.items() for label, box in boxes]
    return "\n".join([header, *rows, ""]).encode()


def yolo(boxes: Boxes) -> bytes:
    lines = [
        f"{CLASSES.index(label)} {(left + right) / 2 / WIDTH!r} {(top + bottom) / 2 / HEIGHT!r} "
        f"{(right - left) / WIDTH!r} {(bottom - top) / HEIGHT!r}\n"
        for label, (left, top, right, bottom) in boxes
    ]
    return "".join(lines).encode()


def _with_numbers(element: ElementTree.Element, **numbers: int) -> None:
    for tag, number in numbers.items():
        ElementTree.SubElement(element, tag).text = str(number)
