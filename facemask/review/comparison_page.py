"""Comparison of two revisions as text, Markdown or an HTML page."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from facemask.core.classes import TITLES
from facemask.core.flatten import differing
from facemask.dataset.archive import Archive
from facemask.dataset.predictions import image_key
from facemask.presentation.markup import html_environment, markdown_environment, text_table
from facemask.presentation.table import Table, count, percent, ranged
from facemask.presentation.thumbnails import LARGE, read_pictures
from facemask.review.comparison import (
    Change,
    Comparison,
    Difference,
    Pairs,
    Verdict,
    compare,
    pair,
    read_evaluation,
    read_spread,
    read_test,
)
from facemask.review.revisions import MissingFileError, Revision

LISTED = 10  # photographs that got worse, and that got better, in text and Markdown
PICTURES = 24  # of each on the page
SETTINGS = 20  # changed ones that are listed
FEW = 100  # photographs

IMAGES = "data/images.zip"


@dataclass(frozen=True)
class Compared:
    """Two revisions and what tells them apart.

    Attributes:
        before, after: names of the revisions.
        pairs: the images that were compared.
        comparison: what was found.
        settings: key, value before and value after of each setting that differs; None if those of a revision can't be
            read.
        reported: for each revision, what its evaluation says of its own test images; None if nothing.
    """

    before: str
    after: str
    pairs: Pairs
    comparison: Comparison
    settings: Sequence[tuple[str, str, str]] | None
    reported: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]


def compare_revisions(before: Revision, after: Revision) -> Compared:
    """Compare what the models of two revisions say of the test images that both have.

    Raises:
        FacemaskError: predictions cannot be read, or no image is in test in both.
    """
    pairs = pair(read_test(before), read_test(after))
    return Compared(
        before=before.name,
        after=after.name,
        pairs=pairs,
        comparison=compare(pairs.images, read_spread(before, after)),
        settings=changed_settings(before, after),
        reported=(_reported(before), _reported(after)),
    )


def changed_settings(before: Revision, after: Revision) -> list[tuple[str, str, str]] | None:
    """List the settings of `params.yaml` that differ, by their dotted names, as JSON; "" where there is none.

    Returns:
        Key, value before, value after; None if a revision has no `params.yaml` that can be read.
    """
    try:
        old, new = (yaml.safe_load(revision.read("params.yaml")) for revision in (before, after))
    except (MissingFileError, yaml.YAMLError):
        return None
    return differing(old, new)


def text(compared: Compared) -> str:
    """Write the comparison for a terminal."""
    content = _content(compared)
    parts = [content["verdict"], *content["explanation"], content["compared"], text_table(content["figures"])]
    parts += [content["about_p"], content["counts"]]
    for title, changes in content["changes"].items():
        if changes:
            parts.append(f"{title}:\n{text_table(changes_table(changes[:LISTED]))}{_more(len(changes) - LISTED)}")
    for title, table in (("Changed settings", content["settings"]), ("As each run reports it", content["reported"])):
        if table:
            parts.append(f"{title}:\n{text_table(table)}")
    return "\n\n".join(part.rstrip("\n") for part in [*parts, *content["notes"]]) + "\n"


def markdown(compared: Compared) -> str:
    """Write the comparison for a comment in a review."""
    template = markdown_environment().get_template("review/comparison_page.md.j2")
    return template.render(**_content(compared), table_of=changes_table, listed=LISTED)


def html(compared: Compared, project: Path) -> str:
    """Write the comparison as a page that needs no other file.

    Args:
        compared: what was found.
        project: where `data/images.zip` is looked for; a picture is shown if the file in there is the one compared.
    """
    pictures = read_changed(project / IMAGES, compared.comparison)
    template = html_environment().get_template("review/comparison_page.html.j2")
    return template.render(
        **_content(compared), pictures=pictures, shown=PICTURES, titles=TITLES, percent=percent, archive=IMAGES
    )


def _content(compared: Compared) -> dict[str, Any]:
    comparison = compared.comparison
    return {
        "verdict": verdict(comparison),
        "explanation": explanation(comparison),
        "compared": f"Before: {compared.before}. After: {compared.after}. {which_images(compared.pairs, comparison)}",
        "figures": figures_table(comparison),
        "about_p": about_p(comparison),
        "counts": counted(comparison),
        "changes": {"Got worse": comparison.losses, "Got better": comparison.gains},
        "settings": settings_table(compared.settings),
        "reported": _reported_table(compared),
        "notes": [*limits(compared), *about_settings(compared.settings)],
        "count": count,
    }


def verdict(comparison: Comparison) -> str:
    """Summarise in one sentence whether the change is real."""
    accuracy = comparison.accuracy
    if comparison.verdict is Verdict.SAME:
        return f"The same answers: both models name all {count(comparison.images)} images alike."
    shares = f"accuracy {percent(accuracy.before)} before, {percent(accuracy.after)} after"
    if comparison.verdict is Verdict.NO_EVIDENCE:
        return f"No evidence of a difference: {shares} ({_interval(accuracy)} points; {_p(accuracy.p)})."
    return f"{_by_how_much(accuracy).capitalize()}: {shares} ({_p(accuracy.p)})."


def explanation(comparison: Comparison) -> list[str]:
    """Explain what the verdict leaves open, and what happened to single classes."""
    sentences = []
    if comparison.verdict is Verdict.NO_EVIDENCE:
        low, high = _signed(comparison.accuracy.low), _signed(comparison.accuracy.high)
        sentences.append(
            "That does not show the models to be equally good: any difference from "
            f"{low} to {high} points would fit these answers too."
        )
    told = [other for other in comparison.others if other.verdict is not Verdict.NO_EVIDENCE]
    return sentences + [f"{title(other)}: {_by_how_much(other)}, {_p(other.p)}." for other in told]


def _by_how_much(difference: Difference) -> str:
    """Write "worse by 3.02 points (95%: 1.92 to 4.12)"."""
    bounds = sorted(abs(bound) for bound in (difference.low, difference.high))
    between = " to ".join(map(points, bounds))
    return f"{difference.verdict} by {points(abs(difference.change))} points (95%: {between})"


def figures_table(comparison: Comparison) -> Table:
    """Show the figures of both models on the same images, with the interval of the difference."""
    rows = [
        (
            title(one),
            percent(one.before),
            percent(one.after),
            _signed(one.change),
            _interval(one).removeprefix("95%: "),
            _p(one.p).removeprefix("p = ").removeprefix("p "),
        )
        for one in (comparison.accuracy, *comparison.others)
    ]
    titles = ("Before", "After", "Difference, points", "95% interval", "p")
    return Table((("Figure", "text"), *((title, "number") for title in titles)), rows)


def about_p(comparison: Comparison) -> str:
    """Explain the intervals and p-values of `figures_table`."""
    chance = (
        "the chance of the test photographs and that of the trainings"
        if comparison.spread
        else "the chance of the test photographs, not that of the trainings, which neither revision measured"
    )
    return (
        f"Each photograph counts once. Intervals and p-values cover {chance}. The accuracy decides; the p-values of "
        f"the other figures are corrected for being {len(comparison.others)} (Holm), their intervals are not."
    )


def counted(comparison: Comparison) -> str:
    """Count the images and photographs behind the difference, with McNemar's test."""
    if not comparison.better + comparison.worse:
        return f"No image got better or worse; {count(comparison.otherwise)} are named wrong in another way."
    gained, lost = (
        f"{count(images, 'image')} of {count(len(changes), 'photograph')}"
        for images, changes in ((comparison.better, comparison.gains), (comparison.worse, comparison.losses))
    )
    otherwise = f"; {count(comparison.otherwise)} named wrong in another way" if comparison.otherwise else ""
    return (
        f"Got better: {gained}. Got worse: {lost}{otherwise}. McNemar's exact test, which takes copies for independent "
        f"images and decides nothing here: {_p(comparison.mcnemar)}."
    )


