"""Predictions of people in a video are stable and quick, counts are right, and nothing is kept of those gone."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.faces.detector import Box
from facemask.inference.video.people import OUTCOMES, People
from facemask.models.decision import UNCERTAIN, Decision

WRONG, MASK, BARE = CLASSES
EQUAL = {actual: {said: float(actual != said) for said in CLASSES} for actual in CLASSES}
BOX = Box(100, 100, 160, 160, 0.9)


def decision(threshold: float) -> Decision:
    return Decision(temperature=1.0, costs=EQUAL, thresholds=dict.fromkeys(CLASSES, threshold))


def sure(name: str, probability: float = 0.98) -> NDArray[np.float32]:
    rest = (1 - probability) / 2
    return np.array([[probability if name == other else rest for other in CLASSES]], np.float32)


def shown(said: list[NDArray[np.float32]], rate: float, threshold: float) -> list[str]:
    """The answers that are shown for one face, from the third picture on, in which it gets its number."""
    people = People(decision(threshold))
    answers = []
    for i, probabilities in enumerate(said):
        people.update(i / rate, [BOX], probabilities)
        answers += [person.answer for person in people.in_view(i / rate)]
    assert len(answers) == len(said) - 2
    return answers


@pytest.mark.parametrize("rate", [3, 5, 15, 30])
@pytest.mark.parametrize("threshold", [0.5, 0.95])
def test_one_wrong_picture_among_right_ones_does_not_change_the_answer(rate: float, threshold: float) -> None:
    for place in (4, 20, 39):
        said = [sure(MASK)] * 40
        said[place] = sure(BARE)
        assert set(shown(said, rate, threshold)) == {MASK}


@pytest.mark.parametrize(("rate", "within"), [(15, 0.7), (30, 0.7), (5, 0.8)])
def test_a_mask_taken_off_is_shown_within_a_second_and_stays_shown(rate: int, within: float) -> None:
    before, after = 3 * rate, 3 * rate
    answers = shown([sure(MASK)] * before + [sure(BARE)] * after, rate, threshold=0.9)[before - 2 :]
    first = answers.index(BARE)
    assert first / rate <= within
    assert set(answers[first:]) == {BARE}
    assert set(answers[:first]) <= {MASK, UNCERTAIN}


def test_where_pictures_contradict_each_other_the_answer_is_uncertain() -> None:
    said = [sure(MASK) if i % 2 else sure(BARE) for i in range(40)]
    assert set(shown(said, rate=15, threshold=0.7)[10:]) == {UNCERTAIN}


def test_where_every_picture_is_unsure_the_answer_is_uncertain() -> None:
    assert set(shown([sure(MASK, 0.6)] * 20, rate=15, threshold=0.8)) == {UNCERTAIN}
    assert set(shown([sure(MASK, 0.9)] * 20, rate=15, threshold=0.8)) == {MASK}


def test_counts_tell_who_is_here_and_who_was() -> None:
    people = People(decision(0.5))
    for i in range(60):
        boxes = [BOX] if i < 20 else []
        if i >= 15:
            boxes = [*boxes, Box(400, 200, 460, 260, 0.9)]
        said = [sure(MASK)] * (i < 20) + [sure(BARE)] * (i >= 15)
        people.update(i / 15, boxes, np.concatenate(said))
        if i == 18:
            assert people.counts(i / 15).in_view == {**dict.fromkeys(OUTCOMES, 0), MASK: 1, BARE: 1}
    counts = people.counts(59 / 15)
    assert counts.time == round(59 / 15, 3)
    assert counts.in_view == {**dict.fromkeys(OUTCOMES, 0), BARE: 1}
    assert counts.seen == {**dict.fromkeys(OUTCOMES, 0), MASK: 1, BARE: 1}


def test_a_person_counts_under_the_answer_given_most_often() -> None:
    people = People(decision(0.5))
    for i in range(60):
        people.update(i / 15, [BOX], sure(BARE if i < 20 else MASK))
    assert people.counts(4.0).seen == {**dict.fromkeys(OUTCOMES, 0), MASK: 1}


def test_who_leaves_and_comes_back_counts_twice() -> None:
    people = People(decision(0.5))
    for i in range(90):
        boxes = [] if 30 <= i < 60 else [BOX]
        people.update(i / 15, boxes, np.concatenate([sure(MASK)] * 2)[: len(boxes)])
    assert people.counts(6.0).seen[MASK] == 2
    assert [person.number for person in people.in_view(6.0)] == [2]


def test_a_face_missed_in_one_picture_stays_in_view() -> None:
    people = People(decision(0.5))
    for i in range(20):
        boxes = [] if i == 10 else [BOX]
        people.update(i / 15, boxes, sure(MASK)[: len(boxes)])
        assert len(people.in_view(i / 15)) == (i >= 2)


def test_what_is_seen_once_or_twice_is_nobody() -> None:
    people = People(decision(0.5))
    for i in range(60):
        boxes = [BOX] if i in (5, 6, 40) else []
        people.update(i / 15, boxes, sure(MASK)[: len(boxes)])
        assert people.in_view(i / 15) == []
    assert sum(people.counts(4.0).seen.values()) == 0


def test_memory_does_not_grow_with_the_number_of_people_that_passed() -> None:
    people = People(decision(0.5))

    def pass_by(first: int, last: int) -> int:
        for visitor in range(first, last):
            for i in range(5):
                people.update(visitor * 2.0 + i / 15, [BOX], sure(MASK))
            people.update(visitor * 2.0 + 1.5, [], sure(MASK)[:0])
        return tracemalloc.get_traced_memory()[0]

    pass_by(0, 5)
    tracemalloc.start()
    early = pass_by(5, 50)
    late = pass_by(50, 400)
    tracemalloc.stop()
    assert people.counts(800.0).seen[MASK] == 400
    assert late - early < 20_000


def test_between_two_looks_a_face_goes_on_as_it_moved() -> None:
    people = People(decision(0.5))
    for i in range(10):
        people.update(i / 10, [Box(100 + 20 * i, 100, 160 + 20 * i, 160, 0.9)], sure(MASK))
    now, soon = people.in_view(0.9)[0].box, people.in_view(0.95)[0].box
    assert (now.left, now.top) == (280, 100)
    assert soon.left == pytest.approx(290, abs=1)
    assert soon.top == 100
    assert people.in_view(1.3) == []


def test_where_errors_cost_unequally_the_probability_is_that_of_the_answer() -> None:
    careful = {**EQUAL, BARE: {WRONG: 5.0, MASK: 5.0, BARE: 0.0}}
    people = People(Decision(temperature=1.0, costs=careful, thresholds=dict.fromkeys(CLASSES, 0.2)))
    for i in range(10):
        people.update(i / 10, [BOX], np.array([[0.0, 0.7, 0.3]], np.float32))
    person = people.in_view(0.9)[0]
    assert (person.answer, person.probability) == (BARE, pytest.approx(0.3))
