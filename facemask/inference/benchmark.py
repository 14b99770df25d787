"""How fast each exported format classifies faces on this machine, side by side.

Every format runs in a process of its own, so that none disturbs the others' memory and threads, and they take turns
in short bursts, so that whatever else the machine does slows all of them alike. Where much else is done, the time that
the processor spent on a face says more than the clock.
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
    """What was measured of one format with one number of threads and one size of the batch.

    Attributes:
        format: key of `facemask.export.formats.FORMATS`.
        threads: how many compute.
        batch: faces at a time.
        p50_ms, p95_ms: median and 95th percentile of the milliseconds a face: those of a batch, divided by its size.
        processor_ms: median of the milliseconds a face that all threads together kept the processor busy.
        faces_per_second: over all timed runs.
        size_bytes: of the file or folder.
        agreement: share of the faces with the same answer as `REFERENCE`.
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
    """Time every format with every number of `THREADS` and every size of `BATCHES`.

    Args:
        folder: the export folder.
        formats: keys of `facemask.export.formats.FORMATS`, `REFERENCE` among them.
        faces: uint8 RGB (n, side, side, 3), n at least 1; where there are fewer than a batch, they are repeated.
        rounds: how often each format has its turn; a turn is 20 runs with one face and 2 with 32.

    Raises:
        FacemaskError: a format is missing or can't be run.
    """
    decision = Classifier(folder).decision
    for name in formats:
        if not (folder / FORMATS[name]).exists():
            raise FacemaskError(f"{folder / FORMATS[name]} is missing; run `dvc repro export`")
    timings = []
    for threads in THREADS:
        with _workers(folder, formats, threads, faces) as workers:
            answers = {name: decision.choose(_received(name, pipe)) for name, pipe in workers.items()}
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
                    agreement=float((answers[name] == answers[REFERENCE]).mean()),
                )
            )
    return timings


def choose_formats(every: bool) -> list[str]:
    """Name all formats, or those that need no TensorFlow, which takes seconds to load and much memory."""
    return [name for name in FORMATS if every or name not in NEED_TENSORFLOW]


def drawn_faces(side: int) -> Pixels:
    """Draw faces of every class, as the source `sample` does: uint8 (48, side, side, 3)."""
    plans = [plan_portrait(label, index, seed=0) for index in range(_DRAWN_PER_CLASS) for label in CLASSES]
    drawn = (draw_portrait(plan, seed=0) for plan in plans)
    return np.stack([resize(decode(file), side) for file in track(drawn, len(plans), "draw faces")])


def read_faces(names: Sequence[str], side: int) -> tuple[Pixels, int]:
    """Read face crops.

    Args:
        names: files, folders and patterns, as for `facemask predict`; of more than 512 files, not all are used.
        side: of the model's input, pixels.

    Returns:
        uint8 (n, side, side, 3), and how many files could not be used.

    Raises:
        FacemaskError: no file could be used.
    """
    files = find_inputs(names)
    chosen = files[:: -(-len(files) // _MOST_FILES)]
    faces = []
    for file in track(chosen, len(chosen), "read"):
        with suppress(UnusableImage, OSError):
            faces.append(resize(decode(Path(file.name).read_bytes()), side))
    if not faces:
        raise FacemaskError(f"no picture in {', '.join(names)}; name pictures, or folders with pictures")
    return np.stack(faces), len(chosen) - len(faces)


def processor() -> str:
    """Name of this machine's processor and its number of cores."""
    model = platform.processor() or platform.machine()
    try:  # where Linux says it; Python itself gives the architecture only
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores"


def table(timings: Sequence[Timing]) -> str:
    """Write timings as lines of text, a block for each number of threads and size of the batch."""
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
    """Start a process for each format; give, by format, the pipe to talk to it."""
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends, and this process with it
    try:
        run = open_format(folder, name, threads)
        pipe.send(_classified(run, faces))
        while True:
            batch, runs = pipe.recv()
            pipe.send(_seconds(run, np.resize(faces, (batch, *faces.shape[1:])), runs))
    except EOFError:
        return
    except Exception as error:  # whatever a library says of its own files is told by the parent
        pipe.send(FacemaskError(str(error)))


def _classified(run: Run, faces: Pixels) -> Probabilities:
    return np.concatenate([run(faces[start : start + BATCHES[-1]]) for start in range(0, len(faces), BATCHES[-1])])


def _seconds(run: Run, batch: NDArray[np.uint8], runs: int) -> list[tuple[float, float]]:
    """Time runs: by the clock, and of the processor."""
    run(batch)  # others had the processor's cache, and another size of the batch takes other memory
    found = []
    for _ in range(runs):
        start, busy = time.perf_counter(), time.process_time()
        run(batch)
        found.append((time.perf_counter() - start, time.process_time() - busy))
    return found


def _received(name: str, pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        answer = FacemaskError("its process ended")
    if isinstance(answer, FacemaskError):
        raise FacemaskError(f"the format {name} can't be run: {answer}")
    return answer
