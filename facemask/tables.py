"""Reading the CSV tables that one stage writes for another."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from facemask.errors import FacemaskError


def read_table(path: Path, columns: Sequence[str], stage: str, numbers: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table with exactly `columns`.

    Args:
        path: the CSV file.
        columns: names of all columns, in order.
        stage: which stage writes the file.
        numbers: the columns that are read as float64; all others are text, "" where empty.

    Raises:
        FacemaskError: the file is missing or is not what the stage writes; the message says what to run.
    """
    types = {name: "float64" if name in numbers else "str" for name in columns}
    try:
        table = pd.read_csv(path, dtype=types, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise FacemaskError(f"{path} is missing; run `dvc repro {stage}`") from error
    except ValueError as error:  # what pandas raises for an empty or torn file, and for bytes that are no UTF-8
        raise FacemaskError(f"{path} can't be read ({error}); run `dvc repro {stage}`") from error
    if list(table.columns) != list(columns):
        raise FacemaskError(f"{path} does not have the columns {', '.join(columns)}; run `dvc repro {stage}`")
    return table
