"""`facemask new-data`: what planted copies, contradictions, junk and other light are said to be; nothing is written."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from typer.testing import CliRunner

from facemask.cli.app import app
from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import write_json
from facemask.core.params import FolderSource, load_params
from facemask.data.merge import merge
from facemask.data.sources import card, fetch
from facemask.data.split import split
from facemask.dataset.archive import write_archive
from facemask.dataset.manifest import MANIFEST
from facemask.dataset.split import SPLIT
from facemask.models.backbone import write_backbone
from facemask.review.new_data import NewData, check_new_data
from facemask.review.new_data_page import by_class, markdown, text
from tests.annotated_sets import annotated, png
from tests.commands import facemask
from tests.kaggle_server import KaggleServer

pytestmark = pytest.mark.slow  # checks new data with real stages

ROOT = Path(__file__).parents[2]
WORN_WRONG, WITH, WITHOUT = CLASSES
EACH = 20  # photographs of a class in the project

Picture = NDArray[np.uint8]


def photograph(seed: int) -> Picture:
    """Draw a picture like no other: uint8 (96, 96, 3) of bright and dark shapes, its light by chance."""
    rng = np.random.default_rng(seed)
    picture = np.full((96, 96, 3), rng.integers(90, 160), np.uint8)
    for _ in range(40):
        middle, size = rng.integers(0, 96, 2).tolist(), rng.integers(3, 14, 2).tolist()
        colour = rng.integers(40, 220, 3).tolist()
        cv2.ellipse(picture, middle, size, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    return picture


def turned(picture: Picture, angle: float = 25) -> Picture:
    height, width = picture.shape[:2]
    return np.asarray(
        cv2.warpAffine(picture, cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1), (width, height)), np.uint8
    )


def save(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]))


def fill(folder: Path, first: int, each: int = 8, light: float = 1, labels: tuple[str, ...] = CLASSES) -> Path:
    """Write new photographs, numbered from `first`, into class folders."""
    for place, label in enumerate(CLASSES):
        if label in labels:
            for number in range(first, first + each):
                picture = (photograph(1000 * place + number) * light).astype(np.uint8)
                save(folder / label / f"{number}.jpg", picture)
    return folder


def make_project(project: Path, **lights: float) -> Path:
    """Write what the stages up to `split` make of own photographs, from sources of so much light each."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    own = {name: {"kind": "folder", "path": f"data/{name}"} for name in lights}
    content["data"] = {"own": "data", "sources": list(lights)}
    content["sources"] = own | {
        "office": {"kind": "folder", "path": "office", "folders": {"good": WITH, "bare": WITHOUT}},
        "public": {"kind": "kaggle", "handle": "someone/faces", "version": 1, "content": "0" * 64},
    }
    content["train"]["image_size"] = 32
    content["backbone"]["source"] = "none"
    (project / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    raw = project / "data/raw"
    for place, (name, light) in enumerate(lights.items()):
        fill(project / "data" / name, 100 * place, EACH, light)
        source = FolderSource(kind="folder", path=str(project / "data" / name))
        fetch(source, raw / f"{name}.zip")
        write_json(raw / f"{name}.json", card(source))
    params = load_params(project / "params.yaml")
    table = merge(list(lights), raw, project / "data/images.zip", params.merge).catalogue
    table = table.assign(group="g" + table["sha256"].str[:16], copies=1, flags="")  # no two show the same
    MANIFEST.write(project / "data/manifest.csv", table)
    SPLIT.write(project / "data/split.csv", split(table, params.split))
    write_backbone(project / "models/backbone.weights.h5", params.backbone)
    return project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"), own=1)


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, made the current folder; whatever a test does there, the checks write nothing."""
    copy = Path(shutil.copytree(made, tmp_path / "work"))
    monkeypatch.chdir(copy)
    return copy


def state(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def known(project: Path, label: str, part: str) -> list[Path]:
    """Files of the project's own photographs that are in a part."""
    table = SPLIT.read(project / "data/split.csv")
    chosen = table[(table["label"] == label) & (table["part"] == part)]["id"]
    return [project / "data" / name.replace(f"own/{label}/", "own/", 1) for name in chosen]


def read(path: Path) -> Picture:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.ascontiguousarray(picture[..., ::-1])


def rows(found: NewData) -> dict[str, tuple[str, ...]]:
    """By class: there, photographs, new images, exact, changed, of each other, junk, two labels, new photographs."""
    return {row[0]: row[1:] for row in by_class(found).rows}


def test_planted_copies_contradictions_junk_and_broken_files_are_found_and_named(project: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "sent", 500)
    equal, other = known(project, WITH, "train")[:2]
    tested = known(project, WITHOUT, "test")[0]
    shutil.copy(equal, folder / WITH / "equal.jpg")
    save(folder / WITH / "turned.jpg", turned(read(other)))
    save(folder / WITHOUT / "mirrored.jpg", read(tested)[:, ::-1])
    save(folder / WORN_WRONG / "wrong.jpg", turned(read(known(project, WITH, "val")[0]), -15))
    save(folder / WITHOUT / "twice.jpg", turned(read(folder / WITHOUT / "500.jpg")))
    save(folder / WITHOUT / "lens cap.jpg", np.full((96, 96, 3), 40, np.uint8))
    (folder / WITH / "cut off.jpg").write_bytes((folder / WITH / "500.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("hello", encoding="utf-8")
    before = state(project)

    done = CliRunner().invoke(app, ["new-data", str(folder), "--format", "json"])

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {row["id"]: (row["kind"], Path(row["original"]).name, row["part"]) for row in found["copies"]} == {
        f"{WITH}/equal.jpg": ("exact copy", equal.name, "train"),
        f"{WITH}/turned.jpg": ("changed copy", other.name, "train"),
        f"{WITHOUT}/mirrored.jpg": ("changed copy", tested.name, "test"),
        f"{WORN_WRONG}/wrong.jpg": ("changed copy", known(project, WITH, "val")[0].name, "val"),
    }
    assert found["copies_of_part"] == {"train": 2, "val": 1, "test": 1, "dropped": 0}
    (contradiction,) = found["contradictions"]
    assert (contradiction["id"], contradiction["other_label"]) == (f"{WORN_WRONG}/wrong.jpg", WITH)
    assert found["photographs_doubted"] == 1
    assert contradiction["contradicts"].startswith(f"own/{WITH}/")
    assert found["junk"] == [{"id": f"{WITHOUT}/lens cap.jpg", "label": WITHOUT, "junk": "near_constant"}]
    assert found["left_out"] == [{"path": f"{WITH}/cut off.jpg", "reason": "truncated"}]
    assert found["class"][WITHOUT] | {"there": 0, "photographs_there": 0} == {
        "there": 0, "photographs_there": 0, "images": 11, "exact_copies": 0, "changed_copies": 1,
        "copies_of_each_other": 1, "junk": 1, "contradictions": 0, "photographs": 8,
    }  # fmt: skip
    assert [found["class"][label]["photographs"] for label in CLASSES] == [8, 8, 8]
    assert found["sentence"].startswith(
        f"{folder}: 30 new images with 24 new photographs to use, 4 copies of what is there, 1 with a copy under "
        "another label, 1 junk, 1 file left out. "
    )
    assert "1 files below" in done.stderr
    assert state(project) == before


@pytest.mark.usefixtures("project")
def test_other_photographs_of_the_same_kind_are_as_usual_in_every_form(tmp_path: Path) -> None:
    found = check_new_data([str(fill(tmp_path / "more", 500))])
    assert not any(shift.drift.unlike for shift in found.shifts.values())
    assert list(found.shifts) == ["brightness", "side", "features"]
    said = text(found)
    assert said.splitlines()[0].endswith(
        ": 24 new images with 24 new photographs to use. Brightness, size and features are as usual."
    )
    assert said.count("as usual") == 4
    assert "class by class, from 0 (alike) to 1, on 21 of the new photographs" in said
    document = markdown(found)
    assert document.startswith("**")
    assert "| Mask worn correctly | 20 | 20 | 8 | 0 | 0 | 0 | 0 | 0 | 8 |" in document
    assert "| brightness, 0 to 255 | 0." in document


@pytest.mark.usefixtures("project")
def test_darker_photographs_of_a_single_class_are_said_to_be_so_and_what_is_missing_too(tmp_path: Path) -> None:
    found = check_new_data([str(fill(tmp_path / "dark", 500, light=0.4, labels=(WITH,)))])
    assert found.shifts["brightness"].drift.unlike
    assert not found.shifts["side"].drift.unlike
    said = text(found)
    assert "no image of mask worn incorrectly and no mask. Unlike the training data in brightness" in said
    assert "unlike the training data: darker" in said
    assert "There is no image of mask worn incorrectly, no mask in it" in said
    assert "With so few, only a large drift shows." in said


def test_photographs_like_those_of_one_of_several_sources_are_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project(tmp_path, own=1, cellar=0.4))
    found = check_new_data([str(fill(tmp_path / "more", 700, 14, light=0.4))])
    assert found.like == ["cellar"]
    first = text(found).splitlines()[0]
    assert ". Unlike the training data in brightness" in first
    assert first.endswith(", but like its source cellar.")


def test_another_version_of_a_kaggle_set_is_fetched_by_its_number_whatever_content_is_pinned(
    project: Path, tmp_path: Path
) -> None:
    pictures = {f"{label}/{number}.jpg": path.read_bytes() for label in CLASSES
                for number, path in enumerate(known(project, label, "train")[:2])}  # fmt: skip
    write_archive(tmp_path / "v2.zip", sorted(pictures.items()))
    before = state(project)
    command = [sys.executable, "-m", "facemask", "new-data", "public", "--version", "2"]
    with KaggleServer() as server:
        server.sets["someone/faces", 2] = tmp_path / "v2.zip"
        environment = server.environment(tmp_path / "home")
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "public, version 2: 6 new images with 0 new photographs to use, 6 copies of what is there. There is nothing to "
        "compare with the training data.\n"
    )
    assert state(project) == before


def test_of_a_source_in_use_only_what_was_added_is_new_and_what_was_taken_away_is_counted(project: Path) -> None:
    fill(project / "data/own", 500, 2)
    gone, moved = known(project, WITH, "train")[:2]
    gone.unlink()
    moved.rename(project / "data/own" / WITHOUT / "moved.jpg")
    found = check_new_data(["own"])
    assert (found.unchanged, found.went) == (3 * EACH - 2, 2)
    assert rows(found)["All"] == ("58", "58", "7", "0", "0", "0", "0", "0", "7")
    assert f"own/{WITHOUT}/{WITHOUT}/moved.jpg" in set(found.images["id"])
    assert "58 images of the set are there already; 2 that are there would go." in text(found)


@pytest.mark.usefixtures("project")
def test_a_source_that_did_not_change_brings_nothing() -> None:
    found = check_new_data(["own"])
    assert text(found).startswith("own: nothing new, all 60 images are there already.\n")
    assert found.shifts == {}
    assert markdown(found).startswith("**own: nothing new")


def test_a_zip_with_its_class_folders_deep_inside_is_read_and_a_folder_map_can_be_named(
    project: Path, tmp_path: Path
) -> None:
    pictures = {f"album/{label}/1.jpg": known(project, WITH, "train")[0].read_bytes() for label in (WITH, WITHOUT)}
    write_archive(tmp_path / "album.zip", sorted(pictures.items()))
    found = check_new_data([str(tmp_path / "album.zip")])
    assert list(found.images["id"]) == [f"album/{WITH}/1.jpg", f"album/{WITHOUT}/1.jpg"]
    assert list(found.images["kind"]) == ["exact copy", "exact copy"]
    assert list(found.images["other_label"]) == [WITHOUT, WITH]

    write_archive(tmp_path / "good.zip", [("good/1.jpg", pictures[f"album/{WITH}/1.jpg"])])
    found = check_new_data([str(tmp_path / "good.zip")], folders_of="office")
    assert list(found.images["label"]) == [WITH]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        (["nothing"], {}, "'nothing' is neither an entry of `sources` in params.yaml nor a folder or zip: check"),
        (["own", "nothing"], {}, "'nothing' is not an entry of `sources` .*check a folder or zip file on its own"),
        (["own"], {"version": 2}, "--version is for one Kaggle set, which own is not: leave it out"),
        (["data"], {"version": 2}, "--version is that of a Kaggle set: name its entry"),
        (["public"], {"version": 0}, "versions of public are numbered from 1"),
        (["own"], {"folders_of": "office"}, "'own' has a folder map of its own"),
        (
            ["data/own"],
            {"folders_of": "nothing"},
            "no entry .* of this name has a folder map; name one of (office|own|public)(, (office|own|public)){2}",
        ),
        (
            ["models"],
            {},
            "no photograph in models lies in a folder of a class .*there is no folder with files: name the folders",
        ),
        (["params.yaml"], {}, "is cut off or no zip archive"),
    ],
)
def test_what_can_not_be_looked_at_is_said_in_a_sentence(
    what: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(FacemaskError, match=message):
        check_new_data(what, **options)


def test_a_source_behind_a_link_is_refused_as_in_training(project: Path, tmp_path: Path) -> None:
    (project / "data/own").rename(tmp_path / "elsewhere")
    (project / "data/own").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FacemaskError, match=r"sources\.own\.path leads through data/own, a link to a folder"):
        check_new_data(["own"])


