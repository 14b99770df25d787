import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from facemask.dataset.archive import Archive
from tests.kaggle_server import STORE, KaggleServer

pytestmark = pytest.mark.slow  # runs the real stage

ROOT = Path(__file__).parents[2]
STAGE = [sys.executable, str(ROOT / "stages/download.py")]
PARAMS = {
    "data": {"own": "photos", "sources": ["mine"]},
    "sources": {
        "mine": {"kind": "folder", "path": "photos", "licence": "own"},
        "drawn": {"kind": "sample", "per_class": 2, "seed": 1},
        "kaggle": {"kind": "kaggle", "handle": "somebody/masks", "version": 1, "folders": {"yes": "with_mask"}},
    },
    "merge": {}, "group": {}, "split": {}, "render": {}, "backbone": {}, "train": {}, "evaluate": {},
    "export": {}, "robustness": {}, "explain": {}, "unseen": {}, "report": {},
}  # fmt: skip
BIG = random.Random(1).randbytes(5 * 2**20)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("with_mask", "without_mask", "mask_weared_incorrect"):
        (folder / "photos" / name).mkdir(parents=True)
        (folder / "photos" / name / "1.jpg").write_bytes(name.encode())
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS, sort_keys=False))
    return folder


@pytest.fixture
def kaggle() -> Iterator[KaggleServer]:
    with KaggleServer() as server:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("yes/1.jpg", BIG)
        server.sets["somebody/masks", 1] = buffer.getvalue()
        yield server


def variables(project: Path, server: KaggleServer | None = None) -> dict[str, str]:
    given = server.environment(project.parent / "home") if server else dict(os.environ)
    return given | {"PYTHONPATH": str(ROOT)}


def download(project: Path, *names: str, server: KaggleServer | None = None) -> subprocess.CompletedProcess[str]:
    environment = variables(project, server)
    return subprocess.run([*STAGE, *names], cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_the_stage_writes_the_archive_and_its_card(project: Path) -> None:
    done = download(project, "mine")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {file.name for file in (project / "data/raw").iterdir()} == {"mine.json", "mine.zip"}
    with Archive(project / "data/raw/mine.zip") as archive:
        assert archive.read("with_mask/1.jpg") == b"with_mask"
    card = json.loads((project / "data/raw/mine.json").read_text())
    assert list(card) == ["kind", "folders", "licence", "origin"]
    assert (card["kind"], card["licence"], card["origin"]) == ("folder", "own", "own photographs")


@pytest.mark.parametrize("name", ["mine", "drawn"])
def test_running_twice_gives_the_same_bytes(project: Path, name: str) -> None:
    outs = [project / f"data/raw/{name}.zip", project / f"data/raw/{name}.json"]
    assert download(project, name).returncode == 0
    first = [out.read_bytes() for out in outs]
    shutil.rmtree(project / "data")
    assert download(project, name).returncode == 0
    assert [out.read_bytes() for out in outs] == first


def test_a_source_that_is_no_entry_is_named_with_those_that_are(project: Path) -> None:
    done = download(project, "elsewhere")
    assert done.returncode == 1
    assert done.stderr == "error: 'elsewhere' is not an entry of `sources` in params.yaml: mine, drawn, kaggle\n"


@pytest.mark.parametrize("names", [[], ["mine", "drawn"]])
def test_called_without_a_name_or_with_two_it_says_how_to_be_called(project: Path, names: list[str]) -> None:
    done = download(project, *names)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python ")
    assert done.stderr.endswith("download.py NAME\n")


def test_a_fault_is_one_line_without_traceback_and_leaves_nothing(project: Path, kaggle: KaggleServer) -> None:
    kaggle.sets.clear()
    done = download(project, "kaggle", server=kaggle)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Kaggle has no data set somebody/masks: ")
    assert done.stderr.count("\n") == 1
    assert not (project / "data").exists()


def test_a_fault_leaves_what_an_earlier_run_made(project: Path) -> None:
    download(project, "mine")
    before = (project / "data/raw/mine.zip").read_bytes()
    shutil.rmtree(project / "photos/with_mask")
    assert download(project, "mine").returncode == 1
    assert (project / "data/raw/mine.zip").read_bytes() == before


def test_a_stage_killed_while_it_fetches_leaves_no_out_and_goes_on_where_it_stopped(
    project: Path, kaggle: KaggleServer
) -> None:
    kaggle.go_on.clear()
    stage = subprocess.Popen([*STAGE, "kaggle"], cwd=project, env=variables(project, kaggle))
    partial = project.parent / "home/cache/kaggle/somebody/masks/1/partial/masks.zip"
    wait_until(lambda: partial.exists() and partial.stat().st_size >= 2 * 2**20)
    for process in [psutil.Process(stage.pid), *psutil.Process(stage.pid).children(recursive=True)]:
        process.kill()
    stage.wait()
    kaggle.go_on.set()
    assert not (project / "data").exists()
    kaggle.requests.clear()
    assert download(project, "kaggle", server=kaggle).returncode == 0
    assert [span for path, span in kaggle.requests if path.startswith(STORE)] == ["", f"bytes={2 * 2**20}-"]
    with Archive(project / "data/raw/kaggle.zip") as archive:
        assert archive.read("yes/1.jpg") == BIG


@pytest.mark.parametrize("full", ["cache", "data"])
def test_a_full_disk_is_called_so_and_leaves_nothing_half_made(project: Path, kaggle: KaggleServer, full: str) -> None:
    place = project / "data" if full == "data" else project.parent / "home/cache"
    place.mkdir(parents=True)
    # A file system of its own, 2 MB small, that only this process and its children see.
    mount = 'mount -t tmpfs -o size=2m tmpfs "$0" && "$@"; status=$?; ls -AR "$0"; exit $status'
    small = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(place)]
    if shutil.which("unshare") is None or subprocess.run([*small, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be made here")
    done = subprocess.run(
        [*small, *STAGE, "kaggle"],
        cwd=project,
        env=variables(project, kaggle),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,  # the client alone would try for a minute
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: no space left on the disk ")
    assert "free some" in done.stderr
    assert done.stderr.count("\n") == 1
    assert ".zip" not in done.stdout
    assert ("set FACEMASK_CACHE" in done.stderr) == (full == "cache")


def wait_until(true: object) -> None:
    deadline = time.monotonic() + 120
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)
