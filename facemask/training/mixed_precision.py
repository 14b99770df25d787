"""Numbers of 16 bits in training, where the hardware gains by them."""

from collections.abc import Iterator
from contextlib import contextmanager

from facemask.core.params import Precision
from facemask.models.tensorflow import keras, tf

_TENSOR_CORES = (7, 0)  # compute capability of the first GPUs that multiply matrices of 16 bits quicker


def choose_precision() -> Precision:
    """Choose 16 bits where every GPU is quicker with them; on a CPU float32 is quicker."""
    gpus = tf.config.list_physical_devices("GPU")
    able = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    return "mixed_float16" if able and min(able) >= _TENSOR_CORES else "float32"


@contextmanager
def precision_policy(policy: Precision) -> Iterator[None]:
    """Let the layers made inside compute with `policy`; their weights are float32 in any case."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
