"""What docs/remote.md promises: a model without training, versions, cleaning up, two branches that both trained."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.cli import main as dvc
from dvc.repo import Repo
from PIL import Image

from facemask.core.files import write_json, write_text
from tests.commands import facemask
from tests.revisions_project import git, make_project, push

pytestmark = pytest.mark.slow  # runs real dvc commands against remotes

ROOT = Path(__file__).parents[1]


def run(folder: Path, cache: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment, with a cache folder of its own."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "FACEMASK_CACHE": str(cache), "PATH": tools}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def commit_export(project: Path, export: Path, tag: str, threshold: float) -> None:
    """Commit an exported model that answers `uncertain` below a probability, and tag it."""
    shutil.rmtree(project / "export", ignore_errors=True)
    shutil.copytree(export, project / "export")
    labels = json.loads((export / "labels.json").read_text(encoding="utf-8"))
    write_json(project / "export" / "labels.json", labels | {"thresholds": dict.fromkeys(labels["classes"], threshold)})
    with Repo(str(project)) as repo:
        repo.commit(force=True)
    git(project, "add", "-A")
    git(project, "commit", "-qm", tag)
    git(project, "tag", "-a", "-m", tag, tag)  # GTO sees annotated tags only


@pytest.fixture(scope="module")
def published(photo_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository and a DVC remote beside it with two versions of a model: the later one is never certain."""
    folder = tmp_path_factory.mktemp("published")
    project = make_project(folder)
    artifacts = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]
    stages = {"export": {"cmd": "python stages/export.py", "outs": ["export"]}}
    write_text(project / "dvc.yaml", yaml.safe_dump({"stages": stages, "artifacts": artifacts}))
    git(project, "add", "-A")
    git(project, "commit", "-qm", "nothing made yet")
    git(project, "tag", "begun")
    commit_export(project, photo_export, "facemask@v1.0.0", threshold=0.0)
    commit_export(project, photo_export, "never-certain", threshold=1.0)
    push(project)
    git(folder, "clone", "-q", "--bare", str(project), "origin.git")
    shutil.rmtree(folder / "work")
    return folder


@pytest.fixture
def clone(published: Path, tmp_path: Path) -> Path:
    """A colleague's fresh clone, without data, and a picture of one face."""
    git(tmp_path, "clone", "-q", str(published / "origin.git"), "clone")
    Image.new("RGB", (40, 40), "teal").save(tmp_path / "clone" / "face.png")
    return tmp_path / "clone"


