"""Keras models as graphs whose weights are constants, and as ONNX: the same bytes for the same model every time."""

from collections.abc import Mapping
from typing import Any

import onnx

from facemask.models.tensorflow import tf

_OPSET = 17  # read by every onnxruntime since 1.12


def frozen_graph(model: Any) -> Any:
    """Turn a model into a function whose weights are constants; it takes one input, called `image`, uint8."""
    # Not public, but what the documentation of TensorFlow Lite and tf2onnx itself use; loaded after `engine`.
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8, name="image")
    function = tf.function(lambda image: model(image, training=False), input_signature=[signature])
    return convert_variables_to_constants_v2(function.get_concrete_function())


def to_onnx(graph: Any, output: str) -> bytes:
    """Write what `frozen_graph` gave as ONNX, its input called `image` and its output `output`.

    Call it inside `facemask.core.stderr.quiet_stderr`: the converter sets up logging of its own.
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
    """Give inputs and outputs plain names, and all else names by its place in the graph.

    tf2onnx numbers what it adds, and chooses among equal constants, in the order of a set of strings, which changes
    from one process to the next.
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
