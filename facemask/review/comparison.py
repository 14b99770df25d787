"""Paired comparison of two models on the test images that both have.

Both models answer the same images, so what tells them apart are the images that one names right and the other wrong.
Copies of a photograph are answered alike, so everything that decides counts photographs, not images:

- The interval of a difference is the bootstrap interval of `evaluation.bootstrap`: both models keep the answers to the
  same drawn photographs. It is never narrower than that of Bonett and Price for the difference of two paired shares
  (Adjusted Wald confidence interval for a difference of binomial proportions based on paired data, Journal of
  Educational and Behavioral Statistics 37, 2012) in which every photograph counts as one image; that one is not of no
  width where no answer differs.
- The p-value is that of a sign-flip test: if the models were equally good, each photograph would favour either by
  chance, so the two models' answers are swapped photograph by photograph at random (Good, Permutation, Parametric and
  Bootstrap Tests of Hypotheses, 2005, chapter 3.2).
- A training with another seed gives other answers, too. The repeats of a training tell how far its figures vary
  (`evaluation.training_spread`); that spread widens the interval of the difference, by the rule of Zou and Donner for
  the sum of two independent parts (Construction of confidence limits about effect measures: a general approach,
  Statistics in Medicine 27, 2008), with Student's t since it is estimated from a few repeats. The p-value is then at
  least that of the difference divided by its standard error from both parts.
- McNemar's exact test by image (McNemar, Note on the sampling error of the difference between correlated proportions
  or percentages, Psychometrika 12, 1947) is given beside it, since everybody knows it, and decides nothing: it takes
  copies for independent images.

The verdict is about the accuracy: it is the figure of McNemar's test, the one least moved by chance, and it needs no
correction for having looked at several. Balanced accuracy and the recall of each class are tested too, corrected for
being four (Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979),
so that a loss in a rare class, which hardly moves the accuracy, is not passed over.
"""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, norm
from scipy.stats import t as student_t

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.dataset.predictions import ANSWERS, CONTENT_DIGITS, image_key, photograph_weights
from facemask.evaluation.bootstrap import (
    NORMAL,
    REPLICATES,
    Floats,
    Interval,
    Tally,
    effective_number,
    figures,
    percentiles,
    resample,
    tally,
    widest,
)
from facemask.review.revisions import MissingFileError, Revision

LEVEL = 0.05
FLIPS = 10_000

SIDES = ("before", "after")

_NUMBERED = {str(number): name for number, name in enumerate(CLASSES)}


class IncomparableError(FacemaskError):
    """Two revisions have no test image in common."""


class Verdict(StrEnum):
    """Verdict of a comparison."""

    SAME = "the same answers"
    NO_EVIDENCE = "no evidence of a difference"
    BETTER = "better"
    WORSE = "worse"


@dataclass(frozen=True)
class Difference:
    """One figure of two models, on the same images.

    Attributes:
        figure: "accuracy", "balanced_accuracy" or "recall".
        label: the class of a recall, else "".
        before, after: the shares, 0 to 1.
        low, high: 95 % interval of `after - before`, which covers the test photographs and, if known, the trainings.
        p: of the test by photograph and, if known, of the trainings; corrected for multiplicity unless the
            figure is the accuracy.
    """

    figure: str
    label: str
    before: float
    after: float
    low: float
    high: float
    p: float

    @property
    def change(self) -> float:
        """By how much the figure rose, as a share."""
        return self.after - self.before

    @property
    def verdict(self) -> Verdict:
        """Verdict on the change as a whole."""
        if self.p > LEVEL or self.low <= 0 <= self.high:
            return Verdict.NO_EVIDENCE
        return Verdict.BETTER if self.change > 0 else Verdict.WORSE


@dataclass(frozen=True)
class TrainingSpread:
    """Chance of the two trainings in the difference of each figure.

    Attributes:
        deviations: standard deviation of the difference by figure and label, as in `Difference`.
        freedom: degrees of freedom of these estimates.
    """

    deviations: Mapping[tuple[str, str], float]
    freedom: int

    def half_width(self, figure: str, label: str) -> float:
        """Return half the width of the 95 % interval of the difference that the trainings alone explain."""
        return float(student_t.ppf(1 - LEVEL / 2, self.freedom)) * self.deviations.get((figure, label), 0.0)


