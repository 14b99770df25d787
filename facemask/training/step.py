"""One training step: loss, gradients and update on all devices."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.params import TrainParams
from facemask.models.tensorflow import tf
from facemask.training.distributed import DistributedContext
from facemask.training.mixup import mixup, mixup_shares
from facemask.training.network import Network


class TrainingStep:
    """Trains a network on one batch at a time.

    Attributes:
        network: what is trained.
        settings: the group `train` of the params.
    """

    def __init__(self, network: Network, settings: TrainParams, distributed: DistributedContext) -> None:
        self.network, self.settings, self._distributed = network, settings, distributed
        self._compiled = tf.function(self._on_all_devices)

    @property
    def images_of_this_process(self) -> int:
        """Number of images of a batch that this process trains on."""
        return self.settings.batch_size // self._distributed.workers

    def __call__(
        self, maps: NDArray[np.float32], labels: NDArray[np.float32], rng: np.random.Generator
    ) -> tuple[float, float]:
        """Apply mixup and dropout, and update the weights once.

        Args:
            maps: feature maps, this process' share of a batch.
            labels: float32 (n, 3), one-hot.
            rng: of this step. It is drawn from for the whole batch, so that the result does not depend on the number
                of processes.

        Returns:
            Mean loss and accuracy over the whole batch.
        """
        size, share = self.settings.batch_size, self._distributed.shard(self.settings.batch_size)
        if self.settings.mixup > 0:
            maps, labels = mixup(maps, labels, mixup_shares(self.settings.mixup, size, rng)[share])
        channels = self.network.logits.input.shape[-1]
        kept = dropout_mask((size, channels), self.settings.dropout, rng)[share]
        loss, accuracy = self._compiled(*(self._distributed.scatter(values) for values in (maps, labels, kept)))
        return float(loss), float(accuracy)

    def _on_all_devices(self, maps: Any, targets: Any, kept: Any) -> tuple[Any, Any]:
        strategy = self._distributed.strategy
        results = strategy.run(self._on_one_device, args=(maps, targets, kept))
        loss, correct = (strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for value in results)
        return loss / self.settings.batch_size, correct / self.settings.batch_size

    def _on_one_device(self, maps: Any, targets: Any, kept: Any) -> tuple[Any, Any]:
        network, smoothing = self.network, self.settings.label_smoothing
        with tf.GradientTape() as tape:
            # Dropout as a product with a mask made outside: which features are dropped depends on the seed and the
            # step alone, not on a generator's state, the number of devices, or where a training was interrupted.
            features = tf.cast(network.upper(maps, training=True), tf.float32) * kept
            logits = tf.cast(network.logits(features), tf.float32)
            smoothed = targets * (1 - smoothing) + smoothing / len(CLASSES)
            losses = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
            # Divided by the batch size over all devices: Keras' optimizer sums the gradients of the devices.
            scaled = network.optimizer.scale_loss(tf.reduce_sum(losses) / self.settings.batch_size)
        gradients = tape.gradient(scaled, [variable.value for variable in network.variables])
        if network.policy == "mixed_float16":
            # Keras skips a step whose gradients are not finite, but looks at those of the first device only.
            zero = tf.add_n([tf.reduce_sum(0 * gradient) for gradient in gradients])  # NaN where one is not finite
            total = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, zero)
            gradients = [gradient + total for gradient in gradients]
        network.optimizer.apply(gradients, network.variables)
        correct = tf.cast(tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1), tf.float32)
        return tf.reduce_sum(losses), tf.reduce_sum(correct)


def dropout_mask(shape: tuple[int, int], rate: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Sample an inverted dropout mask: 0 where a feature is dropped, else 1 / (1 - rate); float32 of `shape`."""
    kept = rng.random(shape, dtype=np.float32) >= rate
    return (kept / np.float32(1 - rate)).astype(np.float32)
