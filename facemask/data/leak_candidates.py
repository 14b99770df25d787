"""Candidates of the leakage check: the training images whose maps of edge directions are most like that of an image.

Up to `EXACT_UP_TO` training images, every map is compared with every other. Beyond, a short descriptor nominates a few
hundred training images, and only their maps are compared: the map is projected onto the directions that tell pictures
apart best in spite of being turned, sheared, zoomed and shifted (linear discriminant analysis, Fisher 1936, fitted on
training images and warped copies of them), and scaled to length 1.

The index of descriptors is FAISS's: flat, then a graph (HNSW, Malkov and Yashunin 2018), whose search hardly grows with
the number of images. Inverted lists overlooked more in the same time, usearch took longer, hnswlib has no wheels. Built
by one thread, the graph is the same each time. FAISS brings its own OpenMP, which on macOS may not share a process with
scikit-learn's, so it is imported where it is used; the stage `split` imports neither scikit-learn nor TensorFlow.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
Turn = tuple[bool, int, float]  # whether mirrored, steps of direction, zoom
Search = Literal["exact", "flat", "graph"]

SIDE = 64  # pixels of the picture that everything is computed from
HALF = 32
EXACT_UP_TO, FLAT_UP_TO = 8_192, 32_768  # training images; where the next kind of search becomes the faster one

_GRID = 6
_DIRECTIONS = 16  # turning a picture by one of them moves its map's channels by one
_ZOOMS = (0.7, 1.0)
_CANDIDATES = 6
_BLOCK = 1024
_SEED = 1
# The descriptor.
_AXES = 80
_SAMPLE = 2_000  # training images that it is fitted on
_WARPS = 2  # copies of each
_NOISE = 0.2  # added to the scatter of copies, as a share of its mean, so that rare directions don't decide
# The index.
_NOMINATED = 16  # by each of the 64 turned maps
_NEIGHBOURS, _BREADTH_BUILT, _BREADTH_SEARCHED = 32, 80, 64  # of the graph: M, efConstruction, efSearch


def suitable_search(count: int) -> Search:
    """Return the fastest search among so many training images that finds what the exact one finds."""
    if count <= EXACT_UP_TO:
        return "exact"
    return "flat" if count <= FLAT_UP_TO else "graph"


def linear(mirrored: bool, steps: int, zoom: float) -> NDArray[np.float64]:
    """Return the matrix (2, 2) from places in the rotated image to places in the image; the middle is at 0."""
    angle = 2 * np.pi * steps / _DIRECTIONS
    cos, sin = np.cos(angle), np.sin(angle)
    mirror = -1 if mirrored else 1
    return np.array([[mirror * cos, -mirror * sin], [sin, cos]]) / zoom


class Candidates:
    """The maps of all training pictures, to be compared with those of other pictures.

    A map is the sum of an even part, which stays when the picture is turned upside down, and an odd part, which
    changes its sign. Two pictures agree by what their even parts agree and what their odd parts do, and when one is
    turned upside down, by the difference of the two. So half of the circle is enough, and half of each part's numbers.
    """

    def __init__(self, trained: NDArray[np.uint8], pool: ThreadPoolExecutor, search: Search | None = None) -> None:
        """Compute the maps, and build the index unless the search is exact.

        Args:
            trained: the training images, uint8 (n, `SIDE`, `SIDE`), at least one.
            pool: computes the maps.
            search: how candidates are looked for; None chooses by `suitable_search`.
        """
        self._turns = list(product((False, True), range(_DIRECTIONS // 2), _ZOOMS))
        places = _places()
        sources = np.stack([places @ linear(*turn).T for turn in self._turns])  # (turns, places, 2), -1 to 1
        self._masks = np.all(np.abs(sources) < 1, axis=2).astype(np.float32)
        self._sources = ((sources + 1) * HALF / 2 - 0.5).astype(np.float32)  # in pixels of `_directions`
        self._rolls = np.stack([_rolled(mirrored, steps) for mirrored, steps, _ in self._turns])

        cells = np.empty((len(trained), len(places), _DIRECTIONS), np.float32)
        for place, picture in enumerate(pool.map(_cells, trained)):
            cells[place] = picture
        self._mean = np.float32(cells.mean(dtype=np.float64))
        # By turn and training picture: one over the length of what of its map lies inside the turned picture.
        self._scales = np.empty((len(self._turns), len(trained)), np.float32)
        maps = cells.reshape(len(trained), -1)
        for block in _blocks(len(trained)):
            centred = cells[block] - self._mean
            self._scales[:, block] = 1 / np.sqrt(self._masks @ (centred**2).sum(axis=2).T + 1e-6)
            maps[block] = np.concatenate(_parts(centred), axis=1)  # in place, since there may be many
        self._even, self._odd = np.split(maps, 2, axis=1)

        search = search or suitable_search(len(trained))
        self._index: _Index | None = None
        if search != "exact":
            chosen = trained[np.linspace(0, len(trained) - 1, min(len(trained), _SAMPLE)).astype(np.int64)]
            self._projection = _Projection(self._parts_of_warped(chosen, pool))
            self._index = _Index((self._projection(maps[block]) for block in _blocks(len(trained))), search)

    def find(self, pictures: NDArray[np.uint8]) -> list[list[tuple[int, Turn]]]:
        """Return, for each image, the places of the most similar training images and their rotations."""
        even, odd = _parts(np.stack([self._turned(picture) for picture in pictures]))
        nominated = self._nearest_of_all(even, odd) if self._index is None else self._nominated(even, odd, self._index)
        return [self._most_similar(*those) for those in zip(even, odd, nominated, strict=True)]

    def _nearest_of_all(self, even: Floats, odd: Floats) -> list[NDArray[np.int64]]:
        """Return, for each image, the places of the most similar training images, by comparison with all.

        Args:
            even: of the images' maps in all rotations of the first half circle, (images, turns, features).
            odd: likewise.
        """
        best = np.full((len(even), len(self._even)), -1, np.float32)
        likeness, share = np.empty_like(best), np.empty_like(best)
        for turn, scale in enumerate(self._scales):
            np.matmul(odd[:, turn], self._odd.T, out=share)
            np.matmul(even[:, turn], self._even.T, out=likeness)
            likeness += np.abs(share, out=share)
            likeness *= scale
            np.maximum(best, likeness, out=best)
        return [_largest(row) for row in best]

    def _nominated(self, even: Floats, odd: Floats, index: "_Index") -> list[NDArray[np.int64]]:
        """Return, for each image, the places of the training images that the index nominates."""
        turned = np.concatenate([np.concatenate([even, odd], axis=2), np.concatenate([even, -odd], axis=2)], axis=1)
        return index.nearest(self._projection(turned))

    def _most_similar(self, even: Floats, odd: Floats, nominated: NDArray[np.int64]) -> list[tuple[int, Turn]]:
        """Return the places of the most similar training images among `nominated` and their rotations."""
        by_even, by_odd = even @ self._even[nominated].T, odd @ self._odd[nominated].T
        scales = self._scales[:, nominated]
        by_turn: Floats = np.concatenate([(by_even + by_odd) * scales, (by_even - by_odd) * scales])
        nearest = _largest(by_turn.max(axis=0))
        turns = by_turn[:, nearest].argmax(axis=0)
        return [(int(nominated[n]), self._turn(int(turn))) for n, turn in zip(nearest, turns, strict=True)]

    def _turn(self, number: int) -> Turn:
        """Return a rotation by its number: those of the first half circle, then those of the second."""
        second_half, place = divmod(number, len(self._turns))
        mirrored, steps, zoom = self._turns[place]
        return mirrored, steps + second_half * _DIRECTIONS // 2, zoom

    def _turned(self, picture: Grey) -> Floats:
        """Return the map of the image in all rotations, each of length 1: (turns, places, directions)."""
        directions = _directions(picture)
        sampled = np.concatenate(
            [
                cv2.remap(np.ascontiguousarray(directions[..., c : c + 4]), self._sources, None, cv2.INTER_LINEAR)
                for c in range(0, _DIRECTIONS, 4)
            ],
            axis=2,
        )
        sampled = np.take_along_axis(sampled, self._rolls[:, np.newaxis], axis=2)
        features = (sampled - self._mean) * self._masks[..., np.newaxis]
        return features / np.sqrt((features**2).sum(axis=(1, 2), keepdims=True) + 1e-6)

    def _parts_of_warped(self, pictures: NDArray[np.uint8], pool: ThreadPoolExecutor) -> Floats:
        """Return the parts of the maps of images and of warped copies: (images, 1 + copies, features)."""
        rng = np.random.default_rng(_SEED)
        versions = [[picture, *(_warped(picture, rng) for _ in range(_WARPS))] for picture in pictures]
        maps = np.stack([*pool.map(lambda those: np.stack([_cells(one) for one in those]), versions)])
        return np.concatenate(_parts(maps - self._mean), axis=-1)


def _largest(values: Floats) -> NDArray[np.int64]:
    """Return the places of the largest values, ascending, at most `_CANDIDATES`."""
    count = min(_CANDIDATES, len(values))
    return np.sort(np.argpartition(-values, count - 1)[:count])


class _Projection:
    """The projection of maps onto the directions that differ most between pictures and least between copies of one.

    As a set of pictures has its own upside-down image beside each picture, so to speak, even and odd parts are taken
    as uncorrelated, and odd ones as 0 on average.
    """

    def __init__(self, versions: Floats) -> None:
        """Fit it on maps as `Candidates._parts_of_warped` gives them."""
        versions = _unit(versions)
        copies = _scatter(versions[:, 1:] - versions[:, :1])
        size = len(copies)
        self._centre = np.append(versions[:, 0, : size // 2].mean(axis=0), np.zeros(size // 2, np.float32))
        every = _scatter(versions - self._centre)
        copies += (_NOISE * np.trace(copies) / size + 1e-9) * np.eye(size)
        self._axes = eigh(every, copies, subset_by_index=(size - _AXES, size - 1))[1].astype(np.float32)

    def __call__(self, maps: Floats) -> Floats:
        """Return the descriptors of maps (..., features), each of length 1: (..., axes)."""
        return _unit((_unit(maps) - self._centre) @ self._axes)


class _Index:
    """An index of descriptors by their cosine."""

    def __init__(self, descriptors: Iterable[Floats], search: Search) -> None:
        self._index = _empty_index(search)
        for block in descriptors:
            self._index.add(block)

    def nearest(self, turned: Floats) -> list[NDArray[np.int64]]:
        """Return, for each of several images, which are nearest to any of its descriptors, ascending.

        Args:
            turned: the descriptors of each image in all rotations, (images, rotations, axes).
        """
        _use_one_thread()
        _, found = self._index.search(turned.reshape(-1, turned.shape[-1]), _NOMINATED)
        # Where fewer are found, -1 stands for those that are missing.
        return [places[places >= 0] for places in map(np.unique, found.reshape(len(turned), -1))]


def _empty_index(search: Search) -> Any:
    import faiss

    _use_one_thread()
    if search == "flat":
        return faiss.IndexFlatIP(_AXES)
    graph = faiss.IndexHNSWFlat(_AXES, _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = _BREADTH_BUILT
    graph.hnsw.efSearch = _BREADTH_SEARCHED
    return graph


def _use_one_thread() -> None:
    """Have FAISS use no thread but the calling one.

    With several, the graph would be another each time. The setting holds for the calling thread only.
    """
    import faiss

    faiss.omp_set_num_threads(1)


def _unit(rows: Floats) -> Floats:
    """Scale rows (..., features) to length 1."""
    return rows / np.sqrt((rows**2).sum(axis=-1, keepdims=True) + np.float32(1e-9))


def _scatter(rows: Floats) -> NDArray[np.float64]:
    """Return the mean outer product of rows (..., features), without what mixes the first and the second half."""
    flat = rows.reshape(-1, rows.shape[-1]).astype(np.float64)
    scatter = flat.T @ flat / len(flat)
    half = len(scatter) // 2
    scatter[:half, half:] = scatter[half:, :half] = 0
    return scatter


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, count, _BLOCK))


def _warped(picture: Grey, rng: np.random.Generator) -> Grey:
    """Turn (to 15 degrees, more is another of the rotations), shear, zoom (0.8 to 1.3) and shift a picture."""
    angle, shear = np.deg2rad(rng.uniform(-15, 15)), np.tan(np.deg2rad(rng.uniform(-12, 12)))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.exp(rng.uniform(np.log(0.8), np.log(1.3))) * rotation @ np.array([[1, shear], [0, 1]])
    middle = np.full(2, (SIDE - 1) / 2)
    offset = middle + rng.uniform(-0.1, 0.1, 2) * SIDE - matrix @ middle
    border = (cv2.BORDER_REFLECT, cv2.BORDER_CONSTANT)[int(rng.integers(2))]
    return cv2.warpAffine(
        picture, np.column_stack([matrix, offset]), (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=border
    )


def _places() -> NDArray[np.float64]:
    """Return the middles of the places of a map, from -1 to 1: (places, 2)."""
    grid = (np.arange(_GRID) + 0.5) * 2 / _GRID - 1
    places = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    return places[_inside()]


def _inside() -> NDArray[np.bool_]:
    """Return which places lie in a disc, since corners leave the picture when it is turned."""
    grid = (np.arange(_GRID) + 0.5) * 2 / _GRID - 1
    return (grid**2 + grid[:, np.newaxis] ** 2 < 1).reshape(-1)


def _cells(picture: Grey) -> Floats:
    """Return the map of a picture, not centred: float32 (places, _DIRECTIONS)."""
    return _shrunk(_directions(picture)).reshape(-1, _DIRECTIONS)[_inside()]


def _parts(maps: Floats) -> tuple[Floats, Floats]:
    """Return the even and odd parts of maps (..., places, directions), without the redundant half.

    Returns:
        Two arrays (..., places * directions / 2).
    """
    upside_down = np.roll(maps[..., ::-1, :], _DIRECTIONS // 2, axis=-1)
    half = maps.shape[-2] // 2
    shape = (*maps.shape[:-2], half * _DIRECTIONS)
    root = np.float32(np.sqrt(0.5))  # so that the products of the parts add up to the product of the maps
    return (
        ((maps + upside_down) * root)[..., :half, :].reshape(shape),
        ((maps - upside_down) * root)[..., :half, :].reshape(shape),
    )


def _rolled(mirrored: bool, steps: int) -> NDArray[np.int64]:
    """Return which direction of the image becomes each direction of the rotated image."""
    directions = np.arange(_DIRECTIONS)
    return (_DIRECTIONS // 2 - directions - steps if mirrored else directions + steps) % _DIRECTIONS


def _directions(picture: Grey) -> Floats:
    """Return blurred edge strength by direction: float32 (HALF, HALF, _DIRECTIONS)."""
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.5, borderType=cv2.BORDER_REFLECT)
    right = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
    steepness, angle = cv2.cartToPolar(right, down)
    around = np.sqrt(cv2.GaussianBlur(steepness**2, (0, 0), 5.0)) + np.float32(0.3)
    # The root has many faint edges count for more than a few strong ones.
    strength = np.sqrt(steepness / around)
    position = angle * np.float32(_DIRECTIONS / (2 * np.pi))
    lower = np.floor(position)
    share = strength * (position - lower)
    first = lower.astype(np.int64)[..., np.newaxis] % _DIRECTIONS
    spread = np.zeros((SIDE, SIDE, _DIRECTIONS), np.float32)
    np.put_along_axis(spread, first, (strength - share)[..., np.newaxis], axis=2)
    np.put_along_axis(spread, (first + 1) % _DIRECTIONS, share[..., np.newaxis], axis=2)
    rows = spread[::2] + spread[1::2]
    return cv2.GaussianBlur((rows[:, ::2] + rows[:, 1::2]) / 4, (0, 0), 3.0)


def _shrunk(directions: Floats) -> Floats:
    """Average over areas: float32 (_GRID, _GRID, _DIRECTIONS)."""
    return np.concatenate(
        [
            cv2.resize(np.ascontiguousarray(directions[..., c : c + 4]), (_GRID, _GRID), interpolation=cv2.INTER_AREA)
            for c in range(0, _DIRECTIONS, 4)
        ],
        axis=2,
    )
