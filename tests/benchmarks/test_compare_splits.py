"""The comparison of splits deals folds as it says, and keeps what it has run."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmarks.compare_splits import MANNERS, figures, folds, main, parts, run_full, table_of
from facemask.core.classes import CLASSES
from facemask.core.params import RenderParams, load_params
from facemask.dataset.archive import write_archive
from facemask.dataset.split import SPLIT

ROOT = Path(__file__).parents[2]


def images(photographs: int, copies: int) -> pd.DataFrame:
    rows = [
        (f"s/{label}/{number}-{copy}.png", "s", label, f"{label} {number}", "train", "")
        for label in CLASSES
        for number in range(photographs)
        for copy in range(copies)
    ]
    return pd.DataFrame(rows, columns=SPLIT.columns)


@pytest.mark.parametrize("manner", MANNERS)
def test_every_image_is_tested_once_and_every_class_in_every_fold(manner: str) -> None:
    table = images(photographs=20, copies=4)
    dealt = folds(table, manner, 5, seed=1)
    assert sorted(np.concatenate(dealt)) == list(range(len(table)))
    assert all(set(table["label"].iloc[test]) == set(CLASSES) for test in dealt)


def test_by_group_no_photograph_is_in_two_parts_and_by_file_most_are() -> None:
    table = images(photographs=20, copies=8)
    in_parts = {
        manner: parts(table, manner, 5, fold=2, val=0.15, seed=1).groupby("group")["part"].nunique()
        for manner in MANNERS
    }
    assert (in_parts["by group"] == 1).all()
    assert (in_parts["by file"] > 1).mean() > 0.8


@pytest.mark.parametrize("manner", MANNERS)
def test_the_part_that_stops_training_comes_out_of_the_training_folds(manner: str) -> None:
    table = images(photographs=35, copies=4)
    split = parts(table, manner, 5, fold=0, val=0.15, seed=1)
    assert list(np.flatnonzero(split["part"] == "test")) == list(folds(table, manner, 5, seed=1)[0])
    shares = split["part"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.01)
    assert shares["val"] == pytest.approx(0.8 / 7, abs=0.01)
    assert set(split.loc[split["part"] == "val", "label"]) == set(CLASSES)


def test_the_table_gives_mean_and_sample_standard_deviation_in_per_cent() -> None:
    results = [
        {"run": {"model": "linear", "split": "by file"}, "figures": {"accuracy": value}} for value in (0.9, 0.94, 0.98)
    ]
    assert table_of(results).splitlines()[-1] == "| linear | by file | 3 | 94.00 ± 4.00 |"


@pytest.fixture
def project(training_inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the command reads: 47 images, a random backbone, settings for a short training."""
    table = images(photographs=8, copies=2)
    table.loc[0, ["part", "reason"]] = ["dropped", "contradicting labels"]
    members = []
    for place, row in table.iterrows():
        buffer = io.BytesIO()
        Image.new("L", (32, 32), 100 * CLASSES.index(row["label"]) + int(place) % 40).save(buffer, "PNG")
        members.append((row["id"], buffer.getvalue()))
    write_archive(tmp_path / "data/images.zip", sorted(members))
    SPLIT.write(tmp_path / "data/split.csv", table)
    shutil.copytree(training_inputs / "models", tmp_path / "models")
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["train"] |= {"image_size": 32, "epochs": 1, "draws": 48, "views": 1, "batch_size": 8, "repeats": 0}
    settings["train"]["from_layer"] = "Conv_1"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_fold_in_the_file_is_not_run_again_unless_a_setting_changes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--folds", "2", "--only", "linear"]
    main(command)
    first = capsys.readouterr()
    rows = [line for line in first.out.splitlines() if line.startswith("| linear")]
    assert [row.split(" | ")[:2] for row in rows] == [["| linear", "by file"], ["| linear", "by group"]]
    assert "47 images of 24 photographs" in first.out  # one was dropped by the split

    out = project / "compare_splits.json"
    kept = json.loads(out.read_text(encoding="utf-8"))
    out.write_text(json.dumps({"results": kept["results"][:-1]}), encoding="utf-8")  # as after an interruption
    main(command)
    second = capsys.readouterr()
    assert second.err.count("fold") == second.err.count("linear, by group, fold 2 of 2") == 1
    assert second.out == first.out

    main([*command, "--sampling", "image"])
    assert capsys.readouterr().err.count("linear, by") == 4


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_the_full_training_is_tested_on_the_fold_that_it_did_not_see() -> None:
    split = parts(images(photographs=8, copies=2), "by group", 2, fold=1, val=0.15, seed=1)
    rows = run_full(split, load_params().train, RenderParams(faces=0))
    assert list(rows["id"]) == list(split.loc[split["part"] == "test", "id"])
    assert set(figures(rows)) == {"accuracy", "balanced accuracy", *(f"recall of `{name}`" for name in CLASSES)}
