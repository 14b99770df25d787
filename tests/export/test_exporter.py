"""Every export agrees with the calibrated Keras model at any batch size, and is byte-reproducible."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from ai_edge_litert import schema_py_generated as tflite
from ai_edge_litert.interpreter import Interpreter

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import ExportParams
from facemask.export.exporter import (
    check_formats,
    choose_calibration,
    compare_formats,
    evenly_chosen,
    run_formats,
    sizes,
)
from facemask.export.formats import FORMATS
from facemask.export.metadata import read_labels
from facemask.models.decision import Decision

pytestmark = pytest.mark.slow  # converts models

FLOAT = ("saved_model", "tflite", "onnx")
EQUAL_COSTS = {actual: {said: float(said != actual) for said in CLASSES} for actual in CLASSES}
DECISION = Decision(temperature=1, costs=EQUAL_COSTS, thresholds=dict.fromkeys(CLASSES, 0.5))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def differences(folder: Path, *batches: np.ndarray) -> dict[str, float]:
    """Largest difference to Keras of each format."""
    outputs = run_formats(folder, batches)
    return {name: float(np.abs(values - outputs["keras"]).max()) for name, values in outputs.items()}


def answered(count: int, wrong: dict[str, list[int]] | None = None) -> dict[str, np.ndarray]:
    """Probabilities for `count` images that show the first class, of each format; `wrong` lists those named wrong."""
    outputs = {}
    for name in FORMATS:
        outputs[name] = np.tile(np.array([0.9, 0.06, 0.04], np.float32), (count, 1))
        outputs[name][(wrong or {}).get(name, [])] = np.array([0.06, 0.9, 0.04], np.float32)
    return outputs


def photographs(count: int, copies: int = 1) -> pd.DataFrame:
    groups = [f"g{number // copies}" for number in range(count)]
    return pd.DataFrame({"label": CLASSES[0], "group": groups})


def test_every_format_agrees_with_keras_on_any_number_of_images(small_export: Path) -> None:
    rng = np.random.default_rng(3)
    found = differences(small_export, *(rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8) for n in (1, 7, 5, 2)))
    assert list(found) == list(FORMATS)
    assert max(found[name] for name in FLOAT) < 1e-5
    assert found["tflite_float16"] < 1e-2
    assert found["tflite_int8"] < 0.1


def test_the_exports_are_calibrated(small_model: Any, small_export: Path, images: np.ndarray) -> None:
    raw = np.log(small_model.predict_on_batch(images)) / 0.8
    expected = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    assert np.abs(run_formats(small_export, [images])["keras"] - expected).max() < 1e-6


def test_the_saved_model_also_gives_logits(small_export: Path, images: np.ndarray) -> None:
    from facemask.models.tensorflow import tf

    signatures = tf.saved_model.load(str(small_export / "saved_model")).signatures
    logits = signatures["logits"](image=tf.constant(images))["logits"]
    probabilities = signatures["serving_default"](image=tf.constant(images))["probabilities"]
    assert np.allclose(tf.nn.softmax(logits), probabilities, atol=1e-6)


def test_tflite_and_onnx_have_plain_names_and_types_for_what_goes_in_and_out(small_export: Path) -> None:
    session = onnxruntime.InferenceSession(str(small_export / "model.onnx"))
    assert [(value.name, value.type) for value in session.get_inputs()] == [("image", "tensor(uint8)")]
    assert [(value.name, value.type) for value in session.get_outputs()] == [("probabilities", "tensor(float)")]
    for name in ("tflite", "tflite_float16", "tflite_int8"):
        interpreter = Interpreter(model_path=str(small_export / FORMATS[name]))
        (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert (source["dtype"], target["dtype"]) == (np.uint8, np.float32)
        assert interpreter.get_signature_list() == {
            "serving_default": {"inputs": ["image"], "outputs": ["probabilities"]}
        }


def test_int8_computes_in_eight_bits_up_to_the_last_layer(small_export: Path) -> None:
    interpreter = Interpreter(model_path=str(small_export / FORMATS["tflite_int8"]))
    types = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    made = [
        (operation["op_name"], types[operation["outputs"][0]])
        for operation in interpreter._get_ops_details()
        if operation["op_name"] not in ("CAST", "DELEGATE")
    ]
    assert [name for name, dtype in made if dtype != np.int8] == ["DEQUANTIZE", "FULLY_CONNECTED", "SOFTMAX"]
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN"} <= {name for name, _ in made}


@pytest.mark.parametrize("name", ["tflite", "tflite_float16", "tflite_int8", "onnx", "saved_model"])
def test_each_file_says_itself_what_labels_json_says(
    small_export: Path, small_labels: dict[str, Any], name: str
) -> None:
    expected = json.loads((small_export / "labels.json").read_text(encoding="utf-8"))
    assert expected == small_labels
    assert {"classes", "input", "output", "temperature", "thresholds", "costs"} == set(expected)
    assert read_labels(small_export / FORMATS[name]) == expected


@pytest.mark.parametrize("name", ["tflite", "tflite_float16", "tflite_int8"])
def test_tflite_names_the_classes_where_other_programs_look_for_them(small_export: Path, name: str) -> None:
    content = (small_export / FORMATS[name]).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode().split() == list(CLASSES)
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
    model = tflite.ModelT.InitFromPackedBuf(content)
    (tables,) = (
        bytes(model.buffers[entry.buffer].data) for entry in model.metadata if entry.name == b"TFLITE_METADATA"
    )
    assert tables[4:8] == b"M001"
    assert all(word in tables for word in (b"image", b"probabilities", b"labels.txt"))


def test_the_smaller_formats_are_smaller(small_export: Path) -> None:
    found = sizes(small_export)
    assert list(found) == list(FORMATS)
    assert found["tflite"] == (small_export / "model.tflite").stat().st_size
    assert found["saved_model"] > (small_export / "saved_model" / "saved_model.pb").stat().st_size
    assert found["tflite_float16"] < 0.55 * found["tflite"]
    assert found["tflite_int8"] < 0.35 * found["tflite"]


@pytest.mark.parametrize(("name", "setting"), [("onnx", "parity_tolerance"), ("tflite_float16", "float16_tolerance")])
def test_an_export_with_other_probabilities_stops_the_stage(name: str, setting: str) -> None:
    outputs = answered(3)
    figures = compare_formats(outputs, photographs(3), DECISION)
    check_formats(figures, ExportParams())
    outputs[name][1] += np.array([-0.2, 0.1, 0.1], np.float32)
    figures = compare_formats(outputs, photographs(3), DECISION)
    with pytest.raises(FacemaskError, match=rf"the {name} export .* up to 0.2, and export.{setting} allows"):
        check_formats(figures, ExportParams())


def test_a_nan_probability_stops_the_stage() -> None:
    outputs = answered(3)
    outputs["tflite"][0] = np.nan
    with pytest.raises(FacemaskError, match="the tflite export differs from Keras"):
        check_formats(compare_formats(outputs, photographs(3), DECISION), ExportParams())


def test_every_format_has_agreement_and_accuracy() -> None:
    outputs = answered(10, {"tflite_int8": [0, 1], "keras": [1], "onnx": [1]})
    figures = compare_formats(outputs, photographs(10), DECISION)
    assert figures["accuracy"] == dict.fromkeys(FORMATS, 1.0) | {"keras": 0.9, "onnx": 0.9, "tflite_int8": 0.8}
    assert figures["agreement"]["onnx"] == 1.0
    assert figures["agreement"]["tflite_int8"] == 0.9
    assert figures["int8_loss"] == pytest.approx({"points": 10.0, "worse": 1, "better": 0, "p": 0.5})


def test_answers_are_compared_not_the_likeliest_classes() -> None:
    costs = {name: dict(row) for name, row in EQUAL_COSTS.items()}
    costs[CLASSES[2]][CLASSES[0]] = costs[CLASSES[2]][CLASSES[1]] = 100.0
    dear = Decision(temperature=1, costs=costs, thresholds=dict.fromkeys(CLASSES, 0.5))
    figures = compare_formats(answered(4, {"onnx": [0]}), photographs(4), dear)
    assert figures["agreement"]["onnx"] == 1.0  # the third class is said in any case
    assert figures["accuracy"]["onnx"] == 0.0


def test_a_loss_of_int8_that_may_be_chance_is_accepted() -> None:
    figures = compare_formats(answered(115, {"tflite_int8": [0]}), photographs(115), DECISION)
    assert figures["int8_loss"]["points"] > 0.5
    check_formats(figures, ExportParams())


def test_a_significant_loss_of_int8_stops_the_stage() -> None:
    figures = compare_formats(answered(115, {"tflite_int8": [*range(8)]}), photographs(115), DECISION)
    with pytest.raises(FacemaskError, match=r"7.0 points less accurate .* \(8 photographs worse, 0 better\)"):
        check_formats(figures, ExportParams())
    check_formats(figures, ExportParams(int8_loss=8.0))


def test_copies_of_one_photograph_are_no_proof_of_a_loss() -> None:
    figures = compare_formats(answered(120, {"tflite_int8": [*range(8)]}), photographs(120, copies=4), DECISION)
    assert figures["int8_loss"]["worse"] == 2
    check_formats(figures, ExportParams())


@pytest.mark.parametrize(("images", "count"), [(90, 64), (90, 3), (5, 64), (3, 3), (1, 64)])
def test_images_of_every_class_are_compared(images: int, count: int) -> None:
    table = pd.DataFrame({"id": [f"s/{label}/{number}" for label in "abc" for number in range(images)]})
    chosen = evenly_chosen(table, count)["id"].tolist()
    assert len(chosen) == len(set(chosen)) == min(count, len(table))
    assert {name.split("/")[1] for name in chosen} == set("abc")


def test_int8_is_calibrated_on_every_class_of_every_source_and_on_no_photograph_twice() -> None:
    rows = [
        (f"{source}/{label}/{number}", source, label, f"{source}{label}{number // 2}")
        for source, count in (("large", 60), ("small", 8))
        for label in CLASSES
        for number in range(count)
    ]
    training = pd.DataFrame(rows, columns=["id", "source", "label", "group"])
    chosen = training.set_index("id").loc[choose_calibration(training, 42, seed=1)]
    assert chosen["group"].is_unique
    counts = chosen.groupby(["source", "label"]).size()
    assert counts["small"].tolist() == [4, 4, 4]  # all there are
    assert counts["large"].tolist() == [10, 10, 10]
    assert list(chosen.index) == choose_calibration(training, 42, seed=1)
    assert list(chosen.index) != choose_calibration(training, 42, seed=2)