@dataclass(frozen=True)
class Pairs:
    """The test images that two revisions have in common, with both answers.

    Attributes:
        images: one row per image; columns `id` (a hash of it where not known, which is never so of the surest mistakes
            of a model), `label`, `group` (the photograph), `sha256` (the first digits of that of the file, "" where not
            known), `before` and `after` (the predicted classes), `confidence_before` and `confidence_after` (their
            probabilities; NaN where not known).
        photographs_known: whether a revision says which images are copies; if not, each image counts as a photograph.
        pictures_checked: whether both revisions say what is in the image files, so that images that have changed under
            their name are left out.
        only_before, only_after: test images of one revision that the other has not in test.
        relabelled: images left out because their label differs.
        replaced: images left out because there is another picture under the name.
    """

    images: pd.DataFrame
    photographs_known: bool
    pictures_checked: bool
    only_before: int
    only_after: int
    relabelled: int
    replaced: int


@dataclass(frozen=True)
class Change:
    """A photograph that is classified correctly by one model and wrong by the other.

    Attributes:
        id, sha256: of its first image that is, as in `Pairs`.
        label: what it shows.
        before, after: the answers.
        confidence: probability of the wrong answer; NaN where not known.
        images: how many of its images changed in this way.
    """

    id: str
    sha256: str
    label: str
    before: str
    after: str
    confidence: float
    images: int


@dataclass(frozen=True)
class Comparison:
    """Result of the paired comparison of two models.

    Attributes:
        accuracy: the figure that decides.
        others: balanced accuracy and the recall of each class that occurs.
        images, photographs: how many were compared.
        better, worse: images that only the later, or only the earlier model names right.
        otherwise: images that both name wrong, by different classes.
        mcnemar: p-value of McNemar's exact test by image.
        spread: what the intervals and p-values say of the chance of the trainings; None if nothing.
        gains, losses: the photographs behind `better` and `worse`, the surest mistakes first.
    """

    accuracy: Difference
    others: tuple[Difference, ...]
    images: int
    photographs: int
    better: int
    worse: int
    otherwise: int
    mcnemar: float
    spread: TrainingSpread | None
    gains: tuple[Change, ...]
    losses: tuple[Change, ...]

    @property
    def verdict(self) -> Verdict:
        """Verdict on the change as a whole."""
        return self.accuracy.verdict if self.better + self.worse + self.otherwise else Verdict.SAME


def read_test(revision: Revision) -> pd.DataFrame:
    """Read what a revision's model says of its test images.

    It stands in git. Revisions older than that file are read from their tables in DVC.

    Returns:
        Columns `image` (as in `metrics/answers.csv`), `id`, `label`, `prediction`, `confidence` (float64, NaN where not
        known), `group` and `sha256` (the first digits of that of the image file). `id`, `group` and `sha256` are ""
        where the revision does not say.

    Raises:
        FacemaskError: the revision's answers cannot be read; the message says what to do.
    """
    path = "metrics/answers.csv"
    try:
        table = read_csv(revision, path, [name for name in ANSWERS.columns if name != "image"])
        table["confidence"] = pd.to_numeric(table["confidence"], errors="coerce")
    except MissingFileError:
        path = "data/predictions.csv"
        table = _read_older(revision, path)
    if table.empty:
        raise FacemaskError(f"{path} of {revision.name} has no test image: run `dvc repro`, and commit what it makes")
    if "image" not in table:  # older revisions name all images, and give hashes and classes in full
        table["image"] = table["id"].map(image_key)
    table["sha256"] = table["sha256"].str[:CONTENT_DIGITS]
    table = table.replace(dict.fromkeys(("label", "prediction"), _NUMBERED))
    for column in ("label", "prediction"):
        unknown = sorted(set(table[column]) - set(CLASSES))
        if unknown:
            raise FacemaskError(
                f"{path} of {revision.name} has {column}s that are not classes ({', '.join(unknown)}); "
                f"{_another(revision)}"
            )
    if table["image"].duplicated().any():
        raise FacemaskError(f"{path} of {revision.name} lists images twice; {_another(revision)}")
    return table[[*ANSWERS.columns]]


def read_evaluation(revision: Revision) -> dict[str, Any]:
    """Read the figures that the stage `evaluate` wrote; {} if there are none or they cannot be read.

    Revisions before `metrics/details/` have them in `metrics/`.
    """
    for folder in ("metrics/details", "metrics"):
        try:
            content = json.loads(revision.read(f"{folder}/evaluation.json"))
        except (MissingFileError, ValueError):
            continue
        if isinstance(content, dict) and isinstance(content.get("test"), dict):
            return content
    return {}


