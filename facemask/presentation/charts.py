"""Charts as byte-stable SVG; text is drawn as outlines, so that it looks alike everywhere."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from facemask.core.classes import CLASSES, TITLES
from facemask.presentation.table import photograph_count

# M. Okabe and K. Ito, "Color Universal Design", 2008: told apart with every kind of colour vision. The line styles tell
# the classes apart in print without colour.
COLOURS = dict(zip(CLASSES, ("#D55E00", "#0072B2", "#009E73"), strict=True))
LINE_STYLES = dict(zip(CLASSES, ("-", "--", ":"), strict=True))
GREY, BLUE = "#8a8f98", "#0072B2"

WIDTH = 4.6  # inches; at 10 points the letters are still legible where a phone shows the figure 340 pixels wide
INK, _FAINT = "#1c1e22", "#d9dce1"
_SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#0072B2"])
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "facemask",  # ids of clip paths are random without one
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": "#8a8f98",
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.constrained_layout.use": True,
}


def compared_curve(before: Sequence[float], after: Sequence[float], figure: str) -> str:
    """Draw `figure` ("loss" or "accuracy") on validation by epoch, of two trainings.

    Args:
        before: a value for each epoch; empty if there is none.
        after: likewise.
        figure: what they are.
    """

    def draw(axes: Axes) -> None:
        for values, colour, style, label in (
            (before, GREY, "s--", "before"),
            (after, BLUE, "o-", "after"),
        ):
            if len(values):
                axes.plot(range(1, len(values) + 1), values, style, color=colour, markersize=4, label=label)
        set_epoch_axis(axes, max(len(before), len(after)), figure)

    return axes_svg(draw)


def confusion_matrix(confusion: Mapping[str, Mapping[str, float]]) -> str:
    """Draw the photographs by true and predicted class, shaded and labelled by their share of the true class."""
    counts = [[confusion[actual][predicted] for predicted in CLASSES] for actual in CLASSES]
    shares = [[number / (sum(row) or 1) for number in row] for row in counts]
    names = [TITLES[label].replace(" worn ", " worn\n") for label in CLASSES]

    def draw(axes: Axes) -> None:
        axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1)
        for row, (numbers, parts) in enumerate(zip(counts, shares, strict=True)):
            for column, (number, share) in enumerate(zip(numbers, parts, strict=True)):
                colour = "white" if share > 0.7 else INK
                axes.text(
                    column, row - 0.08, photograph_count(number), ha="center", va="center", color=colour, fontsize=15
                )
                axes.text(column, row + 0.22, f"{share:.1%}", ha="center", va="center", color=colour, fontsize=9)
        axes.set_xticks(range(len(CLASSES)), names)
        axes.set_yticks(range(len(CLASSES)), names)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(True)

    return axes_svg(draw, height=4.2)


def axes_svg(draw: Callable[[Axes], None], height: float = 3.3) -> str:
    """Draw one chart of `height` inches and return it as SVG."""
    return figure_svg(lambda figure: draw(figure.add_subplot()), height)


def figure_svg(draw: Callable[[Figure], None], height: float) -> str:
    """Draw a figure of `height` inches and return it as SVG."""
    # From the defaults, so that a matplotlibrc of this machine changes nothing.
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(WIDTH, height))
        draw(figure)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def set_epoch_axis(axes: Axes, epochs: int, figure: str) -> None:
    """Label the axes of a learning curve; `figure` is "loss" or "accuracy"."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(0.5, epochs + 0.5)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss (cross-entropy)" if figure == "loss" else figure)
    if figure == "accuracy":
        axes.yaxis.set_major_formatter(percent_formatter())
    legend_above(axes, columns=2)


def legend_above(axes: Axes, columns: int = 1) -> None:
    """Place the legend above the chart."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderaxespad=0.2, handlelength=2.4)


def percent_formatter() -> FuncFormatter:
    """Return a tick formatter that writes shares as percentages."""
    return FuncFormatter(lambda value, _: f"{100 * value:.4g}%")
