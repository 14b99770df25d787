"""What the report says of corruptions and of activation maps is what the stages found, and no more."""

import json
from pathlib import Path
from typing import Any

import pytest

from facemask.evaluation.corruptions import CAMERA, TITLES
from facemask.report.figures import draw_figures
from facemask.report.findings import read_findings
from facemask.report.page import markdown_summary
from tests.report.conftest import Write
from tests.report.pages import Page, html_of, page_of

pytestmark = pytest.mark.slow  # builds whole report pages


def metrics(project: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((project / "metrics/details" / f"{name}.json").read_text(encoding="utf-8"))
    return content


def test_the_page_and_the_summary_open_robustness_with_the_one_figure(tmp_path: Path, write: Write) -> None:
    findings = write(corrupted=15)
    found = metrics(tmp_path, "robustness")
    assert 0.3 < found["mean_corruption_accuracy"] < found["clean_accuracy"]
    text = page_of(tmp_path, findings).text
    low, high = (f"{found['interval'][end]:.1%}" for end in ("low", "high"))
    assert f"Mean corruption accuracy {found['mean_corruption_accuracy']:.1%} {low} to {high} with 95%" in text
    assert f"Hardest {found['accuracy'][found['worst']]:.1%} {TITLES[found['worst']].lower()}" in text
    summary = markdown_summary(findings)
    assert f"Mean corruption accuracy {found['mean_corruption_accuracy']:.1%} ({low} to {high} with 95%" in summary
    assert "on 15 test images" in summary


def test_every_corruption_has_a_row_with_all_its_strengths(tmp_path: Path, write: Write) -> None:
    findings = write(corrupted=15)
    text, found = page_of(tmp_path, findings).text, metrics(tmp_path, "robustness")
    accuracy = findings.corruptions.set_index(["trouble", "strength"])["accuracy"]
    for name in CAMERA:
        shares = [f"{accuracy[name, strength]:.1%}" for strength in range(1, 6)]
        assert " ".join([TITLES[name], *shares, f"{found['accuracy'][name]:.1%}"]) in text
    assert f"Wider crop 30% {accuracy['crop_margin', 3]:.1%} (" in text
    assert f"Smaller face 16 px {accuracy['face_size', 4]:.1%} (" in text


def test_the_charts_are_drawn_from_their_own_run(write: Write) -> None:
    many, few = draw_figures(write(corrupted=15)), draw_figures(write(corrupted=3))
    assert many.corruptions
    assert many.corruptions != few.corruptions
    assert many.framing != few.framing


def test_turned_off_the_report_says_so_and_how_to_turn_it_on(tmp_path: Path, write: Write) -> None:
    findings = write(corrupted=0)
    drawn = draw_figures(findings)
    assert (drawn.corruptions, drawn.framing) == ("", "")
    page = Page(html_of(tmp_path, findings, drawn))
    assert "Not computed in this run. Set robustness.images in params.yaml" in page.text
    assert "Mean corruption accuracy" not in page.text + markdown_summary(findings)
    assert "robustness.images is 0" in markdown_summary(findings)
    assert all(image.get("src") for image in page.of("img"))


def test_the_share_in_the_lower_half_is_told_for_each_answer(tmp_path: Path, write: Write) -> None:
    findings = write(wrong=(0.9,))
    found = metrics(tmp_path, "activation")["lower_half"]
    text = page_of(tmp_path, findings).text
    assert f"{found['all']:.1%} lies in the lower half" in text
    right = found["right"]["with_mask"]
    assert f"Mask worn correctly {right['share']:.1%} ({right['images']} images)" in text
    assert "no image" in text  # with one mistake, two classes are never said wrongly


@pytest.mark.parametrize(("share", "verdict"), [(0.5, "it is no evidence"), (0.8, "lies outside that range")])
def test_a_share_that_shuffled_models_have_as_well_is_said_to_prove_nothing(
    tmp_path: Path, write: Write, share: float, verdict: str
) -> None:
    write()
    content = metrics(tmp_path, "activation")
    content["lower_half"]["all"] = share
    content["shuffled"] = {"mean": 0.5, "low": 0.4, "high": 0.6}
    (tmp_path / "metrics/details" / "activation.json").write_text(json.dumps(content), encoding="utf-8")
    text = page_of(tmp_path, read_findings(tmp_path, ["faces"])).text
    assert verdict in text
    assert "40.0% to 60.0% in 95 of 100 trials" in text
