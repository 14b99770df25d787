"""The classifier for the browser: LiteRT.js takes no model with a variable batch size."""

import flatbuffers
from ai_edge_litert import schema_py_generated as tflite

from facemask.export.metadata import Labels, add_to_tflite

_METADATA = b"TFLITE_METADATA"


def one_at_a_time(model: bytes, labels: Labels) -> bytes:
    """Return a TFLite model whose batch size is fixed to one; weights and operations stay as they are.

    Args:
        model: content of `model.tflite`, with metadata.
        labels: content of `labels.json`; the metadata is written again, since repacking loses the appended archive.
    """
    content = tflite.ModelT.InitFromPackedBuf(model)
    for graph in content.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None  # with the signature gone, the shape of batch 1 is the only one
    kept = [entry for entry in content.metadata or [] if entry.name != _METADATA]
    dropped = [entry.buffer for entry in content.metadata or [] if entry.name == _METADATA]
    for place in dropped:
        content.buffers[place].data = None
    content.metadata = kept
    builder = flatbuffers.Builder(len(model))
    builder.Finish(content.Pack(builder), b"TFL3")
    return add_to_tflite(bytes(builder.Output()), labels)
