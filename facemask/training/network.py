"""The network in training: frozen layers, upper layers, logits and optimizer."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask.core.params import TrainParams
from facemask.models.backbone import load_backbone
from facemask.models.classifier import LOGITS_LAYER, backbone_of, build_model, split_model
from facemask.models.tensorflow import keras, tf
from facemask.training.distributed import DistributedContext
from facemask.training.feature_cache import Maps
from facemask.training.mixed_precision import choose_precision, precision_policy

_BATCH = 256  # feature maps that are predicted at once


class Network:
    """The classifier while its upper layers are trained.

    Attributes:
        frozen: Keras model from images to feature maps; not trained.
        upper: Keras model from feature maps to features.
        logits: the dense layer on top of the features.
        variables: what is trained, of `upper` and `logits`.
        optimizer: Adam, with loss scaling under `mixed_float16`.
        policy: the Keras dtype policy in use.
    """

    def __init__(self, backbone: Path, settings: TrainParams, distributed: DistributedContext) -> None:
        """Build the network from the weights of `backbone`.

        Raises:
            FacemaskError: the weights do not fit, or `train.from_layer` does not exist.
        """
        self._settings = settings
        self.policy = choose_precision() if settings.precision == "auto" else settings.precision
        with distributed.strategy.scope(), precision_policy(self.policy):
            self._model = build_model(settings.image_size, settings.dropout, settings.seed)
            load_backbone(backbone_of(self._model), backbone)
            self.frozen, self.upper = split_model(self._model, settings.from_layer)
            self.logits = self._model.get_layer(LOGITS_LAYER)
            self.variables = [*self.upper.trainable_variables, *self.logits.trainable_variables]
            optimizer = keras.optimizers.Adam(settings.learning_rate)
            if self.policy == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build(self.variables)
        self.optimizer = optimizer
        self._features = tf.function(lambda maps: self.upper(maps, training=False), reduce_retracing=True)
        self._probabilities = tf.function(self._softmax, reduce_retracing=True)

    def features(self, maps: Maps) -> NDArray[np.float32]:
        """Compute the features below the logits, (n, channels)."""
        return np.concatenate([self._features(batch).numpy() for batch in _batches(maps)])

    def predict(self, maps: Maps) -> NDArray[np.float32]:
        """Predict the probability of each class, float32 (n, 3)."""
        return np.concatenate([self._probabilities(batch).numpy() for batch in _batches(maps)])

    def weights(self) -> list[np.ndarray]:
        """Copy the trained weights."""
        return [variable.numpy() for variable in self.variables]

    def set_weights(self, values: Sequence[np.ndarray]) -> None:
        """Set the trained weights."""
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the next steps."""
        self.optimizer.learning_rate = rate

    def optimizer_state(self) -> list[np.ndarray]:
        """Copy the state of the optimizer."""
        return [variable.numpy() for variable in self.optimizer.variables]

    def set_optimizer_state(self, values: Sequence[np.ndarray]) -> None:
        """Set the state of the optimizer."""
        for variable, value in zip(self.optimizer.variables, values, strict=True):
            variable.assign(value)

    def finished_model(self, weights: Sequence[np.ndarray]) -> Any:
        """Return the whole Keras model in float32, with `weights` as its trained weights."""
        self.set_weights(weights)
        if self.policy == "float32":
            return self._model
        model = build_model(self._settings.image_size, self._settings.dropout, self._settings.seed)
        model.set_weights(self._model.get_weights())
        split_model(model, self._settings.from_layer)  # marks which layers were trained
        return model

    def _softmax(self, maps: Any) -> Any:
        return tf.nn.softmax(tf.cast(self.logits(self.upper(maps, training=False)), tf.float32))


def _batches(maps: Maps) -> Iterator[Any]:
    for start in range(0, len(maps), _BATCH):
        yield tf.constant(maps[start : start + _BATCH].astype(np.float32))