def changes_table(changes: Iterable[Change]) -> Table:
    """List photographs that one model names right and the other wrong."""
    rows = [(one.id, TITLES[one.label], TITLES[one.before], TITLES[one.after], count(one.images)) for one in changes]
    return Table(
        (("Photograph", "name"), ("True class", "text"), ("Before", "text"), ("After", "text"), ("Images", "number")),
        rows,
    )


def which_images(pairs: Pairs, comparison: Comparison) -> str:
    """Describe the images on which the models were compared."""
    photographs = f" of {count(comparison.photographs, 'photograph')}" if pairs.photographs_known else ""
    return f"Compared on the {count(comparison.images, 'image')}{photographs} that are in test in both."


def settings_table(settings: Sequence[tuple[str, str, str]] | None) -> Table | None:
    """List the first settings that differ."""
    if not settings:
        return None
    rows = [(key, old or "(none)", new or "(none)") for key, old, new in settings[:SETTINGS]]
    return Table((("Setting", "name"), ("Before", "name"), ("After", "name")), rows)


def _reported_table(compared: Compared) -> Table | None:
    rows = []
    for when, figures in zip(("Before", "After"), compared.reported, strict=True):
        if figures:
            bounds = figures.get("interval", {})
            names = ("accuracy", "balanced_accuracy", "macro_f1")
            shares = [ranged(figures[name], bounds.get(name)) for name in names]
            rows.append((when, count(figures["images"]), *shares))
    titles = ("Its test images", "Accuracy", "Balanced accuracy", "Macro F1")
    return Table((("Run", "text"), *((title, "number") for title in titles)), rows) if rows else None


