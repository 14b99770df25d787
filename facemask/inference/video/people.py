"""The people in a video: what is said of each, steadied over time, and how many there are and were."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.faces.detector import Box
from facemask.inference.video.smoothing import SteadyProbabilities
from facemask.inference.video.tracker import Track, Tracker
from facemask.models.decision import UNCERTAIN, Decision

OUTCOMES = (*CLASSES, UNCERTAIN)

_SECONDS_IN_VIEW = 0.3  # a face that the detector misses for less is still there


@dataclass(frozen=True)
class Person:
    """Somebody in view.

    Attributes:
        number: from 1 on, in the order in which people came.
        box: where the face is, or should be by its motion if it was not looked for.
        answer: one of `OUTCOMES`, steadied.
        probability: of the class that was chosen, steadied; if it is too low, the answer is `uncertain`.
    """

    number: int
    box: Box
    answer: str
    probability: float


@dataclass(frozen=True)
class Counts:
    """How many there are of each answer; every one of `OUTCOMES` is a key.

    Attributes:
        time: in seconds from the first picture.
        in_view: faces in view at that time.
        seen: people seen so far, each under the answer that was given most often. Who is away for more than a second
            and comes back counts again.
    """

    time: float
    in_view: dict[str, int]
    seen: dict[str, int]


@dataclass
class _Opinion:
    """What is said of a face: its steadied probabilities, the answer now, and how often each answer was given."""

    steady: SteadyProbabilities = field(default_factory=SteadyProbabilities)
    answer: str = UNCERTAIN
    probability: float = 0.0
    given: Counter[str] = field(default_factory=Counter)


class People:
    """Follows the faces of one video. Of those that are gone it keeps nothing but how many there were."""

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self._tracker = Tracker()
        self._opinions: dict[Track, _Opinion] = {}
        self._gone: Counter[str] = Counter()

    def update(self, time: float, boxes: Sequence[Box], probabilities: NDArray[np.float32]) -> None:
        """Take in the next picture.

        Args:
            time: of the picture, in seconds, later than that of the last one.
            boxes: n faces found in it, those too that the detector is not sure of.
            probabilities: of each, (n, 3), in the order of `CLASSES`.
        """
        for track, row in zip(self._tracker.follow(time, boxes), probabilities, strict=True):
            if track is None:
                continue
            opinion = self._opinions.setdefault(track, _Opinion())
            steadied = opinion.steady.add(time, row)[None]
            opinion.answer = self._decision.answers(steadied)[0]
            opinion.probability = float(steadied[0, self._decision.choose(steadied)[0]])
            opinion.given[opinion.answer] += 1
        for track in self._tracker.forget(time):
            opinion = self._opinions.pop(track)
            if track.number:
                self._gone[_most_given(opinion)] += 1

    def in_view(self, time: float) -> list[Person]:
        """Return who is in view at `time`, in seconds, in the order of the numbers."""
        people = [
            Person(track.number, track.expected(time), opinion.answer, opinion.probability)
            for track, opinion in self._opinions.items()
            if track.number and time - track.time <= _SECONDS_IN_VIEW
        ]
        return sorted(people, key=lambda person: person.number)

    def counts(self, time: float) -> Counts:
        """Count who is in view at `time`, in seconds, and who was so far."""
        in_view = Counter(person.answer for person in self.in_view(time))
        here = Counter(_most_given(opinion) for track, opinion in self._opinions.items() if track.number)
        return Counts(
            round(time, 3),
            {answer: in_view[answer] for answer in OUTCOMES},
            {answer: self._gone[answer] + here[answer] for answer in OUTCOMES},
        )


def _most_given(opinion: _Opinion) -> str:
    return opinion.given.most_common(1)[0][0]
