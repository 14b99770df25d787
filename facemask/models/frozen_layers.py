"""The part of the model that training leaves as it is, run by the engine that is quickest on this machine."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from facemask.core.params import Engine
from facemask.core.stderr import quiet_stderr
from facemask.models.graph import frozen_graph, to_onnx
from facemask.models.tensorflow import tf

Trunk = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def choose_engine() -> Engine:
    """Choose TensorFlow where it has a GPU, else ONNX Runtime, which is quicker on a CPU."""
    return "tensorflow" if tf.config.list_physical_devices("GPU") else "onnxruntime"


def build_trunk(frozen: Any, engine: Engine) -> Trunk:
    """Make a function of the frozen layers.

    Args:
        frozen: Keras model from uint8 (batch, side, side, 3) to feature maps; see `classifier.split_model`. For
            ONNX Runtime its layers are set to float32.
        engine: both give the same to within 1e-3 (a test compares them).

    Returns:
        From uint8 (batch, side, side, 3) to float32 feature maps (batch, height, width, channels), or features
        (batch, channels).
    """
    if engine == "tensorflow":
        compiled = tf.function(lambda image: tf.cast(frozen(image, training=False), tf.float32), reduce_retracing=True)
        return lambda pixels: compiled(tf.constant(pixels)).numpy()
    for layer in frozen.layers:
        layer.dtype_policy = "float32"  # on a CPU nothing is gained by 16 bits, and tf2onnx knows no bfloat16
    with quiet_stderr():
        session = onnxruntime.InferenceSession(
            to_onnx(frozen_graph(frozen), "maps"), providers=["CPUExecutionProvider"]
        )
    return lambda pixels: session.run(["maps"], {"image": pixels})[0]
