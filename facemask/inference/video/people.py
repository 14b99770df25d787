"""People in a video: smoothed predictions for each, and counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.faces.detector import Box
from facemask.inference.video.smoothing import SmoothedProbabilities
from facemask.inference.video.tracker import Track, Tracker
from facemask.models.decision import UNCERTAIN, Decision

OUTCOMES = (*CLASSES, UNCERTAIN)

_SECONDS_IN_VIEW = 0.3  # a face missed for less time is still in view


@dataclass(frozen=True)
class Person:
    """A person in view.

    Attributes:
        number: from 1, in order of appearance.
        box: detected position of the face, or the one extrapolated from its motion.
        answer: one of `OUTCOMES`, after smoothing.
        probability: smoothed probability of the predicted class; below its threshold, `answer` is `uncertain`.
    """

    number: int
    box: Box
    answer: str
    probability: float


@dataclass(frozen=True)
class Counts:
    """Counts by outcome; every one of `OUTCOMES` is a key.

    Attributes:
        time: seconds since the first frame.
        in_view: faces in view at that time.
        seen: people seen so far, each under its most frequent outcome. A person who returns after more than a second
            counts again.
    """

    time: float
    in_view: dict[str, int]
    seen: dict[str, int]


@dataclass
class _History:
    """Predictions for one face: smoothed probabilities, current outcome, and the number of frames with each outcome."""

    smoothed: SmoothedProbabilities = field(default_factory=SmoothedProbabilities)
    answer: str = UNCERTAIN
    probability: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)


class People:
    """Tracks the people of one video. Of people who left, only counts are kept."""

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self._tracker = Tracker()
        self._histories: dict[Track, _History] = {}
        self._gone: Counter[str] = Counter()

    def update(self, time: float, boxes: Sequence[Box], probabilities: NDArray[np.float32]) -> None:
        """Process the next frame.

        Args:
            time: time of the frame in seconds, later than the previous one.
            boxes: n detected faces, including those with a low score.
            probabilities: (n, 3), in the order of `CLASSES`.
        """
        for track, row in zip(self._tracker.follow(time, boxes), probabilities, strict=True):
            if track is None:
                continue
            history = self._histories.setdefault(track, _History())
            smoothed = history.smoothed.add(time, row)[None]
            history.answer = self._decision.answers(smoothed)[0]
            history.probability = float(smoothed[0, self._decision.choose(smoothed)[0]])
            history.outcomes[history.answer] += 1
        for track in self._tracker.forget(time):
            history = self._histories.pop(track)
            if track.number:
                self._gone[_most_frequent(history)] += 1

    def in_view(self, time: float) -> list[Person]:
        """Return the people in view at `time`, in seconds, by number."""
        people = [
            Person(track.number, track.expected(time), history.answer, history.probability)
            for track, history in self._histories.items()
            if track.number and time - track.time <= _SECONDS_IN_VIEW
        ]
        return sorted(people, key=lambda person: person.number)

    def counts(self, time: float) -> Counts:
        """Count the people in view at `time`, in seconds, and those seen so far."""
        in_view = Counter(person.answer for person in self.in_view(time))
        here = Counter(_most_frequent(history) for track, history in self._histories.items() if track.number)
        return Counts(
            round(time, 3),
            {answer: in_view[answer] for answer in OUTCOMES},
            {answer: self._gone[answer] + here[answer] for answer in OUTCOMES},
        )


def _most_frequent(history: _History) -> str:
    return history.outcomes.most_common(1)[0][0]