def limits(compared: Compared) -> list[str]:
    """Describe the limits of the comparison."""
    pairs = compared.pairs
    notes = []
    if pairs.only_before or pairs.only_after:
        notes.append(
            f"Left out: {count(pairs.only_before, 'image')} in test only before, {count(pairs.only_after)} only after. "
            "What is left was trained on by neither model."
        )
    if pairs.relabelled:
        notes.append(f"Left out: {count(pairs.relabelled, 'image')} with another label.")
    if pairs.replaced:
        notes.append(f"Left out: {count(pairs.replaced, 'image')} with another picture under the same name.")
    if not pairs.photographs_known:
        notes.append(
            "Neither revision says which images are copies of one photograph, so each counts as a photograph: if there "
            "are copies, the intervals are too narrow."
        )
    if not pairs.pictures_checked:
        notes.append(
            "Whether there is the same picture under each name could not be checked: data/manifest.csv of a revision "
            "is not to be had."
        )
    if compared.comparison.photographs < FEW:
        notes.append("Among so few photographs only a large difference can be told from chance.")
    return notes


def about_settings(settings: Sequence[tuple[str, str, str]] | None) -> list[str]:
    """Describe what `settings_table` does not show."""
    if settings is None:
        return []
    hidden = len(settings) - SETTINGS
    if hidden > 0:
        return [f"{count(hidden, 'more setting')} in params.yaml differ: see `dvc params diff`."]
    return [] if settings else ["No setting in params.yaml differs."]


def _reported(revision: Revision) -> Mapping[str, Any] | None:
    test = read_evaluation(revision).get("test", {})
    return test if {"images", "accuracy", "balanced_accuracy", "macro_f1"} <= set(test) else None


def read_changed(archive: Path, comparison: Comparison) -> dict[str, bytes]:
    """Read those of the first pictures that got worse or better that are the ones compared: small JPEG files by id."""
    changes = [*comparison.losses[:PICTURES], *comparison.gains[:PICTURES]]
    if not archive.exists():
        return {}
    with Archive(archive) as images:
        names = {key: name for name in images.names for key in (name, image_key(name))}
        there = {
            one.id: names[one.id]
            for one in changes
            if one.id in names and _is_the_one(images.read(names[one.id]), one.sha256)
        }
        return dict(zip(there, read_pictures(images, list(there.values()), LARGE), strict=True))


def _is_the_one(data: bytes, sha256: str) -> bool:
    return hashlib.sha256(data).hexdigest().startswith(sha256)


def title(difference: Difference) -> str:
    """Write "Accuracy", or "Recall of mask worn incorrectly"."""
    if difference.figure == "recall":
        return f"Recall of {TITLES[difference.label].lower()}"
    return difference.figure.replace("_", " ").capitalize()


def points(share: float) -> str:
    """Write a share as percentage points, such as "3.02"."""
    return f"{100 * share:.2f}"


def _signed(share: float) -> str:
    """Write a difference in points, as "+0.25", "-1.00" or "0.00"."""
    return f"{100 * share:+.2f}" if round(100 * share, 2) else "0.00"


def _interval(difference: Difference) -> str:
    return f"95%: {_signed(difference.low)} to {_signed(difference.high)}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _more(number: int) -> str:
    return f"and {count(number, 'more photograph')}\n" if number > 0 else ""
