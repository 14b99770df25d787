"""Summary of a run: headline figures and locations of its files."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.metrics import DETAILS

CODE = ("facemask/", "stages/")


def summarise_run(project: Path) -> str:
    """Return a summary of the last `dvc repro` in the folder `project`, in a few lines.

    Raises:
        FacemaskError: there are no metrics yet, or they are broken.
    """
    metrics = project / DETAILS / "evaluation.json"
    try:
        test = json.loads(metrics.read_text(encoding="utf-8"))["test"]
        recalls = ", ".join(f"{name} {test['class'][name]['recall']:.1%}" for name in CLASSES)
        bounds = " to ".join(f"{test['interval']['accuracy'][end]:.1%}" for end in ("low", "high"))
        figures = f"accuracy {test['accuracy']:.1%} (95% interval: {bounds}) on {test['photographs']} test photographs"
    except FileNotFoundError as error:
        raise FacemaskError(f"{metrics} is missing; run `dvc repro` in the project's folder") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FacemaskError(f"{metrics} is damaged ({error!r}); run `dvc repro evaluate`") from error
    drawn = any(_kind(card) == "sample" for card in (project / "data" / "raw").glob("*.json"))
    notes = ["note     figures from drawn faces say nothing about real ones"] if drawn else []
    if _only_results_changed(project):
        notes.append(
            "note     metrics/ and plots/ differ from the committed ones although no code and no setting was changed:"
        )
        notes.append(
            "         other processors and library versions round differently; `git checkout .` brings them back"
        )
    return "\n".join(
        [
            f"result   {figures}",
            f"recall   {recalls}",
            *notes,
            "model    models/model.keras; for use elsewhere: export/",
            "metrics  metrics/*.json (dvc metrics show), plots: dvc plots show",
            "report   report/report.html",
            "",
        ]
    )


def _only_results_changed(project: Path) -> bool:
    """Return whether results differ from the last commit though they were made from the same code and settings."""
    changed = [line[3:] for line in _git(project, "status", "--porcelain", "--untracked-files=no").splitlines()]
    if not changed or not all(name.startswith(("metrics/", "plots/", "dvc.lock")) for name in changed):
        return False
    locks = _git(project, "show", "HEAD:dvc.lock"), (project / "dvc.lock").read_text(encoding="utf-8")
    committed, made = (_code_and_settings(yaml.safe_load(lock)) for lock in locks)
    return bool(committed) and committed == made


def _code_and_settings(lock: Any) -> dict[str, Any]:
    """Return what `dvc.lock` says of the code and the params of each stage."""
    stages = lock.get("stages", {}) if isinstance(lock, dict) else {}
    return {
        name: (
            {dep["path"]: dep.get("md5") for dep in stage.get("deps", []) if dep["path"].startswith(CODE)},
            stage.get("params"),
        )
        for name, stage in stages.items()
    }


def _git(project: Path, *arguments: str) -> str:
    """Return what git prints in the folder `project`; "" if it fails or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, encoding="utf-8", check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _kind(card: Path) -> Any:
    try:
        return json.loads(card.read_text(encoding="utf-8"))["kind"]
    except (ValueError, KeyError, TypeError) as error:
        raise FacemaskError(f"{card} is damaged ({error!r}); run `dvc repro download@{card.stem}`") from error
