"""Conversion of Keras models to frozen graphs and to reproducible ONNX files."""

from collections.abc import Mapping
from typing import Any

import onnx

from facemask.models.tensorflow import tf

_OPSET = 17  # supported since ONNX Runtime 1.12


def frozen_graph(model: Any) -> Any:
    """Convert a model to a concrete function with constant weights and one input, `image`, uint8."""
    # Not a public API, but tf2onnx and TensorFlow Lite's documentation use it; imported after `models.tensorflow`.
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8, name="image")
    function = tf.function(lambda image: model(image, training=False), input_signature=[signature])
    return convert_variables_to_constants_v2(function.get_concrete_function())


def to_onnx(graph: Any, output: str) -> bytes:
    """Convert a graph from `frozen_graph` to ONNX, with input `image` and output `output`.

    Call it inside `facemask.core.stderr.quiet_stderr`, since tf2onnx configures logging.
    """
    import tf2onnx

    names = {graph.inputs[0].name: "image", graph.outputs[0].name: output}
    converted, _ = tf2onnx.convert.from_graph_def(
        graph.graph.as_graph_def(),
        input_names=[graph.inputs[0].name],
        output_names=[graph.outputs[0].name],
        opset=_OPSET,
    )
    _rename(converted.graph, names)
    onnx.checker.check_model(converted, full_check=True)
    content: bytes = converted.SerializeToString(deterministic=True)
    return content


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Rename inputs and outputs as in `names`, and everything else by its position in the graph.

    tf2onnx numbers added nodes, and chooses among equal constants, in the order of a set of strings, which differs
    between processes.
    """
    new = dict(names)
    constants = {constant.name for constant in graph.initializer}
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        for name in node.input:
            if name in constants and name not in new:
                new[name] = f"constant_{len(new)}"
        for place, name in enumerate(node.output):
            new.setdefault(name, f"{node.name}:{place}")
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new[name] for name in node.output]
    for value in [*graph.input, *graph.output, *graph.initializer]:
        value.name = new.get(value.name, value.name)
    for value in [*graph.input, *graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.value_info[:]
    ordered = sorted(graph.initializer, key=lambda constant: constant.name)
    del graph.initializer[:]
    graph.initializer.extend(ordered)
