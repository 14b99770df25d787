"""Summary of a run: headline figures and locations of its files."""

import json
from pathlib import Path
from typing import Any

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError


def summarise_run(project: Path) -> str:
    """Return a summary of the last `dvc repro` in the folder `project`, in a few lines.

    Raises:
        FacemaskError: there are no metrics yet, or they are broken.
    """
    metrics = project / "metrics" / "evaluation.json"
    try:
        test = json.loads(metrics.read_text(encoding="utf-8"))["test"]
        recalls = ", ".join(f"{name} {test['class'][name]['recall']:.1%}" for name in CLASSES)
        figures = f"accuracy {test['accuracy']:.1%} on {test['images']} test images (recall: {recalls})"
    except FileNotFoundError as error:
        raise FacemaskError(f"{metrics} is missing; run `dvc repro`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FacemaskError(f"{metrics} is broken ({error!r}); run `dvc repro evaluate`") from error
    drawn = any(_kind(card) == "sample" for card in (project / "data" / "raw").glob("*.json"))
    warning = ["note     figures from drawn faces say nothing about real ones"] if drawn else []
    return "\n".join(
        [
            f"result   {figures}",
            *warning,
            "model    models/model.keras; for use elsewhere: export/",
            "metrics  metrics/*.json (dvc metrics show), plots: dvc plots show",
            "report   report/report.html",
            "",
        ]
    )


def _kind(card: Path) -> Any:
    try:
        return json.loads(card.read_text(encoding="utf-8"))["kind"]
    except (ValueError, KeyError, TypeError) as error:
        raise FacemaskError(f"{card} is broken ({error!r}); run `dvc repro download@{card.stem}`") from error
