"""Paired comparison of two models: what counts, what is left out, and how often the verdict is right."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.dataset.predictions import MOST_ANSWERS
from facemask.evaluation.bootstrap import tally
from facemask.review.comparison import (
    Comparison,
    Difference,
    Verdict,
    bonett_price,
    combine_spreads,
    compare,
    pair,
    sign_flip,
)

WORN_WRONG, WITH, WITHOUT = CLASSES
RIGHT = "right"

Photograph = tuple[str, Sequence[str], Sequence[str]]


def images_of(*photographs: Photograph) -> pd.DataFrame:
    """Make pairs of answers to the copies of photographs, each given as label, answers before, answers after."""
    rows = [
        (f"{number}-{copy}", label, f"g{number}", f"hash of {number}", old, new, 0.9, 0.8)
        for number, (label, before, after) in enumerate(photographs)
        for copy, (old, new) in enumerate(zip(before, after, strict=True))
    ]
    confidences = ["confidence_before", "confidence_after"]
    return pd.DataFrame(rows, columns=["id", "label", "group", "sha256", "before", "after", *confidences])


def other_than(label: str) -> str:
    return WITHOUT if label == WITH else WITH


def unchanged(label: str, number: int) -> list[Photograph]:
    return [(label, [label], [label])] * number


def better(label: str, number: int, copies: int = 1) -> list[Photograph]:
    return [(label, [other_than(label)] * copies, [label] * copies)] * number


def worse(label: str, number: int, copies: int = 1) -> list[Photograph]:
    return [(label, [label] * copies, [other_than(label)] * copies)] * number


def found(*photographs: list[Photograph]) -> Comparison:
    return compare(images_of(*[one for several in photographs for one in several]), None)


def table_of(images: dict[str, str], **changes: dict[str, str]) -> pd.DataFrame:
    """Make a table as `read_test` gives it: label by id, classified correctly, and what differs by column and id."""
    table = pd.DataFrame({"id": list(images), "label": list(images.values())})
    table["prediction"] = table["label"]
    table["confidence"] = 0.9
    table["group"] = "g" + table["id"]
    table["sha256"] = "hash of " + table["id"]
    table["image"] = "image " + table["id"]
    for column, values in changes.items():
        table[column] = table["id"].map(values).fillna(table[column])
    return table


THREE = {"a": WITH, "b": WITHOUT, "c": WORN_WRONG}
APART = {f"image {name}" for name in THREE}


def test_the_figures_are_those_of_both_models_on_the_same_images() -> None:
    comparison = found(unchanged(WITH, 90), worse(WITH, 10), unchanged(WITHOUT, 48), better(WITHOUT, 2))
    accuracy, balanced, with_mask, without_mask = (comparison.accuracy, *comparison.others)
    assert (accuracy.before, accuracy.after) == (pytest.approx(148 / 150), pytest.approx(140 / 150))
    assert balanced.change == pytest.approx((-10 / 100 + 2 / 50) / 2)
    assert (with_mask.figure, with_mask.label, with_mask.change) == ("recall", WITH, pytest.approx(-0.1))
    assert (without_mask.label, without_mask.change) == (WITHOUT, pytest.approx(0.04))
    assert (comparison.images, comparison.photographs, comparison.better, comparison.worse) == (150, 150, 2, 10)
    for one in (accuracy, *comparison.others):
        assert one.low < one.change < one.high


@pytest.mark.parametrize("answers", [RIGHT, "wrong"])
def test_the_same_answers_are_called_the_same_and_are_not_certain_to_be_equally_good(answers: str) -> None:
    said = WITH if answers == RIGHT else WITHOUT
    comparison = found([(WITH, [said], [said])] * 100, unchanged(WITHOUT, 100))
    assert comparison.verdict is Verdict.SAME
    assert comparison.accuracy.p == comparison.mcnemar == 1
    assert -0.02 < comparison.accuracy.low < 0 < comparison.accuracy.high < 0.02


def test_other_wrong_answers_are_not_the_same_answers() -> None:
    comparison = found([(WITH, [WITHOUT], [WORN_WRONG])] * 3, unchanged(WITH, 97))
    assert comparison.verdict is Verdict.NO_EVIDENCE
    assert (comparison.better, comparison.worse, comparison.otherwise) == (0, 0, 3)


def test_a_clear_loss_is_called_worse_and_a_clear_gain_better() -> None:
    loss = found(unchanged(WITH, 200), worse(WITH, 12), better(WITH, 2), unchanged(WITHOUT, 200))
    gain = found(unchanged(WITH, 200), better(WITH, 12), worse(WITH, 2), unchanged(WITHOUT, 200))
    assert (loss.verdict, gain.verdict) == (Verdict.WORSE, Verdict.BETTER)
    assert loss.accuracy.high < 0 < gain.accuracy.low
    assert loss.accuracy.p == pytest.approx(loss.mcnemar, abs=0.01)


@pytest.mark.parametrize(("photographs", "verdict"), [(5, Verdict.NO_EVIDENCE), (7, Verdict.WORSE)])
def test_a_handful_of_photographs_is_no_evidence(photographs: int, verdict: Verdict) -> None:
    assert found(unchanged(WITH, 300), worse(WITH, photographs)).verdict is verdict


def test_many_copies_of_few_photographs_are_no_evidence_though_mcnemar_takes_them_for_it() -> None:
    comparison = found(unchanged(WITH, 200), worse(WITH, 2, copies=20), unchanged(WITHOUT, 100))
    assert comparison.mcnemar < 1e-6
    assert comparison.accuracy.p > 0.4
    assert comparison.verdict is Verdict.NO_EVIDENCE


def test_copies_that_all_follow_their_photograph_change_nothing() -> None:
    single = found(unchanged(WITH, 80), worse(WITH, 12), better(WITH, 3))
    copied = found([(WITH, [WITH] * 9, [WITH] * 9)] * 80, worse(WITH, 12, copies=9), better(WITH, 3, copies=9))
    assert (copied.accuracy.p, copied.accuracy.low) == (single.accuracy.p, pytest.approx(single.accuracy.low))
    assert copied.mcnemar < single.mcnemar / 100


def test_a_loss_in_a_rare_class_is_told_though_the_accuracy_hides_it() -> None:
    comparison = found(
        unchanged(WORN_WRONG, 30), worse(WORN_WRONG, 10), unchanged(WITH, 900), better(WITH, 8), unchanged(WITHOUT, 900)
    )
    assert comparison.verdict is Verdict.NO_EVIDENCE
    recall = next(one for one in comparison.others if one.label == WORN_WRONG)
    assert recall.verdict is Verdict.WORSE
    assert recall.change == pytest.approx(-0.25)


def test_p_values_beside_the_accuracy_are_corrected_for_being_several() -> None:
    images = images_of(*unchanged(WITH, 100), *worse(WITH, 8), *better(WITH, 1), *unchanged(WITHOUT, 50))
    comparison = compare(images, None)
    plain = sign_flip(tally(images, ("before", "after")), np.array([[0, 1.0, 0]]), 10_000, seed=1)[0]
    balanced, with_mask, without_mask = comparison.others
    assert plain < with_mask.p <= 3 * plain + 1e-9
    assert with_mask.p >= balanced.p or balanced.p <= 3 * plain
    assert without_mask.p == 1


def test_a_verdict_needs_both_the_test_and_the_interval() -> None:
    def verdict(low: float, high: float, p: float) -> Verdict:
        return Difference("accuracy", "", 0.9, 0.9 + (low + high) / 2, low, high, p).verdict

    assert verdict(0.01, 0.03, 0.01) is Verdict.BETTER
    assert verdict(-0.03, -0.01, 0.01) is Verdict.WORSE
    assert verdict(0.01, 0.03, 0.06) is Verdict.NO_EVIDENCE
    assert verdict(-0.01, 0.03, 0.01) is Verdict.NO_EVIDENCE


def test_swapping_the_models_turns_the_result_round() -> None:
    images = images_of(*unchanged(WITH, 100), *worse(WITH, 12), *better(WITHOUT, 2), *unchanged(WITHOUT, 60))
    swapped = images.rename(columns={"before": "after", "after": "before"})
    forth, back = compare(images, None), compare(swapped, None)
    assert back.accuracy.change == -forth.accuracy.change
    assert back.accuracy.p == pytest.approx(forth.accuracy.p, abs=0.01)
    assert back.accuracy.low == pytest.approx(-forth.accuracy.high, abs=0.01)
    assert (back.verdict, forth.verdict) == (Verdict.BETTER, Verdict.WORSE)


def test_the_order_of_the_rows_does_not_matter() -> None:
    images = images_of(*unchanged(WITH, 50), *worse(WITH, 6, copies=2), *better(WITHOUT, 4))
    assert compare(images.sample(frac=1, random_state=3), None) == compare(images, None)


def test_the_sign_flip_test_agrees_with_the_exact_sign_test() -> None:
    from scipy.stats import binomtest

    tallied = tally(images_of(*unchanged(WITH, 40), *worse(WITH, 9), *better(WITH, 2)), ("before", "after"))
    p = sign_flip(tallied, np.array([[1.0, 1.0, 1.0]]), 10_000, seed=1)
    assert p[0] == pytest.approx(binomtest(2, 11).pvalue, abs=0.01)


def test_the_interval_of_bonett_and_price_is_that_of_their_formula() -> None:
    low, high = bonett_price(better=0.05, worse=0.15, number=100)
    gained, lost = 6 / 102, 16 / 102
    half = 1.959964 * np.sqrt((gained + lost - (gained - lost) ** 2) / 102)
    assert (low, high) == (pytest.approx(gained - lost - half), pytest.approx(gained - lost + half))
    assert bonett_price(0, 0, 100)[1] == pytest.approx(0.0272, abs=1e-4)


def test_as_many_photographs_as_git_keeps_of_which_two_in_a_hundred_differ_tell_a_difference_to_0_6_points() -> None:
    low, high = bonett_price(better=0.01, worse=0.01, number=MOST_ANSWERS)
    assert (low, high) == (pytest.approx(-0.006, abs=5e-4), pytest.approx(0.006, abs=5e-4))


def test_photographs_that_changed_are_listed_once_the_surest_mistakes_first() -> None:
    images = images_of(*worse(WITH, 3, copies=2), *better(WITHOUT, 1), *unchanged(WITH, 9))
    images.loc[images["group"] == "g1", "confidence_after"] = 0.95
    images.loc[images["group"] == "g2", "confidence_after"] = np.nan
    comparison = compare(images, None)
    assert [(one.id, one.images) for one in comparison.losses] == [("1-0", 2), ("0-0", 2), ("2-0", 2)]
    (gain,) = comparison.gains
    assert (gain.id, gain.label, gain.before, gain.after) == ("3-0", WITHOUT, WITH, WITHOUT)
    assert (gain.confidence, gain.sha256) == (0.9, "hash of 3")


def test_only_images_that_are_in_test_in_both_are_compared_and_the_others_counted() -> None:
    pairs = pair(table_of({**THREE, "d": WITH, "e": WITH}), table_of({**THREE, "f": WITH}))
    assert list(pairs.images["id"]) == ["a", "b", "c"]
    assert (pairs.only_before, pairs.only_after, pairs.relabelled, pairs.replaced) == (2, 1, 0, 0)
    assert pairs.photographs_known
    assert pairs.pictures_checked


def test_an_image_with_another_label_or_another_picture_is_left_out_and_counted() -> None:
    after = table_of(THREE, label={"a": WITHOUT}, sha256={"b": "another"})
    pairs = pair(table_of(THREE), after)
    assert list(pairs.images["id"]) == ["c"]
    assert (pairs.relabelled, pairs.replaced) == (1, 1)


def test_where_the_pictures_are_not_known_they_are_taken_for_the_same_and_that_is_said() -> None:
    pairs = pair(table_of(THREE, sha256=dict.fromkeys(THREE, "")), table_of(THREE))
    assert len(pairs.images) == 3
    assert not pairs.pictures_checked
    assert list(pairs.images["sha256"]) == ["hash of a", "hash of b", "hash of c"]


def test_what_is_one_photograph_is_said_by_the_later_revision_else_the_earlier_else_by_none() -> None:
    unknown = dict.fromkeys(THREE, "")
    old, new = dict.fromkeys(THREE, "old"), dict.fromkeys(THREE, "new")
    for before, after, expected in ((old, new, {"new"}), (old, unknown, {"old"}), (unknown, unknown, APART)):
        pairs = pair(table_of(THREE, group=before), table_of(THREE, group=after))
        assert set(pairs.images["group"]) == expected
        assert pairs.photographs_known == (expected != APART)


def test_images_are_called_by_the_name_that_either_revision_gives_else_by_a_hash() -> None:
    pairs = pair(table_of(THREE, id={"a": "", "b": ""}), table_of(THREE, id={"a": "", "c": ""}))
    assert list(pairs.images["id"]) == ["image a", "b", "c"]


def test_revisions_without_a_common_test_image_are_refused() -> None:
    with pytest.raises(FacemaskError, match="no test image in common: 3 and 1 images, 0 of one name"):
        pair(table_of(THREE), table_of({"z": WITH}))
    with pytest.raises(FacemaskError, match="1 of these with two labels"):
        pair(table_of({"a": WITH}), table_of({"a": WITHOUT}))


def evaluation(deviation: float, repeats: int = 3) -> dict[str, Any]:
    """What a revision says of the chance of its training."""
    spread = dict.fromkeys(("accuracy", "balanced_accuracy"), deviation)
    return {
        "test": {},
        "training_spread": {"repeats": repeats, **spread, "recall": dict.fromkeys(CLASSES, deviation)},
    }


def test_a_difference_that_another_seed_would_make_is_no_evidence() -> None:
    images = images_of(*unchanged(WITH, 200), *worse(WITH, 12), *unchanged(WITHOUT, 100))
    alone = compare(images, None)
    calm = compare(images, combine_spreads(evaluation(0.001), evaluation(0.001)))
    restless = compare(images, combine_spreads(evaluation(0.02), evaluation(0.02)))
    assert (alone.verdict, calm.verdict, restless.verdict) == (Verdict.WORSE, Verdict.WORSE, Verdict.NO_EVIDENCE)
    assert restless.accuracy.low < calm.accuracy.low <= alone.accuracy.low
    assert restless.accuracy.change == alone.accuracy.change
    assert restless.accuracy.p > 0.05 > alone.accuracy.p


def test_a_training_cut_short_is_caught_for_all_its_chance() -> None:
    images = images_of(*unchanged(WITH, 150), *worse(WITH, 60), *unchanged(WITHOUT, 100))
    assert compare(images, combine_spreads(evaluation(0.02), evaluation(0.02))).verdict is Verdict.WORSE


def test_a_revision_that_did_not_measure_its_chance_is_taken_to_vary_like_the_other() -> None:
    both = combine_spreads(evaluation(0.01), evaluation(0.01))
    one = combine_spreads({"test": {}}, evaluation(0.01))
    assert both is not None
    assert one is not None
    assert one.deviations == both.deviations
    assert one.half_width("accuracy", "") > both.half_width("accuracy", "")  # fewer repeats, less known
    assert combine_spreads({}, {"test": {}, "training_spread": {"repeats": 1}}) is None


@pytest.mark.parametrize("broken", [{"repeats": "many"}, {"repeats": 3}, [], {"repeats": 3, "accuracy": float("nan")}])
def test_a_spread_that_cannot_be_read_counts_as_not_measured(broken: Any) -> None:
    assert combine_spreads({"training_spread": broken}, {}) is None


@pytest.mark.slow  # simulates trainings
def test_trainings_of_equal_models_are_seldom_called_different_and_worse_ones_nearly_always() -> None:
    """Simulated: each training has an accuracy of its own, measured from three repeats."""
    generator = np.random.default_rng(5)
    called = caught = 0
    rounds, photographs, deviation = 60, 400, 0.012
    for _ in range(rounds):
        sides = []
        for mean in (0.95, 0.95, 0.88):
            repeats = generator.normal(mean, deviation * np.sqrt(3), 3)
            sides.append((repeats.mean(), evaluation(float(repeats.std(ddof=1) / np.sqrt(3)))))
        hardness = generator.random(photographs)  # alike for all: the same photographs are hard

        def right(accuracy: float, hardness: NDArray[np.float64] = hardness) -> NDArray[np.bool_]:
            return np.where(generator.random(photographs) < 0.7, hardness, generator.random(photographs)) < accuracy

        answers = [right(accuracy) for accuracy, _ in sides]
        for place, is_counted in ((1, "chance"), (2, "loss")):
            images = pd.DataFrame(
                {
                    "id": [str(number) for number in range(photographs)],
                    "group": [str(number) for number in range(photographs)],
                    "label": WITH,
                    "sha256": "",
                    "before": np.where(answers[0], WITH, WITHOUT),
                    "after": np.where(answers[place], WITH, WITHOUT),
                    "confidence_before": np.nan,
                    "confidence_after": np.nan,
                }
            )
            spread = combine_spreads(sides[0][1], sides[place][1])
            verdict = compare(images, spread, replicates=300, flips=1000).verdict
            called += is_counted == "chance" and verdict in (Verdict.BETTER, Verdict.WORSE)
            caught += is_counted == "loss" and verdict is Verdict.WORSE
    assert called <= rounds * 0.1
    assert caught >= rounds * 0.5
