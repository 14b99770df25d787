"""The table of predictions keeps what is written, and a foreign one is refused."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.dataset.predictions import (
    ANSWERS,
    MOST_ANSWERS,
    MOST_NAMED,
    PREDICTIONS,
    PROBABILITIES,
    probabilities_of,
    truth_of,
    write_answers,
)


def table() -> pd.DataFrame:
    rows = [
        {
            "id": f"2024/{label}/{number}.png",
            "part": "test",
            "source": "2024",  # looks like a number, is a name
            "group": f"g{number}",
            "label": label,
            "prediction": CLASSES[0],
            **dict(zip(PROBABILITIES, (0.5, 0.25, 0.25), strict=True)),
        }
        for number, label in enumerate(CLASSES)
    ]
    return pd.DataFrame(rows)


def test_predictions_survive_writing_and_reading(tmp_path: Path) -> None:
    PREDICTIONS.write(tmp_path / "p.csv", table())
    pd.testing.assert_frame_equal(PREDICTIONS.read(tmp_path / "p.csv"), table(), check_dtype=False)
    assert PREDICTIONS.read(tmp_path / "p.csv")[list(PROBABILITIES)].dtypes.eq("float64").all()


def test_missing_or_foreign_predictions_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match="run `dvc repro evaluate`"):
        PREDICTIONS.read(tmp_path / "p.csv")
    (tmp_path / "p.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(FacemaskError, match="run `dvc repro evaluate`"):
        PREDICTIONS.read(tmp_path / "p.csv")


def test_probabilities_and_truth_are_in_the_order_of_the_classes() -> None:
    assert probabilities_of(table()).tolist() == [[0.5, 0.25, 0.25]] * 3
    assert truth_of(table()).tolist() == [0, 1, 2]


def many_answers(
    tmp_path: Path, number: int, groups: pd.Series | None = None, prediction: str = CLASSES[0], prefix: str = ""
) -> pd.DataFrame:
    """Write answers to as many images, ten of each photograph, and read what git has."""
    ids = pd.Series([f"{prefix}{place:06}" for place in range(number)])
    table = pd.DataFrame({"id": ids, "part": "test", "source": "s", "label": CLASSES[0], "prediction": prediction})
    groups = "g" + ids.str[:-1] if groups is None else groups
    table = table.assign(group=groups, **dict.fromkeys(PROBABILITIES, 0.5))
    write_answers(tmp_path / "answers.csv", table, table.assign(sha256=ids.map(hashed)))
    return ANSWERS.read(tmp_path / "answers.csv")


def hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def test_of_very_many_answers_git_has_the_same_of_as_many_photographs_as_possible_in_each_revision(
    tmp_path: Path,
) -> None:
    first, second = (many_answers(tmp_path, number) for number in (MOST_ANSWERS * 10, MOST_ANSWERS * 10 + 100))
    assert len(first) == MOST_ANSWERS
    assert set(first["group"].value_counts()) == {1}
    assert len(set(first["image"]) & set(second["image"])) > 0.98 * MOST_ANSWERS
    assert len(many_answers(tmp_path, MOST_ANSWERS)) == MOST_ANSWERS


def test_one_photograph_of_thousands_of_copies_leaves_room_for_the_others(tmp_path: Path) -> None:
    copies = pd.Series(["one"] * MOST_ANSWERS + [f"{number}" for number in range(MOST_ANSWERS)])
    answers = many_answers(tmp_path, len(copies), groups=copies)
    assert answers["group"].nunique() == len(answers) == MOST_ANSWERS


@pytest.mark.parametrize("right", [True, False])
def test_answers_in_git_stay_small_however_long_names_are_and_however_bad_the_model(
    tmp_path: Path, right: bool
) -> None:
    said = CLASSES[0 if right else 1]
    answers = many_answers(tmp_path, 30_000, prediction=said, prefix=f"source/{CLASSES[0]}/pictures/portraits-of-2024")
    assert (answers["id"] != "").sum() == (0 if right else MOST_NAMED)
    assert (tmp_path / "answers.csv").stat().st_size < 88_000


def test_answers_in_git_say_in_short_what_was_asked_and_answered_and_name_what_is_wrong(tmp_path: Path) -> None:
    asked = table()
    write_answers(tmp_path / "answers.csv", asked, asked.assign(sha256=asked["id"].map(hashed)))
    answers = ANSWERS.read(tmp_path / "answers.csv")
    assert [hashed(name)[:10] for name in asked["id"]] == list(answers["image"])
    assert [hashed(name)[:6] for name in asked["id"]] == list(answers["sha256"])
    assert answers[["group", "label", "prediction"]].to_numpy().tolist() == [
        ["0", "0", "0"],
        ["1", "1", "0"],
        ["2", "2", "0"],
    ]
    assert list(answers["id"]) == ["", *asked["id"][1:]]
    assert list(answers["confidence"]) == ["", "0.5", "0.5"]
