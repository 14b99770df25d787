"""Tracking faces that move, hide for a moment, cross or leave."""

from collections.abc import Sequence

import numpy as np
import pytest

from facemask.faces.detector import Box
from facemask.inference.video.tracker import Track, Tracker

RATE = 15


def face(x: float, y: float = 200.0, side: float = 60.0, score: float = 0.9) -> Box:
    return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2, score)


def numbers(tracks: Sequence[Track | None]) -> list[int]:
    """Numbers of tracks; -1 for none."""
    return [track.number if track else -1 for track in tracks]


def test_a_face_gets_its_number_in_the_third_picture_and_keeps_it() -> None:
    tracker = Tracker()
    given = [numbers(tracker.follow(i / RATE, [face(100 + 5 * i)])) for i in range(20)]
    assert given == [[0], [0], *[[1]] * 18]


def test_two_faces_keep_their_numbers_in_whatever_order_they_are_found() -> None:
    tracker = Tracker()
    rng = np.random.default_rng(1)
    for i in range(30):
        boxes = [face(100 + 4 * i), face(500 - 4 * i, y=320)]
        order = rng.permutation(2)
        tracks = tracker.follow(i / RATE, [boxes[place] for place in order])
        if i == 2:
            expected = dict(zip(order.tolist(), numbers(tracks), strict=True))
        if i > 2:
            assert dict(zip(order.tolist(), numbers(tracks), strict=True)) == expected
    assert sorted(expected.values()) == [1, 2]


@pytest.mark.parametrize("gap", [1, 5, 12])
def test_a_walking_face_that_is_missed_for_less_than_a_second_keeps_its_number(gap: int) -> None:
    tracker = Tracker()
    for i in range(40):
        boxes = [] if 20 <= i < 20 + gap else [face(50 + 10 * i)]
        tracks = tracker.follow(i / RATE, boxes)
        tracker.forget(i / RATE)
    assert numbers(tracks) == [1]
    assert len(tracker.tracks) == 1


def test_a_face_that_is_away_for_longer_is_another() -> None:
    tracker = Tracker()
    for i in range(60):
        tracks = tracker.follow(i / RATE, [] if 10 <= i < 30 else [face(200)])
        gone = tracker.forget(i / RATE)
        assert numbers(gone) == ([1] if i == 25 else [])
    assert numbers(tracks) == [2]


def test_what_is_seen_once_or_twice_gets_no_number_and_uses_none_up() -> None:
    tracker = Tracker()
    for i in range(40):
        ghosts = [face(500, y=400)] if i % 20 in (4, 5) else []
        tracker.follow(i / RATE, [face(100), *ghosts])
        tracker.forget(i / RATE)
    for i in range(40, 43):
        tracks = tracker.follow(i / RATE, [face(100), face(400)])
    assert numbers(tracks) == [1, 2]


def test_what_is_seen_now_and_then_for_long_gets_no_number() -> None:
    tracker = Tracker()
    for i in range(60):
        tracks = tracker.follow(i / RATE, [face(300)] if i % 3 else [])
        tracker.forget(i / RATE)
        assert set(numbers(tracks)) <= {0}


def test_an_unsure_face_continues_a_track_but_begins_none() -> None:
    tracker = Tracker()
    given = []
    for i in range(30):
        score = 0.9 if 5 <= i < 10 else 0.5
        given += numbers(tracker.follow(i / RATE, [face(100 + 5 * i, score=score)]))
        tracker.forget(i / RATE)
    assert given == [-1] * 5 + [0, 0] + [1] * 23


def test_a_face_that_moves_further_than_its_width_between_pictures_is_followed() -> None:
    tracker = Tracker()
    for i in range(8):
        tracks = tracker.follow(i / 5, [face(40 + 80 * i)])
    assert numbers(tracks) == [1]


def test_faces_that_cross_keep_their_numbers() -> None:
    tracker = Tracker()
    for i in range(41):
        near, far = face(120 + 10 * i, y=200, side=90), face(520 - 10 * i, y=190, side=50)
        hidden = abs(i - 20) <= 2  # the near face covers the far one
        tracks = tracker.follow(i / RATE, [near] if hidden else [near, far])
    assert numbers(tracks) == [1, 2]


def test_two_faces_side_by_side_are_not_swapped_when_one_is_missed() -> None:
    tracker = Tracker()
    for i in range(30):
        left, right = face(200), face(270)
        tracks = tracker.follow(i / RATE, [right] if i % 5 == 4 else [left, right])
        if i > 2:
            assert numbers(tracks) == ([2] if i % 5 == 4 else [1, 2])


def test_a_small_face_is_not_taken_for_a_large_one_at_its_place() -> None:
    tracker = Tracker()
    for i in range(3):
        tracker.follow(i / RATE, [face(200, side=40)])
    for i in range(3, 6):
        tracks = tracker.follow(i / RATE, [face(200, side=200)])
    assert numbers(tracks) == [2]


def test_a_frame_without_faces_is_accepted() -> None:
    tracker = Tracker()
    assert tracker.follow(0.0, []) == []
    assert tracker.forget(5.0) == []
