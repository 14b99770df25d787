"""Benchmark of the exported formats.

Each format runs in its own process, so that formats share neither memory nor threads, and they take turns in short
bursts, so that other load slows all of them alike. Under load, compare processor time rather than wall time.
"""

import multiprocessing
import os
import platform
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.progress import track
from facemask.data.sources.sample.plan import plan_portrait
from facemask.data.sources.sample.portraits import draw_portrait
from facemask.dataset.decode import UnusableImage, decode, resize
from facemask.export.formats import FORMATS, NEED_TENSORFLOW, Pixels, Probabilities, Run, open_format, size_of
from facemask.inference.inputs import find_inputs
from facemask.inference.predictor import Classifier

REFERENCE = "tflite"
THREADS = (1, 2)
BATCHES = (1, 32)
ROUNDS = 10

_RUNS_PER_ROUND = {1: 20, 32: 2}  # by size of the batch
_DRAWN_PER_CLASS = 16
_MOST_FILES = 512


@dataclass(frozen=True)
class Timing:
    """Timing of one format at one number of threads and one batch size.

    Attributes:
        format: key of `facemask.export.formats.FORMATS`.
        threads: number of threads.
        batch: batch size.
        p50_ms, p95_ms: median and 95th percentile of the milliseconds per face (time of a batch / batch size).
        processor_ms: median processor time per face in milliseconds, summed over threads.
        faces_per_second: over all timed runs.
        size_bytes: size of the file or folder.
        agreement: share of faces with the same prediction as `REFERENCE`.
    """

    format: str
    threads: int
    batch: int
    p50_ms: float
    p95_ms: float
    processor_ms: float
    faces_per_second: float
    size_bytes: int
    agreement: float


def benchmark(folder: Path, formats: Sequence[str], faces: Pixels, rounds: int = ROUNDS) -> list[Timing]:
    """Time every format at every number of `THREADS` and every batch size of `BATCHES`.

    Args:
        folder: the export folder.
        formats: keys of `facemask.export.formats.FORMATS`, including `REFERENCE`.
        faces: uint8 RGB (n, side, side, 3), n at least 1; repeated to fill a batch.
        rounds: number of turns per format; a turn is 20 runs with one face and 2 with 32.

    Raises:
        FacemaskError: a format is missing or cannot be run.
    """
    decision = Classifier(folder).decision
    for name in formats:
        if not (folder / FORMATS[name]).exists():
            raise FacemaskError(f"{folder / FORMATS[name]} is missing; run `dvc repro export`")
    timings = []
    for threads in THREADS:
        with _workers(folder, formats, threads, faces) as workers:
            predicted = {name: decision.choose(_received(name, pipe)) for name, pipe in workers.items()}
            seconds: dict[tuple[int, str], list[tuple[float, float]]] = {
                (batch, name): [] for batch in BATCHES for name in formats
            }
            for _ in track(range(rounds), rounds, f"{threads} of {THREADS[-1]} threads", "rounds"):
                for (batch, name), found in seconds.items():
                    workers[name].send((batch, _RUNS_PER_ROUND[batch]))
                    found += _received(name, workers[name])
        for (batch, name), found in seconds.items():
            per_face, of_processor = 1000 * np.array(found).T / batch
            timings.append(
                Timing(
                    format=name,
                    threads=threads,
                    batch=batch,
                    p50_ms=round(float(np.percentile(per_face, 50)), 3),
                    p95_ms=round(float(np.percentile(per_face, 95)), 3),
                    processor_ms=round(float(np.percentile(of_processor, 50)), 3),
                    faces_per_second=round(1000 / float(per_face.mean()), 1),
                    size_bytes=size_of(folder / FORMATS[name]),
                    agreement=float((predicted[name] == predicted[REFERENCE]).mean()),
                )
            )
    return timings


def choose_formats(every: bool) -> list[str]:
    """Return the names of all formats, or of those that do not need TensorFlow."""
    return [name for name in FORMATS if every or name not in NEED_TENSORFLOW]


def drawn_faces(side: int) -> Pixels:
    """Return drawn faces of every class, uint8 (48, side, side, 3), from the generator of the source `sample`."""
    plans = [plan_portrait(label, index, seed=0) for index in range(_DRAWN_PER_CLASS) for label in CLASSES]
    drawn = (draw_portrait(plan, seed=0) for plan in plans)
    return np.stack([resize(decode(file), side) for file in track(drawn, len(plans), "draw faces")])


