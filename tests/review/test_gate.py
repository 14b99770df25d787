"""The gate: which changes it lets through, which it does not, and how often it is wrong."""

from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import binom

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import write_text
from facemask.core.params import GateParams, load_params
from facemask.review.comparison import Verdict, compare
from facemask.review.gate import Judgement, judge, read_limits
from facemask.review.revisions import Revision
from tests.commands import facemask
from tests.revisions_project import commit_run, make_project, predictions, wrong

WORN_WRONG, WITH, WITHOUT = CLASSES
ROOT = Path(__file__).parents[2]
NOTHING = GateParams(accuracy=None, balanced_accuracy=None, recall=dict.fromkeys(CLASSES))


def images_of(worse: dict[str, int], better: dict[str, int] | None = None, photographs: int = 300) -> pd.DataFrame:
    """Make pairs of answers to photographs of each class, so many of which got worse, and so many better."""
    rows = []
    for label in CLASSES:
        mistake = WITHOUT if label == WITH else WITH
        lost, won = worse.get(label, 0), (better or {}).get(label, 0)
        for number in range(photographs):
            before, after = (mistake, label) if lost <= number < lost + won else (label, label)
            after = mistake if number < lost else after
            rows.append((f"{label}/{number}", label, f"g-{label}-{number}", "", before, after, 0.9, 0.9))
    answers = ["before", "after", "confidence_before", "confidence_after"]
    return pd.DataFrame(rows, columns=["id", "label", "group", "sha256", *answers])


def judged(worse: dict[str, int], better: dict[str, int] | None = None, limits: GateParams | None = None) -> Judgement:
    return judge(compare(images_of(worse, better), None), limits or GateParams())


def allowing(accuracy: float, others: float) -> GateParams:
    return GateParams(accuracy=accuracy, balanced_accuracy=others, recall=dict.fromkeys(CLASSES, others))


def fallen(judgement: Judgement) -> list[str]:
    return [one.label or one.figure for one in judgement.fallen]


def test_a_clear_loss_closes_the_gate_with_a_sentence_that_has_the_figures() -> None:
    judgement = judged({WITH: 27, WITHOUT: 27, WORN_WRONG: 27})
    assert not judgement.passed
    assert judgement.sentence.startswith("The gate is closed: the accuracy fell by 9.00 points (95%: ")
    assert "; allowed: 0)" in judgement.sentence
    assert fallen(judgement) == ["accuracy", "balanced_accuracy", *CLASSES]


def test_a_loss_that_chance_explains_passes_and_what_it_may_hide_is_said() -> None:
    judgement = judged({WITH: 6}, {WITHOUT: 3})
    assert (judgement.passed, judgement.fallen) == (True, ())
    assert "a fall of up to" in judgement.sentence
    assert "cannot be ruled out" in judgement.sentence


def test_a_loss_of_what_is_allowed_passes() -> None:
    loss = {WITH: 12, WITHOUT: 12, WORN_WRONG: 12}
    assert fallen(judged(loss)) == ["accuracy", "balanced_accuracy", *CLASSES]
    assert judged(loss, limits=allowing(4, 4)).passed
    judgement = judged(loss, limits=allowing(1, 4))
    assert fallen(judgement) == ["accuracy"]
    assert "; allowed: 1)" in judgement.sentence


def test_a_loss_in_one_class_closes_the_gate_though_the_accuracy_rose() -> None:
    judgement = judged({WORN_WRONG: 20}, {WITH: 30})
    assert fallen(judgement) == [WORN_WRONG]
    assert "the recall of mask worn incorrectly fell by 6.67 points" in judgement.sentence


def test_a_figure_that_is_null_may_fall_freely() -> None:
    assert judged({WORN_WRONG: 20}, {WITH: 30}, GateParams(recall={**GateParams().recall, WORN_WRONG: None})).passed
    said = judge(compare(images_of({WITH: 200}), None), NOTHING)
    assert (said.passed, said.sentence) == (
        True,
        "The gate is open: `gate` in params.yaml lets every figure fall freely.",
    )


def test_the_same_answers_and_better_ones_pass() -> None:
    assert judged({}).sentence == "The gate is open: both models give the same answers."
    better = judged({}, {WITH: 60, WITHOUT: 60})
    assert (better.passed, better.sentence.endswith("the accuracy has risen.")) == (True, True)


