"""TensorFlow and Keras, imported without their start-up noise.

Import them from here only: `from facemask.models.tensorflow import keras, tf`.
"""

import os

from facemask.core.stderr import quiet_stderr

# Read by the native library while it loads, so this can't wait for a function to be called.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

with quiet_stderr():
    import keras
    import tensorflow as tf

__all__ = ["keras", "make_deterministic", "tf"]


def make_deterministic(seed: int) -> None:
    """Seed every random generator and turn op determinism on: the same run gives the same bytes on one machine."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
