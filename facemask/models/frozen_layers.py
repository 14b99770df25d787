"""Inference of the frozen layers, with the backend that is fastest on this machine."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask.core.params import Engine
from facemask.core.stderr import quiet_stderr
from facemask.models.graph import frozen_graph, to_onnx
from facemask.models.onnx_session import OnnxLayers
from facemask.models.tensorflow import tf

FrozenLayers = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def choose_backend() -> Engine:
    """Choose TensorFlow if it has a GPU, else ONNX Runtime, which is faster on a CPU."""
    return "tensorflow" if tf.config.list_physical_devices("GPU") else "onnxruntime"


def build_frozen_layers(frozen: Any, backend: Engine) -> FrozenLayers:
    """Return a function that runs the frozen layers.

    Args:
        frozen: Keras model from uint8 (batch, side, side, 3) to feature maps; see `classifier.split_model`. For
            ONNX Runtime its layers are set to float32.
        backend: both agree to within 1e-3 (a test compares them).

    Returns:
        From uint8 (batch, side, side, 3) to float32 feature maps (batch, height, width, channels), or features
        (batch, channels).
    """
    if backend == "tensorflow":
        compiled = tf.function(lambda image: tf.cast(frozen(image, training=False), tf.float32), reduce_retracing=True)
        return lambda pixels: compiled(tf.constant(pixels)).numpy()
    for layer in frozen.layers:
        layer.dtype_policy = "float32"  # 16 bits gain nothing on a CPU, and tf2onnx does not support bfloat16
    with quiet_stderr():
        return OnnxLayers(to_onnx(frozen_graph(frozen), "maps"))
