"""Following faces from frame to frame: boxes in, numbered tracks out.

As in SORT (A. Bewley et al., "Simple online and realtime tracking", ICIP 2016, https://arxiv.org/abs/1602.00763), each
face is looked for where its motion takes it, and all are assigned at once. The distance counts in place of the overlap:
a face is small, and between two frames it often moves further than its own width. As in ByteTrack (Y. Zhang et al.,
ECCV 2022, https://arxiv.org/abs/2110.06864), a face that the detector is not sure of continues a track but begins none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from facemask.faces.defaults import MIN_SCORE
from facemask.faces.detector import Box

_REACH = 1.5  # in sides of a face: what is further from where it is expected is another face
_FRAMES_TO_BELIEVE = 3  # running; what the detector takes for a face in one or two frames is often none
_SECONDS_TO_FORGET = 1.0  # a face that is turned away or covered for less keeps its number
_AGILITY = 0.5  # weight of the last step in the mean motion


@dataclass(eq=False)
class Track:
    """One face, for as long as it is followed.

    Attributes:
        box: where it was seen last.
        time: when that was, in seconds.
        frames: in how many frames it was seen.
        number: from 1 on, in the order in which faces were believed to be faces; 0 until then.
        motion: float64 (2,), right and down, in pixels a second.
    """

    box: Box
    time: float
    frames: int
    number: int
    motion: NDArray[np.float64]

    def expected(self, time: float) -> Box:
        """Where the face should be at `time`, in seconds, if it goes on as before."""
        right, down = self.motion * (time - self.time)
        box = self.box
        return Box(box.left + right, box.top + down, box.right + right, box.bottom + down, box.score)


class Tracker:
    """Tells which face of a frame is which of the frame before.

    Attributes:
        tracks: the faces that are followed now.
    """

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._believed = 0

    def follow(self, time: float, boxes: Sequence[Box]) -> list[Track | None]:
        """Give each face of the next frame its track: one that was followed before, or a new one.

        Args:
            time: of the frame, in seconds, later than that of the last one.
            boxes: the faces in the frame, those too that the detector is not sure of.

        Returns:
            The track of each box, in their order. It gets its number in the third frame running in which the detector
            is sure of it. None for an unsure box that continues no track with a number.
        """
        return [self._continue(time, box, track) for box, track in zip(boxes, self._match(time, boxes), strict=True)]

    def forget(self, time: float) -> list[Track]:
        """Give up the faces that by `time` have not been seen for over a second, or never got a number; return them."""
        gone = [track for track in self.tracks if time - track.time > (_SECONDS_TO_FORGET if track.number else 0)]
        self.tracks = [track for track in self.tracks if track not in gone]
        return gone

    def _continue(self, time: float, box: Box, track: Track | None) -> Track | None:
        """Add a box to the track that it was matched with, or to a new one."""
        if box.score < MIN_SCORE and not (track and track.number):
            return None
        if track is None:
            track = Track(box, time, 0, 0, np.zeros(2))
            self.tracks.append(track)
        else:
            step = (_places([box])[0] - _places([track.box])[0]) / (time - track.time)
            track.motion += _AGILITY * (step - track.motion)
            track.box, track.time = box, time
        track.frames += 1
        if track.frames == _FRAMES_TO_BELIEVE:
            self._believed += 1
            track.number = self._believed
        return track

    def _match(self, time: float, boxes: Sequence[Box]) -> list[Track | None]:
        """Assign tracks to boxes so that the faces have moved as little as possible; None for a face that is new."""
        matched: list[Track | None] = [None] * len(boxes)
        if not boxes or not self.tracks:
            return matched
        distances = _distances([track.expected(time) for track in self.tracks], boxes)
        for row, column in zip(*linear_sum_assignment(np.minimum(distances, _REACH)), strict=True):
            if distances[row, column] < _REACH:
                matched[column] = self.tracks[row]
        return matched


def _distances(expected: Sequence[Box], boxes: Sequence[Box]) -> NDArray[np.float64]:
    """How far n faces are from m, in place and in size, in sides of a face: (n, m)."""
    gaps = _places(boxes)[None] - _places(expected)[:, None]
    sizes, others = (np.array([box.side for box in group]) for group in (expected, boxes))
    scales = np.sqrt(sizes[:, None] * others[None])
    return np.asarray(np.linalg.norm(gaps, axis=2) / scales + np.abs(np.log(others[None] / sizes[:, None])))


def _places(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Middles of n boxes: (n, 2)."""
    return np.array([((box.left + box.right) / 2, (box.top + box.bottom) / 2) for box in boxes])
