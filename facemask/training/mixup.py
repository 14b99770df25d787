"""Mixup of feature maps.

Mixup: Zhang et al., 2018, https://arxiv.org/abs/1710.09412; on feature maps: Verma et al., 2019,
https://arxiv.org/abs/1806.05236.
"""

import numpy as np
from numpy.typing import NDArray


def mixup_shares(alpha: float, batch_size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Sample how much each example of a batch keeps of itself.

    Args:
        alpha: of the Beta distribution, above 0.
        batch_size: examples of the whole batch, on all devices.
        rng: of the step.

    Returns:
        float32 (batch_size,), from 0.5 to 1, equal for the two examples of a pair.
    """
    shares = rng.beta(alpha, alpha, size=-(-batch_size // 2)).repeat(2)[:batch_size]
    return np.maximum(shares, 1 - shares).astype(np.float32)


def mixup(
    maps: NDArray[np.float32], labels: NDArray[np.float32], shares: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Blend each example with its neighbour; examples are in random order, so any neighbour will do.

    Args:
        maps: float32 (n, ...).
        labels: float32 (n, 3), distributions.
        shares: float32 (n,), how much of itself each example keeps, 0 to 1; the rest comes from its neighbour.

    Returns:
        Blended maps and labels, of the same shapes.
    """
    neighbour = np.minimum(np.arange(len(maps)) ^ 1, len(maps) - 1)
    map_shares = shares.reshape(-1, *[1] * (maps.ndim - 1))
    blended = map_shares * maps + (1 - map_shares) * maps[neighbour]
    return blended, shares[:, None] * labels + (1 - shares[:, None]) * labels[neighbour]
