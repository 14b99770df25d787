"""Keypoints come back from the disk as they were put there, and the disk is free afterwards."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facemask.data.duplicates.keypoint_file import KeypointFile, RowFile
from facemask.data.duplicates.local_features import Keypoints, find_keypoints

PARTS = ("grey", "places", "sizes", "angles", "descriptors")


@pytest.fixture(scope="module")
def known() -> list[Keypoints]:
    """Of noise in pictures of several shapes, and of one without any texture."""
    rng = np.random.default_rng(1)
    shapes = [(60, 90), (1, 1), (90, 60), (1, 300), (16, 2000), (200, 200)]
    pictures = [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]
    return [find_keypoints(pixels) for pixels in [*pictures, np.zeros((40, 40, 3), np.uint8)]]


def assert_equal(first: Keypoints, second: Keypoints) -> None:
    for part in PARTS:
        one, other = getattr(first, part), getattr(second, part)
        assert (one.dtype, one.flags.c_contiguous) == (other.dtype, other.flags.c_contiguous)
        np.testing.assert_array_equal(one, other)


def test_keypoints_come_back_as_they_were_in_any_order(tmp_path: Path, known: list[Keypoints]) -> None:
    assert {len(points.places) > 0 for points in known} == {True, False}
    with KeypointFile(tmp_path) as file:
        for points in known:
            file.append(points)
        assert len(file) == len(known)
        for number in (*range(len(known)), *reversed(range(len(known)))):
            assert_equal(file[number], known[number])


def test_what_is_added_after_reading_stands_at_the_end(tmp_path: Path, known: list[Keypoints]) -> None:
    with KeypointFile(tmp_path) as file:
        for points in known:
            file.append(points)
            assert_equal(file[0], known[0])
        for number, points in enumerate(known):
            assert_equal(file[number], points)


def test_the_descriptors_of_all_pictures_stand_one_after_the_other(tmp_path: Path, known: list[Keypoints]) -> None:
    with KeypointFile(tmp_path) as file:
        for points in known:
            file.append(points)
        stacked = file.descriptors.read(slice(0, file.descriptors.length))
        parts = np.split(stacked, file.ends[1:-1])
    np.testing.assert_array_equal(stacked, np.concatenate([points.descriptors for points in known]))
    assert [len(part) for part in parts] == [len(points.descriptors) for points in known]


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    with RowFile(tmp_path, 3, np.int32) as file, ThreadPoolExecutor(8) as pool:
        file.append(np.arange(3000).reshape(-1, 3))
        read = pool.map(lambda start: file.read(slice(start, start + 20)), [*range(0, 980, 7)] * 20)
        for start, rows in zip([*range(0, 980, 7)] * 20, read, strict=True):
            np.testing.assert_array_equal(rows.ravel(), np.arange(3 * start, 3 * start + 60))


def test_the_files_have_no_names(tmp_path: Path, known: list[Keypoints]) -> None:
    with KeypointFile(tmp_path) as file:
        file.append(known[0])
        assert list(tmp_path.iterdir()) == []
