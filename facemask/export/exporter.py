"""Export the trained model to deployment formats, and compare each with Keras on test images.

All formats take uint8 RGB (batch, side, side, 3) as `image` and return calibrated float32 `probabilities` (batch, 3).
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import ExportParams
from facemask.core.progress import track
from facemask.core.stderr import quiet_stderr
from facemask.export.formats import FORMATS, Pixels, Probabilities, open_format, size_of
from facemask.export.metadata import Labels, add_to_onnx, add_to_saved_model, add_to_tflite
from facemask.models.classifier import LOGITS_LAYER, save_model
from facemask.models.decision import Decision
from facemask.models.graph import frozen_graph, to_onnx
from facemask.models.tensorflow import keras, tf

BATCH = 16  # images; every runtime keeps memory for the largest batch it has seen

_REFERENCE = "keras"
_CHANCE = 0.05  # p-value above which a loss may be chance
# These layers of the int8 model stay in float32: they take no time, and 8-bit probabilities would have 256 values only,
# including 0.
_FLOAT_LAYERS = ["FULLY_CONNECTED", "SOFTMAX"]


def export_model(model: Any, labels: Labels, calibration: Pixels, folder: Path) -> None:
    """Write every format of `facemask.export.formats.FORMATS` into `folder`.

    All formats are converted from one graph with constant weights, which is small, loads quickly and, unlike a
    SavedModel with variables, is byte-reproducible.

    Args:
        model: the calibrated Keras model.
        labels: as returned by `describe`; written into the files.
        calibration: uint8 (n, side, side, 3), training images that set the output ranges of the int8 model's layers.
        folder: an existing, empty folder.
    """
    saved_model = folder / FORMATS["saved_model"]
    save_model(model, folder / FORMATS["keras"])
    with quiet_stderr():
        graph = frozen_graph(keras.Model(model.input, [model.output, model.get_layer(LOGITS_LAYER).output]))
        _write_saved_model(graph, saved_model)
    add_to_saved_model(saved_model, labels)
    makers: dict[str, Callable[[], bytes]] = {
        "tflite": lambda: add_to_tflite(_converter(saved_model).convert(), labels),
        "tflite_float16": lambda: add_to_tflite(_to_float16(saved_model), labels),
        "tflite_int8": lambda: add_to_tflite(_to_int8(saved_model, calibration), labels),
        "onnx": lambda: add_to_onnx(to_onnx(graph, "probabilities"), labels),
    }
    for name in track(makers, len(makers), "convert", "formats"):
        with quiet_stderr():
            (folder / FORMATS[name]).write_bytes(makers[name]())


def describe(model: Any, decision: Decision) -> dict[str, Any]:
    """Return the description of the model for `labels.json` and the metadata of the files."""
    return {
        "classes": list(CLASSES),
        "input": {"name": "image", "dtype": "uint8", "colours": "RGB", "height_width": list(model.input_shape[1:3])},
        "output": {"name": "probabilities", "dtype": "float32"},
        **decision.model_dump(),
    }


def choose_calibration(training: pd.DataFrame, count: int, seed: int) -> list[str]:
    """Sample at most `count` images, one per photograph, balanced over classes and sources.

    Args:
        training: columns id, source, label and group.
        count: maximum number of images.
        seed: random seed.
    """
    photographs = training.drop_duplicates("group").sample(frac=1, random_state=seed)
    turn = photographs.groupby(["source", "label"]).cumcount()
    return photographs["id"].loc[turn.sort_values(kind="stable").index].head(count).tolist()


def evenly_chosen(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Choose at most `count` evenly spaced rows; since images are sorted by class, all classes are included."""
    steps = np.linspace(0, len(table) - 1, min(count, len(table))).round().astype(int)
    return table.iloc[steps].reset_index(drop=True)


