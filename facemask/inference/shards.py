"""Predictions of many files as a folder of Parquet files, of which those that are done are not made again.

A Parquet file, a shard, holds the rows of some hundred input files. Its name is made of the model with the options, and
of the input files: name, size, and time or checksum of each. So a run that was interrupted, and one over a folder that
has grown, make only what is missing.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import atomic_path
from facemask.core.params import EngineKind
from facemask.inference.inputs import Input
from facemask.inference.object_store import is_address
from facemask.inference.options import Options
from facemask.inference.predictor import Prediction, Predictor, predict_files, read_model_files
from facemask.inference.writers import COLUMNS, NO_FACE, FileCounts, rows

_USUAL_SIZE = 512  # input files in a shard, on average
_MODEL_DIGITS = 12
_DIGITS = 20
_NAME = f"{'[0-9a-f]' * _MODEL_DIGITS}-{'[0-9a-f]' * _DIGITS}.parquet"

_TEXTS = {"file", "answer", "label", "problem"}
SCHEMA = pa.schema(
    [(name, pa.string() if name in _TEXTS else pa.int32() if name == "face" else pa.float64()) for name in COLUMNS]
)


@dataclass(frozen=True)
class Shard:
    """Input files whose predictions are in one Parquet file, and its name."""

    name: str
    inputs: Sequence[Input]


class ShardFolder:
    """Predictions of a list of files with one model, in a folder.

    Attributes:
        folder: the folder.
        there: how many of the files have predictions from an earlier run.
        missing: shards that are still to be made.
    """

    def __init__(
        self, folder: Path, model: Path, inputs: Sequence[Input], options: Options, size: int = _USUAL_SIZE
    ) -> None:
        """Look what of the predictions is there.

        Args:
            folder: for the Parquet files.
            model: the export folder.
            inputs: the files to predict, sorted.
            options: how to predict them; without `pictures`.
            size: input files in a shard, on average.

        Raises:
            FacemaskError: the model cannot be used, or the folder holds predictions of another model or with other
                options.
        """
        Predictor(model, options)  # before anything is said of the folder
        self.folder, self._model, self._options = folder, model, options
        key = _model_key(model, options)
        self._shards = [Shard(_shard_name(key, part), part) for part in split(inputs, size)]
        self._earlier = {path.name for path in folder.glob(_NAME)}
        if strange := sorted(name for name in self._earlier if not name.startswith(key)):
            raise FacemaskError(
                f"{folder} holds predictions of another model or with other options, such as {strange[0]}: choose "
                "another folder, or delete it"
            )
        self.missing = [shard for shard in self._shards if shard.name not in self._earlier]
        self.there = len(inputs) - sum(len(shard.inputs) for shard in self.missing)

    def complete(self, engine: EngineKind) -> Iterator[Prediction]:
        """Make the missing shards; yield each prediction once it is there, and remove shards of earlier inputs.

        Raises:
            FacemaskError: the model or the engine cannot be used, or a file of an object store cannot be read.
        """
        files = (file for shard in self.missing for file in shard.inputs)
        count = sum(len(shard.inputs) for shard in self.missing)
        predictions = predict_files(self._model, files, count, self._options, engine) if count else iter(())
        for shard in self.missing:
            table: list[dict[str, object]] = []
            for prediction in islice(predictions, len(shard.inputs)):
                table += rows(prediction)
                yield prediction
            write_shard(self.folder / shard.name, table)
        for name in self._earlier - {shard.name for shard in self._shards}:
            (self.folder / name).unlink()

    def count(self) -> FileCounts:
        """Count the files of all shards, once they are complete."""
        counts = [_counted(self.folder / shard.name) for shard in self._shards]
        return FileCounts(*(sum(column) for column in zip(*counts, strict=True)))

    def describe(self) -> str:
        """Say in one sentence what is in the folder, and what of it was there before."""
        kept = f", {self.there} of them from an earlier run" if self.there else ""
        return f"{self.folder}: predictions of {sum(len(shard.inputs) for shard in self._shards)} files{kept}"


def split(inputs: Iterable[Input], size: int) -> Iterator[list[Input]]:
    """Split files into parts of about `size`, at most four times as many.

    A part ends at a file whose name says so by its hash, so that a file that comes or goes changes the part around it
    and no other.
    """
    part: list[Input] = []
    for file in inputs:
        part.append(file)
        if _number(file.name) % size == 0 or len(part) == 4 * size:
            yield part
            part = []
    if part:
        yield part


def write_shard(path: Path, table: Sequence[dict[str, object]]) -> None:
    """Write rows of `facemask.inference.writers.rows` as Parquet; the file appears when complete.

    Bytes of a file name that are no UTF-8 are escaped, since Parquet holds no others.
    """
    named = [
        {**row, "file": str(row["file"]).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")}
        for row in table
    ]
    with atomic_path(path) as draft:
        pq.write_table(pa.Table.from_pylist(named, SCHEMA), draft)


def _model_key(model: Path, options: Options) -> str:
    content = hashlib.sha256(f"{version('facemask-pipeline')} {options} {CLASSES}".encode())
    for name, data in read_model_files(model).items():
        content.update(f"{name} {hashlib.sha256(data).hexdigest()}".encode())
    return content.hexdigest()[:_MODEL_DIGITS]


def _shard_name(key: str, inputs: Sequence[Input]) -> str:
    content = hashlib.sha256()
    for file in inputs:
        content.update(f"{file.name}\0{_version(file)}\0".encode("utf-8", "surrogateescape"))
    return f"{key}-{content.hexdigest()[:_DIGITS]}.parquet"


def _version(file: Input) -> str:
    if file.problem or is_address(file.name):
        return file.problem or file.version
    try:
        status = Path(file.name).stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8])


def _counted(path: Path) -> tuple[int, int, int]:
    """Count the files of a shard: all, unusable ones, those without a face."""
    table = pq.read_table(path, columns=["face", "answer", "problem"])
    first = pc.fill_null(pc.less_equal(table["face"], 1), True)  # of the rows of a file
    return (
        pc.sum(first).as_py(),
        pc.count(table["problem"]).as_py(),
        pc.sum(pc.equal(table["answer"], NO_FACE)).as_py() or 0,
    )
