"""Candidate retrieval: an inverted index of visual words finds likely copies without comparing all pairs.

J. Sivic and A. Zisserman, "Video Google: a text retrieval approach to object matching in videos", ICCV 2003. The words
are arranged in two levels, after D. Nister and H. Stewenius, "Scalable recognition with a vocabulary tree", CVPR 2006.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from facemask.core.progress import track
from facemask.data.duplicates.keypoint_file import KeypointFile, RowFile
from facemask.data.duplicates.local_features import mirrored_descriptors
from facemask.engine import local

COLUMNS = ("first", "second", "mirrored", "score")

# The vocabulary grows with the pictures, so that a word is found in equally many of them however many there are. From
# 3.1 million descriptors on, of 20,000 to 25,000 pictures, both levels grow by the root.
_FEWEST_CELLS = 256  # words of the upper level
_WORDS_PER_CELL = 4  # times the number of cells
_DESCRIPTORS_PER_WORD = 12
_AXES = 32
_SAMPLE = 40_000
_LEAST_SCORE = 0.03  # below it lie half of the pairs of 7,200 pictures, and 2 in 1,000 of the copies
_WORDS_ASKED = 3  # a descriptor close to a border is looked for on both sides of it
_WORKERS = 2


@dataclass(frozen=True)
class Portions:
    """How much is worked on at once: this limits memory, and does not change what is found.

    Attributes:
        descriptors: of which words are looked up.
        asking: pictures that look for others like them.
        answering: pictures among which they look.
    """

    descriptors: int = 50_000
    asking: int = 512
    answering: int = 65_536


def find_candidates(
    keypoints: KeypointFile, per_image: int, seed: int, scratch: Path, portions: Portions | None = None
) -> pd.DataFrame:
    """For each picture, find those that share most words with it or with its mirror image.

    What takes most room, the words of all descriptors, is kept on disk. In memory is the index, 8 bytes for each
    descriptor, and what is found.

    Args:
        keypoints: of all pictures.
        per_image: how many others to find for each picture.
        seed: for the choice of the words.
        scratch: a folder; on its disk are 24 bytes for each descriptor, as long as this runs.
        portions: how much is worked on at once; None for what suits an ordinary computer.

    Returns:
        Pairs with `first` < `second` (positions in `keypoints`), each once, best first: `mirrored` says whether it
        is the mirror image of one that resembles the other; `score` is the cosine of the weighted words, 0.03 to 1.
    """
    if keypoints.descriptors.length == 0 or len(keypoints) < 2:
        return pd.DataFrame([], columns=list(COLUMNS))
    return _best_first(_answers(keypoints, per_image, seed, scratch, portions or Portions()))


def _answers(keypoints: KeypointFile, per_image: int, seed: int, scratch: Path, portions: Portions) -> pd.DataFrame:
    """Return what each picture finds, as `_Index.most_alike` does."""
    blocks = _portioned(keypoints.descriptors.length, portions.descriptors)
    vocabulary = _Vocabulary(keypoints.descriptors, blocks, np.random.default_rng(seed))
    with (
        RowFile(scratch, _WORDS_ASKED, np.int32) as as_they_are,
        RowFile(scratch, _WORDS_ASKED, np.int32) as of_mirror_images,
    ):
        _look_up(keypoints.descriptors, blocks, vocabulary, as_they_are, of_mirror_images)
        asked = [_Words(file, keypoints.ends, vocabulary.size) for file in (as_they_are, of_mirror_images)]
        index = _Index(asked[0], portions.answering)

        def ask(those: slice) -> pd.DataFrame:
            return index.most_alike([words.counts(those) for words in asked], those.start, per_image)

        asking = _portioned(len(keypoints), portions.asking)
        found = local.map_ordered(lambda: ask, asking, _WORKERS)
        answers = track(found, len(asking), "looking for candidates", "blocks")
        return pd.concat(list(answers), ignore_index=True)


class _Vocabulary:
    """Words are descriptors drawn at random: as good here as centres of clusters, and there at once."""

    def __init__(self, descriptors: RowFile, blocks: Sequence[slice], rng: np.random.Generator) -> None:
        sample = _rows(descriptors, blocks, rng.permutation(descriptors.length)[:_SAMPLE].copy()).astype(np.float32)
        self._mean = sample.mean(axis=0)
        _, axes = np.linalg.eigh(np.cov(sample - self._mean, rowvar=False))
        self._axes = axes[:, ::-1][:, :_AXES].astype(np.float32)
        words = descriptors.length / _DESCRIPTORS_PER_WORD
        self._cells = self._project(sample[: max(int(np.sqrt(words / _WORDS_PER_CELL)), _FEWEST_CELLS)])
        cells = np.empty(descriptors.length, np.min_scalar_type(len(self._cells) - 1))
        for rows in blocks:
            cells[rows] = _nearest(self._project(descriptors.read(rows)), self._cells, 1)[:, 0]
        most = max(int(words / len(self._cells)), 1)
        chosen = [
            rng.permutation(np.flatnonzero(cells == cell))[:most].copy()  # a view would keep all of it in memory
            for cell in range(len(self._cells))
        ]
        self._first = np.concatenate([[0], np.cumsum([len(those) for those in chosen])])
        self._words = np.split(_rows(descriptors, blocks, np.concatenate(chosen), self._project), self._first[1:-1])
        self.size = int(self._first[-1])

    def words(self, descriptors: np.ndarray, count: int) -> np.ndarray:
        """Return the numbers of the nearest words of each descriptor, nearest first: int32 (n, count), -1 for none."""
        result = np.full((len(descriptors), count), -1, np.int32)
        points = self._project(descriptors)
        cells = _nearest(points, self._cells, 1)[:, 0]
        for cell in np.unique(cells):
            those = np.flatnonzero(cells == cell)
            nearest = _nearest(points[those], self._words[cell], count)
            result[those, : nearest.shape[1]] = nearest + self._first[cell]
        return result

    def _project(self, descriptors: np.ndarray) -> np.ndarray:
        return (descriptors.astype(np.float32) - self._mean) @ self._axes


def _portioned(length: int, portion: int) -> list[slice]:
    return [slice(start, min(start + portion, length)) for start in range(0, length, portion)]


def _rows(
    descriptors: RowFile,
    blocks: Sequence[slice],
    places: np.ndarray,
    change: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> np.ndarray:
    """Return the rows at `places`, in that order, as `change` makes them; the file is gone through once, by blocks."""
    order = np.argsort(places)
    ends = np.searchsorted(places[order], [0, *(rows.stop for rows in blocks)])
    first = change(descriptors.read(slice(0, 1)))
    result = np.empty((len(places), first.shape[1]), first.dtype)  # filled in place, since it may be large
    for rows, start, stop in zip(blocks, ends[:-1], ends[1:], strict=True):
        result[order[start:stop]] = change(descriptors.read(rows))[places[order[start:stop]] - rows.start]
    return result


def _look_up(
    descriptors: RowFile,
    blocks: Sequence[slice],
    vocabulary: _Vocabulary,
    as_they_are: RowFile,
    of_mirror_images: RowFile,
) -> None:
    """Write the words of each descriptor, and of what it is in the mirror image, into two files."""

    def look_up(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        block = descriptors.read(rows)
        return vocabulary.words(block, _WORDS_ASKED), vocabulary.words(mirrored_descriptors(block), _WORDS_ASKED)

    for plain, mirrored in track(
        local.map_ordered(lambda: look_up, blocks, _WORKERS), len(blocks), "looking up words", "blocks"
    ):
        as_they_are.append(plain)
        of_mirror_images.append(mirrored)


def _nearest(points: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the `count` centres nearest to each point, nearest first: (n, count) or fewer."""
    distances = (points * np.float32(-2)) @ centres.T
    distances += np.square(centres).sum(axis=1)
    if count == 1:
        return distances.argmin(axis=1)[:, np.newaxis]
    count = min(count, len(centres))
    if count == 0:
        return np.empty((len(points), 0), np.int64)
    nearest = np.empty((len(points), count), np.int64)
    smallest = np.empty((len(points), count), np.float32)
    for place in range(count):  # several times faster than a partition
        nearest[:, place : place + 1] = distances.argmin(axis=1, keepdims=True)
        smallest[:, place : place + 1] = np.take_along_axis(distances, nearest[:, place : place + 1], axis=1)
        np.put_along_axis(distances, nearest[:, place : place + 1], np.inf, axis=1)
    # Which of several equally near ones is the last is left to a partition, so that groups equal those of before.
    tied = distances.min(axis=1) == smallest[:, -1]
    if tied.any():
        np.put_along_axis(distances, nearest, smallest, axis=1)
        nearest[tied] = _partitioned(distances[tied], count)
    return nearest


