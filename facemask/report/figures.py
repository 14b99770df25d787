"""Figures of the report, as byte-stable SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LinearLocator, MaxNLocator

from facemask.core.classes import CLASSES, TITLES
from facemask.evaluation.corruptions import CAMERA, FRAMING, level_text
from facemask.evaluation.corruptions import TITLES as CORRUPTION_TITLES
from facemask.presentation.charts import (
    BLUE,
    COLOURS,
    GREY,
    INK,
    LINE_STYLES,
    axes_svg,
    confusion_matrix,
    figure_svg,
    legend_above,
    percent_formatter,
    set_epoch_axis,
)
from facemask.report.findings import Findings

# Sides of the corner of the unit square that is shown if the curves stay in it; all of it would be empty otherwise.
_CORNERS = (0.05, 0.2)


@dataclass(frozen=True)
class Figures:
    """The figures of the page, as SVG.

    Attributes:
        sizes: empty where all images are of one size.
        only_corner: whether the two charts of curves show only the corner in which the curves lie.
        corruptions, framing: empty where robustness was not looked at.
    """

    classes: str
    sizes: str
    loss: str
    accuracy: str
    confusion: str
    precision_recall: str
    roc: str
    only_corner: bool
    reliability: str
    risk_coverage: str
    corruptions: str
    framing: str


def draw_figures(findings: Findings) -> Figures:
    """Draw all figures of the page."""
    precision_recall, roc = findings.precision_recall, findings.roc
    best_epoch = findings.train["best_epoch"]
    sides = (side for side in _CORNERS if _stay_in_corner(precision_recall, roc, side))
    side = next(sides, 1.0)
    return Figures(
        classes=class_counts(findings.classes),
        sizes=side_counts(findings.sizes) if findings.sizes["side"].nunique() > 1 else "",
        loss=training_curve(findings.history, "loss", best_epoch),
        accuracy=training_curve(findings.history, "accuracy", best_epoch),
        confusion=confusion_matrix(findings.evaluation["test"]["confusion"]),
        precision_recall=class_curves(precision_recall, "recall", "precision", (1 - side, 1.0), 1 - side),
        roc=class_curves(roc, "false positive rate", "true positive rate", (0.0, side), 1 - side),
        only_corner=side < 1,
        reliability=reliability_diagram(findings.reliability),
        risk_coverage=risk_coverage_curve(findings.risk_coverage, findings.evaluation["test"]["decision"]),
        corruptions=corruption_curves(findings.corruptions, list(CAMERA)) if findings.robustness["images"] else "",
        framing=corruption_curves(findings.corruptions, list(FRAMING)) if findings.robustness["images"] else "",
    )


def class_counts(table: pd.DataFrame) -> str:
    """Draw the number of images of each class, source by source, from `plots/classes.csv`."""
    sources = list(dict.fromkeys(table["source"]))
    counts = table.set_index(["source", "label"])["count"]

    def draw(axes: Axes) -> None:
        for offset, label in enumerate(CLASSES):
            places = [index + 0.28 * (offset - 1) for index in range(len(sources))]
            lengths = [int(counts[source, label]) for source in sources]
            bars = axes.barh(places, lengths, height=0.24, color=COLOURS[label], label=TITLES[label])
            axes.bar_label(bars, [f"{length:,}" for length in lengths], padding=3, fontsize=9)
        axes.set_yticks(range(len(sources)), [_shortened(source) for source in sources])
        axes.invert_yaxis()
        axes.margins(x=0.16)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(_thousands())
        axes.set_xlabel("images")
        legend_above(axes)

    return axes_svg(draw, height=1.5 + 0.85 * len(sources))


def side_counts(table: pd.DataFrame) -> str:
    """Draw how many images have which shorter side, stacked by class, from `plots/sizes.csv`."""
    sides = sorted(set(table["side"]))
    counts = table.set_index(["side", "label"])["count"]

    def draw(axes: Axes) -> None:
        below = [0] * len(sides)
        for label in CLASSES:
            heights = [int(counts[side, label]) for side in sides]
            axes.bar(range(len(sides)), heights, bottom=below, width=0.8, color=COLOURS[label], label=TITLES[label])
            below = [base + height for base, height in zip(below, heights, strict=True)]
        step = -(-len(sides) // 9)
        axes.set_xticks(range(0, len(sides), step), [f"{side:,}" for side in sides[::step]])
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_formatter(_thousands())
        axes.set_xlabel("shorter side in pixels")
        axes.set_ylabel("images")
        legend_above(axes)

    return axes_svg(draw)


def training_curve(history: pd.DataFrame, figure: str, best_epoch: int) -> str:
    """Draw `figure` ("loss" or "accuracy") of training and validation by epoch, from `plots/history.csv`."""

    def draw(axes: Axes) -> None:
        axes.plot(history["epoch"], history[figure], "o-", color=GREY, markersize=4, label="training")
        axes.plot(history["epoch"], history[f"val_{figure}"], "s-", color=BLUE, markersize=4, label="validation")
        best = history.loc[history["epoch"] == best_epoch, f"val_{figure}"]
        axes.plot([best_epoch], best, "o", markersize=12, fillstyle="none", color=INK, label="kept epoch")
        set_epoch_axis(axes, history["epoch"].max(), figure)

    return axes_svg(draw)


def class_curves(table: pd.DataFrame, x_label: str, y_label: str, x_range: tuple[float, float], y_from: float) -> str:
    """Draw one line per class from `plots/precision_recall.csv` or `plots/roc.csv`, over a part of the unit square."""
    visible = table[table.iloc[:, 0].between(x_range[0] - 1e-9, x_range[1] + 1e-9)]

    def draw(axes: Axes) -> None:
        for label in CLASSES:
            axes.plot(
                visible.iloc[:, 0],
                visible[label].where(visible[label] >= y_from),
                color=COLOURS[label],
                linestyle=LINE_STYLES[label],
                linewidth=2,
                label=TITLES[label],
                clip_on=False,  # a line along the border would be cut to half its width and look like another kind
            )
        axes.set_xlim(*x_range)
        axes.set_ylim(y_from, 1)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.xaxis.set_major_locator(LinearLocator(6))
        axes.yaxis.set_major_locator(LinearLocator(6))
        axes.xaxis.set_major_formatter(percent_formatter())
        axes.yaxis.set_major_formatter(percent_formatter())
        legend_above(axes)

    return axes_svg(draw)


def reliability_diagram(table: pd.DataFrame) -> str:
    """Draw accuracy against confidence before and after calibration, from `plots/reliability.csv`.

    The area of a point stands for its number of photographs.
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="perfect calibration")
        for name, colour, marker in (("before", COLOURS[CLASSES[0]], "s"), ("after", BLUE, "o")):
            rows = table[table["calibration"] == name]
            areas = 20 + 200 * rows["photographs"] / rows["photographs"].sum()
            filled = colour if name == "after" else "none"
            axes.scatter(
                rows["confidence"],
                rows["accuracy"],
                areas,
                facecolors=filled,
                edgecolors=colour,
                marker=marker,
                label=f"{name} calibration",
                clip_on=False,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("mean confidence")
        axes.set_ylabel("accuracy")
        axes.xaxis.set_major_formatter(percent_formatter())
        axes.yaxis.set_major_formatter(percent_formatter())
        legend_above(axes, columns=1)

    return axes_svg(draw, height=4.2)


def risk_coverage_curve(table: pd.DataFrame, decision: Mapping[str, Any]) -> str:
    """Draw the share of errors by the share that is answered, from `plots/risk_coverage.csv`; mark the thresholds'."""

    def draw(axes: Axes) -> None:
        axes.plot(table["coverage"], table["errors"], color=BLUE, linewidth=2, label="one threshold for all classes")
        if decision["errors_of_answered"] is not None:
            axes.plot(
                [decision["answered"]],
                [decision["errors_of_answered"]],
                "D",
                color=COLOURS[CLASSES[0]],
                markersize=8,
                label="the chosen thresholds",
                clip_on=False,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, None if table["errors"].max() else 0.01)
        axes.set_xlabel("coverage")
        axes.set_ylabel("errors among these")
        axes.xaxis.set_major_formatter(percent_formatter())
        axes.yaxis.set_major_formatter(percent_formatter())
        legend_above(axes)

    return axes_svg(draw, height=4.2)


def corruption_curves(points: pd.DataFrame, corruptions: Sequence[str]) -> str:
    """Draw accuracy by strength, with its interval, in a chart for each corruption, from `plots/troubles.csv`."""
    shown = points[points["trouble"].isin(corruptions)]
    (clean,) = points[points["strength"] == 0].to_dict("records")
    floor = np.floor(10 * points["low"].min()) / 10  # of all corruptions, so that charts can be compared
    rows = -(-len(corruptions) // 2)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(rows, 2, sharey=True, squeeze=False).flat
        for name, axes in zip(corruptions, panels, strict=False):
            curve = pd.concat([pd.DataFrame([clean]), shown[shown["trouble"] == name]])
            steps, accuracy = curve["strength"], curve["accuracy"]
            axes.fill_between(steps, curve["low"], curve["high"], color=BLUE, alpha=0.18, linewidth=0)
            axes.axhline(clean["accuracy"], color=GREY, linewidth=1, linestyle="--")
            axes.plot(steps, accuracy, "o-", color=BLUE, markersize=4, clip_on=False)
            axes.set_title(CORRUPTION_TITLES[name], fontsize=10)
            levels = [level_text(name, strength) for strength in steps[1:]]
            axes.set_xticks(steps, ["as is", *levels], fontsize=8)
            axes.set_ylim(floor, 1)
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            axes.yaxis.set_major_formatter(percent_formatter())
        for axes in list(panels):
            axes.set_axis_off()

    return figure_svg(draw, height=0.3 + 1.5 * rows)


def _stay_in_corner(precision_recall: pd.DataFrame, roc: pd.DataFrame, side: float) -> bool:
    """Check whether all curves pass through the outer quarter of the corner."""
    within = side / 2
    recalled = precision_recall[precision_recall["recall"] <= 1 - within].iloc[-1]
    found = roc[roc["false_positive_rate"] >= within].iloc[0]
    return all(point[label] >= 1 - within for point in (recalled, found) for label in CLASSES)


def _shortened(name: str, length: int = 16) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _thousands() -> FuncFormatter:
    return FuncFormatter(lambda value, _: f"{value:,.0f}")
