import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from facemask.core.classes import CLASSES
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.manifest import CATALOGUE
from tests.bad_images import cut, picture, saved

pytestmark = pytest.mark.slow  # runs the real stage

ROOT = Path(__file__).parents[2]
STAGE = [sys.executable, str(ROOT / "stages/merge.py")]
OUTS = (
    "data/images.csv",
    "data/images.zip",
    "data/left_out.csv",
    "plots/classes.csv",
    "plots/sizes.csv",
)
FOLDERS = {name: name for name in CLASSES}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    params = {
        "data": {"own": ".", "sources": ["mine"]},
        "sources": {name: {"kind": "folder", "path": name} for name in ("mine", "other")},
        "merge": {}, "group": {}, "split": {}, "render": {}, "backbone": {}, "train": {}, "evaluate": {},
        "export": {}, "robustness": {}, "explain": {}, "unseen": {}, "report": {},
    }  # fmt: skip
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return tmp_path


def add_source(project: Path, name: str, files: dict[str, bytes]) -> None:
    raw = project / "data/raw"
    write_archive(raw / f"{name}.zip", sorted(files.items()))
    card = {"kind": "folder", "folders": FOLDERS, "licence": "", "origin": "own photographs"}
    (raw / f"{name}.json").write_text(json.dumps(card))


def faces(copies: int = 4) -> dict[str, bytes]:
    random = np.random.default_rng(1)
    return {
        f"{label}/{number}.png": saved(random.integers(0, 256, (40, 30, 3), np.uint8), "PNG")
        for label in CLASSES
        for number in range(copies)
    }


def variables() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def merge(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(STAGE, cwd=project, env=variables(), capture_output=True, text=True, check=False)


def contents(project: Path) -> dict[str, str]:
    files = [path for path in project.rglob("*") if path.is_file()]
    return {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if "raw" not in path.parts and path.name != "params.yaml"
    }


def test_the_stage_writes_all_its_outs_and_says_how_many_files_are_left_out(project: Path) -> None:
    add_source(project, "mine", faces() | {"with_mask/cut.jpg": cut(saved(picture()), 0.6)})
    done = merge(project)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "1 files left out; data/left_out.csv says why\n"
    assert sorted(contents(project)) == sorted(OUTS)

    table = CATALOGUE.read(project / "data/images.csv")
    with Archive(project / "data/images.zip") as archive:
        assert list(table["id"]) == archive.names
    assert (project / "data/left_out.csv").read_text() == "source,path,reason\nmine,with_mask/cut.jpg,truncated\n"
    assert len(table) == 12
    assert pd.read_csv(project / "plots/classes.csv")["count"].tolist() == [4, 4, 4]
    assert pd.read_csv(project / "plots/sizes.csv").columns.tolist() == ["side", "label", "count"]


def test_running_twice_gives_the_same_bytes_for_every_out(project: Path) -> None:
    add_source(project, "mine", faces())
    merge(project)
    first = contents(project)
    assert sorted(first) == sorted(OUTS)
    merge(project)
    assert contents(project) == first


def test_the_archive_of_a_source_that_is_no_longer_used_is_removed_first(project: Path) -> None:
    add_source(project, "mine", faces())
    add_source(project, "other", faces(1))
    merge(project)
    assert sorted(path.name for path in (project / "data/raw").iterdir()) == ["mine.json", "mine.zip"]
    assert set(CATALOGUE.read(project / "data/images.csv")["source"]) == {"mine"}


def test_a_missing_archive_ends_the_stage_with_one_sentence(project: Path) -> None:
    done = merge(project)
    assert done.returncode == 1
    assert done.stderr == "error: data/raw/mine.zip is missing; run `dvc repro download@mine`\n"


def test_a_killed_stage_leaves_no_half_written_out_and_the_next_run_is_as_if_nothing_had_been(project: Path) -> None:
    image = saved(picture(400, 400), "PNG")
    add_source(project, "mine", {f"{label}/{number:04}.png": image for label in CLASSES for number in range(60)})
    assert merge(project).returncode == 0
    undisturbed = contents(project)
    (project / "data/images.zip").write_bytes(b"of an earlier run")
    earlier = contents(project)

    process = subprocess.Popen(STAGE, cwd=project, env=variables())
    deadline = time.monotonic() + 120
    while not _has_begun(project) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert {name: digest for name, digest in contents(project).items() if name in OUTS} == earlier
    assert all(name in OUTS or name.startswith("data/.") for name in contents(project))

    assert merge(project).returncode == 0
    assert {name: digest for name, digest in contents(project).items() if name in OUTS} == undisturbed


def _has_begun(project: Path) -> bool:
    """Whether the new archive has been written to, but is not finished."""
    return any(draft.stat().st_size > 0 for draft in (project / "data").glob(".images.zip.*/images.zip"))
