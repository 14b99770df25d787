"""A copy is among the few pictures that are compared with its photograph, and the same ones are found every time."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks.copies import heavy_copy
from facemask.data.duplicates import retrieval
from facemask.data.duplicates.keypoint_file import KeypointFile
from facemask.data.duplicates.local_features import Keypoints, find_keypoints
from facemask.data.duplicates.retrieval import COLUMNS, Portions, find_candidates
from facemask.data.sources.sample import draw_sample
from facemask.dataset.decode import decode

COUNT = 20
SEED = 1

Find = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Drawn portraits of different people, without the copies that the sample plants among them."""
    files = draw_sample(per_class=COUNT, seed=3, workers=1)
    return [decode(data) for name, data in files if name.endswith((".jpg", ".png")) and int(Path(name).stem) < COUNT]


@pytest.fixture(scope="module")
def known(portraits: list[np.ndarray]) -> list[np.ndarray]:
    return [find_keypoints(pixels).descriptors for pixels in portraits]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    def find(descriptors: Sequence[np.ndarray], per_image: int, portions: Portions | None = None) -> pd.DataFrame:
        with KeypointFile(tmp_path) as keypoints:
            for rows in descriptors:
                sizes = np.ones(len(rows), np.float32)
                keypoints.append(
                    Keypoints(np.zeros((8, 8), np.uint8), np.ones((len(rows), 2), np.float32), sizes, sizes, rows)
                )
            return find_candidates(keypoints, per_image, SEED, tmp_path, portions)

    return find


def best_other(candidates: pd.DataFrame, number: int) -> tuple[int, bool]:
    """The candidate that resembles a picture most, and whether as a mirror image."""
    best = candidates[(candidates["first"] == number) | (candidates["second"] == number)].iloc[0]
    return best["first"] + best["second"] - number, best["mirrored"]


@pytest.mark.slow
@pytest.mark.parametrize("mirror", [False, True])
def test_of_all_portraits_the_photograph_is_nearly_always_the_best_candidate_of_its_copy(
    portraits: list[np.ndarray], find: Find, known: list[np.ndarray], mirror: bool
) -> None:
    asked = list(range(0, 3 * COUNT, 4))
    copies = []
    for number in asked:
        height, width = portraits[number].shape[:2]
        turned = cv2.getRotationMatrix2D((width / 2, height / 2), 15, 1.1)
        pixels = cv2.warpAffine(portraits[number], turned, (width, height))
        copies.append(find_keypoints(np.ascontiguousarray(pixels[:, ::-1]) if mirror else pixels).descriptors)
    candidates = find([*known, *copies], 4)
    found = [best_other(candidates, len(known) + position) for position in range(len(asked))]
    assert np.mean([best == (number, mirror) for best, number in zip(found, asked, strict=True)]) > 0.9


@pytest.mark.parametrize("fewest", [256, 4], ids=["as of few pictures", "grown as of many"])
def test_most_heavy_copies_are_candidates_of_their_photographs(
    portraits: list[np.ndarray], find: Find, known: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, fewest: int
) -> None:
    monkeypatch.setattr(retrieval, "_FEWEST_CELLS", fewest)
    rng = np.random.default_rng(1)
    copies = [find_keypoints(heavy_copy(pixels, rng)).descriptors for pixels in portraits]
    candidates = find([*known, *copies], 10)
    pairs = set(zip(candidates["first"], candidates["second"], strict=True))
    assert np.mean([(number, len(known) + number) in pairs for number in range(len(known))]) > 0.8


def test_pairs_stand_in_order_and_none_twice(find: Find, known: list[np.ndarray]) -> None:
    candidates = find(known, 5)
    assert list(candidates.columns) == list(COLUMNS)
    assert (candidates["first"] < candidates["second"]).all()
    assert candidates["second"].max() < len(known)
    assert candidates["score"].is_monotonic_decreasing
    assert candidates["score"].between(0, 1 + 1e-6, inclusive="right").all()
    assert not candidates.duplicated(["first", "second", "mirrored"]).any()


def test_no_picture_asks_for_more_others_than_it_may(find: Find, known: list[np.ndarray]) -> None:
    assert len(find(known, 3)) <= 3 * len(known)
    assert len(find(known[:4], 100)) <= 2 * 6


def test_the_same_pictures_give_the_same_candidates(find: Find, known: list[np.ndarray]) -> None:
    first, second = (find([rows.copy() for rows in known], 5) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(
    "portions", [Portions(asking=7), Portions(answering=1), Portions(answering=13), Portions(1000, 1, 59)], ids=str
)
def test_small_portions_find_what_one_large_portion_finds(
    find: Find, known: list[np.ndarray], portions: Portions
) -> None:
    pictures = [*known, np.zeros((0, 128), np.uint8), *known[:4]]
    pd.testing.assert_frame_equal(find(pictures, 5, portions), find(pictures, 5))


def test_equal_pictures_are_each_others_best_candidates(find: Find, known: list[np.ndarray]) -> None:
    candidates = find([*known, known[7]], 2)
    assert tuple(candidates.loc[0, ["first", "second", "mirrored"]]) == (7, len(known), False)
    assert candidates.loc[0, "score"] > 0.5


def test_pictures_without_texture_are_nobodys_candidates(find: Find, known: list[np.ndarray]) -> None:
    nothing = np.zeros((0, 128), np.uint8)
    candidates = find([nothing, *known[:9], nothing], 5)
    assert len(candidates) > 0
    assert not candidates[["first", "second"]].isin([0, 10]).any(axis=None)


def test_nothing_two_flat_pictures_or_one_picture_have_no_candidates(find: Find, known: list[np.ndarray]) -> None:
    nothing = np.zeros((0, 128), np.uint8)
    for descriptors in ([], [known[0]], [nothing, nothing], [nothing]):
        candidates = find(descriptors, 5)
        assert list(candidates.columns) == list(COLUMNS)
        assert len(candidates) == 0


@pytest.mark.parametrize("count", [1, 2])
def test_pictures_with_a_single_keypoint_do_no_harm(find: Find, known: list[np.ndarray], count: int) -> None:
    few = [rows[:count] for rows in known[:2]]
    candidates = find(few, 5)
    assert (candidates["first"] < candidates["second"]).all()
