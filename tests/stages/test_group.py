"""The stage `group`, run as DVC runs it, on what the stage `merge` made of drawn portraits."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.data.sources.sample import draw_sample
from facemask.dataset.archive import write_archive
from facemask.dataset.manifest import MANIFEST

pytestmark = pytest.mark.slow  # runs the real stage

ROOT = Path(__file__).parents[2]
OUTS = ("data/links.csv", "data/manifest.csv", "data/samples.jpg", "metrics/details/data.json")
COPY = "with_mask/copy of 0.png"


def run_stage(project: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "stages" / f"{name}.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def outs(project: Path) -> dict[str, str]:
    return {name: hashlib.sha256((project / name).read_bytes()).hexdigest() for name in OUTS}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stages `merge` and `group` have run: three portraits per class, one mirrored under two labels."""
    folder = tmp_path_factory.mktemp("project")
    params = {
        "data": {"own": ".", "sources": ["mine"]},
        "sources": {"mine": {"kind": "folder", "path": "mine"}},
        "merge": {}, "group": {"sheet_images_per_class": 2}, "split": {}, "render": {}, "backbone": {}, "train": {},
        "evaluate": {}, "export": {}, "robustness": {}, "explain": {}, "unseen": {}, "report": {},
    }  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    drawn = dict(draw_sample(per_class=3, seed=1, workers=1))
    files = {name: data for name, data in drawn.items() if name.endswith(("jpg", "png")) and int(Path(name).stem) < 3}
    original = next(name for name in sorted(files) if name.startswith("without_mask/"))
    (folder / "original").write_bytes(files[original])
    with Image.open(folder / "original") as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "copy", "PNG")
    files[COPY] = (folder / "copy").read_bytes()
    Image.new("RGB", (40, 40), (9, 9, 9)).save(folder / "black", "PNG")
    files["with_mask/black.png"] = (folder / "black").read_bytes()
    files["with_mask/empty.png"] = b""
    write_archive(folder / "data/raw/mine.zip", sorted(files.items()))
    card = {"kind": "folder", "folders": {name: name for name in CLASSES}, "licence": "", "origin": "own photographs"}
    (folder / "data/raw/mine.json").write_text(json.dumps(card), encoding="utf-8")
    for stage in ("merge", "group"):
        done = run_stage(folder, stage)
        assert done.returncode == 0, done.stderr
    return folder


def test_the_manifest_tells_groups_copies_and_flags_of_every_image(project: Path) -> None:
    table = MANIFEST.read(project / "data/manifest.csv")
    copy = table.set_index("id").loc[f"mine/with_mask/{COPY}"]
    group = table[table["group"] == copy["group"]]
    assert sorted(group["label"]) == ["with_mask", "without_mask"]
    assert set(group["flags"]) == {"contradiction"}
    assert set(group["copies"]) == {2}
    others = table[table["group"] != copy["group"]]
    assert set(others["copies"]) == {1}
    assert dict(others.loc[others["flags"] != "", ["id", "flags"]].itertuples(index=False)) == {
        "mine/with_mask/with_mask/black.png": "near_constant"
    }


def test_links_figures_and_samples_are_written_beside_it(project: Path) -> None:
    header, link = (project / "data/links.csv").read_text(encoding="utf-8").splitlines()
    assert header == "first,second,mirrored,matches,agreement"
    assert link.startswith(f"mine/with_mask/{COPY},mine/without_mask/without_mask/")
    assert link.split(",")[2] == "1"
    figures = json.loads((project / "metrics/details/data.json").read_text(encoding="utf-8"))
    table = MANIFEST.read(project / "data/manifest.csv")
    assert (figures["images"], figures["groups"], figures["contradictions"]) == (len(table), len(table) - 1, 2)
    assert figures["junk"]["near_constant"] == 1
    assert figures["left_out"] == {"total": 1, "empty file": 1}
    with Image.open(project / "data/samples.jpg") as sheet:
        assert sheet.format == "JPEG"


def test_running_again_gives_the_same_bytes_for_every_out(project: Path) -> None:
    before = outs(project)
    for name in OUTS:
        (project / name).unlink()
    done = run_stage(project, "group")
    assert (done.returncode, done.stdout) == (0, "")
    assert outs(project) == before


def test_missing_images_end_the_stage_with_one_sentence_and_leave_the_outs(project: Path) -> None:
    before = outs(project)
    catalogue = project / "data/images.csv"
    catalogue.rename(project / "away.csv")
    done = run_stage(project, "group")
    (project / "away.csv").rename(catalogue)
    assert done.returncode == 1
    assert done.stderr == "error: data/images.csv is missing; run `dvc repro merge`\n"
    assert outs(project) == before
