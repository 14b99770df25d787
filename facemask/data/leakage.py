"""Leakage check: copies of training images in val and test, found independently of the grouping.

`facemask.data.duplicates.grouping` matches local features. Here whole pictures are compared, so that what one way
overlooks has a chance to be seen by the other:

1. A picture becomes a coarse map of edge directions, 16 directions in 6 x 6 places, made even in contrast (histograms
   of oriented gradients, Dalal and Triggs 2005). Blurred over a fifth of the picture, it hardly minds a shift.
2. The map of every validation and test picture is turned through the full circle, mirrored and zoomed, and compared
   with the maps of the training pictures; of many, with those that an index of descriptors nominates. The best few are
   candidates (`facemask.data.leak_candidates`).
3. Each candidate is laid over the picture by the affine transform that correlates the two best (ECC, Evangelidis and
   Psarakis 2008). What counts is how far their fine structure then agrees where they overlap.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import chain

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from facemask.core.errors import FacemaskError
from facemask.core.params import LeakParams
from facemask.core.progress import track
from facemask.core.tables import TableSchema, text_columns
from facemask.data.leak_candidates import HALF, SIDE, Candidates, Floats, Grey, Search, Turn, linear
from facemask.dataset.archive import Archive
from facemask.dataset.batches import read_image

LEAKS = TableSchema(
    {**text_columns("id", "part", "train_id"), "similarity": "float64", "suspicious": "bool"}, stage="split"
)
CHECKED_PARTS = ("val", "test")

_BLOCK = 128
_WORKERS = 2
_ITERATIONS = 40
_PRECISION = 1e-3
# Agreement at half size, after each of two alignments, below which a candidate is given up.
_HOPELESS = (0.6, 0.7)
_LEAST_OVERLAP = 0.3
_LEAST_AREA, _LARGEST_AREA = 1 / 6, 6.0  # of one picture in terms of the other; beyond, an alignment has collapsed


def similar_pairs(
    archive: Archive, table: pd.DataFrame, settings: LeakParams, search: Search | None = None
) -> pd.DataFrame:
    """Find the most similar training image of each validation and test image.

    Args:
        archive: holds the images.
        table: one row per image, with the columns `id` and `part`; the order of rows does not matter.
        settings: from which similarity on a pair is suspicious, and how many pairs are shown in any case.
        search: how candidates are looked for; by default as fits the number of training images.

    Returns:
        One row per suspicious pair, and more until the `settings.shown` most similar ones are there, with the columns
        `COLUMNS`: `similarity` (float64, 4 decimals) is 1 for the same picture and near 0 for pictures that have
        nothing in common, `suspicious` is bool. The most similar pair is first, equal ones are in the order of ids.
    """
    train = sorted(table.loc[table["part"] == "train", "id"])
    checked = table[table["part"].isin(CHECKED_PARTS)].sort_values("id")
    found = _most_similar(archive, list(checked["id"]), train, search) if train else []
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


def _most_similar(
    archive: Archive, checked: Sequence[str], train: Sequence[str], search: Search | None
) -> list[tuple[int, float]]:
    """Return (position in `train`, similarity) for each name of `checked`."""

    def read(name: str) -> Grey:
        return cv2.cvtColor(read_image(archive, name, SIDE), cv2.COLOR_RGB2GRAY)

    # Each thread has a block of pictures to itself; BLAS with threads of its own would only get in their way.
    with ThreadPoolExecutor(_WORKERS) as pool, threadpool_limits(limits=1, user_api="blas"):
        trained = np.empty((len(train), SIDE, SIDE), np.uint8)
        for place, picture in enumerate(track(pool.map(read, train), len(train), "Reading images for the leak check")):
            trained[place] = picture
        candidates = Candidates(trained, pool, search)

        def look(names: Sequence[str]) -> list[tuple[int, float]]:
            pictures = np.stack([read(name) for name in names])
            return [
                _best(picture, trained, those)
                for picture, those in zip(pictures, candidates.find(pictures), strict=True)
            ]

        blocks = [checked[start : start + _BLOCK] for start in range(0, len(checked), _BLOCK)]
        found = chain.from_iterable(pool.map(look, blocks))
        return list(track(found, len(checked), "Looking for leaks"))


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
        self._half = cv2.resize(picture, (HALF, HALF), interpolation=cv2.INTER_AREA)

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
    rotation = linear(*turn)
    middle = np.full(2, (HALF - 1) / 2)
    warp = np.column_stack([rotation, middle - rotation @ middle]).astype(np.float32)
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
