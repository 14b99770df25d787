"""Metrics of two runs side by side; missing values are left blank."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from facemask.core.classes import CLASSES, TITLES
from facemask.dataset.split import DROPPED, PARTS
from facemask.presentation.table import PART_TITLES, Kind, Table, count, percent, photograph_count, ranged

Metrics = Mapping[str, Any]  # what the files in metrics/ hold, by their names, such as "evaluation"

ABSENT = "-"

_TEST = ("evaluation", "test")
_FIRST = ("evaluation", "train", "export", "robustness", "split", "data")
_HEADLINES = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "macro_f1": "Macro F1"}
_DECISION = {"answered": "Answered, not `uncertain`", "errors_of_answered": "Wrong among the answered"}


def headlines(before: Metrics, after: Metrics) -> Table:
    """Show the figures that a run is known by, with their 95 % intervals where there are any."""
    rows: list[tuple[str, ...]] = []
    for name, title in (("images", "Test images"), ("photographs", "Test photographs")):
        rows.append((title, *(_count(_number(side, *_TEST, name)) for side in (before, after))))
    for name, title in _HEADLINES.items():
        rows.append((title, *(_ranged(side, _TEST, (name,)) for side in (before, after))))
    for name, title in _DECISION.items():
        rows.append((title, *(_percent(_number(side, *_TEST, "decision", name)) for side in (before, after))))
    for title, path in (
        ("Calibration error", (*_TEST, "calibration", "calibration_error")),
        ("Accuracy under camera corruptions", ("robustness", "mean_corruption_accuracy")),
        ("Accuracy on val, epoch kept", ("train", "best_val_accuracy")),
        *((f"Accuracy, exported as {name}", ("export", "accuracy", name)) for name in _exported(before, after)),
    ):
        rows.append((title, *(_percent(_number(side, *path)) for side in (before, after))))
    return _table(rows)


def by_class(before: Metrics, after: Metrics) -> Table:
    """Show recall, precision and F1 of each class, with their 95 % intervals."""
    rows = [
        (f"{TITLES[label]}: {figure}", *(_ranged(side, _TEST, ("class", label, figure)) for side in (before, after)))
        for label in CLASSES
        for figure in ("recall", "precision", "f1")
    ]
    return _table(rows)


def confusion(before: Metrics, after: Metrics) -> Table:
    """Show how many photographs of each class were predicted as what, as "30 to 29" where the number changed."""
    rows = []
    for actual in CLASSES:
        pairs = [
            [_photographs(_number(side, *_TEST, "confusion", actual, said)) for side in (before, after)]
            for said in CLASSES
        ]
        cells = [old if old == new else f"{old} to {new}" for old, new in pairs]
        rows.append((TITLES[actual], *cells))
    known = any(cell != ABSENT for row in rows for cell in row[1:])
    titles: Sequence[tuple[str, Kind]] = [(f"Predicted: {TITLES[label].lower()}", "number") for label in CLASSES]
    return Table((("True class", "text"), *titles), rows if known else [])


def confusion_counts(metrics: Metrics) -> dict[str, dict[str, float]] | None:
    """Return the photographs by true and predicted class, or None where a run has none."""
    found = {
        actual: {said: _number(metrics, *_TEST, "confusion", actual, said) for said in CLASSES} for actual in CLASSES
    }
    if any(number is None for row in found.values() for number in row.values()):
        return None
    return {actual: {said: number or 0.0 for said, number in row.items()} for actual, row in found.items()}


def data_counts(before: Metrics, after: Metrics) -> Table:
    """Count images by class, source and part, as `metrics/data.json` and `metrics/split.json` have them."""
    paths: list[tuple[str, tuple[str, ...]]] = [
        ("Images", ("data", "images")),
        ("Photographs", ("data", "groups")),
        *((f"Images: {TITLES[label].lower()}", ("data", "label", label)) for label in CLASSES),
        *((f"Images from {name}", ("data", "source", name)) for name in _keys(before, after, "data", "source")),
        *((f"Images in {PART_TITLES[part]}", ("split", "images", part)) for part in (*PARTS, DROPPED)),
        ("Files left out", ("data", "left_out", "total")),
    ]
    rows = []
    for title, path in paths:
        old, new = (_total(side, *path) for side in (before, after))
        if old is not None or new is not None:
            rows.append((title, _count(old), _count(new)))
    return _table(rows)


def moved(before: Metrics, after: Metrics) -> Table:
    """List every number that differs, by file and dotted name; those of the model come first."""
    old, new = (dict(_numbers(side)) for side in (before, after))
    names = [name for name in {**new, **old} if old.get(name) != new.get(name)]
    names.sort(key=lambda name: _place(name.partition(".")[0]))
    rows = [(name, *(_plain(side.get(name)) for side in (old, new))) for name in names]
    return Table((("Figure", "name"), ("Before", "number"), ("After", "number")), rows)


def not_shown_above(numbers: Table) -> Table:
    """Leave out of the table of `moved` what the tables above show: classes, intervals and confusion of the test."""
    shown = tuple(".".join([*_TEST, group, ""]) for group in ("class", "interval", "confusion"))
    return Table(numbers.columns, [row for row in numbers.rows if not row[0].startswith(shown)])


def _table(rows: Iterable[tuple[str, ...]]) -> Table:
    """Build a table of the rows for which at least one run has a value."""
    told = [row for row in rows if set(row[1:]) != {ABSENT}]
    return Table((("Figure", "text"), ("Before", "number"), ("After", "number")), told)


def _exported(before: Metrics, after: Metrics) -> list[str]:
    return _keys(before, after, "export", "accuracy")


def _keys(before: Metrics, after: Metrics, *path: str) -> list[str]:
    """Return the keys of a group in either run, sorted."""
    groups = [group for side in (before, after) if isinstance(group := _at(side, *path), Mapping)]
    return sorted({str(key) for group in groups for key in group})


def _at(metrics: Metrics, *path: str) -> Any:
    found: Any = metrics
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _number(metrics: Metrics, *path: str) -> float | None:
    """Return a number; None where there is none. Files of other people's branches may hold anything."""
    found = _at(metrics, *path)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return None
    return found


def _total(metrics: Metrics, *path: str) -> float | None:
    """Return a number, or the sum of the numbers of a group."""
    group = _at(metrics, *path)
    if not isinstance(group, Mapping):
        return _number(metrics, *path)
    return sum(number for key in group if (number := _number(metrics, *path, key)) is not None)


def _ranged(metrics: Metrics, group: Sequence[str], path: Sequence[str]) -> str:
    share = _number(metrics, *group, *path)
    if share is None:
        return ABSENT
    low, high = (_number(metrics, *group, "interval", *path, bound) for bound in ("low", "high"))
    return ranged(share, None if low is None or high is None else {"low": low, "high": high})


def _percent(share: float | None) -> str:
    return ABSENT if share is None else percent(share)


def _count(number: float | None) -> str:
    return ABSENT if number is None else count(round(number))


def _photographs(number: float | None) -> str:
    return ABSENT if number is None else photograph_count(number)


def _plain(number: float | None) -> str:
    return ABSENT if number is None else f"{number:,}" if isinstance(number, int) else f"{number:.6g}"


def _place(file: str) -> int:
    return _FIRST.index(file) if file in _FIRST else len(_FIRST)


def _numbers(group: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, float]]:
    for key in group:
        if isinstance(group[key], Mapping):
            yield from _numbers(group[key], f"{prefix}{key}.")
        elif (number := _number(group, key)) is not None:
            yield f"{prefix}{key}", number
