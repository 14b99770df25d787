"""The whole pipeline, run by the real `dvc` in a tiny real repository: drawn faces, 32 pixels, a random backbone."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from dvc.repo import Repo
from PIL import Image, ImageEnhance

from facemask.data.leakage import LEAKS
from facemask.dataset.manifest import MANIFEST
from facemask.dataset.split import DROPPED, SPLIT
from tests.imports import only_docstring

ROOT = Path(__file__).parents[1]
AFTER_TRAINING = ["evaluate", "export", "web", "robustness", "explain", "report"]
STAGES = ("download@sample", "merge", "group", "split", "render", "backbone", "train", "unseen", *AFTER_TRAINING)
TINY: dict[str, Any] = {
    "sources.sample.per_class": 12,
    "split.val": 0.25,
    "split.test": 0.25,
    "backbone.source": "none",
    "train.image_size": 32,
    "train.batch_size": 8,
    "render.faces": 0,  # the face mesh would have to be fetched
    "train.epochs": 2,
    "train.from_layer": "Conv_1",
    "train.kept_views": 0,
    "train.repeats": 1,
    "export.parity_images": 4,
    "export.face_detector": False,  # so would the face detector
    "robustness.images": 3,
}

PLOTS = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]

pytestmark = pytest.mark.slow


def set_params(repo: Path, changes: dict[str, Any]) -> None:
    path = repo / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *groups, last = key.split(".")
        group = params
        for name in groups:
            group = group[name]
        group[last] = value
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8", newline="\n")


def run(repo: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `repo` as its user would: its own modules first, and the tools of this environment."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(repo),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "random",  # sets have another order in each process
        **variables,
    }
    return subprocess.run(command, cwd=repo, env=environment, capture_output=True, text=True, check=False)


def dvc(repo: Path, *arguments: str) -> str:
    done = run(repo, "dvc", *arguments)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def figures(repo: Path, name: str) -> dict[str, Any]:
    return json.loads((repo / "metrics/details" / f"{name}.json").read_text(encoding="utf-8"))


def groups_of(names: pd.Series) -> set[frozenset[int]]:
    """Which rows have equal names, whatever the names are."""
    return {frozenset(rows) for rows in names.groupby(names).groups.values()}


def make_repo(folder: Path) -> Path:
    """Clone what is in the work tree into a git repository of its own, without any out."""
    tracked = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").stdout.splitlines()
    for name in tracked:
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith(("metrics/", "plots/", "docs/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "t"]):
        assert run(folder, "git", *command).returncode == 0
    set_params(folder, TINY)
    return folder


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that each stage opened while `built` was made, as `tests/recorder` lists them."""
    return tmp_path_factory.mktemp("reads")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, reads: Path) -> Path:
    """A repository in which `dvc repro` has run once."""
    repo = make_repo(tmp_path_factory.mktemp("built"))
    path = os.pathsep.join([str(repo), str(ROOT / "tests" / "recorder")])
    done = run(repo, "dvc", "repro", PYTHONPATH=path, RECORD_READS=str(reads))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return repo


