"""Linear probing: the first logits come from a logistic regression on the features of the pre-trained backbone.

Gradients from random logits would distort the layers below, which costs more accuracy on images of another origin
than on those of the same: Kumar et al., 2022, https://arxiv.org/abs/2202.10054.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from facemask.core.classes import CLASSES
from facemask.training.distributed import DistributedContext
from facemask.training.feature_cache import Pass
from facemask.training.network import Network
from facemask.training.repeat import Repeat

_C = 0.01  # inverse strength of the regularisation; features are between 0 and 6


def fit_logits(
    network: Network, data: Pass, repeats: Sequence[Repeat], batch_size: int, distributed: DistributedContext
) -> None:
    """Start each repeat with logits from a logistic regression on the features of the batches that it trains on.

    If a class is missing in them, the logits keep their random weights.

    Args:
        network: not trained yet.
        data: the first epoch.
        repeats: not trained yet.
        batch_size: over all processes.
        distributed: the processes.
    """
    features, targets = (
        distributed.merge_shards(values, batch_size)
        for values in (network.features(data.maps), data.labels.argmax(axis=1))
    )
    for repeat in repeats:
        used = np.repeat(repeat.uses(data.folds), batch_size)
        if len(np.unique(targets[used])) < len(CLASSES):
            continue
        fitted = LogisticRegression(C=_C, max_iter=100, tol=1e-3).fit(features[used], targets[used])
        # Every process fits, and all take the chief's result: another machine may round differently.
        network.logits.kernel.assign(distributed.gather(fitted.coef_.T.astype(np.float32))[0])
        network.logits.bias.assign(distributed.gather(fitted.intercept_.astype(np.float32))[0])
        repeat.weights = network.weights()
