"""Bootstrap intervals over photographs: bounds, width and coverage."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from facemask.core.classes import CLASSES
from facemask.dataset.predictions import photograph_weights
from facemask.evaluation.bootstrap import effective_number, figures, intervals, resample, tally, wilson
from facemask.evaluation.metrics import headline, per_class


def rows_of(*photographs: tuple[str, Sequence[str]]) -> pd.DataFrame:
    """Make a table of photographs, each given as its label and the answers to its copies."""
    rows = [(f"g{index}", label, answer) for index, (label, answers) in enumerate(photographs) for answer in answers]
    return pd.DataFrame(rows, columns=["group", "label", "prediction"])


Sizes = Sequence[Sequence[int]]
MANY_COPIES: Sizes = ([1] * 9 + [45, 40, 20, 5], [1], [1])


def simulated(
    generator: np.random.Generator, photographs: Sequence[int], sizes: Sizes, mistakes: Sequence[float], likeness: float
) -> pd.DataFrame:
    """Draw photographs of each class, whose copies are answered alike as far as `likeness` says.

    The number of files of a photograph is one of the class's `sizes`. The chance of a mistake varies between
    photographs by a beta distribution of the given mean; `likeness`, between 0 and 1, is the correlation of two copies.
    """
    tables = []
    for label, number, files, mean in zip(CLASSES, photographs, sizes, mistakes, strict=True):
        spread = 1 / likeness - 1
        chance = generator.beta(mean * spread, (1 - mean) * spread, number)
        group = np.repeat(np.arange(number), generator.choice(files, number))
        wrong = generator.random(len(group)) < chance[group]
        others = np.array([name for name in CLASSES if name != label])
        answers = np.where(wrong, generator.choice(others, len(group)), label)
        tables.append(pd.DataFrame({"group": [f"{label}-{n}" for n in group], "label": label, "prediction": answers}))
    return pd.concat(tables, ignore_index=True)


WORN_WRONG, WITH, WITHOUT = CLASSES
MIXED = rows_of(
    *[(WITH, [WITH])] * 40,
    *[(WITH, [WITHOUT, WITH])] * 4,
    *[(WITHOUT, [WITHOUT, WITHOUT])] * 30,
    *[(WITHOUT, [WORN_WRONG])] * 2,
    *[(WORN_WRONG, [WORN_WRONG] * 3)] * 8,
    (WORN_WRONG, [WITH] * 3),
)
WEIGHTS = photograph_weights(MIXED)


def test_the_figures_are_those_of_the_evaluation() -> None:
    found = figures(tally(MIXED).confusion()[0])
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert found[name] == pytest.approx(headline(MIXED, WEIGHTS)[name])
    for index, label in enumerate(CLASSES):
        for name in ("precision", "recall", "f1"):
            assert found[name][index] == pytest.approx(per_class(MIXED, WEIGHTS)[label][name])


def test_every_interval_holds_its_figure_and_lies_between_0_and_1() -> None:
    found, expected = intervals(MIXED), headline(MIXED, WEIGHTS)
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert 0 <= found[name][0] < expected[name] < found[name][1] <= 1
    for label, shares in per_class(MIXED, WEIGHTS).items():
        for name in ("precision", "recall", "f1"):
            low, high = found["class"][label][name]
            assert 0 <= low < shares[name] < high <= 1


def test_the_same_rows_in_any_order_and_under_any_names_give_the_same_intervals() -> None:
    shuffled = MIXED.sample(frac=1, random_state=1)
    renamed = shuffled.assign(group="photograph " + shuffled["group"].str[::-1])
    assert intervals(MIXED) == intervals(shuffled) == intervals(renamed)
    assert intervals(MIXED) != intervals(MIXED, seed=2)


def test_copies_make_no_interval_narrower() -> None:
    single = rows_of(*[(WITH, [WITH])] * 45, *[(WITH, [WITHOUT])] * 5, *[(WITHOUT, [WITHOUT])] * 50)
    copied = rows_of(*[(WITH, [WITH] * 20)] * 45, *[(WITH, [WITHOUT] * 20)] * 5, *[(WITHOUT, [WITHOUT] * 20)] * 50)
    assert intervals(copied) == intervals(single)
    by_image = intervals(copied.assign(group=[str(number) for number in range(len(copied))]))
    assert np.diff(by_image["accuracy"]) < np.diff(intervals(copied)["accuracy"]) / 3


def test_a_perfect_score_is_not_certain_and_the_less_so_the_fewer_the_photographs() -> None:
    perfect = rows_of(*[(WITH, [WITH] * 3)] * 300, *[(WITHOUT, [WITHOUT])] * 300, *[(WORN_WRONG, [WORN_WRONG])] * 9)
    found = intervals(perfect)
    assert found["class"][WITH]["recall"] == (pytest.approx(wilson(1, 300)[0]), 1)
    assert found["class"][WORN_WRONG]["recall"] == (pytest.approx(wilson(1, 9)[0]), 1)
    assert found["class"][WORN_WRONG]["recall"][0] == pytest.approx(0.701, abs=0.001)
    assert found["balanced_accuracy"][0] < found["accuracy"][0] < 1
    assert found["macro_f1"][1] == 1


def test_one_mistake_does_not_make_an_interval_narrower_than_none() -> None:
    def low(mistakes: int) -> float:
        rights = [(label, [label]) for label in CLASSES for _ in range(100)]
        return intervals(rows_of(*rights[mistakes:], *[(WORN_WRONG, [WITH])] * mistakes))["accuracy"][0]

    assert low(0) > low(1) > low(2) > low(3)


def test_wilson_agrees_with_scipy() -> None:
    from scipy.stats import binomtest

    for right, number in [(0, 7), (3, 9), (81, 115), (115, 115)]:
        expected = binomtest(right, number).proportion_ci(method="wilson")
        assert wilson(right / number, number) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_equal_classes_are_worth_all_their_photographs_and_a_small_class_that_counts_much_costs_most() -> None:
    assert effective_number(np.array([5, 5, 5]), np.array([40, 40, 40])) == pytest.approx(120)
    assert effective_number(np.array([1, 1, 1]), np.array([9, 500, 500])) < 9 * 9
    assert effective_number(np.array([1, 0, 1]), np.array([30, 0, 30])) == pytest.approx(60)


def test_a_class_keeps_its_number_of_photographs_in_every_replicate() -> None:
    rows = rows_of(*[(WORN_WRONG, [WORN_WRONG, WITH])] * 2, *[(WITH, [WITH])] * 200)
    drawn = resample(tally(rows), 500, seed=1)[:, 0]
    assert drawn.sum(axis=2) == pytest.approx(np.tile([2, 200, 0], (500, 1)))


def test_a_photograph_with_images_of_two_classes_is_drawn_whole() -> None:
    mixed = pd.DataFrame(
        [("a", WITH, WITH), ("a", WITH, WITH), ("a", WITHOUT, WITH), *[(f"b{n}", WITH, WITH) for n in range(9)]],
        columns=["group", "label", "prediction"],
    )
    drawn = resample(tally(mixed), 500, seed=1)[:, 0]
    # Each time the photograph is drawn, a third of it counts for `without_mask`, two thirds for `with_mask`.
    times = (3 * drawn[:, 2, 1]).round().astype(int)
    assert set(times) > {0, 1, 2}
    assert drawn[:, 1, 1] == pytest.approx(10 - times / 3)
    assert intervals(mixed)["class"][WITHOUT]["recall"][0] == 0


def test_an_undefined_figure_has_no_interval() -> None:
    found = intervals(rows_of(*[(WITH, [WITH])] * 9, (WITH, [WITHOUT])))
    assert found["class"][WORN_WRONG] == {"precision": None, "recall": None, "f1": None}
    assert found["class"][WITHOUT]["recall"] is None
    assert found["class"][WITHOUT]["precision"][0] == 0
    assert found["accuracy"] == found["balanced_accuracy"] == found["class"][WITH]["recall"]
    nothing = intervals(rows_of())
    assert nothing["accuracy"] is None
    assert nothing["class"][WITH]["precision"] is None


def test_a_prediction_outside_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="'maybe' is not one of the classes"):
        tally(rows_of((WITH, ["maybe"])))


@pytest.mark.parametrize(
    "count", [pytest.param(60, marks=pytest.mark.slow), pytest.param(300, marks=pytest.mark.nightly)]
)
@pytest.mark.parametrize("likeness", [0.1, 0.9])
@pytest.mark.parametrize(
    ("photographs", "sizes", "mistakes"),
    [
        ((108, 563, 599), MANY_COPIES, (0.03, 0.03, 0.015)),
        ((9, 60, 60), ([1, 2, 3], [1, 2, 3], [1]), (0.1, 0.02, 0.02)),
        ((40, 40, 40), ([1, 2], [1, 2], [1]), (0.3, 0.2, 0.1)),
    ],
)
def test_intervals_hold_the_true_figure_nearly_as_often_as_they_say(
    photographs: tuple[int, ...], sizes: Sizes, mistakes: tuple[float, ...], likeness: float, count: int
) -> None:
    generator = np.random.default_rng(7)
    wrong = np.array(mistakes) / 2  # to each of the two other classes
    true = figures(np.array(photographs)[:, None] * np.where(np.eye(3), 1 - 2 * wrong[:, None], wrong[:, None]))
    held: dict[str, list[bool]] = {}
    for _ in range(count):
        found = intervals(simulated(generator, photographs, sizes, mistakes, likeness), replicates=1000)
        for name in ("accuracy", "balanced_accuracy", "macro_f1"):
            held.setdefault(name, []).append(bool(found[name][0] <= true[name] <= found[name][1]))
        for index, label in enumerate(CLASSES):
            for name in ("precision", "recall", "f1"):
                low, high = found["class"][label][name] or (0, 1)
                held.setdefault(name, []).append(bool(low <= true[name][index] <= high))
    shares = {name: float(np.mean(hits)) for name, hits in held.items()}
    # 0.85 of 60 is seen where 0.9 is true; 0.8, as a broken method gives, is not.
    assert min(shares.values()) >= (0.9 if count == 300 else 0.85), shares
