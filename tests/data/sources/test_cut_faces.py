"""Faces are cut out of annotated pictures alike in every format, and whatever is not used is named with the reason."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import FolderSource, KaggleSource, load_params
from facemask.data.sources import fetch
from facemask.data.sources.annotations import Finding
from facemask.dataset.archive import Archive
from facemask.dataset.decode import decode
from facemask.faces.detector import Box, crop_face
from tests.annotated_sets import annotated, coco, crowd, csv, picture, png, voc, yolo

WORN_WRONG, WITH, WITHOUT = CLASSES
FORMATS = ("voc", "coco", "yolo", "csv")
FILES = {"coco": "annotations/all.json", "csv": "annotations/all.csv"}


def spread(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def source(root: Path, format_: str, **settings: Any) -> FolderSource:
    boxes = {
        "format": format_,
        "images": "images",
        "annotations": FILES.get(format_, "annotations"),
        "classes": {name: name for name in CLASSES},
        **({"names": "annotations/classes.txt"} if format_ == "yolo" else {}),
        **settings,
    }
    return FolderSource.model_validate({"kind": "folder", "path": str(root), "boxes": boxes})


def cut(root: Path, format_: str, **settings: Any) -> tuple[dict[str, bytes], list[Finding]]:
    """Faces by name, and what was left out."""
    target = root.with_suffix(".zip")
    left_out = fetch(source(root, format_, **settings), target)
    with Archive(target) as archive:
        return {name: archive.read(name) for name in archive.names}, left_out


def one_picture(tmp_path: Path, *boxes: tuple[str, tuple[int, int, int, int]], format_: str = "voc") -> Path:
    return spread(tmp_path / "set", annotated(format_, {"a.png": boxes}, {"a.png": png(picture(1))}))


def test_every_format_gives_the_same_faces_as_the_crops_of_prediction(tmp_path: Path) -> None:
    faces = {f"{number}.png": crowd(number, 3) for number in range(4)}
    pictures = {name: png(picture(number)) for number, name in enumerate(faces)}
    found = {
        format_: cut(spread(tmp_path / format_, annotated(format_, faces, pictures)), format_) for format_ in FORMATS
    }
    assert found["voc"] == found["coco"] == found["yolo"] == found["csv"]
    crops, left_out = found["voc"]
    assert left_out == []
    expected = {
        f"{label}/{name}/{place}.png": crop_face(picture(number), Box(*box, 1.0))
        for number, (name, boxes) in enumerate(faces.items())
        for place, (label, box) in enumerate(boxes, start=1)
    }
    assert crops.keys() == expected.keys()
    for name, crop in crops.items():
        assert np.array_equal(decode(crop), expected[name])


def test_cutting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    root = one_picture(tmp_path, *crowd(0, 4))
    cut(root, "voc")
    first = root.with_suffix(".zip").read_bytes()
    cut(root, "voc")
    assert root.with_suffix(".zip").read_bytes() == first


def test_pictures_and_annotations_may_lie_in_one_folder_and_in_folders_below(tmp_path: Path) -> None:
    content = png(picture(1))
    files = {"a.png": content, "a.xml": voc(crowd(0, 1)), "deep/a.jpg": content, "deep/a.xml": voc(crowd(1, 1))}
    crops, left_out = cut(spread(tmp_path / "set", files), "voc", images=".", annotations=".")
    assert list(crops) == [f"{WORN_WRONG}/a.png/1.png", f"{WITH}/deep/a.jpg/1.png"]
    assert left_out == []


@pytest.mark.parametrize(("margin", "side"), [(0, 50), (None, 70), (0.5, 100)])
def test_the_margin_is_that_of_prediction_unless_it_is_set(tmp_path: Path, margin: float | None, side: int) -> None:
    crops, _ = cut(one_picture(tmp_path, (WITH, (100, 100, 148, 152))), "voc", margin=margin)
    assert decode(crops[f"{WITH}/a.png/1.png"]).shape == (side, side, 3)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_box_beyond_the_picture_is_cut_off_at_its_border(tmp_path: Path, format_: str) -> None:
    crops, left_out = cut(one_picture(tmp_path, (WITH, (-400, 40, 50, 90)), format_=format_), format_)
    assert np.array_equal(decode(crops[f"{WITH}/a.png/1.png"]), crop_face(picture(1), Box(0, 40, 50, 90, 1.0)))
    assert left_out == []


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((10, 10, 30, 30), "face smaller than boxes.min_face"),
        ((310, 40, 360, 41), "face smaller than boxes.min_face"),
        ((330, 40, 380, 90), "box outside the picture"),
        ((60, 40, 60, 90), "box without area"),
        ((90, 40, 40, 90), "box without area"),
        ((200, 40, 252, 92), "face annotated twice"),
    ],
)
@pytest.mark.parametrize("format_", FORMATS)
def test_a_box_that_gives_no_face_is_named_with_the_reason(
    tmp_path: Path, box: tuple[int, int, int, int], reason: str, format_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = one_picture(tmp_path, (WITH, (200, 40, 250, 90)), (WITH, box), format_=format_)
    crops, left_out = cut(root, format_)
    assert list(crops) == [f"{WITH}/a.png/1.png"]
    assert left_out == [("images/a.png, box 2", reason)]
    assert capsys.readouterr().err == f"{root}: 1 faces cut out; left out: {reason} (1)\n"


def test_the_smallest_face_can_be_set(tmp_path: Path) -> None:
    crops, left_out = cut(one_picture(tmp_path, (WITH, (10, 10, 30, 30))), "voc", min_face=20)
    assert (len(crops), left_out) == (1, [])


def test_a_face_with_two_classes_is_used_for_neither(tmp_path: Path) -> None:
    root = one_picture(tmp_path, (WITH, (20, 20, 70, 70)), (WITHOUT, (22, 20, 72, 70)), (WITH, (200, 40, 250, 90)))
    crops, left_out = cut(root, "voc")
    assert list(crops) == [f"{WITH}/a.png/3.png"]
    assert left_out == [(f"images/a.png, box {number}", "face annotated with two classes") for number in (1, 2)]


def test_unknown_classes_are_listed_with_their_number(tmp_path: Path) -> None:
    root = one_picture(tmp_path, *crowd(0, 3))
    with pytest.raises(FacemaskError, match=r"'mask_weared_incorrect' \(1\), 'without_mask' \(1\); add them there"):
        cut(root, "voc", classes={"with_mask": WITH})
    assert not root.with_suffix(".zip").exists()


def test_classes_that_are_not_wanted_are_left_out_and_counted(tmp_path: Path) -> None:
    root = one_picture(tmp_path, *crowd(0, 3))
    crops, left_out = cut(root, "voc", classes={"with_mask": WITH, "without_mask": None, "mask_weared_incorrect": WITH})
    assert list(crops) == [f"{WITH}/a.png/1.png", f"{WITH}/a.png/2.png"]
    assert left_out == [("images/a.png, box 3", "face of a class that is left out")]


def test_without_names_the_classes_of_yolo_are_numbers(tmp_path: Path) -> None:
    files = annotated("yolo", {"a.png": crowd(0, 2)}, {"a.png": png(picture(1))})
    del files["annotations/classes.txt"]
    root = spread(tmp_path / "set", files)
    crops, _ = cut(root, "yolo", names=None, classes={"0": WITH, "1": WITHOUT})
    assert list(crops) == [f"{WITH}/a.png/1.png", f"{WITHOUT}/a.png/2.png"]


def sound(format_: str) -> dict[str, bytes]:
    return annotated(format_, {"a.png": crowd(0, 1)}, {"a.png": png(picture(1))})


@pytest.mark.parametrize(
    ("format_", "files", "expected"),
    [
        ("voc", {"images/b.png": b"x"}, {"images/b.png": "picture without annotation"}),
        ("yolo", {"images/b.png": b"x"}, {"images/b.png": "picture without annotation"}),
        ("coco", {"images/b.png": b"x"}, {"images/b.png": "picture without annotation"}),
        ("voc", {"annotations/b.xml": voc([])}, {"annotations/b.xml": "annotation without picture"}),
        ("yolo", {"annotations/b.txt": b""}, {"annotations/b.txt": "annotation without picture"}),
        ("voc", {"images/b.png": b"x", "annotations/b.xml": voc([])}, {"images/b.png": "annotation names no face"}),
        (
            "voc",
            {"images/b.png": b"x", "annotations/b.xml": voc(crowd(0, 1))},
            {"images/b.png": "not an image"},
        ),
        (
            "voc",
            {"images/b.png": png(picture(2, 80, 60)), "annotations/b.xml": voc(crowd(0, 1))},
            {"images/b.png": "picture and annotation differ in size"},
        ),
        (
            "voc",
            {"images/b.png": b"x", "annotations/b.xml": voc(crowd(0, 1))[:-20]},
            {"annotations/b.xml": "annotation is broken", "images/b.png": "picture without annotation"},
        ),
        (
            "yolo",
            {"images/b.png": b"x", "annotations/b.txt": b"0 0.5 0.5 0.1\n"},
            {"annotations/b.txt": "annotation is broken", "images/b.png": "picture without annotation"},
        ),
        (
            "yolo",
            {"images/b.png": b"x", "annotations/b.txt": b"7 0.5 0.5 0.1 0.1\n"},
            {"annotations/b.txt": "annotation is broken", "images/b.png": "picture without annotation"},
        ),
        (
            "voc",
            {"images/a.jpg": png(picture(3))},
            dict.fromkeys(
                ("annotations/a.xml", "images/a.jpg", "images/a.png"),
                "several pictures have the name of the annotation",
            ),
        ),
        ("voc", {"readme.txt": b"x"}, {"readme.txt": "neither a picture nor an annotation"}),
        ("voc", {"images/a.txt": b"0 0.5 0.5 0.1 0.1"}, {"images/a.txt": "neither a picture nor an annotation"}),
    ],
)
def test_files_that_give_no_face_are_named_with_the_reason(
    tmp_path: Path, format_: str, files: dict[str, bytes], expected: dict[str, str]
) -> None:
    more = annotated(format_, {"z.png": crowd(0, 2)}, {"z.png": png(picture(9))})
    if format_ == "coco":
        more["annotations/all.json"] = coco({"a.png": crowd(0, 1), "z.png": crowd(0, 2)})
    root = spread(tmp_path / "set", sound(format_) | more | files)
    crops, left_out = cut(root, format_)
    assert dict(left_out) == expected
    assert len(left_out) == len(expected)
    assert f"{WITH}/z.png/2.png" in crops


def test_a_coco_file_may_name_pictures_that_are_not_there(tmp_path: Path) -> None:
    files = sound("coco") | {"annotations/all.json": coco({"a.png": crowd(0, 1), "../gone.png": crowd(0, 1)})}
    crops, left_out = cut(spread(tmp_path / "set", files), "coco")
    assert len(crops) == 1
    assert left_out == [("../gone.png", "annotation without picture")]


def test_a_box_around_a_crowd_is_no_face(tmp_path: Path) -> None:
    marked = coco({"a.png": crowd(0, 2)}).replace(b'"iscrowd": 0', b'"iscrowd": 1', 1)
    crops, left_out = cut(spread(tmp_path / "set", sound("coco") | {"annotations/all.json": marked}), "coco")
    assert len(crops) == 1
    assert left_out == [("images/a.png, box 1", "box around several faces")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no COCO annotation (Invalid JSON"),
        (b"[" * 100_000, "is no COCO annotation (Invalid JSON"),
        (b'{"images": []}', "is no COCO annotation (annotations: Field required)"),
        (coco({"a.png": crowd(0, 1)}).replace(b"[20, ", b"[NaN, "), "annotations.0.bbox.0: Input should be a finite"),
    ],
)
def test_a_broken_coco_file_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    root = spread(tmp_path / "set", sound("coco") | {"annotations/all.json": content})
    with pytest.raises(FacemaskError) as error:
        cut(root, "coco")
    assert said in str(error.value)
    assert "annotations/all.json" in str(error.value)


def test_the_columns_of_a_csv_file_are_named_as_its_header_has_them(tmp_path: Path) -> None:
    # As in a published set, whose header exchanges two columns.
    table = csv({"a.png": crowd(0, 2)}, "name,x1,x2,y1,y2,classname")
    columns = {"picture": "name", "left": "x1", "top": "x2", "right": "y1", "bottom": "y2", "name": "classname"}
    root = spread(tmp_path / "set", sound("csv") | {"annotations/all.csv": table})
    crops, left_out = cut(root, "csv", columns=columns)
    usual, _ = cut(
        spread(tmp_path / "usual", annotated("csv", {"a.png": crowd(0, 2)}, {"a.png": png(picture(1))})), "csv"
    )
    assert (crops, left_out) == (usual, [])
    with pytest.raises(FacemaskError, match=r"no column 'filename', .*; it has 'name', 'x1', .*`boxes.columns`"):
        cut(root, "csv")


@pytest.mark.parametrize("name", ["andrewmvd", "wobot"])
def test_the_entries_of_params_fit_sets_of_the_published_shape(tmp_path: Path, name: str) -> None:
    entry = load_params().sources[name]
    assert isinstance(entry, KaggleSource)
    assert entry.boxes is not None
    named = {label: key for key, label in entry.boxes.classes.items()}
    boxes = [(named[label], box) for label, box in crowd(0, 3)]
    if name == "wobot":
        table = csv({"1801.jpg": boxes}, "name,x1,x2,y1,y2,classname")
        files = {"train.csv": table, "submission.csv": b"", f"{entry.boxes.images}/1801.jpg": png(picture(1))}
    else:
        files = {"annotations/maksssksksss0.xml": voc(boxes), "images/maksssksksss0.png": png(picture(1))}
    source = {"kind": "folder", "path": str(spread(tmp_path / "set", files)), "boxes": entry.boxes.model_dump()}
    fetch(FolderSource.model_validate(source), tmp_path / "faces.zip")
    with Archive(tmp_path / "faces.zip") as archive:
        assert sorted(name.split("/")[0] for name in archive.names) == sorted(CLASSES)


def test_lines_of_a_csv_file_that_give_no_face_are_named(tmp_path: Path) -> None:
    table = csv({"a.png": crowd(0, 1)}) + b"a.png,1,2,three,4,with_mask\ngone.png,1,2,3,4,x\ngone.png,2,3,4,5,x\n"
    files = sound("csv") | {"annotations/all.csv": table, "images/b.png": png(picture(2)), "submission.csv": b"x"}
    crops, left_out = cut(spread(tmp_path / "set", files), "csv")
    assert len(crops) == 1
    assert left_out == [
        ("annotations/all.csv, line 3", "annotation is broken"),
        ("gone.png", "annotation without picture"),
        ("images/b.png", "picture without annotation"),
        ("submission.csv", "neither a picture nor an annotation"),
    ]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3,4\n1", b"\xff\xfe,\x00", b'"'])
def test_a_file_that_is_no_csv_is_named(tmp_path: Path, content: bytes) -> None:
    root = spread(tmp_path / "set", sound("csv") | {"annotations/all.csv": content})
    with pytest.raises(FacemaskError, match=r"annotations/all\.csv in "):
        cut(root, "csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_that_defines_entities_is_refused_before_they_are_expanded(tmp_path: Path, encoding: str) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "ha">{entities}]><annotation><object><name>&e11;</name></object></annotation>'
    more = annotated("voc", {"z.png": crowd(0, 1)}, {"z.png": png(picture(9))})
    _, left_out = cut(
        spread(tmp_path / "set", sound("voc") | more | {"annotations/a.xml": bomb.encode(encoding)}), "voc"
    )
    assert ("annotations/a.xml", "annotation is broken") in left_out


@pytest.mark.parametrize(("key", "value"), [("images", "pictures"), ("annotations", "labels"), ("names", "names.txt")])
def test_a_wrong_place_is_named(tmp_path: Path, key: str, value: str) -> None:
    root = spread(tmp_path / "set", sound("yolo"))
    with pytest.raises(FacemaskError, match=value):
        cut(root, "yolo", **{key: value})


def test_if_no_face_is_left_the_reasons_are_told(tmp_path: Path) -> None:
    root = one_picture(tmp_path, (WITH, (10, 10, 30, 30)))
    with pytest.raises(FacemaskError, match=r"no face can be cut out of .*: face smaller than boxes.min_face \(1\)"):
        cut(root, "voc")


def test_nothing_of_a_set_is_lost_silently(tmp_path: Path) -> None:
    faces = {f"{number}.png": crowd(number, 4) for number in range(5)}
    files = annotated("voc", faces, {name: png(picture(number)) for number, name in enumerate(faces)})
    files["annotations/0.xml"] = b"<"
    del files["annotations/1.xml"]
    del files["images/2.png"]
    crops, left_out = cut(spread(tmp_path / "set", files), "voc", min_face=50)
    used = {name.split("/")[1] for name in crops}
    assert used == {"3.png", "4.png"}
    assert Counter(reason for _, reason in left_out) == {
        "annotation is broken": 1,
        "picture without annotation": 2,
        "annotation without picture": 1,
    }


def test_the_json_file_may_be_a_link_to_a_file(tmp_path: Path) -> None:
    root = spread(tmp_path / "set", sound("coco"))
    (root / "annotations/all.json").rename(tmp_path / "elsewhere.json")
    (root / "annotations/all.json").symlink_to(tmp_path / "elsewhere.json")
    assert len(cut(root, "coco")[0]) == 1


def test_a_folder_of_annotations_that_is_a_link_is_refused(tmp_path: Path) -> None:
    root = spread(tmp_path / "set", sound("voc"))
    (root / "annotations").rename(tmp_path / "elsewhere")
    (root / "annotations").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(FacemaskError, match="set/annotations is a link to a folder, which is not searched"):
        cut(root, "voc")


def test_yolo_boxes_are_shares_of_the_picture(tmp_path: Path) -> None:
    half = yolo([(WITH, (160, 120, 320, 240))])
    assert half == b"1 0.75 0.75 0.5 0.5\n"
    crops, _ = cut(spread(tmp_path / "set", sound("yolo") | {"annotations/a.txt": half}), "yolo", margin=0)
    assert decode(crops[f"{WITH}/a.png/1.png"]).shape == (140, 140, 3)
