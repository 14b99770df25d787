"""A source that is left out is left out wholly, and the figures come from it alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from facemask.core.classes import CLASSES
from facemask.dataset.archive import write_archive
from facemask.dataset.split import SPLIT
from facemask.evaluation.leave_one_source_out import COPIES, leave_out, summarise_unseen
from tests.training_project import COLOURS, ROOT, make_inputs, png, write_params


def split() -> pd.DataFrame:
    """Two sources; the photograph g0 is in both, one photograph of `b` has twenty copies."""
    rows = [(f"a{n}", "a", CLASSES[n % 3], f"g{n}", ("train", "val", "test")[n % 3]) for n in range(12)]
    rows += [(f"b{n}", "b", CLASSES[n % 3], f"h{n}", "train") for n in range(6)]
    rows += [(f"b-copy{n}", "b", CLASSES[0], "many", "val") for n in range(20)]
    rows += [("b-shared", "b", CLASSES[0], "g0", "test"), ("b-junk", "b", CLASSES[0], "junk", "dropped")]
    return pd.DataFrame(rows, columns=["id", "source", "label", "group", "part"])


def test_nothing_of_the_source_that_is_left_out_is_learned() -> None:
    parts = leave_out(split(), "b")
    known = parts[parts["part"] != "test"]
    assert set(known["source"]) == {"a"}
    assert set(known["part"]) == {"train", "val"}
    assert not set(known["group"]) & set(parts.loc[parts["part"] == "test", "group"])


def test_other_faces_of_a_picture_that_the_source_has_too_are_not_learned() -> None:
    table = split().assign(picture="")
    table.loc[table["id"].isin(["a0", "a3"]), "picture"] = "a/crowd"  # a0 has a copy in b
    assert not {"a0", "a3"} & set(leave_out(table, "b")["id"])
    assert "a6" in set(leave_out(table, "b")["id"])


def test_all_of_it_is_tested_but_what_was_dropped_and_copies_beyond_a_few() -> None:
    tested = leave_out(split(), "b").query("part == 'test'")
    assert set(tested["source"]) == {"b"}
    assert "b-junk" not in set(tested["id"])
    assert (tested["group"] == "many").sum() == COPIES
    assert {f"b{n}" for n in range(6)} <= set(tested["id"])


def test_the_figures_of_each_source_have_intervals() -> None:
    rows = split().assign(prediction=CLASSES[0])
    figures = summarise_unseen({"a": rows[rows["source"] == "a"]})["a"]
    assert figures["accuracy"] == pytest.approx(1 / 3)
    assert figures["interval"]["accuracy"]["low"] < 1 / 3 < figures["interval"]["accuracy"]["high"]


def project(folder: Path, enabled: bool) -> Path:
    """Two sources of coloured squares; those of the second are all in the part train."""
    make_inputs(folder)
    rows, members = [], {}
    for source in ("a", "b"):
        for label, colour in COLOURS.items():
            for number in range(20):
                name = f"{source}/{label}/{number:02}.png"
                members[name] = png(colour, number)
                part = ("train", "train", "train", "val", "test")[number % 5] if source == "a" else "train"
                rows.append((name, source, label, name, part if number % 7 else "val", ""))
    write_archive(folder / "data/images.zip", sorted(members.items()))
    SPLIT.write(folder / "data/split.csv", pd.DataFrame(rows, columns=SPLIT.columns))
    write_params(folder)
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["data"] = {"own": ".", "sources": ["a", "b"]}
    params["sources"] = {name: {"kind": "folder", "path": name} for name in ("a", "b")}
    params |= {"unseen": {"enabled": enabled}, "render": {**params["render"], "faces": 0}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return folder


def run_stage(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "stages/unseen.py")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FACEMASK_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_nothing_is_trained_unless_it_is_asked_for(tmp_path: Path) -> None:
    done = run_stage(project(tmp_path, enabled=False))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((tmp_path / "metrics/details/unseen.json").read_text(encoding="utf-8")) == {}


@pytest.mark.slow
def test_one_source_alone_cannot_be_left_out(tmp_path: Path) -> None:
    project(tmp_path, enabled=True)
    text = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    params = yaml.safe_load(text) | {"data": {"own": ".", "sources": ["a"]}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    done = run_stage(tmp_path)
    assert done.returncode == 1
    assert "unseen.enabled needs two sources or more in data.sources" in done.stderr


@pytest.mark.slow
def test_each_source_is_tested_by_a_model_that_never_saw_it(tmp_path: Path) -> None:
    done = run_stage(project(tmp_path, enabled=True))
    assert done.returncode == 0, done.stderr
    unseen = json.loads((tmp_path / "metrics/details/unseen.json").read_text(encoding="utf-8"))
    assert {name: figures["images"] for name, figures in unseen.items()} == {"a": 60, "b": 60}
    assert min(figures["accuracy"] for figures in unseen.values()) > 0.6  # chance: a third
    assert not (tmp_path / ".facemask/unseen").exists()
