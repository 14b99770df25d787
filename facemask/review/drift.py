"""Drift of new photographs from the training data, and its usual size.

What is compared, class by class, so that a mix of other classes is no drift, is two samples of photographs:

- of one measure, such as the brightness, by the Kolmogorov-Smirnov distance (Massey, The Kolmogorov-Smirnov test for
  goodness of fit, Journal of the American Statistical Association 46, 1951): the largest difference between the shares
  of photographs that are below a value;
- of features, many numbers each, by the energy distance (Szekely and Rizzo, Energy statistics: a class of statistics
  based on distances, Journal of Statistical Planning and Inference 143, 2013), as their coefficient of inhomogeneity.

Both are 0 for samples that are alike and 1 for samples that have nothing in common. Features of a network that was
trained on other pictures, compared in this way, are one of the detectors that did well in Rabanser, Gunnemann and
Lipton, Failing loudly: an empirical study of methods for detecting dataset shift, NeurIPS 2019; the energy distance is
a maximum mean discrepancy, which they used (Sejdinovic and others, Annals of Statistics 41, 2013).

How large the number usually is, is seen from random parts of the training data, as large as the new sample, against the
rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.floating]
Masks = NDArray[np.bool_]

PARTS = 600  # random parts of the training data; 200 would leave the bound below to the four largest
# Three numbers are looked at, and one in twenty sets that are as usual may be called unlike on account of any of them
# (Bonferroni's correction).
LEVEL = 1 - 0.05 / 3


@dataclass(frozen=True)
class Drift:
    """Distance of a sample from the training data.

    Attributes:
        distance: 0 (alike) to 1 (nothing in common), the mean over the classes, by the number of their photographs.
        usual: what random parts of the training data, of the same size and mix of classes, reach: 98.3 of 100 are not
            beyond.
        photographs: how many new ones were compared, by class.
    """

    distance: float
    usual: float
    photographs: Mapping[str, int]

    @property
    def unlike(self) -> bool:
        """Whether the distance is larger than usual."""
        return self.distance > self.usual


def drift(new: Mapping[str, Floats], training: Mapping[str, Floats], seed: int) -> Drift:
    """Compare new photographs with those of training.

    New and training samples have the same sizes as the random parts and their rests: of a class with n new and N
    training photographs, min(n, N / 2) are compared with as many fewer of training, drawn at random.

    Args:
        new: for each class, one value per photograph (n,), or its features (n, d).
        training: likewise.
        seed: of what is drawn.

    Raises:
        ValueError: there is no class with a new photograph and two of training.
    """
    rng = np.random.default_rng(seed)
    sizes = {label: min(len(values), len(training.get(label, ())) // 2) for label, values in sorted(new.items())}
    sizes = {label: size for label, size in sizes.items() if size}
    if not sizes:
        raise ValueError("no class has photographs to compare")
    seen, usual = 0.0, np.zeros(PARTS)
    for label, size in sizes.items():
        known = training[label]
        weight = size / sum(sizes.values())
        sample = np.concatenate([_drawn(new[label], size, rng), _drawn(known, len(known) - size, rng)])
        seen += weight * float(_distances(sample, _first(len(known), size))[0])
        usual += weight * _distances(known, _random(len(known), size, rng))
    return Drift(seen, float(np.quantile(usual, LEVEL, method="higher")), sizes)


def ks_distances(values: Floats, chosen: Masks) -> Floats:
    """Compute the Kolmogorov-Smirnov distance between chosen values and the others.

    Args:
        values: (n,).
        chosen: (k, n), k choices, each of some but not all.

    Returns:
        (k,), 0 to 1.
    """
    order = np.argsort(values, kind="stable")
    ordered = chosen[:, order]
    shares = [np.cumsum(side, axis=1) / side.sum(axis=1, keepdims=True) for side in (ordered, ~ordered)]
    last = np.append(np.diff(values[order]) > 0, True)  # of equal values, all count at once
    return np.asarray(np.abs(shares[0] - shares[1])[:, last].max(axis=1))


def energy_coefficients(values: Floats, chosen: Masks) -> Floats:
    """Compute the energy coefficient of inhomogeneity between chosen rows and the others.

    With X and X' chosen, Y and Y' others: (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / 2 E|X - Y|.

    Args:
        values: (n, d).
        chosen: (k, n), k choices, each of some but not all.

    Returns:
        (k,), 0 to 1; 0 where all rows are equal.
    """
    apart = cdist(values, values)
    one, other = (side / side.sum(axis=1, keepdims=True) for side in (chosen, ~chosen))
    between = np.einsum("kn,kn->k", one @ apart, other)
    within = np.einsum("kn,kn->k", one @ apart, one) + np.einsum("kn,kn->k", other @ apart, other)
    return np.asarray(np.divide(2 * between - within, 2 * between, out=np.zeros(len(chosen)), where=between > 0))


def _distances(values: Floats, chosen: Masks) -> Floats:
    return ks_distances(values, chosen) if values.ndim == 1 else energy_coefficients(values, chosen)


def _drawn(values: Floats, number: int, rng: np.random.Generator) -> Floats:
    return values[rng.permutation(len(values))[:number]]


def _first(length: int, number: int) -> Masks:
    return (np.arange(length) < number)[np.newaxis]


def _random(length: int, number: int, rng: np.random.Generator) -> Masks:
    return rng.permuted(np.broadcast_to(_first(length, number), (PARTS, length)), axis=1)
