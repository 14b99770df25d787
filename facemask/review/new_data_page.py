"""Findings about new images as text, Markdown or JSON."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from facemask.core.classes import CLASSES, TITLES
from facemask.dataset.split import DROPPED, PARTS
from facemask.presentation.markup import markdown_environment, text_table
from facemask.presentation.table import PART_TITLES, Kind, Table, count
from facemask.review.new_data import CHANGED, EXACT, FEATURES, NEW, NewData, Shift

LISTED = 10  # of a kind, in text and Markdown
FEW = 30  # photographs, with fewer of which only a large drift shows

SHIFT_TITLES = {"brightness": "brightness, 0 to 255", "side": "shorter side, pixels", FEATURES: "features"}
_WORDS = {"brightness": ("darker", "brighter"), "side": ("smaller", "larger")}


def text(found: NewData) -> str:
    """Write what was found for a terminal."""
    parts = [sentence(found), text_table(by_class(found)), *notes(found)]
    parts += [f"{title}:\n{text_table(table)}" for title, table in lists(found).items()]
    if found.shifts:
        parts.append(f"{_compared(found)}\n{text_table(drifts(found))}")
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def markdown(found: NewData) -> str:
    """Write what was found for a comment in a review."""
    template = markdown_environment().get_template("review/new_data_page.md.j2")
    return template.render(
        sentence=sentence(found),
        by_class=by_class(found),
        notes=notes(found),
        lists=lists(found),
        compared=_compared(found),
        drifts=drifts(found) if found.shifts else None,
    )


def figures(found: NewData) -> dict[str, Any]:
    """Gather everything that was found, names of all images included, as JSON can hold it."""
    images = found.images
    copies = images[images["original"] != ""]
    contradictions, junk = images[images["contradicts"] != ""], images[images["junk"] != ""]
    return {
        "what": found.title,
        "sentence": sentence(found),
        "unchanged": found.unchanged,
        "went": found.went,
        "missing": list(found.missing),
        "class": {label: _numbers(found, label) for label in CLASSES},
        "copies_of_part": {part: int((copies["part"] == part).sum()) for part in (*PARTS, DROPPED)},
        "photographs_doubted": _doubted(found),
        "copies": copies[["id", "label", "kind", "original", "part"]].to_dict("records"),
        "contradictions": contradictions[["id", "label", "contradicts", "other_label"]].to_dict("records"),
        "junk": junk[["id", "label", "junk"]].to_dict("records"),
        "left_out": [{"path": path, "reason": reason} for path, reason in found.left_out],
        "like": list(found.like),
        "drift": {name: _shift_figures(shift) for name, shift in found.shifts.items()},
    }


def sentence(found: NewData) -> str:
    """Sum up in one sentence what the new images bring, what is wrong with them, and whether they are as usual."""
    images = found.images
    if images.empty:
        gone = f", and {count(found.went)} that are there would go" if found.went else ""
        return f"{found.title}: nothing new, all {count(found.unchanged)} images are there already{gone}."
    told = [
        f"{count(len(images), 'new image')} with {count(found.brought['group'].nunique(), 'new photograph')} to use",
        _said(images["original"] != "", "copies of what is there", "a copy of what is there"),
        _said(images["contradicts"] != "", "with a copy under another label"),
        _said(images["junk"] != "", "junk"),
        f"{count(len(found.left_out), 'file')} left out" if found.left_out else "",
        f"no image of {' and '.join(TITLES[label].lower() for label in found.missing)}" if found.missing else "",
    ]
    return f"{found.title}: {', '.join(filter(None, told))}. {_judged(found)}"


def _said(which: pd.Series, words: str, of_one: str = "") -> str:
    number = int(which.sum())
    return f"{count(number)} {of_one if of_one and number == 1 else words}" if number else ""


def _judged(found: NewData) -> str:
    if not found.shifts:
        return "There is nothing to compare with the training data."
    unlike = [name if name != "side" else "size" for name, shift in found.shifts.items() if shift.drift.unlike]
    if not unlike:
        return "Brightness, size and features are as usual."
    but = f", but like its source {' and '.join(found.like)}" if found.like else ""
    return f"Unlike the training data in {' and '.join(', '.join(unlike).rsplit(', ', 1))}{but}."


def by_class(found: NewData) -> Table:
    """Count, class by class, what is there and what the new images are."""
    rows = [_row(TITLES[label], _numbers(found, label)) for label in CLASSES]
    rows.append(_row("All", _numbers(found, None)))
    return Table((("Class", "text"), *((title, "number") for title in _COLUMNS.values())), rows)


_COLUMNS = {
    "there": "There",
    "photographs_there": "Photographs",
    "images": "New",
    "exact_copies": "Equal",
    "changed_copies": "Changed",
    "copies_of_each_other": "Repeats",
    "junk": "Junk",
    "contradictions": "Two labels",
    "photographs": "To use",
}


def _row(title: str, numbers: dict[str, int]) -> tuple[str, ...]:
    return title, *(count(numbers[name]) for name in _COLUMNS)


def _numbers(found: NewData, label: str | None) -> dict[str, int]:
    """Count images and photographs of a class, or of all."""
    there, images, brought = (
        table if label is None else table[table["label"] == label]
        for table in (found.there, found.images, found.brought)
    )
    new = images[images["kind"] == NEW]
    return {
        "there": len(there),
        "photographs_there": int(there["group"].nunique()),
        "images": len(images),
        "exact_copies": int((images["kind"] == EXACT).sum()),
        "changed_copies": int((images["kind"] == CHANGED).sum()),
        "copies_of_each_other": len(new) - int(new["group"].nunique()),
        "junk": int((images["junk"] != "").sum()),
        "contradictions": int((images["contradicts"] != "").sum()),
        "photographs": int(brought["group"].nunique()),
    }


def notes(found: NewData) -> list[str]:
    """Return the remarks that are in no table."""
    images, told = found.images, []
    if len(images):
        told.append(
            "Equal and changed images are copies of what is there, repeats are copies of each other. To use are "
            "photographs that are none of this, no junk and without a copy under another label."
        )
    if found.unchanged or found.went:
        told.append(
            f"{count(found.unchanged, 'image')} of the set {'is' if found.unchanged == 1 else 'are'} there already; "
            f"{count(found.went)} that {'is' if found.went == 1 else 'are'} there would go."
        )
    elsewhere = {part: int((images["part"] == part).sum()) for part in (*PARTS[1:], DROPPED)}
    if any(elsewhere.values()):
        parts = [f"{count(number)} {PART_TITLES[part]}" for part, number in elsewhere.items() if number]
        told.append(
            f"Of the photographs that the copies show, these are in other parts than training: {', '.join(parts)}. "
            "Copies always go with their photograph."
        )
    if number := _doubted(found):
        told.append(
            f"{count(number, 'photograph')} that {'is' if number == 1 else 'are'} there would get a copy under another "
            "label: split.contradictions in params.yaml says what becomes of them."
        )
    if found.missing:
        names = ", ".join(TITLES[label].lower() for label in found.missing)
        told.append(f"There is no image of {names} in it: other images must bring these.")
    return told


def _doubted(found: NewData) -> int:
    """Count the photographs that are there under one label and that new images show under another."""
    labels = found.there.groupby("group")["label"].nunique()
    groups = set(found.images.loc[found.images["contradicts"] != "", "group"])
    return sum(1 for group, number in labels.items() if number == 1 and group in groups)


def lists(found: NewData) -> dict[str, Table]:
    """List the first images of each kind that somebody may want to look at, by title; empty lists are left out."""
    images = found.images
    contradictions = images[images["contradicts"] != ""]
    copies = images[images["original"] != ""].sort_values(["kind", "id"])
    junk = images[images["junk"] != ""]
    all_rows: dict[str, tuple[tuple[tuple[str, Kind], ...], list[tuple[str, ...]]]] = {
        "Under another label than a copy": (
            (("Image", "name"), ("Its label", "text"), ("Copy", "name"), ("Label of the copy", "text")),
            [
                (row["id"], TITLES[row["label"]], row["contradicts"], TITLES[row["other_label"]])
                for row in contradictions.to_dict("records")
            ],
        ),
        "Copies of what is there": (
            (("Image", "name"), ("What", "text"), ("Of", "name"), ("Which is in", "text")),
            [
                (row["id"], row["kind"], row["original"], PART_TITLES.get(row["part"], "no part"))
                for row in copies.to_dict("records")
            ],
        ),
        "Junk": (
            (("Image", "name"), ("Why", "text")),
            [(row["id"], row["junk"].replace("_", " ")) for row in junk.to_dict("records")],
        ),
        "Left out": ((("File", "name"), ("Why", "text")), list(found.left_out)),
    }
    return {_headed(title, rows): Table(columns, rows[:LISTED]) for title, (columns, rows) in all_rows.items() if rows}


def _headed(title: str, rows: Sequence[object]) -> str:
    return f"{title}, the first {LISTED} of {count(len(rows))}" if len(rows) > LISTED else f"{title} ({len(rows)})"


def drifts(found: NewData) -> Table:
    """Show how far the new photographs are from those of training, and what is usual."""
    rows = [
        (
            SHIFT_TITLES[name],
            f"{shift.drift.distance:.3f}",
            f"{shift.drift.usual:.3f}",
            _verdict(name, shift),
            *(f"{value:.0f}" if value is not None else "" for value in (shift.new, shift.training)),
        )
        for name, shift in found.shifts.items()
    ]
    titles: tuple[tuple[str, Kind], ...] = (("Distance", "number"), ("Usual, up to", "number"), ("Verdict", "text"))
    return Table((("What", "text"), *titles, ("New, median", "number"), ("Training, median", "number")), rows)


def _verdict(name: str, shift: Shift) -> str:
    if not shift.drift.unlike:
        return "as usual"
    if shift.new is None or shift.training is None or round(shift.new) == round(shift.training):
        return "unlike the training data"
    return f"unlike the training data: {_WORDS[name][shift.new > shift.training]}"


def _compared(found: NewData) -> str:
    """Describe what the distances were measured on."""
    if not found.shifts:
        return ""
    photographs = sum(next(iter(found.shifts.values())).drift.photographs.values())
    few = " With so few, only a large drift shows." if photographs < FEW else ""
    return (
        f"Against the training data, class by class, from 0 (alike) to 1, on {count(photographs)} of the new "
        f"photographs; usual is what random parts of the training data reach that are as large.{few}"
    )


def _shift_figures(shift: Shift) -> dict[str, Any]:
    return {
        "distance": round(shift.drift.distance, 6),
        "usual": round(shift.drift.usual, 6),
        "unlike": shift.drift.unlike,
        "photographs": dict(shift.drift.photographs),
        "new": shift.new,
        "training": shift.training,
    }