def _partitioned(distances: np.ndarray, count: int) -> np.ndarray:
    best = np.sort(np.argpartition(distances, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(np.take_along_axis(distances, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


class _Words:
    """Words of pictures, on disk."""

    def __init__(self, words: RowFile, ends: np.ndarray, size: int) -> None:
        self._words, self._ends, self._size = words, ends, size

    @property
    def pictures(self) -> int:
        return len(self._ends) - 1

    def counts(self, those: slice, count: int = _WORDS_ASKED) -> sparse.csr_matrix:
        """Return how often each word stands in each of some pictures: (pictures, words).

        Of each descriptor the nearest `count` words are taken.
        """
        ends = self._ends[those.start : those.stop + 1]
        words = self._words.read(slice(ends[0], ends[-1]))[:, :count].ravel()
        rows = np.repeat(np.arange(len(ends) - 1), np.diff(ends) * count)
        rows, words = rows[words >= 0], words[words >= 0]
        return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, words)), (len(ends) - 1, self._size))


class _Index:
    """The weighted words of all pictures, by word, in shards of pictures."""

    def __init__(self, words: _Words, portion: int) -> None:
        shards = _portioned(words.pictures, portion)
        counts = [words.counts(those, count=1) for those in shards]
        seen = sum(np.bincount(matrix.indices, minlength=matrix.shape[1]) for matrix in counts)
        weights = np.log(words.pictures / np.maximum(seen, 1)).astype(np.float32)
        self._weights = sparse.diags(weights).tocsr()
        self._starts = [those.start for those in shards]
        # One after the other, so that there are never two copies of all.
        self._shards = [_weighted(counts.pop(0), self._weights).T.tocsr() for _ in shards]

    def most_alike(self, asked: Sequence[sparse.csr_matrix], first: int, count: int) -> pd.DataFrame:
        """Find the pictures most like those that ask.

        Args:
            asked: counts of the words of these pictures as they are, and of their mirror images.
            first: the position of the first of them; none is its own answer.
            count: how many to find for each, of both kinds together.

        Returns:
            The columns of `COLUMNS`, ordered by the asking picture, most alike first.
        """
        found = []
        for mirrored, counts in enumerate(asked):
            question = _weighted(counts, self._weights)
            for start, shard in zip(self._starts, self._shards, strict=True):
                product = question @ shard
                good = np.flatnonzero(product.data >= _LEAST_SCORE)
                asking = first + np.searchsorted(product.indptr, good, side="right").astype(np.int32) - 1
                answer = start + product.indices[good]
                table = pd.DataFrame({"asking": asking, "answer": answer, "score": product.data[good]})
                found.append(table[asking != answer].assign(mirrored=bool(mirrored)))
        table = pd.concat(found, ignore_index=True).sort_values(
            ["asking", "score", "answer", "mirrored"], ascending=[True, False, True, True]
        )
        table = table.groupby("asking").head(count)
        ends = np.sort(table[["asking", "answer"]].to_numpy(), axis=1)
        return table.assign(first=ends[:, 0], second=ends[:, 1])[list(COLUMNS)]


def _weighted(counts: sparse.csr_matrix, weights: sparse.csr_matrix) -> sparse.csr_matrix:
    """Weight words by their rarity, which stands on the diagonal of `weights`, and make rows of unit length."""
    matrix = counts.sqrt() @ weights
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(lengths, 1e-9)) @ matrix, dtype=np.float32)


def _best_first(found: pd.DataFrame) -> pd.DataFrame:
    """Sort pairs, and drop those that are there twice: each of the two may have found the other."""
    # Not `sort_values`: it makes categories of each column first, which takes several times the memory.
    order = np.lexsort((found["mirrored"], found["second"], found["first"], -found["score"]))
    return found.take(order).drop_duplicates(["first", "second", "mirrored"]).reset_index(drop=True)
