"""Model card as the Hugging Face Hub reads it: metadata (YAML front matter) before the text of the report's card."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.metrics import DETAILS, DIGITS, METRICS

Json = dict[str, Any]

TASK = "image-classification"
_NOT_STATED = ("", "unknown", "other")  # what sources, and Kaggle, say of a set whose licence nobody stated

# The Hub shows a code sample for some libraries. That for Keras loads an unpacked model, which no export is; LiteRT has
# none, and its downloads are counted by .tflite files.
_LIBRARY = "litert"
_HUB_METRICS = {"accuracy", "f1", "recall"}  # those of our figures that are metrics of the Hub
_TAGS = ("face-mask", "mobilenetv2", "tflite", "onnx", "keras", "tensorflow")

_USE = """
## Use

    hf download {repo} --local-dir facemask-model
    facemask predict --model facemask-model photograph.jpg

`labels.json` describes input, output, classes and thresholds; the `.tflite` and `.onnx` files contain it too.
"""


@dataclass(frozen=True)
class Run:
    """What the card is made of.

    Attributes:
        text: the report's model card, Markdown.
        headline: figures by name, of `metrics/evaluation.json`; None for a figure that could not be computed.
        details: `metrics/details/evaluation.json`.
        sources: for each source in use, its card `data/raw/<source>.json`.
    """

    text: str
    headline: Mapping[str, float | None]
    details: Json
    sources: Mapping[str, Json]


def read_run(project: Path, export: Path, sources: Sequence[str]) -> Run:
    """Read card, figures and sources of a run, and check that they belong to the exported model.

    Args:
        project: the folder in which the pipeline ran.
        export: folder with the exported model.
        sources: names of the sources in use.

    Raises:
        FacemaskError: a file is missing or broken, or the files are of different runs.
    """
    report = project / "report" / "model_card.md"
    run = Run(
        text=_read_text(report, "report"),
        headline=_read_json(project / METRICS / "evaluation.json", "evaluate"),
        details=_read_json(project / DETAILS / "evaluation.json", "evaluate"),
        sources={
            name: _read_source(project / "data" / "raw" / f"{name}.json", f"download@{name}")
            for name in sorted(sources)
        },
    )
    labels = _read_json(export / "labels.json", "export")
    try:
        same = _evaluated(labels, run.details["test"])
        missing = [figure for figure in _quoted(run.details["test"]) if figure not in run.text]
    except (KeyError, TypeError) as error:
        raise FacemaskError(
            f"{export / 'labels.json'} or {project / DETAILS / 'evaluation.json'} is broken ({error!r}); "
            "run `dvc repro`"
        ) from error
    if not same:
        raise FacemaskError(
            f"{export} and {project / METRICS} are of different runs (temperature or thresholds differ): run "
            "`dvc repro`, or `dvc checkout` after changing the branch"
        )
    if missing:
        raise FacemaskError(
            f"{report} is of another run than {project / METRICS} (it does not have {missing[0]}): "
            "run `dvc repro report`"
        )
    return run


def _evaluated(labels: Json, test: Json) -> bool:
    """Check whether the figures are those of the exported model, by its temperature and thresholds."""
    exported = {"": labels["temperature"], **labels["thresholds"]}
    measured = {"": test["calibration"]["temperature"], **test["decision"]["thresholds"]}
    rounding = 0.51 * 10**-DIGITS
    return exported.keys() == measured.keys() and all(
        abs(exported[name] - measured[name]) <= rounding for name in exported
    )


def _quoted(test: Json) -> list[str]:
    """List figures that the report's card quotes."""
    by_class = [test["class"][label][name] for label in CLASSES for name in ("precision", "recall", "f1")]
    return [f"{share:.1%}" for share in (test["accuracy"], test["balanced_accuracy"], test["macro_f1"], *by_class)]


def unstated_licences(run: Run) -> list[str]:
    """Name the sources whose licence nobody stated."""
    return [name for name, card in run.sources.items() if card["licence"].lower() in _NOT_STATED]


def default_licence(run: Run) -> str:
    """Return the Hub's identifier of the code's licence, or "unknown" if a source does not state its own."""
    return "unknown" if unstated_licences(run) else "apache-2.0"


def hub_card(run: Run, repo: str, licence: str) -> str:
    """Write the model card with the metadata that the Hub reads.

    The field `datasets` is left out, since it may only name data sets on the Hub; so is `base_model`: the weights that
    training starts from are not on the Hub in this form. The text says where data and weights come from.

    Args:
        run: of the model.
        repo: `owner/name` on the Hub.
        licence: identifier of the model's licence on the Hub.
    """
    drawn = any(card["kind"] == "sample" for card in run.sources.values())
    results = _results(run)
    data = ModelCardData(
        license=licence,
        library_name=_LIBRARY,
        pipeline_tag=TASK,
        tags=[*_TAGS, *(["drawn-faces"] if drawn else [])],
        metrics=sorted({result.metric_type for result in results} & _HUB_METRICS),
        model_name=repo.split("/")[-1],
        eval_results=results,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{run.text.strip()}\n{_USE.format(repo=repo)}"


def _results(run: Run) -> list[EvalResult]:
    """List the figures of the test photographs under the names that they have in `metrics/`."""
    figures = {**run.headline, "macro_f1": run.details["test"]["macro_f1"]}
    data = ", ".join(f"{name} ({card['origin']})" for name, card in run.sources.items())
    return [
        EvalResult(
            task_type=TASK,
            dataset_type="imagefolder",  # the Hub's name for pictures in folders
            dataset_name=data,
            dataset_split="test",
            metric_type=_metric_type(name),
            metric_name=name,
            metric_value=value,
        )
        for name, value in figures.items()
        if value is not None
    ]


def _metric_type(name: str) -> str:
    """Return the Hub's identifier of a metric; its own name where the Hub has none."""
    if name.startswith("recall_"):
        return "recall"
    return {"macro_f1": "f1"}.get(name, name)


def _read_text(path: Path, stage: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FacemaskError(f"{path} is missing; run `dvc repro {stage}`") from error


def _read_source(path: Path, stage: str) -> Json:
    card = _read_json(path, stage)
    if missing := [key for key in ("kind", "licence", "origin") if not isinstance(card.get(key), str)]:
        raise FacemaskError(f"{path} does not have {', '.join(missing)}; run `dvc repro {stage}`")
    return card


def _read_json(path: Path, stage: str) -> Json:
    try:
        content = json.loads(_read_text(path, stage))
    except ValueError as error:
        raise FacemaskError(f"{path} is not valid JSON ({error}); run `dvc repro {stage}`") from error
    if not isinstance(content, dict):
        raise FacemaskError(f"{path} is not a JSON object; run `dvc repro {stage}`")
    return content
