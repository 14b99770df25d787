"""Mixed-precision training: 16-bit computation where the hardware is faster with it."""

from collections.abc import Iterator
from contextlib import contextmanager

from facemask.core.params import Precision
from facemask.models.tensorflow import keras, tf

_TENSOR_CORES = (7, 0)  # compute capability of the first GPUs with fast 16-bit matrix products


def choose_precision() -> Precision:
    """Choose `mixed_float16` if every GPU has tensor cores, else float32, which is faster on a CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    return "mixed_float16" if capabilities and min(capabilities) >= _TENSOR_CORES else "float32"


@contextmanager
def precision_policy(policy: Precision) -> Iterator[None]:
    """Build the layers inside the block with a Keras dtype policy; weights are always float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
