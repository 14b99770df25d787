"""ONNX Runtime sessions."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
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


def open_session(model: bytes, threads: int = 0, name: str = "the ONNX model") -> Any:
    """Open a session on the CPU.

    Args:
        model: content of an ONNX file.
        threads: that one call of `run` uses; 0 leaves it to ONNX Runtime. With 1 each call stays in the caller's
            thread: several threads that each run a small batch are faster than one batch spread over ONNX Runtime's
            threads, and the result does not depend on the number of cores.
        name: of the model, for messages.

    Raises:
        FacemaskError: ONNX Runtime cannot load the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common class of their own
        raise FacemaskError(f"{name} cannot be loaded ({error}); run `dvc repro export`") from error


class OnnxLayers:
    """Layers of a network as an ONNX model, which can be sent to another process, unlike a session.

    Attributes:
        model: content of an ONNX file, from `image`, uint8 (batch, side, side, 3), to `maps`, float32.
    """

    def __init__(self, model: bytes, threads: int = 0) -> None:
        """Open a session with so many threads; see `open_session`."""
        self.model = model
        self._session = open_session(model, threads)

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the layers."""
        return self._session.run(["maps"], {"image": pixels})[0]


def image_size(session: Any) -> int:
    """Return the side of the model's square input in pixels."""
    return int(session.get_inputs()[0].shape[1])


def each_image(work: Callable[[Item], Result], items: Sequence[Item], desc: str) -> Iterator[Result]:
    """Yield `work(item)` in order, computed in as many threads as there are cores, with a progress bar."""
    # Products of small matrices are many times slower when NumPy spreads each over all cores as well.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, threadpool_limits(limits=1, user_api="blas"):
        yield from track(pool.map(work, items), len(items), desc)
