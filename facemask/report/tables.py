"""The tables of the report, made once and shown by the page, the summary and the model card alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from facemask.duplicates import CONTRADICTION
from facemask.labels import CLASSES
from facemask.manifest import has_flag
from facemask.parts import DROPPED, PARTS
from facemask.report.findings import Findings, Json
from facemask.sheets import TITLES

SMALL_SLICE = 20  # images; in a smaller slice one picture moves the accuracy by more than 5 points

KINDS = {"kaggle": "Kaggle data set", "folder": "own photographs", "sample": "drawn faces"}
PART_TITLES = {"train": "training", "val": "validation", "test": "test", DROPPED: "not used"}
FORMAT_TITLES = {"keras": "Keras", "saved_model": "TensorFlow SavedModel", "tflite": "TensorFlow Lite", "onnx": "ONNX"}

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


def count(number: int, noun: str = "") -> str:
    """Write a whole number as "8,982", or with what is counted, as "1 image" and "8,982 images"."""
    return f"{number:,}" if not noun else f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def classes() -> Table:
    """List the classes in plain words and as they are named in files."""
    return Table(
        (("Class", "text"), ("Name in files", "name")),
        [(TITLES[label], label) for label in CLASSES],
    )


def sources(findings: Findings) -> Table:
    """List the sources in use with their origin, licence and number of images per class."""
    nothing = dict.fromkeys(CLASSES, 0)
    counts: dict[str, dict[str, int]] = {name: findings.data["source"].get(name, nothing) for name in findings.cards}
    rows = [
        (
            name,
            card["origin"],
            card["licence"] or "not stated",
            *(count(counts[name][label]) for label in CLASSES),
            count(sum(counts[name].values())),
        )
        for name, card in findings.cards.items()
    ]
    return Table(
        (("Source", "name"), ("From", "text"), ("Licence", "text"), *_class_columns(), ("All", "number")), rows
    )


def photographs(findings: Findings) -> Table:
    """Count files and photographs of each class; copies of a photograph are several files."""
    largest = findings.manifest.groupby("label")["copies"].max()
    data = findings.data
    rows = [
        _photographs(TITLES[label], data["label"][label], data["groups_by_label"][label], largest[label])
        for label in CLASSES
    ]
    rows.append(_photographs("All", data["images"], data["groups"], largest.max()))
    titles = ("Files", "Photographs", "Files per photograph", "Most copies of one")
    return Table((("Class", "text"), *((title, "number") for title in titles)), rows)


def _photographs(title: str, files: int, groups: int, largest: int) -> tuple[str, ...]:
    return title, count(files), count(groups), f"{files / groups:.1f}", count(largest)


def left_out_reasons(findings: Findings) -> Table:
    """Count the files that could not be used, by reason."""
    reasons = {reason: number for reason, number in findings.data["left_out"].items() if reason != "total"}
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return Table((("Reason", "text"), ("Files", "number")), [(reason, count(number)) for reason, number in ranked])


def left_out_files(findings: Findings, limit: int) -> Table:
    """List the first `limit` files that could not be used."""
    rows = [(row["source"], row["path"], row["reason"]) for row in findings.left_out.head(limit).to_dict("records")]
    return Table((("Source", "name"), ("File", "name"), ("Reason", "text")), rows)


def contradictions(findings: Findings, limit: int) -> Table:
    """List the first `limit` images that stand in the data with more than one label, copies beside each other."""
    chosen = findings.manifest[has_flag(findings.manifest, CONTRADICTION)].sort_values(["group", "id"])
    rows = [(row["id"], TITLES[row["label"]]) for row in chosen.head(limit).to_dict("records")]
    return Table((("Image", "name"), ("Its label", "text")), rows)


def parts(findings: Findings) -> Table:
    """Count the images of each part, by class, by source where there are several, and in all."""
    names = [*PARTS, DROPPED]
    split = findings.split
    rows = [
        (TITLES[label], *(count(split["label"].get(label, {}).get(part, 0)) for part in names)) for label in CLASSES
    ]
    if len(split["source"]) > 1:
        rows += [(f"source {name}", *(count(row[part]) for part in names)) for name, row in split["source"].items()]
    rows.append(("All images", *(count(split["images"][part]) for part in names)))
    rows.append(("Photographs", *(count(split["groups"][part]) for part in names)))
    return Table((("Images", "text"), *((PART_TITLES[part].capitalize(), "number") for part in names)), rows)


def headlines(findings: Findings) -> Table:
    """Compare the headline figures of test and validation."""
    rows = [(PART_TITLES[part].capitalize(), *_figures(findings.evaluation[part])) for part in ("test", "val")]
    return Table((("Part", "text"), *_FIGURE_COLUMNS), rows)


def per_class(findings: Findings, part: str = "test") -> Table:
    """Show precision, recall, F1 and support of each class."""
    rows = []
    for label in CLASSES:
        figures = findings.evaluation[part]["class"][label]
        shares = [percent(figures[name]) for name in ("precision", "recall", "f1")]
        rows.append((TITLES[label], *shares, count(figures["support"])))
    titles: tuple[tuple[str, Kind], ...] = (("Precision", "number"), ("Recall", "number"), ("F1", "number"))
    return Table((("Class", "text"), *titles, ("Images", "number")), rows)


def confusion(findings: Findings, part: str = "test") -> Table:
    """Count true against predicted classes."""
    counts = findings.evaluation[part]["confusion"]
    rows = [(TITLES[actual], *(count(counts[actual][predicted]) for predicted in CLASSES)) for actual in CLASSES]
    return Table((("What it is \\ what the model says", "text"), *_class_columns()), rows)


def per_source(findings: Findings) -> Table:
    """Show the figures of the test part source by source."""
    slices: dict[str, Json] = findings.slices["test"]["source"]
    rows = [(name, KINDS[findings.cards[name]["kind"]], *_figures(figures)) for name, figures in slices.items()]
    return Table((("Source", "name"), ("What", "text"), *_FIGURE_COLUMNS), rows)


def attribute_slices(findings: Findings) -> tuple[Table, Table]:
    """Show the figures of the test part by attribute, the least accurate first.

    Returns:
        Slices of at least `SMALL_SLICE` images, and the smaller ones.
    """
    slices = [
        (attribute, value, figures)
        for attribute, values in findings.slices["test"]["attribute"].items()
        for value, figures in values.items()
    ]
    slices.sort(key=lambda item: (item[2]["accuracy"], -item[2]["images"], item[0], item[1]))

    def table(chosen: Iterable[tuple[str, str, Json]]) -> Table:
        # Without macro F1: most slices lack a class or two, and then it says nothing.
        rows = [(attribute.replace("_", " "), value, *_figures(figures)[:-1]) for attribute, value, figures in chosen]
        return Table((("Attribute", "text"), ("Value", "name"), *_FIGURE_COLUMNS[:-1]), rows)

    return (
        table(item for item in slices if item[2]["images"] >= SMALL_SLICE),
        table(item for item in slices if item[2]["images"] < SMALL_SLICE),
    )


def mistakes(findings: Findings, limit: int) -> Table:
    """List the first `limit` wrong predictions of the test part, the most confident first."""
    rows = [
        (mistake.id, TITLES[mistake.label], TITLES[mistake.prediction], percent(mistake.confidence))
        for mistake in findings.mistakes[:limit]
    ]
    columns: tuple[tuple[str, Kind], ...] = (("Image", "name"), ("It is", "text"), ("The model says", "text"))
    return Table((*columns, ("With", "number")), rows)


def exports(findings: Findings) -> Table:
    """List the exported formats with their size and their largest difference to Keras."""
    parity = findings.export["parity"]
    rows = [
        (
            FORMAT_TITLES.get(name, name),
            f"{size / 1e6:.1f} MB",
            _difference(parity[name]) if name in parity else "the reference",
        )
        for name, size in findings.export["size_bytes"].items()
    ]
    return Table((("Format", "text"), ("Size", "number"), ("Largest difference", "number")), rows)


_FIGURE_COLUMNS: tuple[tuple[str, Kind], ...] = (
    ("Images", "number"),
    ("Accuracy", "number"),
    ("Balanced accuracy", "number"),
    ("Macro F1", "number"),
)


def _figures(figures: Json) -> Sequence[str]:
    shares = [percent(figures[name]) for name in ("accuracy", "balanced_accuracy", "macro_f1")]
    return (count(figures["images"]), *shares)


def _difference(value: float) -> str:
    """Write what stands in the file rounded to six decimals."""
    return f"{value:.6f}" if value else "below 0.000001"


def _class_columns() -> tuple[tuple[str, Kind], ...]:
    return tuple((TITLES[label], "number") for label in CLASSES)
