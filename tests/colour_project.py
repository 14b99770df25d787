"""A project whose classes are colours, and an exported model that knows them: for the stages that ask the export."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import helper, numpy_helper
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.core.files import write_csv, write_json
from facemask.dataset.archive import write_archive
from facemask.dataset.predictions import PREDICTIONS
from facemask.dataset.split import SPLIT
from facemask.models.decision import Decision, write_decision

ROOT = Path(__file__).parents[1]
SIDE = 64
CELL = 8  # pixels of a place of the feature maps
COLOURS = {"mask_weared_incorrect": (220, 40, 40), "with_mask": (40, 200, 40), "without_mask": (40, 40, 220)}


def colour_model(side: int = SIDE) -> bytes:
    """Make an ONNX model with the inputs, outputs and last layers of the export: the strongest colour is the class."""
    weights: Mapping[str, np.ndarray] = {
        "filters": np.eye(3, dtype=np.float32)[:, :, None, None] * np.ones((CELL, CELL), np.float32) / CELL**2 / 255,
        "kernel": np.eye(3, dtype=np.float32) * 20 + np.float32(7),
        "bias": np.zeros(3, np.float32),
        "places": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Transpose", ["values"], ["channels"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["channels", "filters"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("GlobalAveragePool", ["cells"], ["pooled"]),
        helper.make_node("Squeeze", ["pooled", "places"], ["features"]),
        helper.make_node("MatMul", ["features", "kernel"], ["scores"]),
        helper.make_node("Add", ["scores", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["batch", side, side, 3])],
        [helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["batch", len(CLASSES)])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def png(pixels: np.ndarray) -> bytes:
    """Pack a picture."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def lower_half(label: str, seed: int, side: int = SIDE) -> np.ndarray:
    """Draw a dark picture whose lower half has the colour of a class."""
    pixels = np.random.default_rng(seed).integers(0, 20, (side, side, 3)).astype(np.uint8)
    pixels[side // 2 :] += np.array(COLOURS[label], np.uint8)
    return pixels


def write_project(folder: Path, per_class: int = 6, wrong: int = 0, **settings: Any) -> Path:
    """Write what the stages `robustness` and `explain` read.

    Args:
        folder: of the project.
        per_class: test images of each class, every two of which are copies of one photograph.
        wrong: this many images of the first class are called `without_mask`.
        settings: groups of params.yaml that are not the project's own.
    """
    rows, predictions, members = [], [], {}
    for label in CLASSES:
        for number in range(per_class):
            name = f"s/{label}/{number:02}.png"
            group = f"{label} {number // 2}"
            members[name] = png(lower_half(label, number))
            rows.append((name, "s", label, group, "test", ""))
            said = "without_mask" if label == CLASSES[0] and number < wrong else label
            shares = [0.9 - number / 100 if said == other else 0.05 + number / 200 for other in CLASSES]
            predictions.append((name, "test", "s", group, label, said, *shares))
    write_archive(folder / "data/images.zip", sorted(members.items()))
    write_csv(folder / "data/split.csv", SPLIT.columns, sorted(rows))
    write_csv(folder / "data/predictions.csv", PREDICTIONS.columns, sorted(predictions))
    write_decision(folder / "models/decision.json", equal_costs())
    (folder / "export").mkdir()
    (folder / "export/model.onnx").write_bytes(colour_model())
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    write_json(folder / "params.yaml", params | settings)
    return folder


def equal_costs() -> Decision:
    """The likeliest class is the answer."""
    costs = {actual: {said: float(actual != said) for said in CLASSES} for actual in CLASSES}
    return Decision(temperature=1.0, costs=costs, thresholds=dict.fromkeys(CLASSES, 0.5))
