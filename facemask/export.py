"""The trained model in the formats that people deploy, each checked against Keras.

All formats take uint8 RGB (batch, side, side, 3) as `image` and give float32 `probabilities` (batch, 3).
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facemask.engine import tf
from facemask.errors import FacemaskError
from facemask.graphs import frozen_graph, to_onnx
from facemask.labels import CLASSES
from facemask.quiet import quiet_stderr

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

_PARITY_BATCH = 8  # every engine keeps room for the largest batch it has seen


def export_model(model: Any, keras_file: Path, folder: Path) -> None:
    """Write every format into `folder`: model.keras, saved_model/, model.tflite, model.onnx.

    The weights become constants of one graph first: that graph is what all formats are made of, it is small and quick
    to load, and unlike a SavedModel with variables it has the same bytes every time.

    Args:
        model: the Keras model.
        keras_file: the file it was loaded from.
        folder: an existing, empty folder.
    """
    shutil.copyfile(keras_file, folder / "model.keras")
    with quiet_stderr():
        graph = frozen_graph(model)
        _write_saved_model(graph, folder / "saved_model")
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved_model"))
        (folder / "model.tflite").write_bytes(converter.convert())
        (folder / "model.onnx").write_bytes(to_onnx(graph, "probabilities"))


def describe(model: Any) -> dict[str, Any]:
    """Say what a program needs to know to use the exports, for `labels.json`."""
    return {
        "classes": list(CLASSES),
        "input": {"name": "image", "dtype": "uint8", "colours": "RGB", "height_width": list(model.input_shape[1:3])},
        "output": {"name": "probabilities", "dtype": "float32"},
    }


def evenly_chosen(names: Sequence[str], count: int) -> list[str]:
    """Choose at most `count` names at even steps: names are sorted by class, and every class is to be checked."""
    steps = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[step] for step in steps]


def check_parity(model: Any, folder: Path, images: Pixels, tolerance: float) -> dict[str, float]:
    """Compare every export with Keras on the same images.

    Args:
        model: the Keras model.
        folder: what `export_model` wrote.
        images: uint8 (n, side, side, 3).
        tolerance: largest difference of a probability that is accepted.

    Returns:
        The largest absolute difference of a probability, by format.

    Raises:
        FacemaskError: a format differs by more than the tolerance.
    """
    batches = np.array_split(images, -(-len(images) // _PARITY_BATCH))
    expected = [np.asarray(model.predict_on_batch(batch)) for batch in batches]
    with quiet_stderr():
        worst = {
            name: max(float(np.abs(run(batch) - truth).max()) for batch, truth in zip(batches, expected, strict=True))
            for name, run in _runners(folder).items()
        }
    for name, difference in worst.items():
        if not difference <= tolerance:
            raise FacemaskError(
                f"the {name} export gives other probabilities than Keras: they differ by up to {difference:.2g}, and "
                f"export.parity_tolerance allows {tolerance:.2g}"
            )
    return worst


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each format."""
    return {
        "keras": (folder / "model.keras").stat().st_size,
        "saved_model": sum(file.stat().st_size for file in (folder / "saved_model").rglob("*") if file.is_file()),
        "tflite": (folder / "model.tflite").stat().st_size,
        "onnx": (folder / "model.onnx").stat().st_size,
    }


def _write_saved_model(graph: Any, folder: Path) -> None:
    signature = tf.TensorSpec(graph.inputs[0].shape, tf.uint8, name="image")
    module = tf.Module()
    module.serve = tf.function(lambda image: {"probabilities": graph(image)[0]}, input_signature=[signature])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    # A random identity of this one save; loading does without.
    (folder / "fingerprint.pb").unlink()


def _runners(folder: Path) -> dict[str, Callable[[Pixels], Probabilities]]:
    served = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    interpreter = Interpreter(model_path=str(folder / "model.tflite"))

    def run_tflite(images: Pixels) -> Probabilities:
        index = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(index, images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(index, images)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return {
        "saved_model": lambda images: served(image=tf.constant(images))["probabilities"].numpy(),
        "tflite": run_tflite,
        "onnx": lambda images: session.run(["probabilities"], {"image": images})[0],
    }