@pytest.fixture
def copy_of_built(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy", symlinks=True))


@pytest.fixture(scope="module")
def changed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `built` in which nothing is run, with any settings."""
    return Path(shutil.copytree(built, tmp_path_factory.mktemp("changed") / "copy", symlinks=True))


def stages_run(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def test_one_command_makes_model_metrics_plots_and_report(built: Path) -> None:
    lock = yaml.safe_load((built / "dvc.lock").read_text(encoding="utf-8"))
    assert set(lock["stages"]) == set(STAGES)
    outs = [out["path"] for stage in lock["stages"].values() for out in stage.get("outs", [])]
    assert all((built / out).exists() for out in outs)
    test = figures(built, "evaluation")["test"]
    assert 0 <= test["accuracy"] <= 1
    assert test["images"] == figures(built, "split")["images"]["test"]


def test_a_second_run_has_nothing_to_do(built: Path) -> None:
    assert stages_run(dvc(built, "repro")) == []


@pytest.mark.nightly  # in the gate, tests/stages repeat the stages without TensorFlow, and tests/training the training
def test_a_run_from_nothing_gives_the_same_lock(built: Path, tmp_path: Path) -> None:
    again = make_repo(tmp_path / "again")
    dvc(again, "repro")
    first, second = (yaml.safe_load((repo / "dvc.lock").read_text(encoding="utf-8")) for repo in (built, again))
    assert set(first["stages"]) == set(STAGES)
    assert first == second


@pytest.mark.parametrize(
    ("key", "value", "stages"),
    [
        ("sources.sample.seed", 2, "download@sample"),
        ("merge.min_side", 20, "merge"),
        ("merge.accept_missing_end", True, "merge"),
        ("group.candidates", 30, "group"),
        ("group.junk.blurred", 0.03, "group"),
        ("split.seed", 2, "split"),
        ("split.leaks.limit", 1, "split"),
        ("render.seed", 2, "render unseen"),
        ("backbone.seed", 2, "backbone"),
        ("train.dropout", 0.3, "train unseen"),
        ("train.augmentation.flip", 0.1, "train unseen"),
        ("train.sampling", "image", "train unseen"),
        ("evaluate.batch_size", 2, "evaluate"),
        ("export.parity_images", 2, "export"),
        ("web.enabled", True, "web"),
        ("robustness.images", 0, "robustness"),
        ("explain.right", 1, "explain"),
        ("unseen.enabled", True, "unseen"),
        ("report.wrong_images", 1, "report"),
        ("sources.own.path", "elsewhere", ""),
        ("sources.vijaykumar1799.version", 9, ""),
    ],
)
def test_a_changed_setting_makes_exactly_the_stages_that_read_it_out_of_date(
    built: Path, changed: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: Any, stages: str
) -> None:
    monkeypatch.chdir(changed)
    shutil.copyfile(built / "params.yaml", changed / "params.yaml")
    set_params(changed, {key: value})
    with Repo() as repo:  # what `dvc status` shows, without starting it once for each setting
        out_of_date = repo.status()
    own = [name for name, changes in out_of_date.items() if any("params.yaml" in str(change) for change in changes)]
    assert sorted(own) == stages.split()


def test_what_does_not_depend_on_a_changed_setting_is_not_run_again(copy_of_built: Path) -> None:
    set_params(copy_of_built, {"explain.right": 1, "report.wrong_images": 1})
    assert stages_run(dvc(copy_of_built, "repro")) == ["explain", "report"]


def test_a_new_split_trains_again_but_does_not_draw_merge_or_group_again(copy_of_built: Path) -> None:
    set_params(copy_of_built, {"split.seed": 2})
    assert stages_run(dvc(copy_of_built, "repro", "split")) == ["split"]
    assert stages_run(dvc(copy_of_built, "repro", "--dry", "train")) == ["render", "train"]


def test_a_wrong_setting_stops_the_run_before_any_work(copy_of_built: Path) -> None:
    set_params(copy_of_built, {"sources.sample.seed": 3, "train.dropout": 2})
    done = run(copy_of_built, "dvc", "repro")
    assert done.returncode != 0
    assert "train.dropout: Input should be less than 1, not 2" in done.stderr
    assert "Traceback" not in done.stderr
    assert stages_run(done.stdout) == ["download@sample"]  # begun, and ended by the message


def test_plots_of_the_run_can_be_shown(built: Path) -> None:
    done = run(built, "dvc", "plots", "show", "--out", "shown")
    assert done.returncode == 0, done.stderr
    assert "fail" not in done.stderr.lower()
    page = (built / "shown" / "index.html").read_text(encoding="utf-8")
    titles = [next(iter(plot)) for plot in PLOTS if isinstance(plot, dict)]
    assert len(titles) == 11
    assert [title for title in titles if f'"text": "{title}"' not in page] == []


def test_metrics_can_be_shown_and_the_model_is_registered(built: Path) -> None:
    shown = json.loads(dvc(built, "metrics", "show", "--json"))[""]["data"]
    assert "metrics/evaluation.json" in shown
    sizes = {path: len(content["data"]) for path, content in shown.items()}
    assert max(sizes.values()) <= 12, sizes  # columns of `dvc metrics show`
    assert sum(sizes.values()) <= 24, sizes  # rows of `dvc metrics diff`, at most
    values = [value for content in shown.values() for value in content["data"].values()]
    assert all(value is None or isinstance(value, int | float) for value in values)  # no groups: plain names
    assert yaml.safe_load((built / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]["facemask"]["type"] == "model"


def test_the_summary_says_where_everything_is(built: Path) -> None:
    done = run(built, sys.executable, "-m", "facemask", "summary")
    assert done.returncode == 0, done.stderr
    for place in ("models/model.keras", "metrics/", "report/report.html"):
        assert place in done.stdout


def test_own_photographs_need_only_an_entry_and_new_ones_are_noticed(
    copy_of_built: Path, own_photographs: Callable[[Path, int], None]
) -> None:
    own = copy_of_built / "data" / "own"
    own_photographs(own, 8)
    set_params(copy_of_built, {"data.sources": ["own"]})
    ran = stages_run(dvc(copy_of_built, "repro", "evaluate"))
    assert ran == ["download@own", "merge", "group", "split", "render", "train", "evaluate"]
    assert figures(copy_of_built, "data")["images"] == 24

    original = min((own / "with_mask").iterdir())  # a new one that shows the same photograph in another class
    with Image.open(original) as picture:
        copy = ImageEnhance.Brightness(picture.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)).enhance(0.5)
        copy.save(own / "without_mask" / "somebody.png")
    assert stages_run(dvc(copy_of_built, "repro", "split")) == ["download@own", "merge", "group", "split"]
    table = SPLIT.read(copy_of_built / "data" / "split.csv").set_index("id")
    pair = [f"own/with_mask/with_mask/{original.name}", "own/without_mask/without_mask/somebody.png"]
    assert table.loc[pair, "group"].nunique() == 1
    assert sorted(table.index[table["part"] == DROPPED]) == pair
    assert set(table.loc[pair, "reason"]) == {"contradicting labels"}
    manifest = MANIFEST.read(copy_of_built / "data" / "manifest.csv").set_index("id")
    assert sorted(manifest.index[manifest["flags"].str.contains("contradiction")]) == pair
    assert figures(copy_of_built, "data")["contradictions"] == 2
    assert figures(copy_of_built, "split")["dropped"] == {"contradicting labels": 2}


def test_planted_copies_stand_in_one_group_and_one_part_and_other_portraits_do_not(built: Path) -> None:
    manifest = MANIFEST.read(built / "data" / "manifest.csv")
    path = manifest["id"].str.split("/", n=2).str[2]
    original = path.where(manifest["attr_planted"] == "", manifest["attr_planted_of"])
    assert (manifest["attr_planted"] != "").sum() >= 10
    assert groups_of(manifest["group"]) == groups_of(original)
    table = SPLIT.read(built / "data" / "split.csv")
    assert list(table["id"]) == list(manifest["id"])
    assert table.groupby(original)["part"].nunique().max() == 1
    assert (table.loc[manifest["attr_planted"] == "contradiction", "part"] == DROPPED).all()


def test_copies_that_grouping_has_missed_are_caught_as_leaks_until_they_are_let_pass(copy_of_built: Path) -> None:
    path = copy_of_built / "data" / "manifest.csv"
    manifest = MANIFEST.read(path)
    photograph = manifest.set_index("id")["group"]
    # As if only files of equal bytes had been found to be copies.
    manifest["group"] = "g" + manifest["sha256"].str[:16]
    MANIFEST.write(path, manifest)
    before = (copy_of_built / "metrics/details" / "split.json").read_bytes()

    done = run(copy_of_built, "python", "stages/split.py")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    leaks = LEAKS.read(copy_of_built / "data" / "leaks.csv")
    suspicious = leaks[leaks["suspicious"]]
    assert len(suspicious) > 0
    assert (suspicious["id"].map(photograph) == suspicious["train_id"].map(photograph)).all()
    first = suspicious.iloc[0]
    assert f"first {first['id']} like {first['train_id']}" in done.stderr
    assert f"{len(suspicious)} validation or test images look like copies" in done.stderr
    assert (copy_of_built / "metrics/details" / "split.json").read_bytes() == before

    set_params(copy_of_built, {"split.leaks.limit": len(suspicious)})
    done = run(copy_of_built, "python", "stages/split.py")
    assert done.returncode == 0, done.stderr
    assert figures(copy_of_built, "split")["leaks"]["suspicious_pairs"] == len(suspicious)
    assert figures(copy_of_built, "split")["leaks"]["highest_similarity"] == pytest.approx(
        first["similarity"], abs=1e-3
    )
    pd.testing.assert_frame_equal(LEAKS.read(copy_of_built / "data" / "leaks.csv"), leaks)


def test_the_split_of_the_sample_has_no_suspicious_pairs_and_says_so(built: Path) -> None:
    leaks = figures(built, "split")["leaks"]
    similarity = leaks.pop("highest_similarity")
    assert leaks == {"groups_in_two_parts": 0, "equal_files_in_two_parts": 0, "suspicious_pairs": 0}
    listed = LEAKS.read(built / "data" / "leaks.csv")
    assert not listed["suspicious"].any()
    assert similarity == pytest.approx(listed["similarity"].max(), abs=1e-3)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_opens_no_file_that_it_does_not_declare(built: Path, reads: Path, stage: str) -> None:
    lock = yaml.safe_load((built / "dvc.lock").read_text(encoding="utf-8"))["stages"][stage]
    declared = {"params.yaml", *(entry["path"] for kind in ("deps", "outs") for entry in lock.get(kind, []))}
    opened = {
        file
        for file in (reads / f"{stage}.txt").read_text(encoding="utf-8").splitlines()
        # The `__init__.py` of most packages holds a docstring only, so it changes no output.
        if "__pycache__" not in file and not (file.endswith("__init__.py") and only_docstring(built / file))
    }
    undeclared = {file for file in opened if not any(file == path or file.startswith(f"{path}/") for path in declared)}
    # Outs are written to hidden folders beside their place first.
    assert {file for file in undeclared if "/." not in f"/{file}"} == set()
    assert f"stages/{stage.partition('@')[0]}.py" in opened


@pytest.fixture
def own_photographs() -> Callable[[Path, int], None]:
    """Writes drawn portraits into a folder per class; a smaller number of them is the beginning of a larger one."""
    from facemask.data.sources.sample import draw_sample

    def write(folder: Path, per_class: int) -> None:
        for name, data in draw_sample(per_class, seed=7, workers=1):
            if name.endswith((".jpg", ".png")) and int(Path(name).stem) < per_class:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)

    return write


def test_a_source_that_is_no_longer_used_leaves_nothing_behind(copy_of_built: Path) -> None:
    raw = copy_of_built / "data" / "raw"
    shutil.copyfile(raw / "sample.zip", raw / "old.zip")
    shutil.copyfile(raw / "sample.json", raw / "old.json")
    dvc(copy_of_built, "repro", "merge")
    assert sorted(file.name for file in (copy_of_built / "data" / "raw").iterdir()) == ["sample.json", "sample.zip"]


def test_the_lock_of_a_clone_without_data_is_seen_to_be_current(built: Path, tmp_path: Path) -> None:
    run(built, "git", "add", "-A")
    run(built, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "results")
    assert run(tmp_path, "git", "clone", "-q", str(built), "clone").returncode == 0
    assert stages_run(dvc(tmp_path / "clone", "repro", "--dry", "--allow-missing")) == []
    set_params(tmp_path / "clone", {"train.dropout": 0.4})
    stale = run(tmp_path / "clone", "dvc", "repro", "--dry", "--allow-missing")
    assert "Stage 'backbone' didn't change" in stale.stdout
    assert "train" in stages_run(stale.stdout) or "failed to reproduce 'train'" in stale.stderr
