"""The report is true to the metrics, complete, self-contained, and safe whatever files are called."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facemask.core.classes import CLASSES, TITLES
from facemask.dataset.archive import Archive
from facemask.presentation.thumbnails import LARGE, read_pictures
from facemask.report.card import headline
from facemask.report.figures import draw_figures
from facemask.report.findings import read_findings
from facemask.report.page import markdown_card, markdown_summary
from facemask.report.tables import MEASURE_TITLES
from tests.report.conftest import Write
from tests.report.outs import add_attributes, members, picture
from tests.report.pages import figures, html_of, page_of

pytestmark = pytest.mark.slow  # builds whole report pages


def test_the_page_needs_nothing_from_outside(tmp_path: Path, write: Write) -> None:
    findings = write()
    page = page_of(tmp_path, findings)
    targets = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert len(targets) > 10
    assert all(target and target.startswith(("data:image/", "#")) for target in targets)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "base", "form"}
    styles = html_of(tmp_path, findings, figures()).split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\(|@import|https?:", styles)


def test_every_link_leads_to_a_part_of_the_page(tmp_path: Path, write: Write) -> None:
    page = page_of(tmp_path, write())
    there = {attributes.get("id") for _, attributes in page.tags}
    assert {str(link["href"])[1:] for link in page.of("a")} <= there


def test_every_picture_is_described_for_those_who_cannot_see_it(tmp_path: Path, write: Write) -> None:
    descriptions = [image.get("alt") for image in page_of(tmp_path, write()).of("img")]
    assert all(descriptions)
    assert len(set(descriptions)) == len(descriptions)


def written(figures: dict[str, Any], name: str) -> str:
    """A share as it stands in a table, with its interval where it has one."""
    bounds = figures.get("interval", {}).get(name)
    return f"{figures[name]:.1%}" + (f" ({100 * bounds['low']:.1f} to {100 * bounds['high']:.1f})" if bounds else "")


def test_the_figures_on_the_page_are_those_of_the_metrics(tmp_path: Path, write: Write) -> None:
    findings = write(wrong=(0.9, 0.8, 0.7, 0.6, 0.55))
    evaluation = json.loads((tmp_path / "metrics/details" / "evaluation.json").read_text(encoding="utf-8"))
    text = page_of(tmp_path, findings).text
    for part, name in (("test", "Test"), ("val", "Validation")):
        figures = evaluation[part]
        row = [written(figures, figure) for figure in ("accuracy", "balanced_accuracy", "macro_f1")]
        by_file = [str(figures["images"]), f"{figures['by_file']['accuracy']:.1%}"]
        assert " ".join([name, str(figures["photographs"]), *row, *by_file]) in text
    for label in CLASSES:
        figures = {**evaluation["test"]["class"][label], "interval": evaluation["test"]["interval"]["class"][label]}
        row = [written(figures, figure) for figure in ("precision", "recall", "f1")]
        assert " ".join([TITLES[label], *row, str(figures["photographs"]), str(figures["support"])]) in text
        counts = [f"{evaluation['test']['confusion'][label][predicted]:.0f}" for predicted in CLASSES]
        assert f"| {TITLES[label]} | {' | '.join(counts)} |" in markdown_summary(findings)


def test_the_accuracy_by_file_is_told_where_photographs_have_copies(write: Write) -> None:
    findings = write()
    assert "With copies" not in headline(findings)
    findings.evaluation["test"] |= {"images": 1310, "by_file": {"accuracy": 0.954}}
    assert headline(findings).endswith("With copies, it is 95.4% of 1,310 files.")


def test_page_summary_and_card_open_with_the_same_figure(tmp_path: Path, write: Write) -> None:
    findings = write(wrong=(0.9, 0.8))
    test = json.loads((tmp_path / "metrics/details" / "evaluation.json").read_text(encoding="utf-8"))["test"]
    number = test["photographs"]
    sentence = f"The model classifies {(number - 2) / number:.1%} of {number} test photographs correctly ("
    assert sentence in page_of(tmp_path, findings).text
    assert sentence in markdown_summary(findings)
    assert sentence in markdown_card(findings)


@pytest.mark.parametrize("kind", ["kaggle", "folder", "sample"])
def test_the_reader_is_warned_of_drawn_faces_and_only_of_them(tmp_path: Path, write: Write, kind: str) -> None:
    findings = write(kind=kind)
    for text in (page_of(tmp_path, findings).text, markdown_summary(findings), markdown_card(findings)):
        assert ("say nothing about real ones" in text) == (kind == "sample")


def test_where_only_some_faces_are_drawn_the_warning_says_how_many(tmp_path: Path, write: Write) -> None:
    findings = write(sources={"drawn": members(10), "own": members(8)}, kind="sample")
    text = page_of(tmp_path, findings).text
    assert "30 of the 54 pictures in this run were drawn" in text
    assert "look at the figures by source" in text


def test_a_hostile_file_name_does_no_harm(tmp_path: Path, write: Write) -> None:
    name = 'with_mask/<img src="https:x" onerror=alert(1)>`|` @someone.png'
    files = members(10) | {
        name: picture((9, 9)),
        "with_mask/<b>.txt": b"x",
        "without_mask/<i>copy.png": picture((9, 9)),
    }
    findings = write(sources={"faces": files}, licence="<script>alert(1)</script>|[x](https:y)")
    page = page_of(tmp_path, findings)
    assert name in page.text
    assert not {tag for tag, _ in page.tags} & {"script", "b", "i"}
    assert all(str(image["src"]).startswith("data:") for image in page.of("img"))
    for document in (markdown_summary(findings), markdown_card(findings)):
        assert r"\<script\>alert(1)\</script\>\|\[x\](https:y)" in document
        outside_code = re.sub(r"(`+) ?[^\n]*?[^`]\1(?!`)", "", document)
        assert not re.search(r"(?<!\\)[<@]", outside_code)


def test_names_keep_the_rows_of_markdown_tables_together(write: Write) -> None:
    files = members(10) | {f"with_mask/a|b`{number}``.png": picture((8, number)) for number in range(12)}
    summary = markdown_summary(write(sources={"faces": files}, wrong=[0.9] * 20))
    rows = [line for line in summary.splitlines() if line.startswith("|")]
    listed = [row for row in rows if row.startswith("| `") and "%" in row]
    assert listed
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in listed} == {5}


def test_all_wrong_predictions_are_counted_and_the_most_confident_shown(tmp_path: Path, write: Write) -> None:
    findings = write(wrong=(0.61, 0.93, 0.72, 0.84, 0.55))
    page = page_of(tmp_path, findings, wrong_images=3)
    text = page.text
    assert re.search(r"5 of \d+ test images were misclassified\. The 3 most confident mistakes:", text)
    assert "2 more are not shown" in text
    shown = [str(image["alt"]) for image in page.of("img") if str(image["alt"]).startswith("Wrong prediction")]
    assert len(shown) == 3
    where = [text.find(f", {confidence}%") for confidence in ("93.0", "84.0", "72.0")]
    assert where == sorted(where)
    assert -1 not in where
    assert "61.0%" not in text
    assert "55.0%" not in text
    assert all(mistake.id in text for mistake in findings.mistakes[:3])


def test_no_pictures_of_wrong_predictions_are_shown_if_none_are_wanted(tmp_path: Path, write: Write) -> None:
    text = page_of(tmp_path, write(wrong=(0.7,)), wrong_images=0).text
    assert re.search(r"1 of \d+ test images was misclassified", text)
    assert "1 more is not shown" in text


def test_a_model_without_mistakes_is_reported(tmp_path: Path, write: Write) -> None:
    findings = write(wrong=())
    text = page_of(tmp_path, findings).text
    assert "None: all test images were classified correctly." in text
    assert "The model classifies 100.0% of" in text
    assert "## Wrong predictions\n\nNone of" in markdown_summary(findings)


def test_what_was_left_out_is_listed_with_its_reason_and_the_rest_counted(tmp_path: Path, write: Write) -> None:
    broken = {f"with_mask/broken{number:02}.jpg": b"\xff\xd8\xff" for number in range(60)}
    findings = write(sources={"faces": members(10) | broken | {"notes.txt": b"hello"}})
    text = page_of(tmp_path, findings).text
    assert "61 files could not be used" in text
    assert "faces notes.txt in no folder that stands for a class" in text
    assert "faces with_mask/broken48.jpg damaged" in text
    assert "broken49.jpg" not in text
    assert "And 11 more" in text
    assert "| damaged | 60 |" in markdown_summary(findings)


def test_attributes_are_shown_the_least_accurate_first_and_small_groups_apart(tmp_path: Path, write: Write) -> None:
    files = add_attributes(members(30), beard=["full", "none"], light=["dark", *["normal"] * 9])
    findings = write(sources={"faces": files}, wrong=(0.9, 0.8, 0.7, 0.6))
    slices = findings.slices["test"]["attribute"]
    values = [("beard", "full"), ("beard", "none"), ("light", "normal")]
    assert all(
        slices[attribute][value]["images"] >= 20 > slices["light"]["dark"]["images"] for attribute, value in values
    )
    text = page_of(tmp_path, findings).text
    usual, small = text.split("By attribute")[1].split("Wrong predictions")[0].split("1 small group,")
    assert "light dark" in small
    assert "light dark" not in usual
    worst_first = sorted(values, key=lambda item: slices[item[0]][item[1]]["accuracy"])
    where = [usual.index(" ".join(item)) for item in worst_first]
    assert where == sorted(where)


def test_sources_that_say_nothing_of_their_pictures_are_no_problem(tmp_path: Path, write: Write) -> None:
    findings = write()
    assert "The sources annotate only the class" in page_of(tmp_path, findings).text
    assert "do not say which pictures show these" in markdown_card(findings)


def test_each_source_is_named_with_its_licence_and_its_own_figures(tmp_path: Path, write: Write) -> None:
    findings = write(sources={"a": members(10), "b": members(8)})
    text = page_of(tmp_path, findings).text
    assert "a Kaggle somebody/masks, version 1 CC BY 4.0 10 10 10 30" in text
    assert "b own photographs not stated 8 8 8 24" in text
    for name, kind in (("a", "Kaggle data set"), ("b", "own photographs")):
        figures = findings.slices["test"]["source"][name]
        assert f"{name} {kind} {figures['images']} {figures['accuracy']:.1%}" in text


def test_the_split_is_not_said_to_be_better_than_it_is(tmp_path: Path, write: Write) -> None:
    findings = write()
    for text in (page_of(tmp_path, findings).text, markdown_summary(findings), markdown_card(findings)):
        assert "Heavily modified copies may still be missed" in text


def test_exports_are_shown_with_size_and_how_they_compare_with_keras(tmp_path: Path, write: Write) -> None:
    text = page_of(tmp_path, write()).text
    assert "compare with Keras on 115 test images" in text
    assert "Keras 9.6 MB the reference the reference 97.4%" in text
    assert "TensorFlow Lite 8.8 MB below 0.000001 100.0% 97.4%" in text
    assert "TensorFlow Lite, int8 2.7 MB 0.208800 99.1% 96.5%" in text
    assert "ONNX 8.8 MB 0.000001 100.0% 97.4%" in text


def test_figures_are_drawn_from_their_own_run_and_alike_each_time(write: Write) -> None:
    first = draw_figures(write())
    assert first == figures()
    worse = draw_figures(write(sources={"faces": members(12)}, wrong=[0.95] * 9))
    assert worse.confusion != first.confusion
    assert worse.precision_recall != first.precision_recall
    assert worse.classes != first.classes
    assert (first.only_corner, worse.only_corner) == (True, False)
    assert not any("<dc:date" in svg for svg in (first.classes, first.loss, first.confusion))


def test_pictures_of_one_size_need_no_chart_of_sizes(tmp_path: Path, write: Write) -> None:
    files = {name: picture((number,)) for number, name in enumerate(members(10))}
    findings = write(sources={"faces": files})
    drawn = draw_figures(findings)
    assert drawn.sizes == ""
    assert "All are 40 pixels wide and 40 high." in html_of(tmp_path, findings, drawn)


def test_large_pictures_are_made_small(tmp_path: Path, write: Write) -> None:
    files = members(10) | {"with_mask/big.png": picture((1, 2), (900, 600))}
    write(sources={"faces": files})
    with Archive(tmp_path / "data" / "images.zip") as archive:
        (data,) = read_pictures(archive, ["faces/with_mask/with_mask/big.png"], LARGE)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (LARGE, round(LARGE * 2 / 3))


def test_the_page_says_how_far_probabilities_can_be_believed(tmp_path: Path, write: Write) -> None:
    findings = write(wrong=(0.9, 0.6))
    test = json.loads((tmp_path / "metrics/details" / "evaluation.json").read_text(encoding="utf-8"))["test"]
    text = page_of(tmp_path, findings).text
    assert f"off by {test['calibration']['calibration_error']:.1%} on average" in text
    decision = test["decision"]
    assert 0 < decision["answered"] < 1
    assert f"{decision['answered']:.1%} are answered, of which {decision['errors_of_answered']:.1%} are wrong" in text
    assert f"{decision['answered']:.1%} of the test photographs are answered" in markdown_card(findings)


def test_where_nothing_is_sure_enough_no_share_of_errors_is_claimed(tmp_path: Path, write: Write) -> None:
    write()
    path = tmp_path / "metrics/details" / "evaluation.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["test"]["decision"] |= {"answered": 0.0, "errors_of_answered": None}
    path.write_text(json.dumps(content), encoding="utf-8")
    findings = read_findings(tmp_path, ["faces"])
    assert "0.0% are answered. If the surest 90%" in page_of(tmp_path, findings).text
    assert "0.0% of the test photographs are answered; the others" in markdown_card(findings)


def test_the_worst_slice_is_named_on_page_and_card_where_slices_are_large(tmp_path: Path, write: Write) -> None:
    few = write()
    assert "the model is worst at" not in page_of(tmp_path, few).text
    many = write(sources={"faces": members(60)}, wrong=(0.9,) * 5)
    worst = many.slices["test"]["worst"]
    sentence = f"({worst['accuracy']:.1%} of {worst['images']} images correct"
    assert sentence in page_of(tmp_path, many).text
    assert sentence in markdown_card(many)


def test_pictures_are_sliced_by_brightness_sharpness_and_size(tmp_path: Path, write: Write) -> None:
    findings = write()
    text = page_of(tmp_path, findings).text
    for measure, ranges in findings.slices["test"]["measure"].items():
        assert sum(figures["images"] for figures in ranges.values()) == findings.evaluation["test"]["images"]
        assert text.count(MEASURE_TITLES[measure]) >= len(ranges)


def test_what_happens_on_sources_that_were_left_out_is_told_or_how_to_find_out(tmp_path: Path, write: Write) -> None:
    findings = write()
    assert "unseen.enabled in params.yaml switches it on" in page_of(tmp_path, findings).text
    path = tmp_path / "metrics/details" / "unseen.json"
    path.write_text(json.dumps({"web": findings.evaluation["test"]}), encoding="utf-8")
    findings = read_findings(tmp_path, ["faces"])
    accuracy = findings.evaluation["test"]["accuracy"]
    assert f"web {findings.evaluation['test']['images']} {accuracy:.1%} (" in page_of(tmp_path, findings).text
    assert f"models trained without a source reached an accuracy of {accuracy:.1%} on web" in markdown_card(findings)
    assert "| `web` |" in markdown_summary(findings)
