"""Write predictions as a table, JSON or CSV, one file at a time."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import atomic_path
from facemask.inference.predictor import Face, Prediction

NO_FACE = "no face"

_BOX = ("left", "top", "right", "bottom")
COLUMNS = ("file", "face", *_BOX, "score", "answer", "label", *(f"p_{name}" for name in CLASSES), "problem")


def rows(prediction: Prediction) -> Iterator[dict[str, Any]]:
    """Yield a row for each face, or one for a file without faces; of `COLUMNS`, only those that have a value."""
    for number, face in enumerate(prediction.faces, start=1):
        probabilities = {f"p_{label}": p for label, p in face.probabilities.items()}
        result = {"score": _score(face), "answer": face.answer, "label": face.label}
        yield {"file": prediction.file, "face": number, **_edges(face), **result, **probabilities}
    if not prediction.faces:
        result = {"problem": prediction.problem} if prediction.problem else {"answer": NO_FACE}
        yield {"file": prediction.file, **result}


class Writer(Protocol):
    """Writes predictions to a stream; the output is complete after `end`."""

    def add(self, prediction: Prediction) -> None:
        """Write the predictions of one file."""

    def end(self) -> None:
        """Complete the output."""


class Table:
    """One line per face; a file without faces gets one line too."""

    def __init__(self, stream: TextIO, width: int) -> None:
        """Write to `stream`, with a file name column of `width` characters."""
        self._stream, self._width = stream, width

    def add(self, prediction: Prediction) -> None:
        """Write the lines of one file."""
        if prediction.problem:
            results = [f"not used: {prediction.problem}"]
        else:
            results = [_line(face) for face in prediction.faces] or [NO_FACE]
        name = printable(prediction.file)
        self._stream.writelines(f"{name:{self._width}}  {line}\n" for line in results)

    def end(self) -> None:
        """Do nothing: every line is complete."""


class Json:
    """A JSON array with one object per file."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._between = stream, "[\n"

    def add(self, prediction: Prediction) -> None:
        """Write the object of one file."""
        faces = [
            {
                "box": _edges(face) or None,
                "score": _score(face),
                "answer": face.answer,
                "label": face.label,
                "probabilities": face.probabilities,
            }
            for face in prediction.faces
        ]
        # Everything outside ASCII is escaped: file names may contain invalid text or terminal control characters.
        self._stream.write(self._between + json.dumps({**vars(prediction), "faces": faces}))
        self._between = ",\n"

    def end(self) -> None:
        """Close the array."""
        self._stream.write("\n]\n" if self._between == ",\n" else "[]\n")


class Csv:
    """One CSV row per face; a file without faces gets one row too."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
        self._rows.writeheader()

    def add(self, prediction: Prediction) -> None:
        """Write the rows of one file."""
        # A terminal would act on control characters in a name; a program needs the exact name.
        name = printable(prediction.file) if self._stream.isatty() else prediction.file
        self._rows.writerows({**row, "file": name} for row in rows(prediction))

    def end(self) -> None:
        """Do nothing: every line is complete."""


@dataclass(frozen=True)
class FileCounts:
    """Numbers of files: all, unusable ones, and usable ones without a face."""

    files: int
    unusable: int
    faceless: int

    def remarks(self) -> list[str]:
        """Return remarks for the user about unusable files and files without faces."""
        lines = []
        if self.faceless:
            lines.append(f"no face in {self.faceless} of {self.files} files; if each shows one face, use --faces crop")
        if self.unusable:
            lines.append(f"{self.unusable} of {self.files} files could not be used")
        return lines


def write_all(predictions: Iterable[Prediction], writers: Sequence[Writer]) -> FileCounts:
    """Write each prediction to all writers as it arrives, then complete them."""
    files = unusable = faceless = 0
    for prediction in predictions:
        files += 1
        unusable += bool(prediction.problem)
        faceless += not prediction.problem and not prediction.faces
        for writer in writers:
            writer.add(prediction)
    for writer in writers:
        writer.end()
    return FileCounts(files, unusable, faceless)


def printing(layout: str, files: Sequence[str]) -> Writer:
    """Return a writer to standard output; `layout` is `table`, `json` or `csv`."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Escape characters that the terminal cannot encode, instead of failing.
        sys.stdout.reconfigure(errors="backslashreplace")
    if layout == "table":
        return Table(sys.stdout, max(len(printable(file)) for file in files))
    return SUFFIXES[f".{layout}"](sys.stdout)


@contextmanager
def writing_to(path: Path) -> Iterator[Writer]:
    """Yield a writer to a file, in the format of its suffix (see `SUFFIXES`); the file appears when complete.

    Raises:
        FacemaskError: the file cannot be written.
    """
    try:
        with (
            atomic_path(path) as draft,
            draft.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
        ):
            yield SUFFIXES[path.suffix.lower()](stream)
    except BrokenPipeError:  # of another stream, such as stdout
        raise
    except OSError as error:
        raise FacemaskError(
            f"{path} cannot be written ({error.strerror}); choose another file with --output"
        ) from error


def printable(name: str) -> str:
    """Return a file name with control characters and invalid text escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)


def _line(face: Face) -> str:
    likeliest = f"{face.label} {face.probabilities[face.label]:.1%}" if face.label else ""
    if face.answer == face.label:
        likeliest = f"{face.probabilities[face.label]:.1%}"
    place = f"{face.box.side:.0f} px at {face.box.left:.0f},{face.box.top:.0f}" if face.box else ""
    return f"{face.answer:{max(map(len, CLASSES))}}  {likeliest:>7}  {place}".rstrip()


def _edges(face: Face) -> dict[str, float]:
    return {edge: round(getattr(face.box, edge), 1) for edge in _BOX} if face.box else {}


def _score(face: Face) -> float | None:
    return round(face.box.score, 4) if face.box else None


SUFFIXES: dict[str, Callable[[TextIO], Writer]] = {".json": Json, ".csv": Csv}
