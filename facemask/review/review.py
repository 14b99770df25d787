"""Review of a change: verdict, gate, settings, data, figures and curves.

Every part stands alone. What can't be had, such as predictions in a fork without the DVC remote, is said in a sentence,
and the rest is shown.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from facemask.core.classes import TITLES
from facemask.core.errors import FacemaskError
from facemask.presentation.markup import html_environment, markdown_environment, text_table
from facemask.presentation.table import Table, count, percent
from facemask.review import metrics_diff
from facemask.review.comparison_page import (
    IMAGES,
    LISTED,
    PICTURES,
    Compared,
    about_p,
    about_settings,
    changed_settings,
    changes_table,
    compare_revisions,
    counted,
    explanation,
    figures_table,
    limits,
    read_changed,
    settings_table,
    verdict,
    which_images,
)
from facemask.review.data_diff import compare_data, sentence, tables
from facemask.review.gate import judge, read_limits
from facemask.review.revisions import Revision

ROWS = 30  # of a table, in text and Markdown
PAGE_ROWS = 300  # on the page
CELL = 120  # characters of a cell, likewise
SENTENCE = 1000  # characters, in Markdown
COMMENT = 60_000  # characters; GitHub takes 65,536 in a comment, and whoever posts this may add to it

CURVES = ("loss", "accuracy")
SLICES = "slices.json"  # of older revisions: hundreds of figures, which would bury the others
DATA_TABLES = ("data/manifest.csv", "data/split.csv")

Stages = Mapping[str, Any]  # entries of dvc.lock, by stage


@dataclass(frozen=True)
class Curve:
    """A figure on validation, by epoch.

    Attributes:
        figure: "loss" or "accuracy".
        before, after: a value for each epoch; empty where a revision has none.
    """

    figure: str
    before: Sequence[float]
    after: Sequence[float]


@dataclass(frozen=True)
class Section:
    """One subject of the review.

    Attributes:
        title: of the section.
        sentences: what is to be said.
        tables: by title; "" for one that needs none.
        curves: drawn as charts, but listed in text.
        drawn: titles of the tables that a page shows as pictures.
    """

    title: str
    sentences: Sequence[str] = ()
    tables: Mapping[str, Table] | None = None
    curves: Sequence[Curve] = ()
    drawn: Sequence[str] = ()


@dataclass(frozen=True)
class Review:
    """Differences between two revisions.

    Attributes:
        before, after: names of the revisions.
        passed: whether the gate is open; None if it can't be told.
        changed: whether settings, `dvc.lock`, data or figures differ at all.
        lead: the verdict and the gate's sentence; or why there is none, and what to do.
        sections: the rest.
        compared: the models, compared; None where that was not possible.
        confusions: counts of true against predicted class of each revision; None where it has none.
    """

    before: str
    after: str
    passed: bool | None
    changed: bool
    lead: Sequence[str]
    sections: Sequence[Section]
    compared: Compared | None
    confusions: tuple[dict[str, dict[str, float]] | None, dict[str, dict[str, float]] | None]


def review_revisions(before: Revision, after: Revision) -> Review:
    """Collect the differences between two revisions, as far as they are available."""
    compared, passed, lead = _judged(before, after)
    metrics = _read_metrics(before), _read_metrics(after)
    settings = changed_settings(before, after)
    locks = _read_lock(before), _read_lock(after)
    stages = _changed_stages(*locks)
    data, data_differs = _data(before, after, metrics, locks)
    moved = metrics_diff.moved(*metrics)
    return Review(
        before=before.name,
        after=after.name,
        passed=passed,
        changed=bool(settings or stages or data_differs or moved.rows),
        lead=lead,
        sections=(
            _settings(settings, stages),
            data,
            _figures(metrics, moved),
            *([_models(compared)] if compared else []),
            _training(before, after),
            _confusion(metrics),
        ),
        compared=compared,
        confusions=(metrics_diff.confusion_counts(metrics[0]), metrics_diff.confusion_counts(metrics[1])),
    )


def text(review: Review) -> str:
    """Write the review for a terminal."""
    parts = [*review.lead, _between(review)]
    for section in review.sections:
        parts += [section.title.upper(), *section.sentences]
        shown = {
            **(section.tables or {}),
            **{f"{curve.figure} on val": _curve_table(curve) for curve in section.curves},
        }
        for title, table in shown.items():
            heading = f"{title.capitalize()}:\n" if title else ""
            parts.append(f"{heading}{text_table(_clipped(table))}{_rest(table)}".rstrip("\n"))
    return "\n\n".join(parts) + "\n"


def markdown(review: Review, limit: int = COMMENT) -> str:
    """Write the review for a comment, a job summary or the body of a pull request.

    GitHub and GitLab take no pictures that stand in the text itself, so curves are charts that both draw themselves
    (Mermaid), and confusion matrices are tables.

    Args:
        review: what was found.
        limit: characters; sections that don't fit are left out, and named at the end.
    """
    template = markdown_environment().get_template("review/review.md.j2")
    render = template.module.section  # type: ignore[attr-defined]
    lead = [_short(sentence, SENTENCE) for sentence in review.lead]
    head = str(template.module.head(lead, _short(_between(review), SENTENCE)))  # type: ignore[attr-defined]
    room = limit - len(head) - len(_left_out([section.title for section in review.sections]))
    shown, missing = [], []
    for section in review.sections:
        curves = [mermaid(curve) for curve in section.curves]
        whole = {title: (_clipped(table), _rest(table)) for title, table in (section.tables or {}).items()}
        sentences = [_short(one, SENTENCE) for one in section.sentences]
        part = str(render(section.title, sentences, whole, [chart for chart in curves if chart]))
        if len(part) <= room:
            shown.append(part)
            room -= len(part)
        else:
            missing.append(section.title)
    return head + "".join(shown) + (_left_out(missing) if missing else "")


def html(review: Review, project: Path) -> str:
    """Write the review as a page that needs no other file.

    Args:
        review: what was found.
        project: where `data/images.zip` is looked for; a picture is shown if the file in there is the one compared.
    """
    from facemask.presentation.charts import compared_curve, confusion_matrix  # matplotlib takes a while to load

    comparison = review.compared.comparison if review.compared else None
    template = html_environment().get_template("review/review.html.j2")
    return template.render(
        review=review,
        between=_between(review),
        curve=lambda curve: compared_curve(curve.before, curve.after, curve.figure),
        confusions={
            when: confusion_matrix(counts)
            for when, counts in zip(("Before", "After"), review.confusions, strict=True)
            if counts
        },
        changes={"Got worse": comparison.losses, "Got better": comparison.gains} if comparison else {},
        pictures=read_changed(project / IMAGES, comparison) if comparison else {},
        shown=PICTURES,
        titles=TITLES,
        percent=percent,
        count=count,
        archive=IMAGES,
        rows=PAGE_ROWS,
        rest=lambda table: _rest(table, PAGE_ROWS),
    )


def mermaid(curve: Curve) -> str:
    """Write a curve as a Mermaid chart, https://mermaid.js.org/syntax/xyChart.html; "" if there is no line to draw.

    Such a chart has no legend, so its title says which line is which. A line must have a value for each epoch of the
    axis: the shorter one goes on as it ends.
    """
    epochs = max(len(curve.before), len(curve.after))
    lines = [line for line in (curve.before, curve.after) if len(line)]
    if epochs < 2:
        return ""
    low, high = min(map(min, lines)), max(map(max, lines))
    margin = max((high - low) / 20, 0.001)
    which = "grey before, blue after" if len(lines) == 2 else "before" if len(curve.before) else "after"
    colours = "#8a8f98, #0072b2" if len(curve.before) else "#0072b2"
    padded = [[*line, *[line[-1]] * (epochs - len(line))] for line in lines]
    return "\n".join(
        [
            f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{colours}"}}}}}}}}%%',
            "xychart-beta",
            f'    title "{curve.figure.capitalize()} on val: {which}"',
            f'    x-axis "epoch" [{", ".join(str(epoch + 1) for epoch in range(epochs))}]',
            f'    y-axis "{curve.figure}" {low - margin:.4f} --> {high + margin:.4f}',
            *(f"    line [{', '.join(f'{value:.4f}' for value in line)}]" for line in padded),
        ]
    )


def _between(review: Review) -> str:
    return f"Before: {review.before}. After: {review.after}."


def _judged(before: Revision, after: Revision) -> tuple[Compared | None, bool | None, list[str]]:
    """Compare the models and run the gate; what is unavailable is explained in a sentence."""
    try:
        compared = compare_revisions(before, after)
    except FacemaskError as error:
        return None, None, [f"The models were not compared, and the gate was not asked: {error}."]
    found = verdict(compared.comparison)
    told = explanation(compared.comparison)
    try:
        judgement = judge(compared.comparison, read_limits(before))
    except FacemaskError as error:
        return compared, None, [found, f"The gate was not asked: {error}.", *told]
    return compared, judgement.passed, [found, judgement.sentence, *told]


def _settings(settings: Sequence[tuple[str, str, str]] | None, stages: Sequence[str] | None) -> Section:
    sentences = about_settings(settings)
    if settings is None:
        sentences.append("The settings cannot be compared: params.yaml of a revision is missing or cannot be read.")
    if stages is None:
        sentences.append("Which stages ran again can't be said: dvc.lock of a revision is missing or cannot be read.")
    elif stages:
        sentences.append(f"Stages whose entry in dvc.lock differs: {', '.join(stages)}.")
    else:
        sentences.append("No stage ran again: dvc.lock is the same.")
    table = settings_table(settings)
    return Section("Settings", sentences, {"": table} if table else {})


def _data(
    before: Revision,
    after: Revision,
    metrics: tuple[metrics_diff.Metrics, metrics_diff.Metrics],
    locks: tuple[Stages | None, Stages | None],
) -> tuple[Section, bool]:
    """Describe the changes of the data, or at least the counts that are in git, and whether there are any."""
    hashes = [_hashes(lock) for lock in locks]
    if hashes[0] and hashes[0] == hashes[1]:
        return Section("Data", ["The data is the same."]), False
    try:
        changes = compare_data(before, after)
    except FacemaskError as error:
        counts = metrics_diff.data_counts(*metrics)
        differs = any(row[1] != row[2] for row in counts.rows)
        said = f"What came and went cannot be listed: {error}."
        if not counts.rows:
            return Section("Data", [said]), False
        also = (
            "The counts in metrics/ differ:" if differs else "The counts in metrics/, which are in git, are the same."
        )
        return Section("Data", [said, also], {"": counts} if differs else {}), differs
    said = sentence(changes)
    if changes.empty:
        return Section("Data", [f"{_capitalised(said)}."]), False
    return Section("Data", [f"{_capitalised(said)}."], tables(changes)), True


def _figures(metrics: tuple[metrics_diff.Metrics, metrics_diff.Metrics], moved: Table) -> Section:
    if not any(metrics):
        return Section("Figures", ["Neither revision has figures: run `dvc repro`, and commit metrics/."])
    sentences = ["Each run's own figures, on its own test images, with 95 % intervals where it has them."]
    sentences += [
        f"{when} there are none: no file in metrics/ can be read."
        for when, one in zip(("Before", "After"), metrics, strict=True)
        if not one
    ]
    found = {
        "": metrics_diff.headlines(*metrics),
        "By class": metrics_diff.by_class(*metrics),
        "Other numbers that differ": metrics_diff.not_shown_above(moved),
    }
    if all(metrics) and not moved.rows:
        sentences.append("No number in metrics/ differs.")
    return Section("Figures", sentences, {title: table for title, table in found.items() if table.rows})


def _models(compared: Compared) -> Section:
    comparison = compared.comparison
    changes = {"Got worse, the surest mistakes first": comparison.losses, "Got better": comparison.gains}
    found = {"": figures_table(comparison)}
    found |= {title: changes_table(some[:LISTED]) for title, some in changes.items() if some}
    said = [which_images(compared.pairs, comparison), about_p(comparison), counted(comparison), *limits(compared)]
    if len(comparison.losses) > LISTED or len(comparison.gains) > LISTED:
        said.append(f"The first {LISTED} photographs that got worse, and that got better, are listed.")
    return Section("The models on the same images", said, found, drawn=tuple(found)[1:])


def _training(before: Revision, after: Revision) -> Section:
    histories, sentences = [], []
    for revision in (before, after):
        try:
            histories.append(_read_history(revision))
        except FacemaskError as error:
            histories.append(dict.fromkeys(CURVES, ()))
            sentences.append(f"{error}.")
    if histories[0] == histories[1] and not sentences:
        return Section("Training", ["Both trainings went alike."])
    curves = [Curve(name, histories[0][name], histories[1][name]) for name in CURVES]
    ends = [len(history["loss"]) for history in histories]
    if all(ends) and ends[0] != ends[1]:
        sentences.append(
            f"The training ended after epoch {ends[0]} before, and after epoch {ends[1]} now; where lines are drawn to "
            "the same length, the shorter one goes on level."
        )
    return Section("Training", sentences, curves=[curve for curve in curves if curve.before or curve.after])


def _confusion(metrics: tuple[metrics_diff.Metrics, metrics_diff.Metrics]) -> Section:
    table = metrics_diff.confusion(*metrics)
    if not table.rows:
        return Section("Confusion", ["Neither revision has a confusion matrix in metrics/evaluation.json."])
    title = "Test images, before to after"
    return Section("Confusion", (), {title: table}, drawn=(title,))


def _read_history(revision: Revision) -> dict[str, Sequence[float]]:
    """Read loss and accuracy on validation, a value for each epoch.

    Raises:
        FacemaskError: the revision has no `plots/history.csv` that can be read.
    """
    path = "plots/history.csv"
    try:
        table = pd.read_csv(io.BytesIO(revision.read(path)))
        found = {name: table[f"val_{name}"].astype(float).tolist() for name in CURVES}
        if not np.isfinite(list(found.values())).all():
            raise ValueError("not all values are finite")
    except (ValueError, KeyError) as error:
        raise FacemaskError(
            f"{path} of {revision.name} cannot be read ({error}), so its curves are not shown"
        ) from error
    return found


def _read_metrics(revision: Revision) -> dict[str, Any]:
    """Read all figures of a revision, by the names of their files; what is missing or cannot be read is left out.

    Revisions before `metrics/details/` have them in `metrics/`.
    """
    found: dict[str, Any] = {}
    for folder in ("metrics", "metrics/details"):
        try:
            names = [name for name in revision.names(folder) if name.endswith(".json") and name != SLICES]
        except FacemaskError:
            continue
        found |= {name.removesuffix(".json"): _read_json(revision, f"{folder}/{name}") for name in names}
    return {name: content for name, content in found.items() if content}


def _read_json(revision: Revision, path: str) -> Any:
    try:
        content = json.loads(revision.read(path))
    except (FacemaskError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _read_lock(revision: Revision) -> Stages | None:
    """Read the entries of `dvc.lock` by stage; None if it cannot be read."""
    try:
        stages = yaml.safe_load(revision.read("dvc.lock"))["stages"]
    except (FacemaskError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None
    return stages if isinstance(stages, dict) and all(isinstance(one, dict) for one in stages.values()) else None


def _changed_stages(before: Stages | None, after: Stages | None) -> list[str] | None:
    """List the stages whose entry in `dvc.lock` differs; None where one cannot be read."""
    if before is None or after is None:
        return None
    return [str(name) for name in {**after, **before} if before.get(name) != after.get(name)]


def _hashes(lock: Stages | None) -> dict[str, str]:
    """Return the hashes of the tables that say what the data is; nothing unless all of them are known."""
    outs = [out for stage in (lock or {}).values() for out in stage.get("outs", [])]
    found = {out["path"]: out["md5"] for out in outs if out.get("path") in DATA_TABLES and "md5" in out}
    return found if set(found) == set(DATA_TABLES) else {}


def _curve_table(curve: Curve) -> Table:
    epochs = max(len(curve.before), len(curve.after))
    rows = [(str(epoch + 1), _value(curve.before, epoch), _value(curve.after, epoch)) for epoch in range(epochs)]
    return Table((("Epoch", "number"), ("Before", "number"), ("After", "number")), rows)


def _value(line: Sequence[float], epoch: int) -> str:
    return f"{line[epoch]:.4f}" if epoch < len(line) else ""


def _clipped(table: Table) -> Table:
    """Cut a table, and the text in its cells, to what a reader takes in."""
    rows = [tuple(_short(cell, CELL) for cell in row) for row in table.rows[:ROWS]]
    return Table(table.columns, rows)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _rest(table: Table, shown: int = ROWS) -> str:
    more = len(table.rows) - shown
    return f"And {count(more, 'more row')}." if more > 0 else ""


def _left_out(titles: Sequence[str]) -> str:
    return f"Left out for want of room: {', '.join(titles)}. `facemask review` shows everything.\n"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
