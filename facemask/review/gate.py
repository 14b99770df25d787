"""Quality gate: fail if a figure of `gate` in params.yaml fell too far.

A figure has fallen too far if two things hold. It is worse by the paired test of `review.comparison`, in which the
p-values of the figures beside the accuracy are corrected for being several; and its 95 % interval lies below what is
allowed as a whole. So a fall that chance explains passes, however large it looks, and so does one that may just be
within what is allowed. With nothing allowed (0 points) the second follows from the first, and a change that is nothing
but chance fails in about one case of twenty at most; with more allowed, in fewer.
"""

from dataclasses import dataclass, replace

import yaml
from pydantic import ValidationError

from facemask.core.errors import FacemaskError
from facemask.core.params import GateParams
from facemask.review.comparison import (
    Comparison,
    Difference,
    IncomparableError,
    Verdict,
    compare,
    pair,
    read_spread,
    read_test,
)
from facemask.review.comparison_page import points, title, which_images
from facemask.review.revisions import MissingFileError, Revision


@dataclass(frozen=True)
class Judgement:
    """Result of the quality gate.

    Attributes:
        passed: whether no figure has fallen too far.
        sentence: the same in words, with the figures.
        fallen: the figures that have.
    """

    passed: bool
    sentence: str
    fallen: tuple[Difference, ...]


def judge(comparison: Comparison, limits: GateParams) -> Judgement:
    """Check whether a figure has fallen by more than `limits` allows and chance explains."""
    looked_at = [
        (figure, allowed)
        for figure in (comparison.accuracy, *comparison.others)
        if (allowed := _allowed(figure, limits)) is not None
    ]
    fallen = [
        (figure, allowed)
        for figure, allowed in looked_at
        if figure.verdict is Verdict.WORSE and figure.high < -allowed / 100
    ]
    if fallen:
        falls = "; ".join(_fall(figure, allowed) for figure, allowed in fallen)
        return Judgement(False, f"The gate is closed: {falls}.", tuple(figure for figure, _ in fallen))
    if not looked_at:
        return Judgement(True, "The gate is open: `gate` in params.yaml lets every figure fall freely.", ())
    if comparison.verdict is Verdict.SAME:
        return Judgement(True, "The gate is open: both models give the same answers.", ())
    accuracy = comparison.accuracy
    rest = f"by the accuracy, a fall of up to {points(-accuracy.low)} points cannot be ruled out"
    said = rest if accuracy.low < 0 else "the accuracy has risen"
    return Judgement(True, f"The gate is open: no figure fell by more than is allowed and chance explains; {said}.", ())


def evaluate_gate(before: Revision, after: Revision, if_comparable: bool = False) -> Judgement:
    """Run the quality gate on the predictions of both revisions.

    Args:
        before: the earlier revision.
        after: the later one.
        if_comparable: pass, and say so, where the earlier revision has no answers, or none to the same images.

    Raises:
        FacemaskError: answers or limits cannot be read, or the models cannot be compared.
    """
    later = read_test(after)
    try:
        pairs = pair(read_test(before), later)
    except (IncomparableError, MissingFileError) as error:
        if not if_comparable:
            raise
        return Judgement(True, f"The gate was not asked: {error}.", ())
    comparison = compare(pairs.images, read_spread(before, after))
    judgement = judge(comparison, read_limits(before))
    return replace(judgement, sentence=f"{judgement.sentence} {which_images(pairs, comparison)}")


def read_limits(before: Revision) -> GateParams:
    """Read the group `gate` of the earlier revision, so that no change can open its own gate; 0 where it has none.

    Raises:
        FacemaskError: the group has settings that cannot be used.
    """
    try:
        content = yaml.safe_load(before.read("params.yaml"))
    except (MissingFileError, yaml.YAMLError):
        return GateParams()
    group = content.get("gate", {}) if isinstance(content, dict) else {}
    try:
        return GateParams.model_validate(group)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise FacemaskError(f"`gate` in params.yaml of {before.name} is invalid ({said}); correct it there") from error


def _allowed(difference: Difference, limits: GateParams) -> float | None:
    """Points by which the figure may fall; None if it is not looked at."""
    if difference.figure == "recall":
        return limits.recall[difference.label]
    return limits.accuracy if difference.figure == "accuracy" else limits.balanced_accuracy


def _fall(difference: Difference, allowed: float) -> str:
    """Write "the accuracy fell by 3.02 points (95%: 1.92 to 4.12; allowed: 1)"."""
    name = title(difference)
    return (
        f"the {name[0].lower()}{name[1:]} fell by {points(-difference.change)} points "
        f"(95%: {points(-difference.high)} to {points(-difference.low)}; allowed: {allowed:g})"
    )
