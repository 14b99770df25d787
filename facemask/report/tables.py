"""Tables of the report, shared by page, summary and model card."""

from collections.abc import Iterable, Sequence

from facemask.core.classes import CLASSES, TITLES
from facemask.data.duplicates.conflicts import CONTRADICTION
from facemask.dataset.manifest import has_flag
from facemask.dataset.split import DROPPED, PARTS
from facemask.evaluation.bootstrap import ENOUGH
from facemask.evaluation.corruptions import CAMERA, FRAMING, level_text
from facemask.evaluation.corruptions import TITLES as CORRUPTION_TITLES
from facemask.presentation.table import PART_TITLES, Kind, Table, count, percent, photograph_count, ranged
from facemask.report.findings import Findings, Json

KINDS = {"kaggle": "Kaggle data set", "folder": "own photographs", "sample": "drawn faces"}
FORMAT_TITLES = {
    "keras": "Keras",
    "saved_model": "TensorFlow SavedModel",
    "tflite": "TensorFlow Lite",
    "tflite_float16": "TensorFlow Lite, float16",
    "tflite_int8": "TensorFlow Lite, int8",
    "onnx": "ONNX",
}

MEASURE_TITLES = {
    "brightness": "brightness, 0 to 255",
    "sharpness": "sharpness, share of fine detail",
    "side": "shorter side, pixels",
}


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
    """List the first `limit` images with contradicting labels, copies next to each other."""
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
    """Compare the headline figures of test, with intervals, and validation; and the accuracy by file."""
    rows = []
    for part in ("test", "val"):
        figures = findings.evaluation[part]
        shares = [ranged(figures[name], figures.get("interval", {}).get(name)) for name in _HEADLINES]
        by_file = percent(figures["by_file"]["accuracy"])
        rows.append(
            (PART_TITLES[part].capitalize(), count(figures["photographs"]), *shares, count(figures["images"]), by_file)
        )
    titles: tuple[tuple[str, Kind], ...] = (("Part", "text"), ("Photographs", "number"))
    return Table((*titles, *_FIGURE_COLUMNS[1:], ("Files", "number"), ("Accuracy by file", "number")), rows)


def per_class(findings: Findings) -> Table:
    """Show precision, recall and F1 of each class on the test images, with intervals, and its size."""
    rows = []
    for label in CLASSES:
        figures = findings.evaluation["test"]["class"][label]
        bounds = findings.evaluation["test"]["interval"]["class"][label]
        shares = [ranged(figures[name], bounds[name]) for name in ("precision", "recall", "f1")]
        rows.append((TITLES[label], *shares, count(figures["photographs"]), count(figures["support"])))
    titles: tuple[tuple[str, Kind], ...] = (("Precision", "number"), ("Recall", "number"), ("F1", "number"))
    return Table((("Class", "text"), *titles, ("Photographs", "number"), ("Files", "number")), rows)


def confusion(findings: Findings, part: str = "test") -> Table:
    """Count photographs by true and predicted class."""
    counts = findings.evaluation[part]["confusion"]
    rows = [
        (TITLES[actual], *(photograph_count(counts[actual][predicted]) for predicted in CLASSES)) for actual in CLASSES
    ]
    return Table((("True class \\ predicted class", "text"), *_class_columns()), rows)


def per_source(findings: Findings) -> Table:
    """Show the figures of the test part source by source."""
    slices: dict[str, Json] = findings.slices["test"]["source"]
    rows = [(name, KINDS[findings.cards[name]["kind"]], *_figures(figures)) for name, figures in slices.items()]
    return Table((("Source", "name"), ("What", "text"), *_FIGURE_COLUMNS), rows)


def per_unseen_source(findings: Findings) -> Table:
    """Show how a model that never saw a source does on it."""
    rows = [
        (
            name,
            count(figures["images"]),
            ranged(figures["accuracy"], figures["interval"]["accuracy"]),
            ranged(figures["balanced_accuracy"], figures["interval"]["balanced_accuracy"]),
            *(percent(figures["class"][label]["recall"]) for label in CLASSES),
        )
        for name, figures in findings.unseen.items()
    ]
    recalls: tuple[tuple[str, Kind], ...] = tuple((f"Recall: {TITLES[label].lower()}", "number") for label in CLASSES)
    return Table((("Left out", "name"), *_FIGURE_COLUMNS[:-1], *recalls), rows)