def _read_older(revision: Revision, path: str) -> pd.DataFrame:
    """Put together the columns of `read_test` from the table of predictions and, for what it lacks, from others."""
    table = read_csv(revision, path, ("id", "part", "label", "prediction"))
    table = table[table["part"] == "test"].reset_index(drop=True)
    if "group" not in table:
        table["group"] = _looked_up(table["id"], revision, "data/split.csv", "group")
    table["sha256"] = _looked_up(table["id"], revision, "data/manifest.csv", "sha256")
    table["confidence"] = np.nan
    for name in CLASSES:
        if f"p_{name}" in table:
            of_class = table["prediction"] == name
            table.loc[of_class, "confidence"] = pd.to_numeric(table.loc[of_class, f"p_{name}"], errors="coerce")
    return table


def pair(before: pd.DataFrame, after: pd.DataFrame) -> Pairs:
    """Bring together the test images that both revisions have, with equal labels and equal content.

    An image that is in test in both was trained on by neither model, also where the split has changed. Which images
    are one photograph is what the later revision says, else the earlier one.

    Args:
        before: as `read_test` gives it.
        after: likewise.

    Raises:
        IncomparableError: no image is left.
    """
    both = before.merge(after, on="image", suffixes=("_before", "_after"), validate="one_to_one")
    relabelled = both["label_before"] != both["label_after"]
    known = (both["sha256_before"] != "") & (both["sha256_after"] != "")
    replaced = known & (both["sha256_before"] != both["sha256_after"]) & ~relabelled
    kept = both[~relabelled & ~replaced].reset_index(drop=True)
    if kept.empty:
        raise IncomparableError(
            f"the revisions have no test image in common: {len(before)} and {len(after)} images, {len(both)} of one "
            f"name, {int(relabelled.sum())} of these with two labels, {int(replaced.sum())} with two pictures; compare "
            "revisions with one data set, or evaluate both models on one split"
        )
    named = [column for column in ("group_after", "group_before") if (kept[column] != "").all()]
    images = pd.DataFrame(
        {
            "id": _first_given(kept["id_after"], kept["id_before"], kept["image"]),
            "label": kept["label_after"],
            "group": kept[named[0] if named else "image"],
            "sha256": _first_given(kept["sha256_after"], kept["sha256_before"]),
            "before": kept["prediction_before"],
            "after": kept["prediction_after"],
            "confidence_before": kept["confidence_before"],
            "confidence_after": kept["confidence_after"],
        }
    )
    return Pairs(
        images=images,
        photographs_known=bool(named),
        pictures_checked=bool(known.all()),
        only_before=len(before) - len(both),
        only_after=len(after) - len(both),
        relabelled=int(relabelled.sum()),
        replaced=int(replaced.sum()),
    )


def _first_given(column: pd.Series, *others: pd.Series) -> pd.Series:
    """Return text, where it is "" that of the next column."""
    return column.where(column != "", _first_given(*others)) if others else column


def read_spread(before: Revision, after: Revision) -> TrainingSpread | None:
    """Read how much of a difference between two revisions their trainings explain; see `combine_spreads`."""
    return combine_spreads(read_evaluation(before), read_evaluation(after))


def combine_spreads(before: Mapping[str, Any], after: Mapping[str, Any]) -> TrainingSpread | None:
    """Combine what two evaluations say of the chance of their trainings.

    If one of them did not measure it, it is taken to vary like the other; None if neither did.
    """
    spreads = [found for side in (before, after) if (found := _spread_of(side))]
    if not spreads:
        return None
    sides = spreads if len(spreads) == 2 else spreads * 2
    names = set(sides[0][0]) & set(sides[1][0])
    deviations = {name: math.hypot(*(deviations[name] for deviations, _ in sides)) for name in names}
    return TrainingSpread(deviations, sum(repeats - 1 for _, repeats in spreads))


