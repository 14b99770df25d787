"""Geometric verification: align two images by their local features and compare them."""

from dataclasses import dataclass

import cv2
import numpy as np

from facemask.data.duplicates.local_features import Keypoints

_SCALES = (0.4, 2.5)
_FAR = 8.0  # pixels; a transformation guessed from one match need not be better than this
_NEAR = 4.0  # pixels
_FITS = 3
# How much a fit is held back from leaving the similarity that was guessed: shear needs several matches to be believed.
_HELD = np.diag([200.0, 200.0, 0.01])
_FEWEST = 6  # matches that fit; with fewer, any two faces would
_LEAST_MATCHED = 0.1
_DOUBT = 4.0  # of few matches even a large share may be chance
_LEAST_OVERLAP = 200  # pixels
_WINDOW = 13  # pixels
_SAME = 0.8  # correlation of a window above which it shows the same
_FLAT = 9.0  # variance of grey levels below which there is nothing to compare


@dataclass(frozen=True)
class Alignment:
    """Quality of the alignment of two images.

    Attributes:
        matches: number of keypoints that fit one affine transformation.
        agreement: 0 to 1, the mean of two shares: of the keypoints in the overlap, those that fit; of the textured
            area of the overlap, what looks the same.
        matrix: float64 (2, 3), from the second picture's `grey` to the first's.
    """

    matches: int
    agreement: float
    matrix: np.ndarray


def align(first: Keypoints, second: Keypoints) -> Alignment | None:
    """Align `second` with `first`.

    Every match of two keypoints says how one picture is turned, scaled and shifted against the other (Lowe 2004,
    section 7). The guess that most other matches follow is refined to an affine transformation. There is no chance in
    it. Mirror images do not match; see `facemask.data.duplicates.local_features.mirrored`.

    Returns:
        None if fewer than six matches fit, or fewer than one in ten.
    """
    if min(len(first.places), len(second.places)) < _FEWEST:
        return None
    one, other = _matches(first.descriptors, second.descriptors)
    if len(one) < _FEWEST:
        return None
    target = first.places[one]
    source = np.hstack([second.places[other], np.ones((len(other), 1), np.float32)])
    guesses = _guesses(first, second, one, other)
    scales = np.hypot(guesses[:, 0, 0], guesses[:, 1, 0])
    moved = (guesses.reshape(-1, 3) @ source.T).reshape(len(guesses), 2, -1)
    fit = np.square(moved - target.T).sum(axis=1) < _FAR**2
    followers = np.where((scales > _SCALES[0]) & (scales < _SCALES[1]), fit.sum(axis=1), 0)
    best = int(followers.argmax())
    if followers[best] < _FEWEST:
        return None
    matrix, inliers = _refine(guesses[best], fit[best], source, target)
    count = int(inliers.sum())
    if count < _FEWEST:
        return None
    matched = min(count / (_DOUBT + min(_inside(first, second, matrix))), 1.0)
    if matched < _LEAST_MATCHED:
        return None
    return Alignment(count, round((matched + _same_area(first.grey, second.grey, matrix)) / 2, 4), matrix)


def _matches(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair the descriptors that are each other's nearest."""
    likeness = first.astype(np.float32) @ second.astype(np.float32).T
    nearest = likeness.argmax(axis=1)
    mutual = likeness.argmax(axis=0)[nearest] == np.arange(len(first))
    return np.flatnonzero(mutual), nearest[mutual]


def _guesses(first: Keypoints, second: Keypoints, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Similarity transformations, one for each match: float32 (matches, 2, 3)."""
    scale = first.sizes[one] / second.sizes[other]
    angle = np.deg2rad(first.angles[one] - second.angles[other])
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1)
    shift = first.places[one] - (linear @ second.places[other][:, :, np.newaxis])[:, :, 0]
    return np.concatenate([linear, shift[:, :, np.newaxis]], axis=2)


def _refine(
    guess: np.ndarray, inliers: np.ndarray, source: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit an affine transformation to the matches that follow a guess, and see which follow it."""
    guess = matrix = guess.astype(np.float64)
    for _ in range(_FITS):
        kept = source[inliers]
        missing = target[inliers] - kept @ guess.T
        matrix = guess + np.linalg.solve(kept.T @ kept + _HELD, kept.T @ missing).T
        inliers = np.square(source @ matrix.T - target).sum(axis=1) < _NEAR**2
        if inliers.sum() < _FEWEST:
            break
    return matrix, inliers


def _inside(first: Keypoints, second: Keypoints, matrix: np.ndarray) -> tuple[int, int]:
    """Count the keypoints of each picture that the other covers."""
    back = cv2.invertAffineTransform(matrix)
    return _covered(second.places, matrix, first.grey), _covered(first.places, back, second.grey)


def _covered(places: np.ndarray, matrix: np.ndarray, grey: np.ndarray) -> int:
    moved = places @ matrix[:, :2].T + matrix[:, 2]
    return int(((moved >= 0) & (moved < grey.shape[::-1])).all(axis=1).sum())


def _same_area(first: np.ndarray, second: np.ndarray, matrix: np.ndarray) -> float:
    """Return the share of the textured overlap in which both look the same, whatever their light.

    The correlation is taken in a window around each pixel: two faces resemble each other as a whole, but not in the
    detail, and a corner filled with black does not count against the rest.
    """
    size = (first.shape[1], first.shape[0])
    over = cv2.warpAffine(second, matrix, size, flags=cv2.INTER_LINEAR).astype(np.float32)
    there = cv2.warpAffine(np.ones_like(second), matrix, size, flags=cv2.INTER_NEAREST).astype(np.float32)
    if there.sum() < _LEAST_OVERLAP:
        return 0.0
    here = cv2.GaussianBlur(first.astype(np.float32), (0, 0), 1.0) * there
    over = cv2.GaussianBlur(over, (0, 0), 1.0) * there
    window = (_WINDOW, _WINDOW)
    weight = np.maximum(cv2.blur(there, window), 1e-6)
    sums = [cv2.blur(layer, window) / weight for layer in (here, over, here * here, over * over, here * over)]
    variance = np.maximum(sums[2] - sums[0] ** 2, 0)
    variance_over = np.maximum(sums[3] - sums[1] ** 2, 0)
    correlation = (sums[4] - sums[0] * sums[1]) / np.sqrt(variance * variance_over + 16.0)
    compared = (there > 0) & (variance > _FLAT)
    return float((correlation[compared] > _SAME).mean()) if compared.sum() >= _LEAST_OVERLAP / 2 else 0.0
