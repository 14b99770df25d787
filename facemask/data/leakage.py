"""Leakage check: copies of training images in val and test, found independently of the grouping.

`facemask.data.duplicates.grouping` matches local features. Here whole pictures are compared, so that what one way
overlooks has a chance to be seen by the other:

1. A picture becomes a coarse map of edge directions, 16 directions in 6 x 6 places, made even in contrast (histograms
   of oriented gradients, Dalal and Triggs 2005). Blurred over a fifth of the picture, it hardly minds a shift.
2. The map of every validation and test picture is turned through the full circle, mirrored and zoomed, and compared
   with the maps of all training pictures by one matrix product per turn. The best few training pictures are candidates.
3. Each candidate is laid over the picture by the affine transform that correlates the two best (ECC, Evangelidis and
   Psarakis 2008). What counts is how far their fine structure then agrees where they overlap.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import chain, product

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from facemask.core.errors import FacemaskError
from facemask.core.params import LeakParams
from facemask.core.progress import track
from facemask.core.tables import TableSchema, text_columns
from facemask.dataset.archive import Archive
from facemask.dataset.batches import read_image

LEAKS = TableSchema(
    {**text_columns("id", "part", "train_id"), "similarity": "float64", "suspicious": "bool"}, stage="split"
)
CHECKED_PARTS = ("val", "test")

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
Turn = tuple[bool, int, float]  # whether mirrored, steps of direction, zoom

_SIDE = 64  # pixels of the picture that everything is computed from
_HALF = 32
_GRID = 6
_DIRECTIONS = 16  # turning a picture by one of them moves its map's channels by one
_ZOOMS = (0.7, 1.0)
_CANDIDATES = 6
_BLOCK = 128
_WORKERS = 2
_ITERATIONS = 40
_PRECISION = 1e-3
# Agreement at half size, after each of two alignments, below which a candidate is given up.
_HOPELESS = (0.6, 0.7)
_LEAST_OVERLAP = 0.3
_LEAST_AREA, _LARGEST_AREA = 1 / 6, 6.0  # of one picture in terms of the other; beyond, an alignment has collapsed


def similar_pairs(archive: Archive, table: pd.DataFrame, settings: LeakParams) -> pd.DataFrame:
    """Find the most similar training image of each validation and test image.

    Args:
        archive: holds the images.
        table: one row per image, with the columns `id` and `part`; the order of rows does not matter.
        settings: from which similarity on a pair is suspicious, and how many pairs are shown in any case.

    Returns:
        One row per suspicious pair, and more until the `settings.shown` most similar ones are there, with the columns
        `COLUMNS`: `similarity` (float64, 4 decimals) is 1 for the same picture and near 0 for pictures that have
        nothing in common, `suspicious` is bool. The most similar pair is first, equal ones are in the order of ids.
    """
    train = sorted(table.loc[table["part"] == "train", "id"])
    checked = table[table["part"].isin(CHECKED_PARTS)].sort_values("id")
    found = _most_similar(archive, list(checked["id"]), train) if train else []
    rows = [
        (name, part, train[other], similarity)
        for name, part, (other, similarity) in zip(checked["id"], checked["part"], found, strict=bool(train))
    ]
    pairs = pd.DataFrame(rows, columns=LEAKS.columns[:-1]).astype({"similarity": "float64"})
    pairs["suspicious"] = pairs["similarity"] >= settings.similarity
    pairs = pairs.sort_values(["similarity", "id"], ascending=[False, True], ignore_index=True)
    return pairs[pairs["suspicious"] | (pairs.index < settings.shown)]


def check_leaks(pairs: pd.DataFrame, settings: LeakParams) -> int:
    """Count the suspicious pairs.

    Args:
        pairs: as `similar_pairs` gives them; already written to `data/leaks.csv`, where the message sends people.
        settings: how many are allowed.

    Raises:
        FacemaskError: there are more.
    """
    suspicious = pairs[pairs["suspicious"]]
    if len(suspicious) > settings.limit:
        first = suspicious.iloc[0]
        raise FacemaskError(
            f"{len(suspicious)} validation or test images look like copies of training images (split.leaks.limit is "
            f"{settings.limit}), first {first['id']} like {first['train_id']} (similarity {first['similarity']:.2f}). "
            "data/leaks.csv lists them all: look at them, and take copies out of the data, or if they are different "
            "photographs, raise split.leaks.similarity or split.leaks.limit in params.yaml"
        )
    return len(suspicious)


def _most_similar(archive: Archive, checked: Sequence[str], train: Sequence[str]) -> list[tuple[int, float]]:
    """Return (position in `train`, similarity) for each name of `checked`."""
    # Each thread has a block of pictures to itself; BLAS with threads of its own would only get in their way.
    with ThreadPoolExecutor(_WORKERS) as pool, threadpool_limits(limits=1, user_api="blas"):
        names = [*train, *checked]
        grey = np.empty((len(names), _SIDE, _SIDE), np.uint8)
        reading = pool.map(lambda name: _grey(read_image(archive, name, _SIDE)), names)
        for place, picture in enumerate(track(reading, len(names), "Reading images for the leak check")):
            grey[place] = picture
        trained, others = grey[: len(train)], grey[len(train) :]
        maps = _Maps(trained, pool)

        def look(block: NDArray[np.uint8]) -> list[tuple[int, float]]:
            candidates = maps.candidates(block)
            return [_best(picture, trained, those) for picture, those in zip(block, candidates, strict=True)]

        blocks = [others[start : start + _BLOCK] for start in range(0, len(others), _BLOCK)]
        found = chain.from_iterable(pool.map(look, blocks))
        return list(track(found, len(others), "Looking for leaks"))


def _grey(pixels: NDArray[np.uint8]) -> Grey:
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


# --- candidates ------------------------------------------------------------------------------------------------------


def _linear(mirrored: bool, steps: int, zoom: float) -> NDArray[np.float64]:
    """Return the matrix (2, 2) from places in the rotated image to places in the image; the middle is at 0."""
    angle = 2 * np.pi * steps / _DIRECTIONS
    cos, sin = np.cos(angle), np.sin(angle)
    mirror = -1 if mirrored else 1
    return np.array([[mirror * cos, -mirror * sin], [sin, cos]]) / zoom


class _Maps:
    """The maps of all training pictures, to be compared with those of other pictures.

    A map is the sum of an even part, which stays when the picture is turned upside down, and an odd part, which
    changes its sign. Two pictures agree by what their even parts agree and what their odd parts do, and when one is
    turned upside down, by the difference of the two. So half of the circle is enough, and half of each part's numbers.
    """

    def __init__(self, trained: NDArray[np.uint8], pool: ThreadPoolExecutor) -> None:
        grid = (np.arange(_GRID) + 0.5) * 2 / _GRID - 1
        places = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
        inside = (places**2).sum(axis=1) < 1  # a disc, since corners leave the picture when it is turned
        self._turns = list(product((False, True), range(_DIRECTIONS // 2), _ZOOMS))
        sources = np.stack([places[inside] @ _linear(*turn).T for turn in self._turns])  # (turns, places, 2), -1 to 1
        self._masks = (np.abs(sources) < 1).all(axis=2).astype(np.float32)
        self._sources = ((sources + 1) * _HALF / 2 - 0.5).astype(np.float32)  # in pixels of `_directions`
        self._rolls = np.stack([_rolled(mirrored, steps) for mirrored, steps, _ in self._turns])

        cells = np.stack([*pool.map(lambda picture: _shrunk(_directions(picture)), trained)])
        cells = cells.reshape(len(trained), -1, _DIRECTIONS)[:, inside]
        self._mean = np.float32(cells.mean(dtype=np.float64))
        cells -= self._mean
        # By turn and training picture: one over the length of what of its map lies inside the turned picture.
        self._scales = 1 / np.sqrt(self._masks @ (cells**2).sum(axis=2).T + 1e-6)
        self._even, self._odd = _parts(cells)

    def candidates(self, pictures: NDArray[np.uint8]) -> list[list[tuple[int, Turn]]]:
        """Return, for each image, the places of the most similar training images and their rotations."""
        even, odd = _parts(np.stack([self._turned(picture) for picture in pictures]))
        best = np.full((len(pictures), len(self._even)), -1, np.float32)
        likeness, share = np.empty_like(best), np.empty_like(best)
        for turn, scale in enumerate(self._scales):
            np.matmul(odd[:, turn], self._odd.T, out=share)
            np.matmul(even[:, turn], self._even.T, out=likeness)
            likeness += np.abs(share, out=share)
            likeness *= scale
            np.maximum(best, likeness, out=best)
        count = min(_CANDIDATES, best.shape[1])
        found = []
        for place, row in enumerate(best):
            nearest = np.sort(np.argpartition(-row, count - 1)[:count])
            by_even, by_odd = even[place] @ self._even[nearest].T, odd[place] @ self._odd[nearest].T
            by_turn = np.stack([by_even + by_odd, by_even - by_odd]) * self._scales[:, nearest]
            turns = by_turn.reshape(-1, count).argmax(axis=0)
            found.append([(int(n), self._turn(int(turn))) for n, turn in zip(nearest, turns, strict=True)])
        return found

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
    """Return blurred edge strength by direction: float32 (_HALF, _HALF, _DIRECTIONS)."""
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
    spread = np.zeros((_SIDE, _SIDE, _DIRECTIONS), np.float32)
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


# --- agreement of two pictures ---------------------------------------------------------------------------------------


def _best(picture: Grey, trained: NDArray[np.uint8], candidates: Sequence[tuple[int, Turn]]) -> tuple[int, float]:
    """Return (place in `trained`, similarity) of the most similar candidate."""
    layers = _Layers(picture)
    agreements = [_agreement(layers, _Layers(trained[place]), turn) for place, turn in candidates]
    best = int(np.argmax(agreements))
    return candidates[best][0], agreements[best]


class _Layers:
    """Structure of a picture, made when it is asked for: coarse and fine at half size, and fine."""

    def __init__(self, picture: Grey) -> None:
        self._picture = picture
        self._half = cv2.resize(picture, (_HALF, _HALF), interpolation=cv2.INTER_AREA)

    @cached_property
    def half_coarse(self) -> Floats:
        return _structure(self._half, 1.5, 6)

    @cached_property
    def half_fine(self) -> Floats:
        return _structure(self._half, 0.7, 4)

    @cached_property
    def fine(self) -> Floats:
        return _structure(self._picture, 0.7, 3)


def _agreement(picture: _Layers, trained: _Layers, turn: Turn) -> float:
    """Return the agreement of two images in their fine structure at the best alignment, 0 to 1.

    The alignment starts from `turn`.
    """
    linear = _linear(*turn)
    middle = np.full(2, (_HALF - 1) / 2)
    warp = np.column_stack([linear, middle - linear @ middle]).astype(np.float32)
    try:
        _, warp = _aligned(trained.half_coarse, picture.half_coarse, warp, 3)
        if _correlation(trained.half_fine, picture.half_fine, warp) < _HOPELESS[0]:
            return 0.0
        likeness, warp = _aligned(trained.half_fine, picture.half_fine, warp, 1)
        if likeness < _HOPELESS[1]:
            return 0.0
        # At twice the size the middle of pixel x lies at 2 x + 1/2.
        warp[:, 2] = 2 * warp[:, 2] + (1 - warp[:, :2].sum(axis=1)) / 2
        _, warp = _aligned(trained.fine, picture.fine, warp, 1)
    except cv2.error:  # what ECC says of pictures that it can't align
        return 0.0
    return round(max(_correlation(trained.fine, picture.fine, warp), 0.0), 4)


def _structure(grey: Grey, fine: float, coarse: float) -> Floats:
    """Detail between two scales (standard deviations in pixels), made even in contrast over the picture."""
    level = grey.astype(np.float32)
    detail = cv2.GaussianBlur(level, (0, 0), fine, borderType=cv2.BORDER_REFLECT)
    detail -= cv2.GaussianBlur(level, (0, 0), coarse, borderType=cv2.BORDER_REFLECT)
    contrast = np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), coarse, borderType=cv2.BORDER_REFLECT))
    return detail / (contrast + np.float32(2))  # two grey levels, so that noise in flat areas stays small


def _disc(side: int) -> NDArray[np.uint8]:
    grid = (np.arange(side) + 0.5) * 2 / side - 1
    return (grid**2 + grid[:, np.newaxis] ** 2 < 1).astype(np.uint8)


def _aligned(trained: Floats, picture: Floats, warp: Floats, smoothing: int) -> tuple[float, Floats]:
    """Return the correlation (-1 to 1) and its affine transform (2, 3), optimised from `warp`."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, _PRECISION)
    mask = _disc(len(picture))
    return cv2.findTransformECC(trained, picture, warp, cv2.MOTION_AFFINE, criteria, mask, smoothing)


def _correlation(trained: Floats, picture: Floats, warp: Floats) -> float:
    """Correlate where the two discs overlap, -1 to 1; 0 if they hardly do or the warp is no likely one."""
    side = len(picture)
    disc = _disc(side)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    overlap = (cv2.warpAffine(disc, warp, (side, side), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP) & disc) > 0
    area = abs(float(warp[0, 0] * warp[1, 1] - warp[0, 1] * warp[1, 0]))
    if overlap.sum() < _LEAST_OVERLAP * disc.sum() or not _LEAST_AREA < area < _LARGEST_AREA:
        return 0.0
    a = trained[overlap].astype(np.float64)
    b = cv2.warpAffine(picture, warp, (side, side), flags=flags)[overlap].astype(np.float64)
    a -= a.mean()
    b -= b.mean()
    return float(a @ b / max(np.sqrt((a @ a) * (b @ b)), 1e-9))