@pytest.mark.usefixtures("project")
def test_linked_folders_are_named_and_not_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sent = fill(tmp_path / "sent", 700, 2)
    (sent / WITH).rename(tmp_path / "elsewhere")
    (sent / WITH).symlink_to(tmp_path / "elsewhere")
    (sent / WITHOUT / "linked.jpg").symlink_to(next((tmp_path / "elsewhere").iterdir()))
    found = check_new_data([str(sent)])
    assert found.images["label"].value_counts().to_dict() == {WITHOUT: 3, WORN_WRONG: 2}
    assert f"{sent / WITH} is a link to a folder, which is not searched" in capsys.readouterr().err
    for name in (WITHOUT, WORN_WRONG):
        shutil.rmtree(sent / name)
    with pytest.raises(FacemaskError, match=rf"besides links to folders, which are not searched \({WITH}\)"):
        check_new_data([str(sent)])


def test_without_a_finished_run_it_says_what_to_run(project: Path) -> None:
    (project / "models/backbone.weights.h5").unlink()
    (project / "data/split.csv").unlink()
    done = facemask(project, "new-data", "own")
    assert done.returncode == 1
    assert done.stderr.startswith("error: new data is compared with that of a finished run, and data/split.csv, models")
    assert "run `dvc pull` where there is a DVC remote, else `dvc repro backbone split`" in done.stderr


