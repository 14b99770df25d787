"""The command `facemask`."""

import csv
import io
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facemask.errors import FacemaskError
from facemask.labels import CLASSES

if TYPE_CHECKING:
    from facemask.predict import Prediction

app = typer.Typer(
    help="Tell a face mask worn right from one worn wrong and from none.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Format(StrEnum):
    """How predictions are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@app.command()
def predict(
    images: Annotated[list[str], typer.Argument(help="Pictures of one face each, cut out with some margin.")],
    model: Annotated[Path, typer.Option(help="Folder with an exported model.")] = Path("export"),
    output: Annotated[Format, typer.Option("--format", help="How to print the answers.")] = Format.TABLE,
) -> None:
    """Classify face crops.

    Ends with 0, or with 1 when some file could not be used; the others are still answered.
    """
    from facemask.predict import Classifier

    predictions = Classifier(model).predict(images)
    print(_FORMATTERS[output](predictions), end="")
    unusable = sum(bool(prediction.problem) for prediction in predictions)
    if unusable:
        print(f"{unusable} of {len(predictions)} files could not be used", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def summary() -> None:
    """Say where the model, the metrics and the report of the last run are, and the headline figures."""
    from facemask.summary import summarise_run

    print(summarise_run(Path()), end="")


def main() -> None:
    """Run the command; what a person can mend is told in one line, without a traceback."""
    try:
        app()
    except FacemaskError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _table(predictions: "list[Prediction]") -> str:
    width = max(len(prediction.file) for prediction in predictions)
    label_width = max(map(len, CLASSES))
    lines = []
    for prediction in predictions:
        if prediction.problem:
            answer = f"not used: {prediction.problem}"
        else:
            answer = f"{prediction.label:{label_width}}  {prediction.probabilities[prediction.label]:7.1%}"
        lines.append(f"{prediction.file:{width}}  {answer}\n")
    return "".join(lines)


def _json(predictions: "list[Prediction]") -> str:
    return json.dumps([vars(prediction) for prediction in predictions], indent=2, ensure_ascii=False) + "\n"


def _csv(predictions: "list[Prediction]") -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "label", *(f"p_{name}" for name in CLASSES), "problem"])
    for prediction in predictions:
        probabilities = [prediction.probabilities.get(name, "") for name in CLASSES]
        writer.writerow([prediction.file, prediction.label, *probabilities, prediction.problem])
    return text.getvalue()


_FORMATTERS = {Format.TABLE: _table, Format.JSON: _json, Format.CSV: _csv}
