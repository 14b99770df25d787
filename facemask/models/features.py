"""What the frozen backbone sees of images, in one row of numbers each."""

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

_BATCH = 64  # images at a time


def compute_features(
    archive: Archive | Archives, names: Sequence[str], image_size: int, backbone: Path, engine: Engine
) -> NDArray[np.float32]:
    """Compute the backbone's output, averaged over the image: float32 (n, 1280).

    Args:
        archive: holds the images.
        names: of the images.
        image_size: side of the input, in pixels.
        backbone: file with the weights.
        engine: what computes; both give the same to within 1e-3.

    Raises:
        FacemaskError: the weights can't be used.
    """
    model = build_model(image_size, dropout=0.0, seed=0)
    load_backbone(backbone_of(model), backbone)
    frozen = build_frozen_layers(split_model(model, TOP)[0], engine)
    batches = plain_batches(archive, names, image_size, _BATCH)
    return np.concatenate(
        [frozen(pixels) for pixels in track(batches, -(-len(names) // _BATCH), "features", "batches")]
    )
