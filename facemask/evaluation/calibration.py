"""Temperature scaling and calibration error.

C. Guo et al., "On Calibration of Modern Neural Networks", 2017, https://arxiv.org/abs/1706.04599.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

BINS = 15  # of equal width, as in the paper

_TEMPERATURES = (0.05, 20.0)  # search range

Probabilities = NDArray[np.float64]
Truth = NDArray[np.intp]
Weights = NDArray[np.float64]


def scaled(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Divide the logits of probabilities (n, classes) by a temperature; above 1, confidence decreases."""
    return np.asarray(softmax(_logits(probabilities) / temperature, axis=1))


def fit_temperature(probabilities: Probabilities, truth: Truth, weights: Weights) -> float:
    """Fit the temperature that maximises the weighted likelihood of the true classes.

    For a model without mistakes the plain likelihood is maximal at temperature 0. So the target of the true class is
    not 1 but (N + 1/2) / (N + 1), the mean under Jeffreys' prior after N successes, after
    J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999.

    Args:
        probabilities: (n, classes), of the uncalibrated model, on images it was not trained on.
        truth: (n,) index of the true class.
        weights: (n,) of the images; their sum is N. See `photograph_weights`.
    """
    classes = probabilities.shape[1]
    remainder = 0.5 / (weights.sum() + 1)
    targets = np.full(probabilities.shape, remainder / (classes - 1))
    targets[np.arange(len(truth)), truth] = 1 - remainder
    logits = _logits(probabilities)

    def loss(log_temperature: float) -> float:
        return float(-(targets * log_softmax(logits / np.exp(log_temperature), axis=1)).sum(axis=1) @ weights)

    found = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def calibration_error(probabilities: Probabilities, truth: Truth, weights: Weights) -> float:
    """Return the expected calibration error: weighted mean of |confidence - accuracy| over bins."""
    points = reliability_points(probabilities, truth, weights)
    return float((points["photographs"] * (points["confidence"] - points["accuracy"]).abs()).sum() / weights.sum())


def brier_score(probabilities: Probabilities, truth: Truth, weights: Weights) -> float:
    """Return the Brier score: mean squared error of the probabilities, summed over classes; 0 is best, 2 worst.

    G. Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    errors = ((probabilities - np.eye(probabilities.shape[1])[truth]) ** 2).sum(axis=1)
    return float(np.average(errors, weights=weights))


def reliability_points(probabilities: Probabilities, truth: Truth, weights: Weights) -> pd.DataFrame:
    """Return mean confidence (highest probability) and accuracy of each bin that has images.

    Returns:
        Columns `confidence` and `accuracy` (weighted means), and `photographs`, the sum of the weights.
    """
    confidence = probabilities.max(axis=1)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = pd.DataFrame({"confidence": confidence, "accuracy": probabilities.argmax(axis=1) == truth})
    sums = rows.mul(weights, axis=0).assign(photographs=weights).groupby(bins).sum().reset_index(drop=True)
    return sums.assign(**{name: sums[name] / sums["photographs"] for name in rows})


def _logits(probabilities: Probabilities) -> NDArray[np.float64]:
    # Logits are defined up to a constant per image, so log probabilities are logits.
    return np.asarray(np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)))
