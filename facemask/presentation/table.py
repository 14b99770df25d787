"""Tables of text, and the formatting of numbers in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from facemask.dataset.split import DROPPED

PART_TITLES = {"train": "training", "val": "validation", "test": "test", DROPPED: "not used"}

Kind = Literal["text", "name", "number"]


@dataclass(frozen=True)
class Table:
    """Rows of text, ready to be shown.

    Attributes:
        columns: title and kind of each column: "name" is text that comes from files and is shown as it is.
        rows: as many cells as columns each.
    """

    columns: tuple[tuple[str, Kind], ...]
    rows: Sequence[tuple[str, ...]]


def percent(share: float) -> str:
    """Write a share as "98.5%"."""
    return f"{share:.1%}"


def ranged(share: float, interval: Mapping[str, float] | None) -> str:
    """Write a share with its interval as "98.5% (97.1 to 99.3)"."""
    return percent(share) + (f" ({100 * interval['low']:.1f} to {100 * interval['high']:.1f})" if interval else "")


def photograph_count(number: float) -> str:
    """Write a number of photographs, with one decimal where the copies of one are divided: "29", "12.4"."""
    return f"{number:,.0f}" if abs(number - round(number)) < 0.05 else f"{number:,.1f}"


def count(number: int, noun: str = "") -> str:
    """Write a whole number as "8,982", or with what is counted, as "1 image" and "8,982 images"."""
    return f"{number:,}" if not noun else f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