def run_formats(folder: Path, batches: Iterable[Pixels]) -> dict[str, Probabilities]:
    """Classify the same images with every format.

    Args:
        folder: folder written by `export_model`.
        batches: uint8 (n, side, side, 3) each.

    Returns:
        Probabilities (images, 3), by format.
    """
    runs = {name: open_format(folder, name) for name in FORMATS}
    found: dict[str, list[Probabilities]] = {name: [] for name in FORMATS}
    for batch in batches:
        for name, run in runs.items():
            found[name].append(run(batch))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def compare_formats(outputs: Mapping[str, Probabilities], images: pd.DataFrame, decision: Decision) -> dict[str, Any]:
    """Compare every format with Keras.

    Args:
        outputs: as returned by `run_formats`.
        images: one row per image, columns label and group.
        decision: turns probabilities into predictions.

    Returns:
        `parity`: largest absolute difference of a probability, by format; `agreement`: share of images with the same
        prediction; `accuracy`; `int8_loss`: points of accuracy that int8 is below Keras, the numbers of photographs
        predicted worse and better, and the p-value of a one-sided sign test of these (Dixon and Mood, 1946). Copies of
        a photograph are correlated and count as one.
    """
    predictions = {name: np.asarray(CLASSES)[decision.choose(values)] for name, values in outputs.items()}
    right = {name: values == images["label"].to_numpy() for name, values in predictions.items()}
    lost = pd.Series(right[_REFERENCE].astype(int) - right["tflite_int8"]).groupby(images["group"].to_numpy()).sum()
    worse, better = int((lost > 0).sum()), int((lost < 0).sum())
    others = [name for name in outputs if name != _REFERENCE]
    return {
        "parity": {name: float(np.abs(outputs[name] - outputs[_REFERENCE]).max()) for name in others},
        "agreement": {name: float((predictions[name] == predictions[_REFERENCE]).mean()) for name in others},
        "accuracy": {name: float(values.mean()) for name, values in right.items()},
        "int8_loss": {
            "points": 100 * float(lost.sum()) / len(images),
            "worse": worse,
            "better": better,
            "p": float(binomtest(worse, worse + better, alternative="greater").pvalue) if worse + better else 1.0,
        },
    }


def check_formats(figures: Mapping[str, Any], settings: ExportParams) -> None:
    """Check that the exports agree with the evaluated model.

    Args:
        figures: as returned by `compare_formats`.
        settings: the tolerances.

    Raises:
        FacemaskError: the probabilities of a float format differ by more than its tolerance, or int8 loses more
            accuracy than allowed and the loss is significant; on few images, one mistake exceeds the allowed loss.
    """
    tolerances = dict.fromkeys(("saved_model", "tflite", "onnx"), "parity_tolerance")
    for name, setting in (tolerances | {"tflite_float16": "float16_tolerance"}).items():
        difference, tolerance = figures["parity"][name], getattr(settings, setting)
        if not difference <= tolerance:
            raise FacemaskError(
                f"the {name} export differs from Keras: probabilities differ by up to {difference:.2g}, and "
                f"export.{setting} allows {tolerance:.2g}; raise it in params.yaml if the difference is acceptable"
            )
    loss = figures["int8_loss"]
    if loss["points"] > settings.int8_loss and loss["p"] < _CHANCE:
        raise FacemaskError(
            f"the tflite_int8 export is {loss['points']:.1f} points less accurate than Keras on the test images "
            f"({loss['worse']} photographs worse, {loss['better']} better), and export.int8_loss allows "
            f"{settings.int8_loss:g}; raise export.calibration_images, or export.int8_loss, in params.yaml"
        )


def sizes(folder: Path) -> dict[str, int]:
    """Return the size of each format in bytes."""
    return {name: size_of(folder / path) for name, path in FORMATS.items()}


def _write_saved_model(graph: Any, folder: Path) -> None:
    signature = tf.TensorSpec(graph.inputs[0].shape, tf.uint8, name="image")
    module = tf.Module()
    module.serve = tf.function(lambda image: {"probabilities": graph(image)[0]}, input_signature=[signature])
    module.logits = tf.function(lambda image: {"logits": graph(image)[1]}, input_signature=[signature])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve, "logits": module.logits})
    # A random identifier of this save, not needed for loading.
    (folder / "fingerprint.pb").unlink()


def _converter(saved_model: Path) -> Any:
    return tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=["serving_default"])


def _to_float16(saved_model: Path) -> bytes:
    """Convert with 16-bit weights, which become float32 when the model is loaded."""
    converter = _converter(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    content: bytes = converter.convert()
    return content


def _to_int8(saved_model: Path, calibration: Pixels) -> bytes:
    """Quantise to 8 bits, with per-channel weight scales (Jacob et al., 2018, arxiv.org/abs/1712.05877)."""
    converter = _converter(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in calibration)
    # The documented way to exclude layers from quantisation; nothing is debugged here.
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=_FLOAT_LAYERS)
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_options=options)
    content: bytes = debugger.get_nondebug_quantized_model()
    return content
