"""Metadata in the exported files: write and read `labels.json`.

- TFLite: TFLite metadata (ai.google.dev/edge/litert/models/metadata), which MediaPipe and Netron read: tables that
  name the input, the output and the classes, and an appended zip archive with `labels.txt`, which the tables refer to,
  and `labels.json`. Any zip program opens it; the interpreter ignores it.
- ONNX: metadata, one entry per key of `labels.json`, the value as JSON.
- SavedModel: `assets.extra/labels.json`, reserved by TensorFlow for additional files.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tflite

Labels = Mapping[str, Any]

_FILE = "labels.json"
_CLASSES_FILE = "labels.txt"
_EXTRA = "assets.extra"


def add_to_tflite(model: bytes, labels: Labels) -> bytes:
    """Return a TFLite model with `labels` inside."""
    content = tflite.ModelT.InitFromPackedBuf(model)
    tables = tflite.BufferT()
    tables.data = np.frombuffer(_tflite_tables(labels), np.uint8)
    content.buffers.append(tables)
    entry = tflite.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(content.buffers) - 1
    content.metadata = [*(content.metadata or []), entry]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(content.Pack(builder), b"TFL3")
    file = io.BytesIO()
    file.write(builder.Output())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(_CLASSES_FILE), "\n".join(labels["classes"]) + "\n")
        archive.writestr(zipfile.ZipInfo(_FILE), json.dumps(labels))
    return file.getvalue()


def add_to_onnx(model: bytes, labels: Labels) -> bytes:
    """Return an ONNX model with `labels` inside."""
    import onnx

    content = onnx.load_model_from_string(model)
    onnx.helper.set_model_props(content, {key: json.dumps(value) for key, value in labels.items()})
    changed: bytes = content.SerializeToString(deterministic=True)
    return changed


def add_to_saved_model(folder: Path, labels: Labels) -> None:
    """Write `labels` into a SavedModel."""
    (folder / _EXTRA).mkdir()
    (folder / _EXTRA / _FILE).write_text(json.dumps(labels), encoding="utf-8")


def read_labels(path: Path) -> dict[str, Any]:
    """Read `labels.json`, or the labels in a `.tflite` or `.onnx` file or a SavedModel folder."""
    if path.suffix == ".tflite":
        with zipfile.ZipFile(path) as archive:
            content = archive.read(_FILE)
    elif path.suffix == ".onnx":
        import onnx

        entries = onnx.load_model(path).metadata_props
        return {entry.key: json.loads(entry.value) for entry in entries}
    else:
        content = (path / _EXTRA / _FILE if path.is_dir() else path).read_bytes()
    labels: dict[str, Any] = json.loads(content)
    return labels


def _tflite_tables(labels: Labels) -> bytes:
    """Build the tables of TFLite's metadata; numbers are places in metadata_schema.fbs of tflite-support 0.4.4."""
    builder = flatbuffers.Builder()

    def table(offsets: Mapping[int, int], codes: Mapping[int, int] | None = None) -> int:
        builder.StartObject(1 + max(*offsets, *(codes or {}), 0))
        for place, offset in offsets.items():
            builder.PrependUOffsetTRelativeSlot(place, offset, 0)
        for place, code in (codes or {}).items():
            builder.PrependUint8Slot(place, code, 0)
        return int(builder.EndObject())

    def vector(offsets: Sequence[int]) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    text = builder.CreateString
    side = " x ".join(map(str, labels["input"]["height_width"]))
    colours = table({}, {0: 1})  # RGB
    image = table(
        {
            0: text(labels["input"]["name"]),
            1: text(f"One face, cut out with some margin: {side} pixels, 0 to 255, not scaled."),
            3: table({1: colours}, {0: 2}),  # the content is an image
        }
    )
    classes = table({0: text(_CLASSES_FILE), 1: text("The classes in the order of the output.")}, {2: 2})  # labels
    probabilities = table(
        {
            0: text(labels["output"]["name"]),
            1: text(f"Calibrated probabilities; how they become answers says {_FILE}."),
            6: vector([classes]),
        }
    )
    graph = table({2: vector([image]), 3: vector([probabilities])})
    description = text(f"Tells apart {', '.join(labels['classes'])}.")
    root = table({0: text("facemask"), 1: description, 3: vector([graph]), 7: text("1.0.0")})
    builder.Finish(root, b"M001")
    return bytes(builder.Output())