def predicted(clone: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["predict", "--faces", "crop", "--format", "json", "face.png", *options]
    return facemask(clone, *command, FACEMASK_CACHE=str(clone.parent / "cache"))


def test_an_earlier_model_answers_in_a_clone_without_data_and_is_fetched_once(published: Path, clone: Path) -> None:
    first = predicted(clone, "--rev", "facemask@v1.0.0")
    assert (first.returncode, first.stderr) == (0, "")
    face = json.loads(first.stdout)[0]["faces"][0]
    assert face["answer"] == face["label"]
    later = json.loads(predicted(clone, "--rev", "main").stdout)[0]["faces"][0]
    assert (later["answer"], later["label"]) == ("uncertain", face["label"])
    assert not (clone / "export").exists()
    assert git(clone, "status", "--porcelain") == "?? face.png"

    (published / "store").rename(published / "away")
    again = predicted(clone, "--rev", "facemask@v1.0.0")
    (published / "away").rename(published / "store")
    assert again.stdout == first.stdout


def test_a_revision_without_a_model_is_told(clone: Path) -> None:
    done = predicted(clone, "--rev", "begun")
    assert (done.returncode, done.stdout) == (1, "")
    assert "has no export/labels.json; choose a revision with a finished run" in done.stderr


def test_a_model_that_was_never_pushed_is_told(published: Path, clone: Path) -> None:
    (published / "store").rename(published / "away")
    done = predicted(clone, "--rev", "facemask@v1.0.0")
    (published / "away").rename(published / "store")
    assert (done.returncode, done.stdout) == (1, "")
    assert "in neither the DVC cache nor a remote that can be reached" in done.stderr


def test_either_a_revision_or_a_folder_is_named(clone: Path) -> None:
    done = predicted(clone, "--rev", "main", "--model", "elsewhere")
    assert done.returncode == 2
    assert "--rev and --model both name a model: give one of" in done.stderr


def test_a_version_is_fetched_without_a_clone_by_its_number(published: Path, clone: Path) -> None:
    got = ["dvc", "artifacts", "get", str(published / "origin.git"), "facemask", "--rev", "v1.0.0", "--out", "model"]
    done = run(clone, clone.parent / "cache", *got)
    assert done.returncode == 0, done.stderr
    answer = predicted(clone, "--model", "model")
    assert answer.stdout == predicted(clone, "--rev", "facemask@v1.0.0").stdout


def test_the_model_alone_is_pulled_into_a_clone(clone: Path) -> None:
    done = run(clone, clone.parent / "cache", "dvc", "pull", "export")
    assert done.returncode == 0, done.stderr
    assert predicted(clone).stdout == predicted(clone, "--rev", "main").stdout


def test_versions_and_stages_are_git_tags(published: Path, clone: Path) -> None:
    cache = clone.parent / "cache"
    for key, value in (("user.name", "t"), ("user.email", "t@t")):
        git(clone, "config", key, value)
    for command in (["register", "facemask", "--version", "v2.0.0"], ["assign", "facemask", "--stage", "prod"]):
        done = run(clone, cache, "gto", *command)
        assert done.returncode == 0, done.stderr
    assert {"facemask@v2.0.0", "facemask#prod#1"} <= set(git(clone, "tag").splitlines())
    git(clone, "push", "-q", "--tags")
    got = ["dvc", "artifacts", "get", str(published / "origin.git"), "facemask", "--stage", "prod", "--out", "model"]
    done = run(clone, cache, *got)
    assert done.returncode == 0, done.stderr
    assert predicted(clone, "--model", "model").stdout == predicted(clone, "--rev", "facemask#prod#1").stdout


def commands(heading: str) -> list[str]:
    """The commands that docs/remote.md has below a heading, without their remarks."""
    text = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [line.split("  #")[0].strip() for line in section.splitlines() if line.startswith("    ")]


def test_every_remote_in_the_documents_is_one_that_dvc_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    Repo.init(str(tmp_path)).close()
    monkeypatch.chdir(tmp_path)
    shared, local = tmp_path / ".dvc" / "config", tmp_path / ".dvc" / "config.local"
    added = 0
    for line in commands("Set one up"):
        if " add " in line:
            added += 1
            write_text(shared, "")
            local.unlink(missing_ok=True)
        assert dvc(line.split()[1:]) == 0, line
        assert not any(secret in shared.read_text(encoding="utf-8") for secret in (" KEY", " STRING", "key.json"))
    assert added == 5
    assert git(tmp_path, "check-ignore", str(local))


def test_what_no_branch_and_no_tag_needs_is_collected_in_the_remote_too(published: Path, tmp_path: Path) -> None:
    shutil.copytree(published, tmp_path / "copy")
    git(tmp_path, "clone", "-q", str(tmp_path / "copy" / "origin.git"), "clone")
    store = tmp_path / "copy" / "store"
    clone = tmp_path / "clone"
    write_text(clone / ".dvc" / "config.local", f"['remote \"store\"']\n    url = {store}\n")
    git(clone, "tag", "-d", "facemask@v1.0.0")
    before = {path.name for path in store.rglob("*") if path.is_file()}
    dry, real = commands("Clean up")
    assert run(clone, tmp_path, *dry.split()).returncode == 0
    assert {path.name for path in store.rglob("*") if path.is_file()} == before
    done = run(clone, tmp_path, *real.split(), "--force")
    assert done.returncode == 0, done.stderr
    after = {path.name for path in store.rglob("*") if path.is_file()}
    assert len(before - after) == 2  # of v1.0.0: the list of its files, and its labels
    assert run(clone, tmp_path, "dvc", "pull", "export").returncode == 0


SCRIPT = """
import json, pathlib, sys
name, key = sys.argv[1:]
value = [line for line in pathlib.Path("params.yaml").read_text().splitlines() if line.startswith(key)][0]
pathlib.Path("ran").open("a").write(name + "\\n")
pathlib.Path(f"{name}.txt").write_text(value)
pathlib.Path("metrics").mkdir(exist_ok=True)
figures = {path.stem: path.read_text() for path in sorted(pathlib.Path().glob("*.txt"))}
pathlib.Path(f"metrics/{name}.json").write_text(json.dumps(figures, indent=2))
"""


def stage(name: str, key: str, deps: list[str]) -> dict[str, object]:
    metrics: list[object] = [{f"metrics/{name}.json": {"cache": False}}]
    run_it = f"python make.py {name} {key}"
    return {"cmd": run_it, "deps": ["make.py", *deps], "params": [key], "outs": [f"{name}.txt"], "metrics": metrics}


def test_two_branches_that_both_trained_are_merged_by_the_recipe(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    stages = {"split": stage("split", "seed", []), "train": stage("train", "rate", ["split.txt"])}
    write_text(project / "dvc.yaml", yaml.safe_dump({"stages": stages}))
    write_text(project / "make.py", SCRIPT)
    (project / "plots").mkdir()
    write_text(project / "plots" / "none.csv", "x\n")
    write_text(project / ".gitignore", "/ran\n")

    def trained(branch: str, start: str, params: str) -> None:
        git(project, "checkout", "-q", "-b", branch, start)
        write_text(project / "params.yaml", params)
        done = run(project, tmp_path, "dvc", "repro")
        assert done.returncode == 0, done.stderr
        git(project, "add", "-A")
        git(project, "commit", "-qm", branch)

    git(project, "add", "-A")
    git(project, "commit", "-qm", "begun")
    trained("base", "main", "seed: 1\n\n\n\nrate: 1\n")
    trained("theirs", "base", "seed: 2\n\n\n\nrate: 1\n")
    trained("ours", "base", "seed: 1\n\n\n\nrate: 2\n")
    merging = subprocess.run(["git", "merge", "theirs"], cwd=project, capture_output=True, text=True, check=False)
    assert "CONFLICT (content): Merge conflict in dvc.lock" in merging.stdout
    assert "metrics/train.json" in merging.stdout

    (project / "ran").unlink()
    for line in commands("Two branches that both trained"):
        done = run(project, tmp_path, *line.split())
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert (project / "ran").read_text(encoding="utf-8") == "train\n"  # `split` had been run by theirs
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "log", "-1", "--format=%p").count(" ") == 1
    assert run(project, tmp_path, "dvc", "status", "--quiet").returncode == 0
    assert json.loads((project / "metrics" / "train.json").read_text(encoding="utf-8")) == {
        "split": "seed: 2",
        "train": "rate: 2",
    }
