"""Own photographs, links among them: training, `facemask predict` and what DVC watches agree on what belongs to them.

With the project's own `dvc.yaml` and stage `download`.
"""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.dataset.archive import Archive
from facemask.inference.inputs import find_inputs
from tests.revisions_project import git, init_dvc
from tests.tiny_pipeline import run

pytestmark = pytest.mark.slow  # runs a stage with DVC

ROOT = Path(__file__).parents[1]


def photograph(path: Path, grey: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    Image.new("RGB", (640, 480), (grey, grey, grey)).save(file, "JPEG")
    path.write_bytes(file.getvalue())
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("facemask", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        shutil.copyfile(ROOT / name, folder / name)
    git(folder, "init", "-q", "-b", "main")
    init_dvc(folder)
    for place, label in enumerate(CLASSES):
        photograph(folder / "data/own" / label / "1.jpg", place)
    use(folder, "own")
    return folder


def use(project: Path, name: str, path: str = "data/own", own: str = "data/own") -> None:
    """Make the own photographs in `path` the only source, under a name, and `own` the folder that DVC watches."""
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["data"] = {"sources": [name], "own": own}
    settings["sources"] = {name: {"kind": "folder", "path": path}}
    (project / "params.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")


def repro(project: Path, name: str = "own") -> subprocess.CompletedProcess[str]:
    return run(project, "dvc", "repro", f"download@{name}", PYTHONPATH=str(project))


def runs_again(project: Path) -> bool:
    """Run the stage if need be, and say whether it ran."""
    done = repro(project)
    assert done.returncode == 0, done.stdout + done.stderr
    return "Running stage" in done.stdout


def trained_on(project: Path) -> list[str]:
    with Archive(project / "data/raw/own.zip") as archive:
        return archive.names


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_training_takes_what_dvc_watches_and_prediction_takes_the_same(project: Path, tmp_path: Path) -> None:
    single = photograph(tmp_path / "elsewhere/single.jpg", 50)
    own = project / "data/own" / CLASSES[1]
    (own / "file.jpg").symlink_to(single)
    (own / "again.jpg").symlink_to("file.jpg")
    (own / "folder").symlink_to(single.parent)
    (own / "loop").symlink_to(own)
    first = repro(project)
    assert first.returncode == 0, first.stderr
    for name in ("folder", "loop"):
        assert (
            f"data/own/{CLASSES[1]}/{name} is a link to a folder, which is not searched" in first.stdout + first.stderr
        )
    expected = sorted([*(f"{label}/1.jpg" for label in CLASSES), *(f"{CLASSES[1]}/{x}.jpg" for x in ("again", "file"))])
    assert trained_on(project) == expected
    found = find_inputs([str(project / "data/own")])
    assert sorted(Path(one.name).relative_to(project / "data/own").as_posix() for one in found.inputs) == expected
    assert len(found.remarks) == 2

    assert not runs_again(project)
    photograph(tmp_path / "elsewhere/not seen by training.jpg", 60)
    assert not runs_again(project)
    photograph(single, 70)
    assert runs_again(project)
    with Archive(project / "data/raw/own.zip") as archive:
        assert archive.read(f"{CLASSES[1]}/again.jpg") == single.read_bytes()


def test_photographs_outside_the_project_are_watched_or_refused(project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "photographs"
    shutil.copytree(project / "data/own", outside / "office")
    use(project, "own", str(outside / "office"))
    refused = repro(project)
    assert refused.returncode != 0
    assert "outside data.own (data/own), the folder where DVC notices new photographs: set data.own" in refused.stderr
    use(project, "own", str(outside / "office"), str(outside))
    assert runs_again(project)
    assert not runs_again(project)
    photograph(outside / "office" / CLASSES[0] / "2.jpg", 90)
    assert runs_again(project)
    assert f"{CLASSES[0]}/2.jpg" in trained_on(project)


@pytest.mark.parametrize("name", ["office 2", "Büro"])
def test_a_name_that_is_none_is_answered_with_the_rule_for_names(project: Path, name: str) -> None:
    use(project, name)
    done = repro(project, name)
    assert done.returncode != 0
    rule = "a source's name consists of small letters, digits, - and _, at most 64, such as my-photos"
    assert f"{rule}, not {name!r}" in done.stderr


def test_a_name_with_a_dot_is_refused_by_dvc_so_the_rule_stands_where_names_are_written(project: Path) -> None:
    use(project, "own.v2")
    assert "Parameters 'sources.own.v2' are missing" in repro(project, "own.v2").stderr
    (line,) = [line for line in (ROOT / "params.yaml").read_text().splitlines() if line.startswith("sources:")]
    assert "small letters, digits, - and _; DVC takes a dot for two names" in line
