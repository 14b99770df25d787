"""The table of predictions keeps what is written, and a foreign one is refused."""

from pathlib import Path

import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.dataset.predictions import PREDICTIONS, PROBABILITIES, probabilities_of, truth_of


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
