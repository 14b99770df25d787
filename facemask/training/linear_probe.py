"""Linear probing: the first logits come from a logistic regression on the features of the pre-trained backbone.

Gradients from random logits would distort the layers below, which costs more accuracy on images of another origin
than on those of the same: Kumar et al., 2022, https://arxiv.org/abs/2202.10054.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from facemask.core.classes import CLASSES
from facemask.training.distributed import DistributedContext
from facemask.training.feature_cache import Maps
from facemask.training.network import Network

_C = 0.01  # inverse strength of the regularisation; features are between 0 and 6


def fit_logits(
    network: Network, maps: Maps, labels: NDArray[np.float32], batch_size: int, distributed: DistributedContext
) -> None:
    """Set the logits of `network` to a logistic regression on the features of `maps`.

    If a class is missing in `labels`, the logits keep their random weights.

    Args:
        network: not trained yet.
        maps: feature maps of the first epoch, this process' share.
        labels: float32 (n, 3), one-hot.
        batch_size: over all processes.
        distributed: the processes.
    """
    features, targets = (
        distributed.merge_shards(values, batch_size) for values in (network.features(maps), labels.argmax(axis=1))
    )
    if len(np.unique(targets)) < len(CLASSES):
        return
    fitted = LogisticRegression(C=_C, max_iter=100, tol=1e-3).fit(features, targets)
    # Every process fits, and all take the chief's result: another machine may round differently.
    network.logits.kernel.assign(distributed.gather(fitted.coef_.T.astype(np.float32))[0])
    network.logits.bias.assign(distributed.gather(fitted.intercept_.astype(np.float32))[0])