def _spread_of(evaluation: Mapping[str, Any]) -> tuple[dict[tuple[str, str], float], int] | None:
    """Return the deviation of each figure and the number of repeats; None where there are fewer than two."""
    try:
        found = evaluation["training_spread"]
        repeats = int(found["repeats"])
        deviations = {(name, ""): float(found[name]) for name in ("accuracy", "balanced_accuracy")}
        deviations |= {("recall", label): float(value) for label, value in found["recall"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):  # an older revision, or one repeat
        return None
    return (deviations, repeats) if repeats > 1 and all(map(math.isfinite, deviations.values())) else None


def compare(
    images: pd.DataFrame,
    spread: TrainingSpread | None,
    replicates: int = REPLICATES,
    flips: int = FLIPS,
    seed: int = 1,
) -> Comparison:
    """Compare two models on the images of `Pairs`.

    Args:
        images: `Pairs.images`, at least one row.
        spread: as returned by `read_spread`; None counts the chance of the test photographs only.
        replicates: how often photographs are drawn for the intervals.
        flips: how often the models are swapped for the test.
        seed: of both; the order of the rows does not matter.
    """
    tallied = tally(images, SIDES)
    right_before, right_after = ((images[answer] == images["label"]).to_numpy() for answer in SIDES)
    better, worse = right_after & ~right_before, right_before & ~right_after
    weights = photograph_weights(images)
    won, lost = (_by_class(images["label"][chosen], weights[chosen]) for chosen in (better, worse))
    found = _differences(tallied, won, lost, replicates, flips, seed)
    accuracy, *others = [_with_spread(one, spread) for one in found] if spread else found
    changed = int(better.sum() + worse.sum())
    return Comparison(
        accuracy=accuracy,
        others=_corrected(others),
        images=len(images),
        photographs=int(tallied.photographs.sum()),
        better=int(better.sum()),
        worse=int(worse.sum()),
        otherwise=int((~right_before & ~right_after & (images["before"] != images["after"]).to_numpy()).sum()),
        mcnemar=float(binomtest(int(worse.sum()), changed).pvalue) if changed else 1.0,
        spread=spread,
        gains=_changes(images[better], "confidence_before"),
        losses=_changes(images[worse], "confidence_after"),
    )


def _with_spread(difference: Difference, spread: TrainingSpread) -> Difference:
    """Widen the interval of a difference, and raise its p-value, by the chance of the trainings."""
    half = spread.half_width(difference.figure, difference.label)
    low = difference.change - math.hypot(difference.change - difference.low, half)
    high = difference.change + math.hypot(difference.high - difference.change, half)
    error = (high - low) / (2 * NORMAL)
    p = max(difference.p, 2 * float(norm.sf(abs(difference.change) / error)) if error else 0.0)
    return replace(difference, low=max(low, -1.0), high=min(high, 1.0), p=p)


def sign_flip(tallied: Tally, weights: Floats, flips: int, seed: int) -> Floats:
    """Test, photograph by photograph, whether two models differ by more than chance.

    Args:
        tallied: of two answers.
        weights: (figures, classes); weight of a photograph of each class.
        flips: how often the answers to each photograph are swapped at random.
        seed: of the swapping.

    Returns:
        p-values, two-sided, one for each figure; never below `1 / (flips + 1)` (Phipson and Smyth, Permutation p-values
        should never be zero, Statistical Applications in Genetics and Molecular Biology 9, 2010).
    """
    right = np.diagonal(tallied.shares, axis1=-2, axis2=-1)
    net, place = np.unique(right[:, 1] - right[:, 0], axis=0, return_inverse=True)
    photographs = np.bincount(place.ravel(), weights=tallied.photographs).astype(np.int64)
    swapped = np.random.default_rng(seed).binomial(photographs, 0.5, size=(flips, len(net)))
    by_chance = (photographs - 2 * swapped) @ net @ weights.T
    seen = photographs @ net @ weights.T
    as_far = np.abs(by_chance) >= np.abs(seen) - 1e-12  # sums that are equal but for rounding are equal
    return np.asarray((1 + as_far.sum(axis=0)) / (flips + 1))


def bonett_price(better: float, worse: float, number: float) -> Interval:
    """95 % interval of the difference of two paired shares (Bonett and Price 2012).

    Args:
        better: share of the sample for which only the second is right.
        worse: share for which only the first is.
        number: size of the sample.
    """
    gained, lost = ((share * number + 1) / (number + 2) for share in (better, worse))
    half = NORMAL * np.sqrt((gained + lost - (gained - lost) ** 2) / (number + 2))
    return max(float(gained - lost - half), -1.0), min(float(gained - lost + half), 1.0)


def _differences(tallied: Tally, won: Floats, lost: Floats, replicates: int, flips: int, seed: int) -> list[Difference]:
    """Compute accuracy, balanced accuracy and the recall of each class that occurs, with p-values uncorrected."""
    weight = tallied.confusion()[0].sum(axis=1)
    of_class = tallied.photographs @ (tallied.shares[:, 0].sum(axis=2) > 0)
    occur = np.flatnonzero(weight)
    names = [("accuracy", ""), ("balanced_accuracy", ""), *(("recall", CLASSES[index]) for index in occur)]
    weights = _weights(weight)
    before, after = _figures(tallied.confusion(), occur)
    drawn = _figures(resample(tallied, replicates, seed), occur)
    p = sign_flip(tallied, weights, flips, seed)
    differences = []
    for row, (figure, label) in enumerate(names):
        number = effective_number(weights[row] * weight, of_class)
        small = bonett_price(float(weights[row] @ won), float(weights[row] @ lost), number)
        low, high = widest(percentiles(drawn[:, 1, row] - drawn[:, 0, row]), small)
        differences.append(Difference(figure, label, float(before[row]), float(after[row]), low, high, float(p[row])))
    return differences


def _figures(confusion: Floats, occur: NDArray[np.intp]) -> Floats:
    """Compute accuracy, balanced accuracy and the recalls of the classes that occur: (..., figures)."""
    values = figures(confusion)
    headlines = np.stack([values["accuracy"], values["balanced_accuracy"]], axis=-1)
    return np.concatenate([headlines, values["recall"][..., occur]], axis=-1)


def _weights(photographs: Floats) -> Floats:
    """Return the weight of one photograph of each class in accuracy, balanced accuracy and recalls.

    Args:
        photographs: (classes,); how many photographs each class has.

    Returns:
        (figures, classes).
    """
    each = np.divide(1.0, photographs, out=np.zeros(len(photographs)), where=photographs > 0)
    recalls = np.diag(each)[photographs > 0]
    return np.vstack([np.full(len(photographs), 1 / photographs.sum()), each / len(recalls), recalls])


def _by_class(labels: pd.Series, weights: Floats) -> Floats:
    return pd.Series(weights).groupby(labels.to_numpy()).sum().reindex(CLASSES, fill_value=0).to_numpy(dtype=float)


def _corrected(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Correct the p-values for being several, by Holm's procedure."""
    p = np.array([difference.p for difference in differences])
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return tuple(replace(one, p=float(value)) for one, value in zip(differences, corrected, strict=True))


def _changes(images: pd.DataFrame, confidence: str) -> tuple[Change, ...]:
    """Gather images that changed in one way into photographs, the surest mistakes first."""
    ordered = images.sort_values([confidence, "id"], ascending=[False, True])
    key = ["group", "label", *SIDES]
    number = ordered.groupby(key)["id"].transform("size")
    first = ordered.assign(number=number).drop_duplicates(key)
    columns = ["id", "sha256", "label", *SIDES, confidence, "number"]
    return tuple(Change(*row) for row in first[columns].itertuples(index=False, name=None))


def read_csv(revision: Revision, path: str, columns: Sequence[str]) -> pd.DataFrame:
    """Read a CSV table of any version of the project, as text, if it has at least these columns.

    Raises:
        MissingFileError: the revision does not have the table, or its content is nowhere to be had.
        FacemaskError: it is torn, or lacks a column.
    """
    try:
        table = pd.read_csv(io.BytesIO(revision.read(path)), dtype=str, keep_default_na=False, encoding="utf-8")
        if missing := [column for column in columns if column not in table]:
            raise ValueError(f"it has no column {', '.join(missing)}")
    except ValueError as error:  # also what pandas raises for an empty or torn file, and for bytes that are no UTF-8
        raise FacemaskError(f"{path} of {revision.name} is invalid ({error}); {_another(revision)}") from error
    return table


def _another(revision: Revision) -> str:
    return "choose another revision" if revision.sha else "run `dvc repro evaluate`"


def _looked_up(ids: pd.Series, revision: Revision, path: str, column: str) -> list[str]:
    """Look up images in a column of another table; "" where the revision has no such table, or none that can be had."""
    try:
        table = read_csv(revision, path, ("id", column))
    except MissingFileError:
        return [""] * len(ids)
    known = dict(zip(table["id"], table[column], strict=True))
    return [known.get(name, "") for name in ids]
