"""Metrics of a stage: the headline that DVC compares, and all figures beside it.

`metrics/<name>.json` has a few figures under plain names, so that `dvc metrics diff` fits on a screen.
`metrics/details/<name>.json` has everything that the report and the review show; to DVC it is no metric.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facemask.core.files import write_json

METRICS = Path("metrics")
DETAILS = METRICS / "details"
DIGITS = 3  # a tenth of a point: the noise between two processors is below


def write_metrics(name: str, details: Mapping[str, Any], headline: Mapping[str, str]) -> None:
    """Write both files of a stage in the current folder.

    Args:
        name: of the files.
        details: all figures, nested.
        headline: the dotted path in `details` of each headline figure, such as `test.accuracy`.
    """
    figures = {title: _at(details, path) for title, path in headline.items()}
    write_json(DETAILS / f"{name}.json", details, DIGITS)
    write_json(METRICS / f"{name}.json", figures, DIGITS)


def _at(figures: Any, path: str) -> Any:
    for key in path.split("."):
        figures = figures[key]
    return figures
