"""CSV tables with a schema."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from facemask.core.errors import FacemaskError
from facemask.core.files import write_csv

Dtype = Literal["str", "int64", "float64", "bool"]


@dataclass(frozen=True)
class TableSchema:
    """Columns of a CSV file.

    Attributes:
        types: dtype of each column, in the order of the file. Text is "" where empty; "bool" is written as 0 or 1.
        stage: the stage that writes the file.
        key: column whose values are unique; rows are written in its order. "" for none.
        choices: the values that a column may have.
        optional: text columns that may follow.
        extra_prefix: further text columns may follow whose names begin with it, sorted by name. "" for none.
    """

    types: Mapping[str, Dtype]
    stage: str
    key: str = ""
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    optional: Sequence[str] = ()
    extra_prefix: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, without further ones."""
        return tuple(self.types)

    def write(self, path: Path, table: pd.DataFrame) -> None:
        """Write the columns of the schema, and further ones that it allows; other columns are left out."""
        if self.key:
            table = table.sort_values(self.key)
        stored = {name: "int64" if kind == "bool" else kind for name, kind in self.types.items() if kind != "str"}
        columns = [*self.types, *self._extra(table)]
        write_csv(path, columns, table[columns].astype(stored).itertuples(index=False, name=None))

    def read(self, path: Path) -> pd.DataFrame:
        """Read a table with exactly these columns, and further ones that the schema allows.

        Raises:
            FacemaskError: the file is missing or does not match the schema; the message says which stage to run.
        """
        try:
            stored = {name: "int64" if kind == "bool" else kind for name, kind in self.types.items()}
            kinds: defaultdict[str, str] = defaultdict(lambda: "str", stored)  # text for columns that may follow
            table = pd.read_csv(path, dtype=kinds, keep_default_na=False, encoding="utf-8")
            self._check(table)
            return table.astype(dict(self.types))
        except FileNotFoundError as error:
            raise FacemaskError(f"{path} is missing; run `dvc repro {self.stage}`") from error
        except ValueError as error:  # pandas raises it for empty, truncated and undecodable files too
            raise FacemaskError(f"{path} is invalid ({error}); run `dvc repro {self.stage}`") from error

    def _check(self, table: pd.DataFrame) -> None:
        if list(table.columns) != [*self.types, *self._extra(table)]:
            optional = [*self.optional, *([f"any {self.extra_prefix}<name>"] if self.extra_prefix else [])]
            further = f" and perhaps {', '.join(optional)}" if optional else ""
            raise ValueError(f"its columns are not {', '.join(self.types)}{further}")
        for column, allowed in self.choices.items():
            if unknown := sorted(set(table[column]) - set(allowed)):
                raise ValueError(f"the {column} {unknown[0]!r} is not one of {', '.join(allowed)}")
        if self.key and not table[self.key].is_unique:
            twice = table.loc[table[self.key].duplicated(), self.key].iloc[0]
            raise ValueError(f"the {self.key} {twice!r} occurs twice")

    def _extra(self, table: pd.DataFrame) -> list[str]:
        optional = [name for name in self.optional if name in table.columns]
        if not self.extra_prefix:
            return optional
        return [*optional, *sorted(name for name in table.columns if name.startswith(self.extra_prefix))]


def text_columns(*names: str) -> dict[str, Dtype]:
    """Return the types of columns that hold text."""
    return dict.fromkeys(names, "str")


def write_table(path: Path, table: pd.DataFrame, digits: int = 4) -> None:
    """Write all columns of the points of a chart; floats are rounded to `digits` decimals."""
    write_csv(path, list(table), table.itertuples(index=False, name=None), digits)
