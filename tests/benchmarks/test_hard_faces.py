"""The benchmark of faces with objects draws on the test part alone, and counts photographs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.hard_faces import cases, main, recall, table_of
from benchmarks.hard_objects import UNSEEN, draw_unseen
from facemask.core.classes import CLASSES
from facemask.data.sources.sample import draw_sample
from facemask.dataset.archive import write_archive
from facemask.dataset.split import SPLIT
from facemask.dataset.synthetic import OBJECTS
from facemask.models.decision import Decision, write_decision
from tests.bare_face import bare_photo, mean_points


def test_every_object_has_a_row_and_some_are_never_drawn_for_training() -> None:
    rows = cases()
    assert {case.name for case in rows if case.trained and case.label == "without_mask"} == set(OBJECTS)
    assert {case.name for case in rows if not case.trained} == set(UNSEEN)
    assert not set(UNSEEN) & set(OBJECTS)
    assert {case.name for case in rows if case.label == "with_mask"} == {"spectacles", "hand"}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_training_never_draws_leaves_the_eyes_and_is_drawn_alike_again(name: str) -> None:
    points = mean_points(width=0.6, height=0.55)
    photo = bare_photo(points)
    first, again = (draw_unseen(photo, points, name, np.random.default_rng(4)) for _ in range(2))
    assert first is not None
    assert again is not None
    assert first.tobytes() == again.tobytes()
    moved = np.abs(first.astype(int) - photo).max(axis=2) > 12
    assert moved.mean() > 0.004
    assert not moved[: int(points[[159, 386], 1].max())].any()


def test_recall_counts_photographs_and_the_table_says_how_many_were_drawn() -> None:
    rows = pd.DataFrame(
        [("hand", "without_mask", True, group, answer, "without_mask") for group, answer in
         (("a", "without_mask"), ("a", "with_mask"), ("b", "without_mask"), ("c", "without_mask"))],
        columns=["name", "label", "trained", "group", "with_object", "without"],
    )  # fmt: skip
    assert recall(rows, "without_mask", "with_object").startswith("83.3 (")
    line = table_of(rows, {("hand", "without_mask"): 5}).splitlines()[2]
    assert line.startswith("| `without_mask` | hand | 3 | 80 % | 83.3 (")
    assert "| 100.0 (" in line


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the command reads: drawn portraits, some of them in the part test, and an untrained model."""
    from facemask.models.classifier import build_model, save_model

    files = {f"s/{name}": data for name, data in draw_sample(per_class=5, seed=1, workers=1)
             if name.endswith(("jpg", "png")) and int(Path(name).stem) < 5}  # fmt: skip
    rows = [
        (name, "s", name.split("/")[1], name, "train" if Path(name).stem.endswith("0") else "test", "")
        for name in sorted(files)
    ]
    write_archive(tmp_path / "data/images.zip", sorted(files.items()))
    SPLIT.write(tmp_path / "data/split.csv", pd.DataFrame(rows, columns=SPLIT.columns))
    save_model(build_model(32, dropout=0, seed=1), tmp_path / "models/model.keras")
    costs = {actual: {answer: float(actual != answer) for answer in CLASSES} for actual in CLASSES}
    thresholds = dict.fromkeys(CLASSES, 0.0)
    write_decision(tmp_path / "models/decision.json", Decision(temperature=1, costs=costs, thresholds=thresholds))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_it_prints_a_row_for_each_object_and_the_same_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--faces", "3", "--objects", "beard", "sheet of paper", "spectacles", "--sheet", "hard.jpg"]
    main(command)
    first = capsys.readouterr().out
    names = [line.split(" | ")[:2] for line in first.splitlines() if line.startswith("| `")]
    assert names == [
        ["| `without_mask`", "beard"],
        ["| `without_mask`", "spectacles"],
        ["| `without_mask`", "sheet of paper"],
        ["| `with_mask`", "spectacles"],
        ["| `without_mask`", "**all that training draws**"],
        ["| `without_mask`", "**all that it never draws**"],
    ]
    assert (project / "hard.jpg").stat().st_size > 1000
    main(command)
    assert capsys.readouterr().out == first


@pytest.mark.slow
def test_a_missing_model_is_named(project: Path) -> None:
    (project / "models/decision.json").unlink()
    with pytest.raises(SystemExit, match=r"decision\.json is missing"):
        main(["--objects", "beard"])
