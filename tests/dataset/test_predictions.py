"""The table of predictions keeps what is written, and a foreign one is refused."""

from pathlib import Path

import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.dataset.predictions import (
    ANSWERS,
    MOST_ANSWERS,
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


def many_answers(tmp_path: Path, number: int) -> pd.DataFrame:
    """Answers in git to as many images, ten of each photograph."""
    ids = pd.Series([f"{place:06}" for place in range(number)])
    table = pd.DataFrame({"id": ids, "part": "test", "source": "s", "label": CLASSES[0], "prediction": CLASSES[0]})
    table = table.assign(group="g" + ids.str[:-1], **dict.fromkeys(PROBABILITIES, 0.5))
    write_answers(tmp_path / "answers.csv", table, table.assign(sha256=ids))
    return ANSWERS.read(tmp_path / "answers.csv")


def test_of_very_many_answers_git_has_the_same_whole_photographs_in_each_revision(tmp_path: Path) -> None:
    first, second = (many_answers(tmp_path, number) for number in (MOST_ANSWERS * 2, MOST_ANSWERS * 2 + 100))
    assert MOST_ANSWERS - 10 <= len(first) <= MOST_ANSWERS
    assert set(first["group"].value_counts()) == {10}
    assert list(first["id"]) == sorted(first["id"])
    assert len(set(first["id"]) & set(second["id"])) > 0.99 * MOST_ANSWERS
    assert len(many_answers(tmp_path, MOST_ANSWERS)) == MOST_ANSWERS