def measure_slices(findings: Findings) -> Table:
    """Show the figures of the test part by brightness, sharpness and size, each in ranges of as many images."""
    rows = [
        (MEASURE_TITLES[measure], name.partition(": ")[2] or name, *_figures(figures)[:-1])
        for measure, ranges in findings.slices["test"]["measure"].items()
        for name, figures in ranges.items()
    ]
    return Table((("What", "text"), ("Range", "text"), *_FIGURE_COLUMNS[:-1]), rows)


def attribute_slices(findings: Findings) -> tuple[Table, Table]:
    """Show the figures of the test part by attribute, the least accurate first.

    Returns:
        Slices of at least `ENOUGH` photographs, and the smaller ones.
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
        table(item for item in slices if item[2]["photographs"] >= ENOUGH),
        table(item for item in slices if item[2]["photographs"] < ENOUGH),
    )


def mistakes(findings: Findings, limit: int) -> Table:
    """List the first `limit` wrong predictions of the test part, the most confident first."""
    rows = [
        (mistake.id, TITLES[mistake.label], TITLES[mistake.prediction], percent(mistake.confidence))
        for mistake in findings.mistakes[:limit]
    ]
    columns: tuple[tuple[str, Kind], ...] = (("Image", "name"), ("True class", "text"), ("Predicted", "text"))
    return Table((*columns, ("With", "number")), rows)


def corruptions(findings: Findings) -> Table:
    """Show the accuracy under each camera corruption, strength by strength and on average."""
    accuracy = findings.corruptions.set_index(["trouble", "strength"])["accuracy"]
    rows = [
        (CORRUPTION_TITLES[name], *map(percent, accuracy[name]), percent(findings.robustness["accuracy"][name]))
        for name in CAMERA
    ]
    steps: list[tuple[str, Kind]] = [(f"{step}", "number") for step in accuracy[next(iter(CAMERA))].index]
    return Table((("Corruption", "text"), *steps, ("Mean", "number")), rows)


def framing(findings: Findings) -> Table:
    """Show the accuracy on wider crops and smaller faces, with intervals."""
    rows = [
        (CORRUPTION_TITLES[row["trouble"]], level_text(row["trouble"], row["strength"]), ranged(row["accuracy"], row))
        for row in findings.corruptions.to_dict("records")
        if row["trouble"] in FRAMING
    ]
    return Table((("Framing", "text"), ("How much", "number"), ("Accuracy", "number")), rows)


def lower_half(findings: Findings) -> Table:
    """Show which share of the activation lies in the lower half of the picture, by predicted class."""
    shares = findings.activation["lower_half"]
    rows = [(TITLES[label], *(_share_of(shares[kind][label]) for kind in ("right", "wrong"))) for label in CLASSES]
    return Table((("Predicted", "text"), ("Rightly", "text"), ("Wrongly", "text")), rows)


def exports(findings: Findings) -> Table:
    """List the exported formats with their size, and how they compare with Keras on test images."""
    figures = findings.export
    rows = [
        (
            FORMAT_TITLES.get(name, name),
            f"{size / 1e6:.1f} MB",
            _difference(figures["parity"][name]) if name in figures["parity"] else "the reference",
            percent(figures["agreement"][name]) if name in figures["agreement"] else "the reference",
            percent(figures["accuracy"][name]),
        )
        for name, size in figures["size_bytes"].items()
    ]
    titles = ("Size", "Largest difference", "Same answer", "Accuracy")
    return Table((("Format", "text"), *((title, "number") for title in titles)), rows)


_FIGURE_COLUMNS: tuple[tuple[str, Kind], ...] = (
    ("Images", "number"),
    ("Accuracy", "number"),
    ("Balanced accuracy", "number"),
    ("Macro F1", "number"),
)
_HEADLINES = ("accuracy", "balanced_accuracy", "macro_f1")


def _figures(figures: Json) -> Sequence[str]:
    """Write the figures of a slice; of those, only the accuracy has an interval."""
    shares = [percent(figures[name]) for name in _HEADLINES[1:]]
    return (count(figures["images"]), ranged(figures["accuracy"], figures["interval"]), *shares)


def _share_of(found: Json) -> str:
    if not found["images"]:
        return "no image"
    share = "no share" if found["share"] is None else percent(found["share"])
    return f"{share} ({count(found['images'], 'image')})"


def _difference(value: float) -> str:
    """Format a value that the file rounds to six decimals."""
    return f"{value:.6f}" if value else "below 0.000001"


def _class_columns() -> tuple[tuple[str, Kind], ...]:
    return tuple((TITLES[label], "number") for label in CLASSES)
