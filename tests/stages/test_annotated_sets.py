"""Sets with boxes, from an entry in params.yaml to the split: the real stages, and a Kaggle on loopback."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from facemask.core.classes import CLASSES
from facemask.dataset.archive import Archive
from facemask.dataset.manifest import LEFT_OUT, MANIFEST
from facemask.dataset.split import SPLIT
from tests.annotated_sets import annotated, crowd, picture, png
from tests.kaggle_server import KaggleServer, zipped

pytestmark = pytest.mark.slow  # runs the real stages

ROOT = Path(__file__).parents[2]
HANDLE = "somebody/boxes"
PICTURES = 14  # of each set, with 3 or 4 faces
SAME = {name: name for name in CLASSES}


def files_of(format_: str, first: int) -> dict[str, bytes]:
    """A set whose second picture is damaged, and one of whose boxes is too small."""
    faces = {f"{number}.png": [*crowd(number, 3 + number % 2)] for number in range(first, first + PICTURES)}
    faces[f"{first}.png"].append(("with_mask", (5, 5, 15, 15)))
    pictures = {name: png(picture(int(name[:-4]))) for name in faces}
    pictures[f"{first + 1}.png"] = b"\x89PNG but no more"
    return annotated(format_, faces, pictures)


def entry(format_: str, annotations: str, **more: str) -> dict[str, Any]:
    return {"boxes": {"format": format_, "images": "images", "annotations": annotations, "classes": SAME, **more}}


@pytest.fixture(scope="module")
def kaggle() -> Iterator[KaggleServer]:
    with KaggleServer() as server:
        server.sets[HANDLE, 1] = zipped({f"Data/{name}": data for name, data in files_of("coco", 200).items()})
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, kaggle: KaggleServer) -> Path:
    """A project with three annotated sets, whose stages up to `split` have run."""
    folder = tmp_path_factory.mktemp("work") / "project"
    public = entry("coco", "Data/annotations/all.json", images="Data/images")
    params: dict[str, Any] = {
        "data": {"own": "own", "sources": ["boxed", "public", "numbered"]},
        "sources": {
            "boxed": {"kind": "folder", "path": "own/boxed", **entry("voc", "annotations")},
            "public": {"kind": "kaggle", "handle": HANDLE, "version": 1, "licence": "CC0", **public},
            "numbered": {
                "kind": "folder",
                "path": "own/numbered",
                **entry("yolo", "annotations", names="annotations/classes.txt"),
            },
        },
        "merge": {}, "group": {}, "split": {}, "render": {}, "backbone": {}, "train": {}, "evaluate": {},
        "export": {}, "robustness": {}, "explain": {}, "unseen": {}, "report": {},
    }  # fmt: skip
    for name, files in {"boxed": files_of("voc", 0), "numbered": files_of("yolo", 100)}.items():
        for path, content in files.items():
            (folder / "own" / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "own" / name / path).write_bytes(content)
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for stage in (*(["download", name] for name in params["data"]["sources"]), ["merge"], ["group"], ["split"]):
        done = run(folder, kaggle, *stage)
        assert done.returncode == 0, done.stderr
    return folder


def run(project: Path, kaggle: KaggleServer, stage: str, *names: str) -> subprocess.CompletedProcess[str]:
    environment = kaggle.environment(project.parent / "home") | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / f"stages/{stage}.py"), *names]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def table(project: Path) -> pd.DataFrame:
    return SPLIT.read(project / "data/split.csv")


def test_every_face_of_every_format_is_in_the_split_under_its_class(project: Path) -> None:
    expected = {
        f"{source}/{label}/{label}/{number}.png/{place}.png"
        for source, first in (("boxed", 0), ("numbered", 100), ("public", 200))
        for number in range(first, first + PICTURES)
        if number != first + 1
        for place, (label, _) in enumerate(crowd(number, 3 + number % 2), start=1)
    }
    assert set(table(project)["id"]) == expected
    assert set(table(project)["part"]) == {"train", "val", "test"}


def test_no_picture_is_on_both_sides_of_the_split(project: Path) -> None:
    parts = table(project)
    assert parts["picture"].nunique() == 3 * (PICTURES - 1)
    assert (parts.groupby("picture")["part"].nunique() == 1).all()
    assert (parts.groupby("picture")["label"].nunique() == 3).all()
    figures = json.loads((project / "metrics/details/split.json").read_text())
    assert figures["leaks"]["pictures_in_two_parts"] == 0


def test_the_faces_of_one_picture_are_different_people_and_no_contradiction(project: Path) -> None:
    manifest = MANIFEST.read(project / "data/manifest.csv")
    assert manifest["group"].nunique() == len(manifest)
    assert (manifest["flags"] == "").all()


def test_whatever_gave_no_face_is_in_the_list_with_the_reason(project: Path) -> None:
    left_out = LEFT_OUT.read(project / "data/left_out.csv")
    assert set(left_out.itertuples(index=False, name=None)) == {
        (source, f"{folder}{path}", reason)
        for source, folder, first in (("boxed", "", 0), ("numbered", "", 100), ("public", "Data/", 200))
        for path, reason in (
            (f"images/{first}.png, box 4", "face smaller than boxes.min_face"),
            (f"images/{first + 1}.png", "damaged"),
        )
    }


def test_downloading_again_gives_the_same_bytes(project: Path, kaggle: KaggleServer) -> None:
    outs = [project / f"data/raw/{name}.{ending}" for name in ("boxed", "public") for ending in ("zip", "json")]
    first = [out.read_bytes() for out in outs]
    for name in ("boxed", "public"):
        assert run(project, kaggle, "download", name).returncode == 0
    assert [out.read_bytes() for out in outs] == first


def test_the_card_says_where_the_faces_come_from(project: Path) -> None:
    card = json.loads((project / "data/raw/public.json").read_text())
    assert (card["origin"], card["licence"], card["folders"]) == (f"Kaggle {HANDLE}, version 1", "CC0", SAME)
    with Archive(project / "data/raw/public.zip") as archive:
        assert archive.names[0] == "mask_weared_incorrect/200.png/2.png"


def test_a_class_that_the_entry_does_not_name_stops_the_stage_with_one_sentence(
    project: Path, kaggle: KaggleServer
) -> None:
    before = (project / "data/raw/public.zip").read_bytes()
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    del params["sources"]["public"]["boxes"]["classes"]["with_mask"]
    whole = (project / "params.yaml").read_bytes()
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    done = run(project, kaggle, "download", "public")
    (project / "params.yaml").write_bytes(whole)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {HANDLE} version 1 has boxes of classes that `boxes.classes` of the source")
    assert "'with_mask' (" in done.stderr
    assert done.stderr.count("\n") == 1
    assert (project / "data/raw/public.zip").read_bytes() == before
