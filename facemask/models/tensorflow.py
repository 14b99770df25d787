"""TensorFlow and Keras, imported without their start-up messages.

Import them from here only: `from facemask.models.tensorflow import keras, tf`.
"""

import os

from facemask.core.stderr import quiet_stderr

# The native library reads this while it loads.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

with quiet_stderr():
    import keras
    import tensorflow as tf

__all__ = ["keras", "make_deterministic", "tf"]


def make_deterministic(seed: int) -> None:
    """Seed all random generators and enable op determinism: reruns on one machine give the same bytes."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
