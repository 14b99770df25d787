"""Predictions as a table, as JSON or as CSV, written one by one as they come."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import atomic_path
from facemask.inference.predictor import Face, Prediction

NO_FACE = "no face"

_BOX = ("left", "top", "right", "bottom")
_COLUMNS = ("file", "face", *_BOX, "score", "answer", "label", *(f"p_{name}" for name in CLASSES), "problem")


class Writer(Protocol):
    """Writes predictions to a stream; nothing is complete before `end`."""

    def add(self, prediction: Prediction) -> None:
        """Write what is said of one file."""

    def end(self) -> None:
        """Write what comes last."""


class Table:
    """A line for each face; files without one get a line as well."""

    def __init__(self, stream: TextIO, width: int) -> None:
        """Write to `stream`; names of files get a column of `width` characters."""
        self._stream, self._width = stream, width

    def add(self, prediction: Prediction) -> None:
        """Write the lines of one file."""
        if prediction.problem:
            said = [f"not used: {prediction.problem}"]
        else:
            said = [_line(face) for face in prediction.faces] or [NO_FACE]
        name = printable(prediction.file)
        self._stream.writelines(f"{name:{self._width}}  {line}\n" for line in said)

    def end(self) -> None:
        """Nothing comes last."""


class Json:
    """An array with an object for each file."""

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
        # Escapes stand for all that is not ASCII: names of files need not be text, and terminals obey some characters.
        self._stream.write(self._between + json.dumps({**vars(prediction), "faces": faces}))
        self._between = ",\n"

    def end(self) -> None:
        """Close the array."""
        self._stream.write("\n]\n" if self._between == ",\n" else "[]\n")


class Csv:
    """A row for each face; files without one get a row as well."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows = csv.DictWriter(stream, _COLUMNS, restval="", lineterminator="\n")
        self._rows.writeheader()

    def add(self, prediction: Prediction) -> None:
        """Write the rows of one file."""
        # A program needs the true name; a terminal would obey it.
        name = printable(prediction.file) if self._stream.isatty() else prediction.file
        for number, face in enumerate(prediction.faces, start=1):
            probabilities = {f"p_{label}": p for label, p in face.probabilities.items()}
            answer = {"score": _score(face), "answer": face.answer, "label": face.label}
            self._rows.writerow({"file": name, "face": number, **_edges(face), **answer, **probabilities})
        if not prediction.faces:
            answer = {"problem": prediction.problem} if prediction.problem else {"answer": NO_FACE}
            self._rows.writerow({"file": name, **answer})

    def end(self) -> None:
        """Nothing comes last."""


@dataclass(frozen=True)
class FileCounts:
    """Numbers of files: all, those that could not be used, and those in which no face was found."""

    files: int
    unusable: int
    faceless: int

    def remarks(self) -> list[str]:
        """Say what a person should know of beside the answers."""
        lines = []
        if self.faceless:
            lines.append(f"no face in {self.faceless} of {self.files} files; if each shows one face, use --faces crop")
        if self.unusable:
            lines.append(f"{self.unusable} of {self.files} files could not be used")
        return lines


def write_all(predictions: Iterable[Prediction], writers: Sequence[Writer]) -> FileCounts:
    """Write predictions as they come, each to all writers, and end them."""
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
    """Print predictions of these files as `table`, `json` or `csv`."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Not every terminal knows every letter; better a code for it than no answer.
        sys.stdout.reconfigure(errors="backslashreplace")
    if layout == "table":
        return Table(sys.stdout, max(len(printable(file)) for file in files))
    return SUFFIXES[f".{layout}"](sys.stdout)


@contextmanager
def writing_to(path: Path) -> Iterator[Writer]:
    """Write predictions into a file, as its suffix says (see `SUFFIXES`); it appears at the end.

    Raises:
        FacemaskError: the file can't be written.
    """
    try:
        with (
            atomic_path(path) as draft,
            draft.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
        ):
            yield SUFFIXES[path.suffix.lower()](stream)
    except BrokenPipeError:  # of another stream, written meanwhile
        raise
    except OSError as error:
        raise FacemaskError(f"{path} can't be written ({error.strerror}): name another file") from error


def printable(name: str) -> str:
    """Show a file's name without characters that a terminal would obey, or that are no text."""
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