def test_what_is_allowed_stands_in_params_and_is_checked(tmp_path: Path) -> None:
    assert load_params(ROOT / "params.yaml").gate == GateParams()
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["gate"] = {"accuracy": -1, "recall": {WITH: 1}}
    write_text(tmp_path / "params.yaml", yaml.safe_dump(params))
    with pytest.raises(FacemaskError, match=r"(?s)gate.accuracy: .*gate.recall: .*an entry for each of") as caught:
        load_params(tmp_path / "params.yaml")
    assert "balanced_accuracy" not in str(caught.value)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on 90 photographs: `older` has no gate, `good` has, `bad` names ten more wrong and asks for no gate."""
    project = make_project(tmp_path_factory.mktemp("gate"))
    commit_run(project, predictions({}), "older", {"seed": 1})
    commit_run(project, predictions({}), "good", {"gate": GateParams().model_dump()})
    commit_run(project, predictions(wrong(WITH, range(10), WITHOUT)), "bad", {"gate": NOTHING.model_dump()})
    commit_run(project, predictions({}), "mistyped", {"gate": {"acuracy": 1}})
    return project


def gate(project: Path, *arguments: str) -> CompletedProcess[str]:
    return facemask(project, "gate", *arguments)


@pytest.mark.slow
def test_the_command_fails_where_a_figure_fell_and_no_change_opens_its_own_gate(project: Path) -> None:
    done = gate(project, "good", "--with", "bad")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("The gate is closed: the accuracy fell by 11.11 points")
    done = gate(project, "bad", "--with", "good")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)


def test_where_the_earlier_revision_has_no_gate_nothing_may_fall(project: Path) -> None:
    assert read_limits(Revision(project, "older")) == GateParams()
    assert read_limits(Revision(project, "bad")) == NOTHING


@pytest.mark.slow
def test_a_change_without_a_single_answer_does_not_pass(project: Path) -> None:
    write_text(project / "metrics" / "answers.csv", "image,sha256,group,label,prediction,confidence,id\n")
    done = gate(project, "good", "--if-comparable")
    (project / "metrics" / "answers.csv").unlink()
    assert (done.returncode, done.stdout) == (1, "")
    assert "metrics/answers.csv of the work tree has no test image" in done.stderr


@pytest.mark.slow
def test_a_gate_that_cannot_be_used_or_nothing_to_compare_ends_with_1_and_a_sentence(project: Path) -> None:
    for arguments, said in (
        (("mistyped", "--with", "good"), "`gate` in params.yaml of mistyped"),
        (("nowhere",), "git does not know the revision 'nowhere'"),
    ):
        done = gate(project, *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr


def simulated(
    generator: np.random.Generator, worse_share: float, better_share: float, wrong_share: float, small: bool = False
) -> pd.DataFrame:
    """Draw the answers to 1,800 images of 1,500 photographs, or of a set a tenth as large.

    Args:
        generator: of the random numbers.
        worse_share, better_share, wrong_share: of photographs that only the first, only the second, or none names
            right; of their copies 7 in 10 follow, the others are classified correctly by both.
        small: whether the set is small.
    """
    photographs = 150 if small else 1500
    copies = np.ones(photographs, dtype=int)
    np.add.at(copies, generator.integers(0, photographs, photographs // 5), 1)
    limits = np.cumsum([worse_share, better_share, wrong_share])
    fate = np.repeat(np.searchsorted(limits, generator.random(photographs), side="right"), copies)
    fate[generator.random(len(fate)) > 0.7] = 3
    label = np.repeat(np.repeat(CLASSES, [photographs // 15, photographs // 3, 9 * photographs // 15]), copies)
    mistake = np.where(label == WITH, WITHOUT, WITH)
    names = [str(number) for number in range(len(label))]
    return pd.DataFrame(
        {
            "id": names,
            "label": label,
            "group": [f"g{number}" for number in np.repeat(np.arange(photographs), copies)],
            "sha256": names,
            "before": np.where((fate == 1) | (fate == 2), mistake, label),
            "after": np.where((fate == 0) | (fate == 2), mistake, label),
            "confidence_before": 0.9,
            "confidence_after": 0.9,
        }
    )


# Few changes tell 1 in 20 from 1 in 5; the nightly tests look at many.
FEW_AND_MANY = [pytest.param(40, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.nightly)]


@pytest.mark.parametrize("count", FEW_AND_MANY)
@pytest.mark.parametrize(("share", "small"), [(0.01, True), (0.03, False)])
def test_noise_is_called_a_difference_and_closes_the_gate_at_most_one_time_in_twenty(
    share: float, small: bool, count: int
) -> None:
    generator = np.random.default_rng(11)
    seen = [compare(simulated(generator, share, share, 0.03, small), None) for _ in range(count)]
    called = [one.verdict in (Verdict.BETTER, Verdict.WORSE) for one in seen]
    others = [any(other.verdict is not Verdict.NO_EVIDENCE for other in one.others) for one in seen]
    closed = [not judge(one, GateParams()).passed for one in seen]
    held = [one.accuracy.low <= 0 <= one.accuracy.high for one in seen]
    # At most so many of `count` events with a chance of 1 in 20 are seen 95 times in 100: 15 of 200, 4 of 40.
    most = int(binom.ppf(0.95, count, 0.05))
    assert sum(called) <= most
    assert sum(others) <= most
    assert sum(closed) <= count // 20
    assert sum(held) >= count - most


@pytest.mark.parametrize("count", FEW_AND_MANY)
@pytest.mark.parametrize("noise", [0.02])
def test_a_loss_of_3_points_is_called_worse_and_closes_the_gate_95_times_in_100(noise: float, count: int) -> None:
    generator = np.random.default_rng(12)
    worse_share, better_share = (share / 0.7 for share in (0.03 + noise, noise))
    seen = [compare(simulated(generator, worse_share, better_share, 0.03), None) for _ in range(count)]
    assert sum(one.verdict is Verdict.WORSE for one in seen) >= 0.95 * count
    assert sum(not judge(one, GateParams()).passed for one in seen) >= 0.95 * count
    assert sum(one.accuracy.low <= -0.03 <= one.accuracy.high for one in seen) >= 0.9 * count
