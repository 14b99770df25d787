"""Writing and reading the CSV tables that one stage makes for another."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from facemask.core.errors import FacemaskError
from facemask.core.files import write_csv


def write_table(path: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Write these columns of a table, in this order, as `facemask.core.files.write_csv` does."""
    write_csv(path, columns, table[list(columns)].itertuples(index=False, name=None))


def read_table(path: Path, types: Mapping[str, str], stage: str) -> pd.DataFrame:
    """Read a table with exactly the columns of `types`.

    Args:
        path: the CSV file.
        types: name of each column, in order, and its dtype: "str" ("" where empty), "int64" or "float64".
        stage: which stage writes the file.

    Raises:
        FacemaskError: the file is missing or is not what the stage writes; the message says what to run.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        if list(table.columns) != list(types):
            raise ValueError(f"its columns are not {', '.join(types)}")
        return table.astype(types)
    except FileNotFoundError as error:
        raise FacemaskError(f"{path} is missing; run `dvc repro {stage}`") from error
    except ValueError as error:  # also what pandas raises for an empty or torn file, and for bytes that are no UTF-8
        raise FacemaskError(f"{path} can't be used ({error}); run `dvc repro {stage}`") from error
