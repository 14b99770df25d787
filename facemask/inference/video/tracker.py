"""Track faces from frame to frame.

As in SORT (A. Bewley et al., "Simple online and realtime tracking", ICIP 2016, https://arxiv.org/abs/1602.00763), the
position of each face is predicted from its motion, and boxes are assigned to tracks jointly. Distance replaces overlap:
faces are small, and often move further than their width between two frames. As in ByteTrack (Y. Zhang et al., ECCV
2022, https://arxiv.org/abs/2110.06864), a box with a low score can continue a track but not start one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from facemask.faces.defaults import MIN_SCORE
from facemask.faces.detector import Box

_REACH = 1.5  # in sides of a face: the largest distance between predicted and detected position
_FRAMES_TO_CONFIRM = 3  # in a row; detections in one or two frames are often false
_SECONDS_TO_FORGET = 1.0  # a face that is lost for less time keeps its number
_MOMENTUM_STEP = 0.5  # weight of the last step in the running mean of the motion


@dataclass(eq=False)
class Track:
    """Track of one face.

    Attributes:
        box: last detected position.
        time: time of that detection, in seconds.
        frames: number of frames with a detection.
        number: from 1, in the order of confirmation; 0 until then.
        motion: float64 (2,), right and down, in pixels per second.
    """

    box: Box
    time: float
    frames: int
    number: int
    motion: NDArray[np.float64]

    def expected(self, time: float) -> Box:
        """Return the position extrapolated to `time`, in seconds."""
        right, down = self.motion * (time - self.time)
        box = self.box
        return Box(box.left + right, box.top + down, box.right + right, box.bottom + down, box.score)


class Tracker:
    """Assigns the faces of each frame to tracks.

    Attributes:
        tracks: the current tracks.
    """

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._confirmed = 0

    def follow(self, time: float, boxes: Sequence[Box]) -> list[Track | None]:
        """Assign each face of the next frame to an existing or a new track.

        Args:
            time: time of the frame in seconds, later than the previous one.
            boxes: the detected faces, including those with a low score.

        Returns:
            The track of each box. A track gets its number in the third frame in a row with a high score. None for a
            box with a low score that continues no numbered track.
        """
        return [self._continue(time, box, track) for box, track in zip(boxes, self._match(time, boxes), strict=True)]

    def forget(self, time: float) -> list[Track]:
        """Remove and return tracks not seen for over a second at `time`, and those that were not confirmed."""
        gone = [track for track in self.tracks if time - track.time > (_SECONDS_TO_FORGET if track.number else 0)]
        self.tracks = [track for track in self.tracks if track not in gone]
        return gone

    def _continue(self, time: float, box: Box, track: Track | None) -> Track | None:
        """Add a box to its matched track, or to a new one."""
        if box.score < MIN_SCORE and not (track and track.number):
            return None
        if track is None:
            track = Track(box, time, 0, 0, np.zeros(2))
            self.tracks.append(track)
        else:
            step = (_places([box])[0] - _places([track.box])[0]) / (time - track.time)
            track.motion += _MOMENTUM_STEP * (step - track.motion)
            track.box, track.time = box, time
        track.frames += 1
        if track.frames == _FRAMES_TO_CONFIRM:
            self._confirmed += 1
            track.number = self._confirmed
        return track

    def _match(self, time: float, boxes: Sequence[Box]) -> list[Track | None]:
        """Return the track of each box with the smallest total distance; None for a new face."""
        matched: list[Track | None] = [None] * len(boxes)
        if not boxes or not self.tracks:
            return matched
        distances = _distances([track.expected(time) for track in self.tracks], boxes)
        for row, column in zip(*linear_sum_assignment(np.minimum(distances, _REACH)), strict=True):
            if distances[row, column] < _REACH:
                matched[column] = self.tracks[row]
        return matched


def _distances(expected: Sequence[Box], boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Return distances in position and size between n and m faces, in sides of a face: (n, m)."""
    gaps = _places(boxes)[None] - _places(expected)[:, None]
    sizes, others = (np.array([box.side for box in group]) for group in (expected, boxes))
    scales = np.sqrt(sizes[:, None] * others[None])
    return np.asarray(np.linalg.norm(gaps, axis=2) / scales + np.abs(np.log(others[None] / sizes[:, None])))


def _places(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Return the centres of n boxes: (n, 2)."""
    return np.array([((box.left + box.right) / 2, (box.top + box.bottom) / 2) for box in boxes])
