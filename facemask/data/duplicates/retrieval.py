"""Candidate retrieval: an inverted index of visual words finds likely copies without comparing all pairs.

J. Sivic and A. Zisserman, "Video Google: a text retrieval approach to object matching in videos", ICCV 2003. The words
are arranged in two levels, after D. Nister and H. Stewenius, "Scalable recognition with a vocabulary tree", CVPR 2006.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from facemask.data.duplicates.local_features import mirrored_descriptors

COLUMNS = ("first", "second", "mirrored", "score")

_CELLS = 256  # words of the upper level
_DESCRIPTORS_PER_WORD = 12
_MOST_WORDS = 1024  # below one cell
_AXES = 32
_SAMPLE = 40_000
_LEAST_SCORE = 0.03  # below it lie half of the pairs of 7,200 pictures, and 2 in 1,000 of the copies
_WORDS_ASKED = 3  # a descriptor close to a border is looked for on both sides of it
_BLOCK_ROWS = 512
_BLOCK_DESCRIPTORS = 50_000


def find_candidates(descriptors: Sequence[np.ndarray], per_image: int, seed: int) -> pd.DataFrame:
    """For each picture, find those that share most words with it or with its mirror image.

    Args:
        descriptors: of each picture, uint8 (n, 128), from `local_features.find_keypoints`.
        per_image: how many others to find for each picture.
        seed: for the choice of the words.

    Returns:
        Pairs with `first` < `second` (positions in `descriptors`), each once, best first: `mirrored` says whether it
        is the mirror image of one that resembles the other; `score` is the cosine of the weighted words, 0.03 to 1.
    """
    owners = np.repeat(np.arange(len(descriptors)), [len(rows) for rows in descriptors])
    stacked = np.concatenate(descriptors) if len(descriptors) else np.zeros((0, 128), np.uint8)
    if len(stacked) == 0 or len(descriptors) < 2:
        return pd.DataFrame([], columns=list(COLUMNS))
    vocabulary = _Vocabulary(stacked, np.random.default_rng(seed))
    asked = vocabulary.words(stacked, _WORDS_ASKED)
    shape = (len(descriptors), vocabulary.size)
    index = _counts(asked[:, :1], owners, shape)
    seen = np.asarray((index > 0).sum(axis=0)).ravel()
    weights = np.log(len(descriptors) / np.maximum(seen, 1)).astype(np.float32)
    index = _weighted(index, weights)
    found = [
        _most_alike(_weighted(_counts(words, owners, shape), weights), index, per_image)
        for words in (asked, vocabulary.words(stacked, _WORDS_ASKED, of_mirror_image=True))
    ]
    return _pairs(found, per_image)


class _Vocabulary:
    """Words are descriptors drawn at random: as good here as centres of clusters, and there at once."""

    def __init__(self, descriptors: np.ndarray, rng: np.random.Generator) -> None:
        sample = descriptors[rng.permutation(len(descriptors))[:_SAMPLE]].astype(np.float32)
        self._mean = sample.mean(axis=0)
        _, axes = np.linalg.eigh(np.cov(sample - self._mean, rowvar=False))
        self._axes = axes[:, ::-1][:, :_AXES].astype(np.float32)
        self._cells = self._project(sample[:_CELLS])
        points = np.empty((len(descriptors), _AXES), np.float32)
        cells = np.empty(len(descriptors), np.int32)
        for rows in _blocks(len(descriptors)):
            points[rows] = self._project(descriptors[rows])
            cells[rows] = _nearest(points[rows], self._cells, 1)[:, 0]
        most = int(np.clip(len(descriptors) / _DESCRIPTORS_PER_WORD / len(self._cells), 1, _MOST_WORDS))
        members = [np.flatnonzero(cells == cell) for cell in range(len(self._cells))]
        self._words = [points[rng.permutation(those)[:most]] for those in members]
        self._first = np.concatenate([[0], np.cumsum([len(words) for words in self._words])])
        self.size = int(self._first[-1])

    def words(self, descriptors: np.ndarray, count: int, *, of_mirror_image: bool = False) -> np.ndarray:
        """Return the numbers of the nearest words of each descriptor, nearest first: int32 (n, count), -1 for none."""
        result = np.full((len(descriptors), count), -1, np.int32)
        for rows in _blocks(len(descriptors)):
            block = mirrored_descriptors(descriptors[rows]) if of_mirror_image else descriptors[rows]
            points = self._project(block)
            cells = _nearest(points, self._cells, 1)[:, 0]
            for cell in np.unique(cells):
                those = np.flatnonzero(cells == cell)
                nearest = _nearest(points[those], self._words[cell], count)
                result[rows.start + those, : nearest.shape[1]] = nearest + self._first[cell]
        return result

    def _project(self, descriptors: np.ndarray) -> np.ndarray:
        return (descriptors.astype(np.float32) - self._mean) @ self._axes


def _blocks(length: int) -> list[slice]:
    return [slice(start, start + _BLOCK_DESCRIPTORS) for start in range(0, length, _BLOCK_DESCRIPTORS)]


def _nearest(points: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the `count` centres nearest to each point, nearest first: (n, count) or fewer."""
    distances = np.square(centres).sum(axis=1) - 2 * points @ centres.T
    if count == 1:
        return distances.argmin(axis=1)[:, np.newaxis]
    count = min(count, len(centres))
    best = np.sort(np.argpartition(distances, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(np.take_along_axis(distances, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def _counts(words: np.ndarray, owners: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    rows, columns = np.repeat(owners, words.shape[1]), words.ravel()
    rows, columns = rows[columns >= 0], columns[columns >= 0]
    return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)


def _weighted(counts: sparse.csr_matrix, weights: np.ndarray) -> sparse.csr_matrix:
    """Weight words by their rarity, and make rows of unit length."""
    matrix = counts.sqrt() @ sparse.diags(weights)
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(lengths, 1e-9)) @ matrix, dtype=np.float32)


def _most_alike(asked: sparse.csr_matrix, index: sparse.csr_matrix, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each row, the positions and cosines of the `count` most similar other rows: (n, count) each."""
    transposed = index.T.tocsr()
    count = min(count, index.shape[0] - 1)
    places, scores = [], []
    for start in range(0, index.shape[0], _BLOCK_ROWS):
        block = (asked[start : start + _BLOCK_ROWS] @ transposed).toarray()
        rows = np.arange(len(block))
        block[rows, start + rows] = -1
        best = np.argpartition(-block, count - 1, axis=1)[:, :count].copy()  # a view would keep all of it in memory
        places.append(best)
        scores.append(np.take_along_axis(block, best, axis=1))
    return np.concatenate(places), np.concatenate(scores)


def _pairs(found: Sequence[tuple[np.ndarray, np.ndarray]], per_image: int) -> pd.DataFrame:
    tables = []
    for mirrored, (places, scores) in enumerate(found):
        asking = np.repeat(np.arange(len(places)), places.shape[1])
        tables.append(pd.DataFrame({"asking": asking, "answer": places.ravel(), "score": scores.ravel()}))
        tables[-1]["mirrored"] = bool(mirrored)
    table = pd.concat(tables)
    table = table[table["score"] >= _LEAST_SCORE].sort_values(
        ["asking", "score", "answer"], ascending=[True, False, True]
    )
    table = table.groupby("asking").head(per_image)
    ends = np.sort(table[["asking", "answer"]].to_numpy(), axis=1)
    table["first"], table["second"] = ends[:, 0], ends[:, 1]
    table = table.sort_values(["score", "first", "second", "mirrored"], ascending=[False, True, True, True])
    return table.drop_duplicates(["first", "second", "mirrored"])[list(COLUMNS)].reset_index(drop=True)
