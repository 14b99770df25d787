"""Exported formats: file names, sizes, and how to run them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask.core.stderr import quiet_stderr

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]
Run = Callable[[Pixels], Probabilities]

FORMATS = {  # name in figures: name in the export folder
    "keras": "model.keras",
    "saved_model": "saved_model",
    "tflite": "model.tflite",
    "tflite_float16": "model_float16.tflite",
    "tflite_int8": "model_int8.tflite",
    "onnx": "model.onnx",
}
NEED_TENSORFLOW = ("keras", "saved_model")


def size_of(path: Path) -> int:
    """Return the size in bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(size_of(below) for below in path.iterdir())


def open_format(folder: Path, name: str, threads: int | None = None) -> Run:
    """Load one of `FORMATS` from an export folder.

    Args:
        folder: the export folder.
        name: key of `FORMATS`.
        threads: number of threads; None for the default of the runtime. TensorFlow takes it only before its first use.

    Returns:
        Function from uint8 RGB (n, side, side, 3), n at least 1, to probabilities, float32 (n, 3).
    """
    openers = {".keras": _open_keras, "": _open_saved_model, ".tflite": _open_tflite, ".onnx": _open_onnx}
    path = folder / FORMATS[name]
    with quiet_stderr():
        return openers[path.suffix](path, threads)


def _open_tflite(path: Path, threads: int | None) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    # By content: a file opened by its path is mapped into memory, and overwriting it would end this process (SIGBUS).
    interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
    interpreter.allocate_tensors()  # logs its delegate to stderr now, not in the first run
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(images: Pixels) -> Probabilities:
        interpreter.resize_tensor_input(source, images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, images)
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return run


def _open_onnx(path: Path, threads: int | None) -> Run:
    from facemask.models.onnx_session import open_session, read_model

    session = open_session(read_model(path), threads or 0, name=str(path))
    return lambda images: session.run(["probabilities"], {"image": images})[0]


def _open_saved_model(path: Path, threads: int | None) -> Run:
    tf = _tensorflow(threads)
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda images: served(image=tf.constant(images))["probabilities"].numpy()


def _open_keras(path: Path, threads: int | None) -> Run:
    _tensorflow(threads)
    from facemask.models.classifier import load_model

    model = load_model(path)
    return lambda images: np.asarray(model.predict_on_batch(images))


def _tensorflow(threads: int | None) -> Any:
    from facemask.models.tensorflow import tf

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    return tf
