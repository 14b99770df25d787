"""Image features: the pooled output of the frozen backbone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facemask.core.params import Engine
from facemask.core.progress import track
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.batches import plain_batches
from facemask.models.backbone import load_backbone
from facemask.models.classifier import TOP, backbone_of, build_model, split_model
from facemask.models.frozen_layers import build_frozen_layers

_BATCH = 64  # images per call


def compute_features(
    archive: Archive | Archives, names: Sequence[str], image_size: int, backbone: Path, engine: Engine
) -> NDArray[np.float32]:
    """Compute features of images: float32 (n, 1280), global average pooling of the backbone's output.

    Args:
        archive: the images.
        names: which images, in order.
        image_size: side of the input, pixels.
        backbone: weights that the stage `backbone` wrote.
        engine: backend; both agree to within 1e-3.

    Raises:
        FacemaskError: the weights are missing or do not fit.
    """
    model = build_model(image_size, dropout=0.0, seed=0)
    load_backbone(backbone_of(model), backbone)
    frozen = build_frozen_layers(split_model(model, TOP)[0], engine)
    batches = plain_batches(archive, names, image_size, _BATCH)
    return np.concatenate(
        [frozen(pixels) for pixels in track(batches, -(-len(names) // _BATCH), "features", "batches")]
    )
