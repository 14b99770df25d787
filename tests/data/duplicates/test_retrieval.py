"""A copy is among the few pictures that are compared with its photograph, and the same ones are found every time."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks.copies import heavy_copy
from facemask.data.duplicates.local_features import find_keypoints
from facemask.data.duplicates.retrieval import COLUMNS, find_candidates
from facemask.data.sources.sample import draw_sample
from facemask.dataset.decode import decode

COUNT = 20
SEED = 1


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Drawn portraits of different people, without the copies that the sample plants among them."""
    files = draw_sample(per_class=COUNT, seed=3, workers=1)
    return [decode(data) for name, data in files if name.endswith((".jpg", ".png")) and int(Path(name).stem) < COUNT]


@pytest.fixture(scope="module")
def known(portraits: list[np.ndarray]) -> list[np.ndarray]:
    return [find_keypoints(pixels).descriptors for pixels in portraits]


def best_other(candidates: pd.DataFrame, number: int) -> tuple[int, bool]:
    """The candidate that resembles a picture most, and whether as a mirror image."""
    best = candidates[(candidates["first"] == number) | (candidates["second"] == number)].iloc[0]
    return best["first"] + best["second"] - number, best["mirrored"]


@pytest.mark.slow
@pytest.mark.parametrize("mirror", [False, True])
def test_of_all_portraits_the_photograph_is_nearly_always_the_best_candidate_of_its_copy(
    portraits: list[np.ndarray], known: list[np.ndarray], mirror: bool
) -> None:
    asked = list(range(0, 3 * COUNT, 4))
    copies = []
    for number in asked:
        height, width = portraits[number].shape[:2]
        turned = cv2.getRotationMatrix2D((width / 2, height / 2), 15, 1.1)
        pixels = cv2.warpAffine(portraits[number], turned, (width, height))
        copies.append(find_keypoints(np.ascontiguousarray(pixels[:, ::-1]) if mirror else pixels).descriptors)
    candidates = find_candidates([*known, *copies], per_image=4, seed=SEED)
    found = [best_other(candidates, len(known) + position) for position in range(len(asked))]
    assert np.mean([best == (number, mirror) for best, number in zip(found, asked, strict=True)]) > 0.9


def test_most_heavy_copies_are_candidates_of_their_photographs(
    portraits: list[np.ndarray], known: list[np.ndarray]
) -> None:
    rng = np.random.default_rng(1)
    copies = [find_keypoints(heavy_copy(pixels, rng)).descriptors for pixels in portraits]
    candidates = find_candidates([*known, *copies], per_image=10, seed=SEED)
    pairs = set(zip(candidates["first"], candidates["second"], strict=True))
    assert np.mean([(number, len(known) + number) in pairs for number in range(len(known))]) > 0.8


def test_pairs_stand_in_order_and_none_twice(known: list[np.ndarray]) -> None:
    candidates = find_candidates(known, per_image=5, seed=SEED)
    assert list(candidates.columns) == list(COLUMNS)
    assert (candidates["first"] < candidates["second"]).all()
    assert candidates["second"].max() < len(known)
    assert candidates["score"].is_monotonic_decreasing
    assert candidates["score"].between(0, 1 + 1e-6, inclusive="right").all()
    assert not candidates.duplicated(["first", "second", "mirrored"]).any()


def test_no_picture_asks_for_more_others_than_it_may(known: list[np.ndarray]) -> None:
    assert len(find_candidates(known, per_image=3, seed=SEED)) <= 3 * len(known)
    assert len(find_candidates(known[:4], per_image=100, seed=SEED)) <= 2 * 6


def test_the_same_pictures_give_the_same_candidates(known: list[np.ndarray]) -> None:
    first, second = (find_candidates([rows.copy() for rows in known], per_image=5, seed=SEED) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_equal_pictures_are_each_others_best_candidates(known: list[np.ndarray]) -> None:
    candidates = find_candidates([*known, known[7]], per_image=2, seed=SEED)
    assert tuple(candidates.loc[0, ["first", "second", "mirrored"]]) == (7, len(known), False)
    assert candidates.loc[0, "score"] > 0.5


def test_pictures_without_texture_are_nobodys_candidates(known: list[np.ndarray]) -> None:
    nothing = np.zeros((0, 128), np.uint8)
    candidates = find_candidates([nothing, *known[:9], nothing], per_image=5, seed=SEED)
    assert len(candidates) > 0
    assert not candidates[["first", "second"]].isin([0, 10]).any(axis=None)


def test_nothing_two_flat_pictures_or_one_picture_have_no_candidates(known: list[np.ndarray]) -> None:
    nothing = np.zeros((0, 128), np.uint8)
    for descriptors in ([], [known[0]], [nothing, nothing], [nothing]):
        candidates = find_candidates(descriptors, per_image=5, seed=SEED)
        assert list(candidates.columns) == list(COLUMNS)
        assert len(candidates) == 0


@pytest.mark.parametrize("count", [1, 2])
def test_pictures_with_a_single_keypoint_do_no_harm(known: list[np.ndarray], count: int) -> None:
    few = [rows[:count] for rows in known[:2]]
    candidates = find_candidates(few, per_image=5, seed=SEED)
    assert (candidates["first"] < candidates["second"]).all()