def add_boxes(project: Path, path: Path) -> None:
    """Enter the set with boxes at `path` as a source `boxed`, not in use."""
    settings = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    boxes = {"format": "voc", "images": "images", "annotations": "annotations", "classes": {x: x for x in CLASSES}}
    settings["sources"]["boxed"] = {"kind": "folder", "path": str(path), "boxes": boxes}
    (project / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def test_of_a_set_with_boxes_the_faces_are_looked_at(project: Path, tmp_path: Path) -> None:
    known_face = photograph(1000 * CLASSES.index(WITH))  # is there already
    faces = np.full((240, 320, 3), 120, np.uint8)
    faces[20:116, 20:116], faces[120:216, 180:276] = known_face, photograph(77_000)
    boxes = [(WITH, (20, 20, 116, 116)), (WITHOUT, (180, 120, 276, 216)), (WITHOUT, (0, 0, 8, 8))]
    for name, content in annotated("voc", {"a.png": boxes}, {"a.png": png(faces)}).items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    add_boxes(project, tmp_path / "set")
    before = state(project)
    found = check_new_data(["boxed"])
    assert list(found.images["id"]) == [f"boxed/{WITH}/{WITH}/a.png/1.png", f"boxed/{WITHOUT}/{WITHOUT}/a.png/2.png"]
    assert list(found.images["kind"]) == ["changed copy", "new"]
    assert found.left_out == [("images/a.png, box 3", "face smaller than boxes.min_face")]
    assert state(project) == before
    with pytest.raises(FacemaskError, match="no entry of `sources` of this name has a folder map; name one of"):
        check_new_data(["data/own"], folders_of="boxed")
