"""Evidence about the data for the report: copies, contradictions, low-quality images, shortcuts, leaks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from facemask.core.classes import CLASSES, TITLES
from facemask.core.params import ReportParams
from facemask.data.duplicates.conflicts import CONTRADICTION
from facemask.data.quality import BLURRED, JUNK_FLAGS, NEAR_CONSTANT, POSTERISED, TOO_SMALL
from facemask.data.shortcuts import PROPERTIES
from facemask.dataset.manifest import has_flag
from facemask.dataset.split import DROPPED
from facemask.presentation.table import PART_TITLES, Kind, Table, count, percent
from facemask.report.findings import Findings, Json


@dataclass(frozen=True)
class Shown:
    """A picture on the page.

    Attributes:
        id: its name in `data/images.zip`.
        description: for those who cannot see it; no two pictures of a page have the same.
        lines: what stands below it.
    """

    id: str
    description: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Strip:
    """Pictures that belong together.

    Attributes:
        title: above them.
        text: between the title and the pictures; may be empty.
        pictures: in the order in which they are shown.
        more: how many belong to them and are not shown.
    """

    title: str
    text: str
    pictures: tuple[Shown, ...]
    more: int = 0


@dataclass(frozen=True)
class Pair:
    """A validation or test picture and the training picture most like it; `title` says how much."""

    title: str
    checked: Shown
    trained: Shown
    suspicious: bool


@dataclass(frozen=True)
class Shortcut:
    """A property that gives a class away.

    Attributes:
        title: its name.
        meaning: what it is.
        text: the warning.
        values: of the class and of the rest.
        strips: pictures of the class and of the rest, where such pictures show the property.
        order: by what the pictures are sorted.
    """

    title: str
    meaning: str
    text: str
    values: Table
    strips: tuple[Strip, ...] = ()
    order: str = ""


@dataclass(frozen=True)
class Evidence:
    """Pictures and texts about the data for the page.

    Attributes:
        groups: the photographs of which there are most copies.
        contradictions: photographs that carry two labels, as far as they are shown.
        contradicting: how many photographs carry two labels.
        junk: one strip for each reason that occurs.
        pairs: the most similar pairs across the split, the most similar first.
        shortcuts: those there is a warning for.
    """

    groups: list[Strip]
    contradictions: list[Strip]
    contradicting: int
    junk: list[Strip]
    pairs: list[Pair]
    shortcuts: list[Shortcut]

    @property
    def ids(self) -> list[str]:
        """Ids of all pictures that are shown, each once, in order."""
        strips = [*self.groups, *self.contradictions, *self.junk]
        strips += [strip for shortcut in self.shortcuts for strip in shortcut.strips]
        shown = [picture for strip in strips for picture in strip.pictures]
        shown += [picture for pair in self.pairs for picture in (pair.checked, pair.trained)]
        return sorted({picture.id for picture in shown})


def gather_evidence(findings: Findings, settings: ReportParams) -> Evidence:
    """Choose what the page shows of the data."""
    # Which part an image is in, and whether it was left out, stands in the split and not in the manifest.
    table = findings.manifest.merge(findings.parts[["id", "part"]], on="id", validate="one_to_one").sort_values("id")
    return Evidence(
        groups=_largest_groups(table, settings),
        contradictions=_contradictions(table, settings),
        contradicting=table[has_flag(table, CONTRADICTION)]["group"].nunique(),
        junk=_junk(table, settings),
        pairs=_pairs(findings.leaks.head(settings.leak_pairs)),
        shortcuts=[
            _shortcut(name, figures, table, settings.shortcut_images)
            for name, figures in findings.data["shortcuts"].items()
            if figures["warning"]
        ],
    )


# --- photographs -----------------------------------------------------------------------------------------------------


def _spread_out(rows: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Choose at most `limit` evenly spaced rows, the first among them."""
    number = min(limit, len(rows))
    return rows.iloc[[place * len(rows) // number for place in range(number)]]


def _largest_groups(table: pd.DataFrame, settings: ReportParams) -> list[Strip]:
    copied = table[(table["copies"] > 1) & ~table["group"].isin(table[has_flag(table, CONTRADICTION)]["group"])]
    first = copied.drop_duplicates("group").sort_values(["copies", "group"], ascending=[False, True])
    strips = []
    for number, group in enumerate(first["group"].head(settings.groups), start=1):
        rows = copied[copied["group"] == group]
        label = TITLES[rows["label"].iloc[0]]
        distinct = rows.drop_duplicates("sha256")
        chosen = _spread_out(distinct if len(distinct) >= settings.group_images else rows, settings.group_images)
        shown = [
            Shown(name, f"Photograph {number}, copy {place}: {label.lower()}.")
            for place, name in enumerate(chosen["id"], start=1)
        ]
        title = f"{label}, {count(len(rows), 'file')}"
        strips.append(Strip(title, _whereabouts(rows), tuple(shown), len(rows) - len(shown)))
    return strips


def _whereabouts(rows: pd.DataFrame) -> str:
    """Describe in which parts the images are."""
    numbers = rows["part"].value_counts().to_dict()
    if len(numbers) == 1:
        part = next(iter(numbers))
        return "All were left out." if part == DROPPED else f"All are in {PART_TITLES[part]}."
    counted = ", ".join(f"{PART_TITLES[part]} {count(numbers[part])}" for part in PART_TITLES if part in numbers)
    return f"{counted.capitalize()}."


def _contradictions(table: pd.DataFrame, settings: ReportParams) -> list[Strip]:
    strips = []
    contradicting = table[has_flag(table, CONTRADICTION)]
    for number, (_, rows) in enumerate(contradicting.groupby("group", sort=True), start=1):
        if number > settings.contradictions:
            break
        labels = [label for label in CLASSES if (rows["label"] == label).any()]
        left_out = (rows["part"] == DROPPED).all()
        # In turn, so that every label is seen however few are shown.
        turn = rows.groupby("label").cumcount()
        chosen = rows.assign(turn=turn).sort_values(["turn", "label"]).head(max(settings.group_images, len(labels)))
        shown = [
            Shown(
                str(row["id"]),
                f"Contradiction {number}, picture {place}: labelled {TITLES[row['label']].lower()}.",
                (TITLES[row["label"]], *([] if left_out else ["left out" if row["part"] == DROPPED else "kept"])),
            )
            for place, row in enumerate(chosen.sort_values(["label", "id"]).to_dict("records"), start=1)
        ]
        counted = (f"{TITLES[label]} ({count(int((rows['label'] == label).sum()))})" for label in labels)
        strips.append(Strip(" or ".join(counted), _verdict(rows), tuple(shown), len(rows) - len(shown)))
    return strips


def _verdict(rows: pd.DataFrame) -> str:
    """Describe the handling of the images of a photograph with two labels."""
    kept = rows[rows["part"] != DROPPED]
    if kept.empty:
        return f"Left out: all {count(len(rows))}."
    labels = ", ".join(f"“{TITLES[label]}”" for label in CLASSES if (kept["label"] == label).any())
    return f"Kept, since most copies say so: {labels} ({count(len(kept))}). Left out: {count(len(rows) - len(kept))}."


# --- junk ------------------------------------------------------------------------------------------------------------

_SHORTER_SIDE = "shorter side"

JUNK_TITLES = {
    NEAR_CONSTANT: "Nearly one colour",
    POSTERISED: "Posterised",
    TOO_SMALL: "Too small",
    BLURRED: "Blurred",
}

# Why nobody can learn from it; the measure; how its value is written; whether junk has more of it than others.
_JUNK: dict[str, tuple[str, str, str, bool]] = {
    NEAR_CONSTANT: ("There is nothing to be seen.", "contrast", "{:.1f}", False),
    POSTERISED: (
        "Too few shades are left: skin and cloth have become flat patches.",
        "posterisation",
        "{:.2f}",
        True,
    ),
    TOO_SMALL: ("There are too few pixels to show a mouth.", _SHORTER_SIDE, "{:.0f} pixels", False),
    BLURRED: ("No detail is left: the edge of a mask cannot be seen.", "sharpness", "{:.3f}", False),
}


def _junk(table: pd.DataFrame, settings: ReportParams) -> list[Strip]:
    measured = table.assign(**{_SHORTER_SIDE: table[["width", "height"]].min(axis=1)})
    strips = []
    for flag in JUNK_FLAGS:
        rows = measured[has_flag(measured, flag)]
        if rows.empty:
            continue
        title = JUNK_TITLES[flag]
        reason, measure, form, more_than_others = _JUNK[flag]
        worst = rows.sort_values([measure, "id"], ascending=[not more_than_others, True]).head(settings.junk_images)
        shown = [
            Shown(str(row["id"]), f"{title}, picture {place}.", (f"{measure} {form.format(row[measure])}",))
            for place, row in enumerate(worst.to_dict("records"), start=1)
        ]
        usual = form.format(measured[measure].median())
        compared = f"Half of all pictures have a {measure} {'below' if more_than_others else 'above'} {usual}."
        text = f"{reason} {compared} {_whereabouts(rows)}"
        strips.append(Strip(f"{title}: {count(len(rows), 'picture')}", text, tuple(shown), len(rows) - len(shown)))
    return strips


# --- leaks -----------------------------------------------------------------------------------------------------------


def _pairs(leaks: pd.DataFrame) -> list[Pair]:
    return [
        Pair(
            f"{'Suspicious: s' if row['suspicious'] else 'S'}imilarity {row['similarity']:.2f}",
            Shown(row["id"], f"Pair {number}: {PART_TITLES[row['part']]} picture."),
            Shown(row["train_id"], f"Pair {number}: training picture."),
            row["suspicious"],
        )
        for number, row in enumerate(leaks.to_dict("records"), start=1)
    ]


# --- shortcuts -------------------------------------------------------------------------------------------------------

# Name; what is meant by it; what a model would learn instead of the mask.
PROPERTY_WORDS: dict[str, tuple[str, str, str]] = {
    "brightness": ("Brightness", "how light the picture is as a whole", "the light"),
    "contrast": ("Contrast", "how far light and dark lie apart", "the contrast"),
    "sharpness": ("Sharpness", "how much fine detail there is", "the sharpness"),
    "colour_cast": ("Colour cast", "which colour the picture tends to as a whole", "the colours of the whole picture"),
    "border": ("Border", "how much of the outer frame is of one colour, as turning and padding leave it", "the border"),
    "image_size": ("Image size", "width and height in pixels", "the size of the picture"),
    "file_type": ("File type", "JPEG, PNG and so on", "traces of the file type"),
    "source": ("Source", "which data set the picture comes from", "the habits of each source"),
}

_VISIBLE = ("brightness", "contrast", "sharpness", "colour_cast", "border")  # in a small copy of the picture

# Name and form of each value.
_VALUES: dict[str, tuple[str, str]] = {
    "brightness": ("brightness, from 0 to 255", "{:.0f}"),
    "contrast": ("contrast, in grey levels", "{:.0f}"),
    "sharpness": ("fine detail, as a share of the contrast", "{:.3f}"),
    "cast_red_green": ("cast towards red (green: below 0)", "{:.1f}"),
    "cast_yellow_blue": ("cast towards yellow (blue: below 0)", "{:.1f}"),
    "border": ("share of the frame in one colour", "{:.0%}"),
    "width": ("width in pixels", "{:.0f}"),
    "height": ("height in pixels", "{:.0f}"),
}


def told_class(figures: Json) -> str:
    """Return the class that a property tells best: one of `CLASSES`."""
    by_class = figures["auc_by_class"]
    return max(CLASSES, key=lambda label: by_class[label])


def shortcut_warnings(findings: Findings) -> list[str]:
    """Return a warning for each property that predicts a class."""
    return [_warning(name, figures) for name, figures in findings.data["shortcuts"].items() if figures["warning"]]


def shortcut_table(findings: Findings) -> Table:
    """List all properties with how well each tells a class, and what chance allows."""
    rows = []
    for name, figures in findings.data["shortcuts"].items():
        label, verdict = (TITLES[told_class(figures)], "warning") if figures["warning"] else ("none", "no warning")
        rows.append((PROPERTY_WORDS[name][0], label, f"{figures['auc']:.2f}", f"{figures['chance']:.2f}", verdict))
    titles: tuple[tuple[str, Kind], ...] = (("Property", "text"), ("Class it gives away", "text"))
    return Table((*titles, ("AUC", "number"), ("Chance allows", "number"), ("Verdict", "text")), rows)


def _warning(name: str, figures: Json) -> str:
    title, _, lesson = PROPERTY_WORDS[name]
    return (
        f"{title} alone tells “{TITLES[told_class(figures)]}” from the rest with AUC {figures['auc']:.2f}; chance "
        f"allows {figures['chance']:.2f}: the model may learn {lesson} instead of the mask."
    )


def _shortcut(name: str, figures: Json, table: pd.DataFrame, images: int) -> Shortcut:
    label = told_class(figures)
    # As the figures have it: images whose label is in doubt are not counted.
    sound = table[~has_flag(table, CONTRADICTION)]
    sides = {TITLES[label]: sound[sound["label"] == label], "The rest": sound[sound["label"] != label]}
    title, meaning, _ = PROPERTY_WORDS[name]
    warning, values = _warning(name, figures), _values(PROPERTIES[name], sides)
    if name not in _VISIBLE or not images:
        return Shortcut(title, meaning, warning, values)
    column = _most_different(list(sides.values()), PROPERTIES[name])
    strips = tuple(_range(title, side, rows, column, images) for side, rows in sides.items())
    return Shortcut(title, meaning, warning, values, strips, _VALUES[column][0])


def _values(columns: Sequence[str], sides: dict[str, pd.DataFrame]) -> Table:
    rows: list[tuple[str, ...]] = []
    for column in columns:
        if column in _VALUES:
            title, form = _VALUES[column]
            rows.append((title, *(_middle_half(side[column], form) for side in sides.values())))
        else:
            names = sorted({name for side in sides.values() for name in side[column]})
            rows += [(name, *(percent((side[column] == name).mean()) for side in sides.values())) for name in names]
    measured = all(column in _VALUES for column in columns)
    first = "The middle half of the pictures" if measured else "Share of the pictures"
    return Table(((first, "text"), *((title, "number") for title in sides)), rows)


def _middle_half(values: pd.Series, form: str) -> str:
    low, high = (form.format(values.quantile(share) + 0.0) for share in (0.25, 0.75))
    return low if low == high else f"{low} to {high}"


def _most_different(sides: Sequence[pd.DataFrame], columns: Iterable[str]) -> str:
    """Name the column whose medians lie furthest apart, in terms of its spread."""

    def distance(column: str) -> float:
        first, second = (side[column].median() for side in sides)
        values = pd.concat([side[column] for side in sides])
        return float(abs(first - second) / max(values.quantile(0.75) - values.quantile(0.25), 1e-9))

    return max(columns, key=distance)


def _range(title: str, side: str, rows: pd.DataFrame, column: str, images: int) -> Strip:
    """Show pictures from the least to the most, one a photograph, each standing for an equal share of its side."""
    ordered = rows.drop_duplicates("group").sort_values([column, "id"])
    number = min(images, len(ordered))
    chosen = ordered.iloc[[(2 * place + 1) * len(ordered) // (2 * number) for place in range(number)]]
    form = _VALUES[column][1]
    shown = [
        Shown(str(row["id"]), f"{title}, {side.lower()}, picture {place}.", (form.format(row[column]),))
        for place, row in enumerate(chosen.to_dict("records"), start=1)
    ]
    return Strip(side, "", tuple(shown))
