"""The exported ONNX model, run without TensorFlow: it starts at once, and many threads may ask it."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import onnxruntime
from threadpoolctl import threadpool_limits

from facemask.core.errors import FacemaskError
from facemask.core.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_model(path: Path) -> bytes:
    """Read `export/model.onnx`.

    Raises:
        FacemaskError: the file is missing.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FacemaskError(f"{path} is missing; run `dvc repro export`") from error


def open_session(model: bytes) -> Any:
    """Load an ONNX model so that each call of `run` stays in its own thread.

    Threads of ours that each run a small batch are quicker than one batch that is spread over ONNX Runtime's threads,
    and what comes out does not depend on how many there are.

    Raises:
        FacemaskError: it is no model that ONNX Runtime can load.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common class of their own
        raise FacemaskError(f"the exported ONNX model can't be loaded ({error}); run `dvc repro export`") from error


def image_size(session: Any) -> int:
    """Side of the model's square input, in pixels."""
    return int(session.get_inputs()[0].shape[1])


def each_image(work: Callable[[Item], Result], items: Sequence[Item], desc: str) -> Iterator[Result]:
    """Yield what `work` makes of each item, in order, from as many threads as there are cores; show the progress."""
    # NumPy's products of small matrices take many times as long when each is spread over all cores as well.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, threadpool_limits(limits=1, user_api="blas"):
        yield from track(pool.map(work, items), len(items), desc)
