"""Model card: intended use, data, figures, limits.

The headings follow M. Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

from dataclasses import dataclass

import pandas as pd

from facemask.core.classes import CLASSES, TITLES
from facemask.data.duplicates.conflicts import CONTRADICTION
from facemask.data.quality import JUNK_FLAGS
from facemask.dataset.manifest import has_flag
from facemask.dataset.split import DROPPED
from facemask.evaluation.bootstrap import ENOUGH
from facemask.presentation.table import Table, count, percent
from facemask.report import tables
from facemask.report.evidence import JUNK_TITLES, shortcut_warnings
from facemask.report.findings import Findings, Json


@dataclass(frozen=True)
class Section:
    """A heading with what follows it, in this order."""

    title: str
    paragraphs: tuple[str, ...] = ()
    bullets: tuple[str, ...] = ()
    table: Table | None = None


def drawn_warning(findings: Findings) -> str:
    """Warn that drawn faces are in the figures; "" if none are."""
    drawn = [name for name, card in findings.cards.items() if card["kind"] == "sample"]
    if not drawn:
        return ""
    if len(drawn) == len(findings.cards):
        return (
            "Every picture in this run was drawn by this project. It shows that the pipeline works; its figures come "
            "from drawn faces and say nothing about real ones."
        )
    number = sum(sum(findings.data["source"].get(name, {}).values()) for name in drawn)
    return (
        f"{count(number)} of the {count(findings.data['images'])} pictures in this run were drawn by this project. "
        "Figures from drawn faces say nothing about real ones: look at the figures by source."
    )


def data_sentences(findings: Findings) -> tuple[str, ...]:
    """Describe the data: photographs, copies, contradictions, low-quality images."""
    data, manifest = findings.data, findings.manifest
    copies = data["images"] - data["groups"]
    one = "1 file is a copy" if copies == 1 else f"{count(copies)} files are copies"
    equal = f", {count(data['duplicates'])} of them byte for byte and under the same label"
    sentences = [
        f"{count(data['images'], 'file')} show {count(data['groups'], 'photograph')}: {one} of another file"
        f"{equal if copies else ''}."
    ]
    if data["contradictions"]:
        files = manifest[has_flag(manifest, CONTRADICTION)]
        number = files["group"].nunique()
        verb = "carries" if number == 1 else "carry"
        sentences.append(
            f"{count(number, 'photograph')} ({count(len(files), 'file')}) {verb} two labels; "
            f"{_left_out(findings, files)} of these files were left out."
        )
    else:
        sentences.append("No photograph carries two labels.")
    return (*sentences, _junk_sentence(findings))


def _junk_sentence(findings: Findings) -> str:
    reasons = [f"{JUNK_TITLES[flag].lower()} {count(n)}" for flag, n in findings.data["junk"].items() if n]
    if not reasons:
        return "No image is nearly one colour, posterised, too small or blurred."
    files = findings.manifest[has_flag(findings.manifest, *JUNK_FLAGS)]
    return (
        f"Too low in quality to learn from: {count(len(files), 'picture')} ({', '.join(reasons)}); "
        f"{_left_out(findings, files)} of them were left out."
    )


def _left_out(findings: Findings, files: pd.DataFrame) -> str:
    """Return how many of the files are in no part: "all", "none" or a number."""
    dropped = set(findings.parts.loc[findings.parts["part"] == DROPPED, "id"])
    number = int(files["id"].isin(dropped).sum())
    return {len(files): "all", 0: "none"}.get(number, count(number))


def leak_sentence(findings: Findings) -> str:
    """Describe the result of the leakage check."""
    number = findings.split["leaks"]["suspicious_pairs"]
    found = "no suspicious pair" if number == 0 else count(number, "suspicious pair")
    return (
        "A second check, which compares whole pictures instead of local features, found "
        f"{found} between the training images and the others."
    )


def split_caution(findings: Findings) -> str:
    """Describe the limits of the split."""
    return (
        "Copies of one photograph (cropped, turned, mirrored, darkened and the like) are found by their local features "
        f"and kept in one part of the split. {leak_sentence(findings)} Heavily modified copies may still be "
        "missed; then the figures look better than they are."
    )


def headline(findings: Findings) -> str:
    """Return the headline: the share of the test photographs that is classified correctly."""
    test = findings.evaluation["test"]
    images, photographs = test["images"], test["photographs"]
    by_file = (
        ""
        if images == photographs
        else f" With copies, it is {percent(test['by_file']['accuracy'])} of {count(images, 'file')}."
    )
    return (
        f"The model classifies {percent(test['accuracy'])} of {count(photographs, 'test photograph')} correctly "
        f"({_bounds(test['interval']['accuracy'])} with 95% confidence).{by_file}"
    )


def worst_slice(findings: Findings) -> str:
    """Name the part of the test images that the model is worst at; "" where all parts are small."""
    worst = findings.slices["test"]["worst"]
    if worst is None:
        return ""
    what = tables.MEASURE_TITLES.get(worst["of"], worst["of"].replace("_", " "))
    value = worst["value"].partition(": ")[2] if worst["of"] in tables.MEASURE_TITLES else worst["value"]
    return (
        f"Of all slices with {ENOUGH} photographs or more, the model is worst at this one: {what}: {value or 'any'} "
        f"({percent(worst['accuracy'])} of {count(worst['images'], 'image')} correct; "
        f"{_bounds(worst['interval'])} with 95% confidence). The worst of many slices owes a part of it to chance."
    )


def _bounds(interval: Json) -> str:
    return f"{percent(interval['low'])} to {percent(interval['high'])}"


def model_card(findings: Findings) -> list[Section]:
    """Write the model card from the figures of this run."""
    return [
        Section("Model", _what_it_is(findings)),
        Section(
            "Intended use",
            bullets=(
                "Classifying a picture of one face: mask worn correctly, incorrectly, or not at all.",
                "Learning, research, and counting how masks are worn where those pictured have agreed to it.",
                "A starting point for a model of your own, trained on pictures of the place where it will be used.",
            ),
        ),
        Section(
            "Out-of-scope use",
            bullets=(
                "Deciding anything about a person, such as who may enter or who is fined.",
                "Recognising who somebody is, or guessing age, sex, origin, health or mood.",
                "Medicine or safety at work: it does not know whether a mask protects.",
                "Whole photographs, by the model alone: it expects one face, cut out with some margin. "
                "The command facemask predict finds the faces first.",
            ),
        ),
        Section(
            "Data and licences",
            (" ".join(data_sentences(findings)), _split_sentence(findings)),
            table=tables.sources(findings),
        ),
        Section("Figures", _figures(findings), table=tables.per_class(findings)),
        Section("Limits", bullets=_limits(findings)),
        Section(
            "Privacy",
            (
                "Pictures stay on the machine: training, evaluation and prediction run where they are. The network is "
                "used to fetch published data sets and pretrained weights, and to publish a model on request.",
                "The report page itself holds pictures of faces: samples, copies, similar pairs, wrong predictions. "
                "Before you pass it on, make sure that those pictured agree.",
            ),
        ),
    ]


def _what_it_is(findings: Findings) -> tuple[str, ...]:
    height, width = findings.model["input"]["height_width"]
    parameters = findings.train["parameters"]
    names = ", ".join(TITLES[label].lower() for label in CLASSES)
    return (
        f"A classifier of face crops with three answers: {names}. It is MobileNetV2 with a new top; of its "
        f"{count(parameters['total'])} parameters, {count(parameters['trained'])} were trained here, the others keep "
        "their ImageNet weights.",
        f"Input: a picture of {width} x {height} pixels, RGB, whole numbers from 0 to 255; all scaling happens inside "
        "the model. Output: three probabilities that add up to 1, in the order above.",
    )


def _split_sentence(findings: Findings) -> str:
    images = findings.split["images"]
    return (
        f"Of the files, {count(images['train'])} are for training, {count(images['val'])} to "
        f"choose the best epoch, {count(images['test'])} for testing; {count(images['dropped'])} "
        "are left out."
    )


def _figures(findings: Findings) -> tuple[str, ...]:
    test = findings.evaluation["test"]
    further = (
        f"Balanced accuracy {percent(test['balanced_accuracy'])}, macro F1 {percent(test['macro_f1'])}. By class, on "
        "the test images:"
    )
    warning = drawn_warning(findings)
    return (warning, headline(findings), further) if warning else (headline(findings), further)


def _limits(findings: Findings) -> tuple[str, ...]:
    return (
        split_caution(findings),
        *shortcut_warnings(findings),
        "The test images come from the same sources as those trained on. On pictures from elsewhere, with another "
        f"camera, another light, other people, expect more mistakes{_unseen(findings)}.",
        "Models of this kind are known to fail on beards, hands and scarves before the mouth, black or printed "
        "masks, faces from the side, and dark or blurred pictures. " + _what_is_known(findings),
        *filter(None, (_corruptions(findings), _calibration(findings), worst_slice(findings))),
    )


def _corruptions(findings: Findings) -> str:
    found = findings.robustness
    if not found["images"]:
        return ""
    return (
        "Under simulated camera corruptions (noise, blur, low light ...), the accuracy falls from "
        f"{percent(found['clean_accuracy'])} to {percent(found['mean_corruption_accuracy'])}, on average "
        f"({_bounds(found['interval'])} with 95% confidence; {count(found['images'], 'test image')})."
    )


def _unseen(findings: Findings) -> str:
    """Quote the figures of sources that were left out, for the end of a sentence."""
    found = [f"{percent(figures['accuracy'])} on {name}" for name, figures in findings.unseen.items()]
    return f": models trained without a source reached an accuracy of {', '.join(found)}" if found else ""


def _calibration(findings: Findings) -> str:
    test = findings.evaluation["test"]
    calibration, decision = test["calibration"], test["decision"]
    errors = decision["errors_of_answered"]
    wrong = "" if errors is None else f", of which {percent(errors)} are wrong"
    return (
        f"The probabilities were calibrated on the validation images; on the test images they are off by "
        f"{percent(calibration['calibration_error'])} on average (expected calibration error). They are not valid for "
        "images unlike these. With the chosen thresholds on the validation images, "
        f"{percent(decision['answered'])} of the test photographs are answered{wrong}; the others are called uncertain."
    )


def _what_is_known(findings: Findings) -> str:
    if any(findings.slices["test"]["attribute"].values()):
        return "The report shows the figures for those that the sources annotate."
    return "The sources of this run do not say which pictures show these, so there are no figures for them."
