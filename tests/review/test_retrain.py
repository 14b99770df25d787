import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from facemask.core.classes import CLASSES
from facemask.review.retrain import Outcome, read_outcome
from tests.kaggle_server import KaggleServer, zipped
from tests.revisions_project import git, init_dvc

pytestmark = pytest.mark.slow  # runs real pipelines

ROOT = Path(__file__).parents[2]
HANDLE = "somebody/masks"
SECRET = "KGAT_never-shown"
DVC_SECRET = "never-shown-either"
CREDENTIALS = f"""['remote "cloud"']
    url = s3://bucket/masks
    secret_access_key = {DVC_SECRET}
"""

# The project's own first stage, and one that counts what it brings and fails on demand.
STAGES = """
stages:
  download:
    foreach: ${data.sources}
    do:
      cmd: python stages/download.py "${item}"
      params: ["data.own", "sources.${item}"]
      deps: ["${data.own}"]
      outs: ["data/raw/${item}.zip", "data/raw/${item}.json"]
  count:
    cmd: python stages/count.py
    params: [merge]
    deps: [data/raw]
    metrics:
      - metrics/data.json:
          cache: false
"""
COUNT = """
import json, os, pathlib, shutil, sys, time, zipfile
if os.environ.get("MEANWHILE"):
    shutil.copyfile("../outcome.json", os.environ["MEANWHILE"])
if os.environ.get("SLOW"):
    pathlib.Path("metrics/data.json").write_text("half")
    pathlib.Path(os.environ["SLOW"]).touch()
    time.sleep(60)
if os.environ.get("BROKEN"):
    print(pathlib.Path(".dvc/config.local").read_text())
    sys.exit("error: no room for https://bot:abc@store/x, " + os.environ["KAGGLE_API_TOKEN"])
counts = {path.stem: len(zipfile.ZipFile(path).namelist()) for path in sorted(pathlib.Path("data/raw").glob("*.zip"))}
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/data.json").write_text(json.dumps(counts))
"""


def masks(*names: str, folders: tuple[str, ...] = CLASSES) -> bytes:
    files = [(folder, name) for folder in folders for name in ("first.jpg", *names)]
    return zipped({f"{folder}/{name}": f"{folder} {name}".encode() for folder, name in files})