def read_faces(names: Sequence[str], side: int) -> tuple[Pixels, list[str]]:
    """Read face crops.

    Args:
        names: files, folders and patterns, as for `facemask predict`; more than 512 files are subsampled.
        side: side of the model input, in pixels.

    Returns:
        uint8 (n, side, side, 3), and remarks: what was left out, how many files could not be used.

    Raises:
        FacemaskError: no file is usable.
    """
    found = find_inputs(names)
    chosen = found.inputs[:: -(-len(found.inputs) // _MOST_FILES)]
    faces = []
    for file in track(chosen, len(chosen), "read"):
        with suppress(UnusableImage, OSError):
            faces.append(resize(decode(Path(file.name).read_bytes()), side))
    if not faces:
        raise FacemaskError(
            f"none of {', '.join(names)} could be read as an image: name images, or folders with images"
        )
    if unusable := len(chosen) - len(faces):
        found.remarks.append(f"{unusable} of {len(chosen)} files could not be used; `facemask predict` says why")
    return np.stack(faces), found.remarks


def processor() -> str:
    """Return the name of the processor and its number of cores."""
    model = platform.processor() or platform.machine()
    try:  # on Linux; Python itself only knows the architecture
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores"


def table(timings: Sequence[Timing]) -> str:
    """Return timings as a text table, with a block for each number of threads and batch size."""
    titles = ("threads", "batch", "format", "p50 ms", "p95 ms", "cpu ms", "faces/s", "MB", "same answer")
    lines = ["{:>7} {:>6}  {:16}{:>8}{:>8}{:>8}{:>9}{:>6}{:>13}".format(*titles)]
    for place, one in enumerate(timings):
        if place and timings[place - 1].batch != one.batch:
            lines.append("")
        lines.append(
            f"{one.threads:>7} {one.batch:>6}  {one.format:16}{one.p50_ms:>8.2f}{one.p95_ms:>8.2f}"
            f"{one.processor_ms:>8.2f}{one.faces_per_second:>9.0f}{one.size_bytes / 1e6:>6.1f}{one.agreement:>13.1%}"
        )
    return "\n".join(lines) + "\n"


@contextmanager
def _workers(folder: Path, formats: Sequence[str], threads: int, faces: Pixels) -> Iterator[dict[str, Any]]:
    """Start a process for each format and yield the pipes to them, by format."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name in formats:
        pipes[name], other = context.Pipe()
        process = context.Process(target=_serve, args=(other, folder, name, threads, faces), daemon=True)
        process.start()
        other.close()
        processes.append(process)
    try:
        yield pipes
    finally:
        for process in processes:
            process.kill()
            process.join()


def _serve(pipe: Connection, folder: Path, name: str, threads: int, faces: Pixels) -> None:
    """Send the probabilities of the faces; then, for each (batch, runs) received, the seconds of each run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it and ends this process
    try:
        run = open_format(folder, name, threads)
        pipe.send(_classified(run, faces))
        while True:
            batch, runs = pipe.recv()
            pipe.send(_seconds(run, np.resize(faces, (batch, *faces.shape[1:])), runs))
    except EOFError:
        return
    except FacemaskError as error:
        pipe.send(error)
    except Exception as error:  # the libraries raise errors of many types; the parent reports them
        pipe.send(FacemaskError(f"{folder / FORMATS[name]} cannot be run ({error}); run `dvc repro export`"))


def _classified(run: Run, faces: Pixels) -> Probabilities:
    return np.concatenate([run(faces[start : start + BATCHES[-1]]) for start in range(0, len(faces), BATCHES[-1])])


def _seconds(run: Run, batch: NDArray[np.uint8], runs: int) -> list[tuple[float, float]]:
    """Return wall time and processor time of each run, in seconds."""
    run(batch)  # warm up: caches, and memory for this batch size
    found = []
    for _ in range(runs):
        start, busy = time.perf_counter(), time.process_time()
        run(batch)
        found.append((time.perf_counter() - start, time.process_time() - busy))
    return found


def _received(name: str, pipe: Connection) -> Any:
    try:
        received = pipe.recv()
    except EOFError:
        received = FacemaskError(
            f"the process of the format {name} ended; it may have run out of memory: close other programs and try again"
        )
    if isinstance(received, FacemaskError):
        raise received
    return received