@dataclass
class Scene:
    """A clone that has run once, Kaggle, and the environment in which commands run."""

    project: Path
    kaggle: KaggleServer
    environment: dict[str, str]

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment | variables
        return subprocess.run(
            command, cwd=self.project, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    def retrain(self, code: int = 0, **variables: str) -> Outcome:
        """Run the command, and look at what has to hold after every run."""
        before = git(self.project, "rev-parse", "HEAD")
        path = self.project.parent / "outcome.json"
        done = self.run(
            *(sys.executable, "-m", "facemask", "retrain", "--outcome", str(path)),
            *("--summary", str(path.with_name("summary.md"))),
            **variables,
        )
        assert done.returncode == code, done.stdout + done.stderr
        for text in (done.stdout, done.stderr, path.read_text(), path.with_name("summary.md").read_text()):
            assert SECRET not in text
            assert DVC_SECRET not in text
        assert git(self.project, "status", "--porcelain") == ""
        assert git(self.project, "branch", "--show-current") == "main"
        assert git(self.project, "rev-parse", "HEAD") == before
        return read_outcome(path)

    def branches(self) -> list[str]:
        return git(self.project, "branch", "--format=%(refname:short)", "--list", "retrain/*").split()

    def changed_lines(self, branch: str) -> list[str]:
        difference = git(self.project, "diff", "--unified=0", "main", branch, "--", "params.yaml")
        return [line for line in difference.splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")]


def make_params() -> str:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    begin, end = text.index("  vijaykumar1799:"), text.index("  shiekhburhan:")
    masks = f"  masks:       # of somebody\n    kind: kaggle\n    handle: '{HANDLE}'\n    version: 1  # newest\n\n"
    return text[:begin].replace("sources: [sample]", "sources: [masks, own]") + masks + text[end:]


@pytest.fixture(scope="module")
def kaggle() -> Iterator[KaggleServer]:
    with KaggleServer() as server:
        yield server


@pytest.fixture(scope="module")
def built(kaggle: KaggleServer, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The scene after a first run, all of it committed."""
    folder = tmp_path_factory.mktemp("built")
    project = folder / "work"
    (project / "stages").mkdir(parents=True)
    shutil.copyfile(ROOT / "stages/download.py", project / "stages/download.py")
    (project / "stages/count.py").write_text(COUNT)
    (project / "dvc.yaml").write_text(STAGES)
    (project / "params.yaml").write_text(make_params(), encoding="utf-8", newline="\n")
    (project / ".gitignore").write_text("/data/*\n__pycache__/\n")
    for label in CLASSES:
        (project / "data/own" / label).mkdir(parents=True)
        (project / "data/own" / label / "mine.jpg").write_bytes(label.encode())
    environment = kaggle.environment(folder / "home") | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "KAGGLE_API_TOKEN": SECRET,
    }
    kaggle.sets[HANDLE, 1] = masks()
    scene = Scene(project, kaggle, environment)
    git(folder, "init", "-q", "-b", "main", "work")
    init_dvc(project)
    done = scene.run("dvc", "repro", "-q")
    assert done.returncode == 0, done.stderr
    git(project, "add", "-A")
    git(project, "commit", "-qm", "one")
    return scene


@pytest.fixture
def scene(built: Scene, tmp_path: Path) -> Scene:
    """A copy of `built`, with only the first version of the set on Kaggle."""
    project = Path(shutil.copytree(built.project, tmp_path / "work", symlinks=True))
    for key in [key for key in built.kaggle.sets if key != (HANDLE, 1)]:
        del built.kaggle.sets[key]
    # What version 2 holds differs from test to test, and the cache would keep it.
    cache = shutil.copytree(built.environment["FACEMASK_CACHE"], tmp_path / "cache")
    return Scene(project, built.kaggle, built.environment | {"FACEMASK_CACHE": str(cache)})


def test_a_newer_version_with_the_same_files_is_no_news_and_leaves_nothing_behind(scene: Scene) -> None:
    scene.kaggle.sets[HANDLE, 2] = masks()
    outcome = scene.retrain()
    assert (outcome.kind, outcome.title, outcome.base) == ("nothing", "Nothing new", "main")
    assert "version 2 of somebody/masks has the same files as version 1" in outcome.body
    assert scene.branches() == []


def test_a_run_that_is_stopped_leaves_everything_as_it_was_and_says_in_which_stage(scene: Scene) -> None:
    scene.kaggle.sets[HANDLE, 2] = masks("second.jpg")
    begun, path = scene.project.parent / "begun", scene.project.parent / "outcome.json"
    command = [sys.executable, "-m", "facemask", "retrain", "--outcome", str(path)]
    environment = scene.environment | {"SLOW": str(begun)}
    with subprocess.Popen(command, cwd=scene.project, env=environment, stdout=subprocess.DEVNULL) as process:
        while not begun.exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=120) == 128 + signal.SIGTERM
    assert git(scene.project, "status", "--porcelain") == ""
    assert git(scene.project, "branch", "--show-current") == "main"
    outcome = read_outcome(path)
    assert (outcome.kind, outcome.title) == ("failed", "Retraining failed in the stage count")


def test_a_clone_without_data_and_without_a_remote_does_not_train_again(scene: Scene, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(scene.project), "fresh")
    (tmp_path / "fresh" / "data" / "own").mkdir(parents=True, exist_ok=True)
    fresh = replace(scene, project=tmp_path / "fresh")
    assert fresh.retrain().kind == "nothing"
    assert not (tmp_path / "fresh" / "data" / "raw" / "masks.zip").exists()


@pytest.mark.slow
def test_a_newer_version_comes_on_a_branch_after_a_failure_too_and_twice_on_the_same(scene: Scene) -> None:
    scene.kaggle.sets[HANDLE, 2] = masks("second.jpg")

    (scene.project / ".dvc/config.local").write_text(CREDENTIALS)
    failed = scene.retrain(code=1, BROKEN="1")
    assert (failed.kind, failed.title) == ("failed", "Retraining failed in the stage count")
    assert "error: no room for https://***@store/x, ***" in failed.body
    head = git(scene.project, "rev-parse", "HEAD")
    repeat = f"git checkout {head}\n# in params.yaml: sources.masks.version 1 -> 2\ndvc repro count\n"
    assert repeat in failed.body
    assert scene.branches() == []

    meanwhile = scene.project.parent / "meanwhile.json"
    outcome = scene.retrain(MEANWHILE=str(meanwhile))
    assert read_outcome(meanwhile).title == "Retraining failed in the stage count"
    assert (outcome.kind, outcome.title) == ("changed", "Train again: sources.masks.version 1 -> 2")
    assert "No DVC remote is set up" in outcome.body
    assert scene.branches() == [outcome.branch]
    assert scene.changed_lines(outcome.branch) == ["-    version: 1  # newest", "+    version: 2  # newest"]
    files = git(scene.project, "diff", "--name-only", "main", outcome.branch).split()
    assert files == ["dvc.lock", "metrics/data.json", "params.yaml"]
    assert json.loads(git(scene.project, "show", f"{outcome.branch}:metrics/data.json")) == {"masks": 6, "own": 3}
    message = git(scene.project, "log", "-1", "--format=%B", outcome.branch)
    assert "masks: somebody/masks has a newer version, 2 after 1" in message

    assert scene.retrain().branch == outcome.branch
    assert scene.branches() == [outcome.branch]


@pytest.mark.slow
def test_a_new_photograph_of_ones_own_outside_the_project_is_news(scene: Scene) -> None:
    photographs = scene.project.parent / "photographs"
    shutil.copytree(scene.project / "data/own", photographs)
    params = (scene.project / "params.yaml").read_text(encoding="utf-8")
    outside = params.replace("path: data/own", f"path: {photographs}").replace("own: data/own", f"own: {photographs}")
    (scene.project / "params.yaml").write_text(outside)
    assert scene.run("dvc", "repro", "-q").returncode == 0
    git(scene.project, "commit", "-qam", "photographs elsewhere")
    assert scene.retrain().kind == "nothing"
    (photographs / "with_mask/new.jpg").write_bytes(b"new")
    outcome = scene.retrain()
    assert outcome.title == "Train again: the data or the figures changed"
    assert scene.changed_lines(outcome.branch) == []
    assert json.loads(git(scene.project, "show", f"{outcome.branch}:metrics/data.json")) == {"masks": 3, "own": 4}


def test_a_version_that_lacks_a_folder_is_told(scene: Scene) -> None:
    scene.kaggle.sets[HANDLE, 2] = masks(folders=("with_mask", "without_mask"))
    outcome = scene.retrain(code=1)
    assert outcome.title == "Retraining failed in the stage download@masks"
    assert "somebody/masks version 2 has no folder mask_weared_incorrect: correct `folders`" in outcome.body


def test_a_set_that_is_gone_is_told(scene: Scene) -> None:
    scene.kaggle.fail["/api/v1/datasets.DatasetApiService/GetDataset"] = (404, "")
    try:
        outcome = scene.retrain(code=1)
    finally:
        scene.kaggle.fail.clear()
    assert outcome.title == "Retraining failed when asking Kaggle for newer versions"
    assert "Kaggle has no data set somebody/masks" in outcome.body


def test_what_git_does_not_have_is_not_run_over(scene: Scene) -> None:
    (scene.project / "params.yaml").write_text("mine")
    (scene.project / "notes.txt").write_text("mine")
    done = scene.run(sys.executable, "-m", "facemask", "retrain")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the work tree has changes that git does not have (params.yaml, notes.txt)")
    assert (scene.project / "params.yaml").read_text() == "mine"


@pytest.mark.slow
def test_with_a_remote_a_fresh_clone_repeats_nothing_and_the_news_are_there(scene: Scene, tmp_path: Path) -> None:
    for command in (["remote", "add", "--default", "store", str(tmp_path / "store")], ["push", "--run-cache"]):
        assert scene.run("dvc", *command).returncode == 0
    git(scene.project, "commit", "-qam", "a remote")
    git(tmp_path, "clone", "-q", "work", "clone")
    clone = Scene(tmp_path / "clone", scene.kaggle, scene.environment)
    shutil.copytree(scene.project / "data/own", clone.project / "data/own")
    assert clone.retrain(BROKEN="1").kind == "nothing"
    scene.kaggle.sets[HANDLE, 2] = masks("second.jpg")
    outcome = clone.retrain()
    assert "The data and the model are in the DVC remote" in outcome.body
    lock = yaml.safe_load(git(clone.project, "show", f"{outcome.branch}:dvc.lock"))
    md5 = lock["stages"]["download@masks"]["outs"][1]["md5"]
    assert (tmp_path / "store/files/md5" / md5[:2] / md5[2:]).is_file()
