"""What the report shows of the data is what the data are, in words that need no programmer."""

import io
import json
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemask.data.quality import JUNK_FLAGS
from facemask.data.shortcuts import PROPERTIES
from facemask.dataset.archive import Archive
from facemask.presentation.thumbnails import SMALL, read_pictures
from facemask.report.evidence import JUNK_TITLES, PROPERTY_WORDS
from facemask.report.findings import Findings
from facemask.report.page import markdown_card, markdown_summary
from tests.report.conftest import Write
from tests.report.outs import members, picture
from tests.report.pages import Page, page_of

pytestmark = pytest.mark.slow  # builds whole report pages


def ids(label: str, *numbers: int) -> list[str]:
    return [f"faces/{label}/{label}/{number:03}.png" for number in numbers]


def section(page: Page, start: str, end: str) -> str:
    return page.text.split(start, 1)[1].split(end, 1)[0]


def shown(page: Page, description: str) -> list[str]:
    """Ids of the pictures whose description matches."""
    return [str(image["title"]) for image in page.of("img") if re.match(description, str(image["alt"]))]


def flat(level: int, size: tuple[int, int] = (40, 40)) -> bytes:
    return encoded(np.full((size[1], size[0], 3), level, np.uint8))


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def darkened(data: bytes, factor: float) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return encoded((np.asarray(image) * factor).astype(np.uint8))


def documents(project: Path, findings: Findings) -> tuple[str, str, str]:
    return page_of(project, findings).text, markdown_summary(findings), markdown_card(findings)


def test_photographs_are_counted_beside_files(tmp_path: Path, write: Write) -> None:
    copies = [ids("with_mask", 1, 2, 3), ids("with_mask", 5, 6)]
    findings = write(copies=copies)
    for text in documents(tmp_path, findings):
        assert "30 files show 27 photographs: 3 files are copies of another file" in text
    assert "Mask worn correctly 10 7 1.4 3" in page_of(tmp_path, findings).text
    assert "| Mask worn correctly | 10 | 7 | 1.4 | 3 |" in markdown_summary(findings)


def test_files_of_equal_bytes_are_counted(tmp_path: Path, write: Write) -> None:
    files = members(10)
    files |= {"with_mask/same.png": files["with_mask/001.png"], "with_mask/again.png": files["with_mask/001.png"]}
    for text in documents(tmp_path, write(sources={"faces": files})):
        assert "2 files are copies of another file, 2 of them byte for byte and under the same label" in text


def test_the_photographs_with_the_most_copies_are_shown_first(tmp_path: Path, write: Write) -> None:
    copies = [ids("with_mask", 1, 2), ids("without_mask", 0, 1, 2, 3, 4, 5), ids("with_mask", 5, 6, 7)]
    page = page_of(tmp_path, write(copies=copies), groups=2, group_images=4)
    first, second = shown(page, "Photograph 1,"), shown(page, "Photograph 2,")
    assert len(first) == 4
    assert set(first) < set(copies[1])
    assert set(second) == set(copies[2])
    assert not shown(page, "Photograph 3,")
    text = section(page, "Photographs and copies", "Contradicting labels")
    assert text.index("No mask, 6 files") < text.index("And 2 others.") < text.index("Mask worn correctly, 3 files")


def test_equal_files_do_not_fill_the_row_of_a_photograph(tmp_path: Path, write: Write) -> None:
    files = members(10)
    files |= {f"with_mask/000_{number}.png": files["with_mask/000.png"] for number in range(20)}
    findings = write(sources={"faces": files}, copies=[ids("with_mask", 0, 1, 2)])
    page = page_of(tmp_path, findings, group_images=3)
    assert shown(page, "Photograph 1,") == ids("with_mask", 0, 1, 2)


def test_pictures_are_those_that_their_titles_name(tmp_path: Path, write: Write) -> None:
    page = page_of(tmp_path, write(copies=[ids("with_mask", 1, 2), ids("with_mask", 4, 5)]))
    named = [image for image in page.of("img") if image.get("title")]
    assert len({image["title"] for image in named}) > 4
    with Archive(tmp_path / "data" / "images.zip") as archive:
        for image in named:
            (expected,) = read_pictures(archive, [str(image["title"])], SMALL)
            assert b64decode(str(image["src"]).split(",")[1]) == expected


def test_a_contradiction_is_shown_with_pictures_labels_and_names(tmp_path: Path, write: Write) -> None:
    pair = [*ids("with_mask", 1), *ids("without_mask", 1)]
    findings = write(copies=[pair])
    page = page_of(tmp_path, findings)
    assert shown(page, "Contradiction 1,") == pair
    text = section(page, "Contradicting labels", "Low-quality images")
    assert "Mask worn correctly (1) or No mask (1)" in text
    assert "Left out: all 2." in text
    assert all(name in text for name in pair)
    assert "decide which label is right" in text
    for document in documents(tmp_path, findings):
        assert "1 photograph (2 files) carries two labels; all of these files were left out." in document


def test_where_the_majority_is_kept_the_reader_sees_which_files(tmp_path: Path, write: Write) -> None:
    findings = write(copies=[ids("with_mask", 1, 2) + ids("without_mask", 1)], contradictions="majority")
    text = section(page_of(tmp_path, findings), "Contradicting labels", "Low-quality images")
    assert "Kept, since most copies say so: “Mask worn correctly” (2). Left out: 1." in text
    assert "Mask worn correctly kept faces/with_mask/with_mask/001.png" in text
    assert "No mask left out faces/without_mask/without_mask/001.png" in text


def test_every_label_of_a_large_contradiction_is_shown(tmp_path: Path, write: Write) -> None:
    group = ids("mask_weared_incorrect", 0, 1, 2, 3, 4) + ids("without_mask", 8)
    page = page_of(tmp_path, write(copies=[group]), group_images=3)
    assert shown(page, "Contradiction 1,") == [*ids("mask_weared_incorrect", 0, 1), *ids("without_mask", 8)]
    assert "And 3 others." in page.text


def test_contradictions_that_are_not_shown_are_listed(tmp_path: Path, write: Write) -> None:
    copies = [[*ids("with_mask", number), *ids("without_mask", number)] for number in range(3)]
    page = page_of(tmp_path, write(copies=copies), contradictions=1)
    assert len(shown(page, "Contradiction")) == 2
    assert "2 photographs more, as a list of all files" in page.text
    for name in (name for pair in copies for name in pair):
        assert f"{name} {'No mask' if 'without' in name else 'Mask worn correctly'}" in page.text


def test_data_without_fault_are_said_to_be_so(tmp_path: Path, write: Write) -> None:
    findings = write()
    page = page_of(tmp_path, findings)
    assert "30 files show 30 photographs: 0 files are copies of another file." in page.text
    assert "In this data no photograph has copies under one label" in page.text
    for text in documents(tmp_path, findings):
        assert "No photograph carries two labels. No image is nearly one colour" in text
        assert "found no suspicious pair between the training images and the others" in text
    assert not shown(page, "Photograph|Contradiction")


def test_junk_is_shown_with_its_reason_and_the_number_behind_it(tmp_path: Path, write: Write) -> None:
    files = members(10) | {"with_mask/grey.png": flat(90), "with_mask/tiny.png": picture((7, 7), (18, 18))}
    findings = write(sources={"faces": files})
    page = page_of(tmp_path, findings)
    assert shown(page, "Nearly one colour, picture 1") == ["faces/with_mask/with_mask/grey.png"]
    assert shown(page, "Too small, picture 1") == ["faces/with_mask/with_mask/tiny.png"]
    text = section(page, "Low-quality images", "Shortcuts")
    usual = findings.manifest["contrast"].median()
    assert f"Half of all pictures have a contrast above {usual:.1f}. All were left out." in text
    assert "contrast 0.0" in text
    assert "shorter side 18 pixels" in text
    for document in documents(tmp_path, findings):
        sentence = (
            "Too low in quality to learn from: 2 pictures (nearly one colour 1, too small 1); "
            "all of them were left out."
        )
        assert sentence in document


def test_junk_that_is_kept_is_said_to_be_kept(tmp_path: Path, write: Write) -> None:
    grey = {f"with_mask/grey{level}.png": flat(level) for level in range(60, 100)}
    findings = write(sources={"faces": members(10) | grey}, junk="keep")
    numbers = findings.parts.loc[findings.parts["id"].str.contains("grey"), "part"].value_counts()
    text = section(page_of(tmp_path, findings), "Nearly one colour: 40 pictures", "Shortcuts")
    assert f"Training {numbers['train']}, validation {numbers['val']}, test {numbers['test']}." in text
    assert "none of them were left out" in markdown_summary(findings)


def test_the_most_similar_pairs_across_the_split_are_side_by_side(tmp_path: Path, write: Write) -> None:
    findings = write(leaks=(0.91, 0.85, 0.5))
    page = page_of(tmp_path, findings, leak_pairs=2)
    pairs = [shown(page, f"Pair {number}:") for number in (1, 2, 3)]
    assert pairs == [*findings.leaks[["id", "train_id"]].head(2).to_numpy().tolist(), []]
    text = section(page, "Leak check", "What is not found")
    assert text.index("None is suspicious") < text.index("Similarity 0.91") < text.index("Similarity 0.85")
    assert "Suspicious" not in text
    assert "It knows nothing of the groups" in text


def test_suspicious_pairs_are_marked_and_counted_everywhere(tmp_path: Path, write: Write) -> None:
    findings = write(leaks=(0.99, 0.96, 0.95, 0.5))
    page = page_of(tmp_path, findings, leak_pairs=2)
    assert [item.get("class") for item in page.of("li")].count("suspicious") == 2
    assert "Suspicious: similarity 0.99" in page.text
    assert "1 suspicious pair more" in page.text
    for text in documents(tmp_path, findings):
        assert "found 3 suspicious pairs between the training images and the others" in text
        assert "no suspicious pair" not in text


def test_a_split_without_any_pair_to_show_is_no_problem(tmp_path: Path, write: Write) -> None:
    page = page_of(tmp_path, write(leaks=()))
    assert not shown(page, "Pair")
    assert "found no suspicious pair" in page.text


def test_a_shortcut_is_warned_of_with_its_figures_and_pictures(tmp_path: Path, write: Write) -> None:
    files = {name: darkened(data, 0.3 if "without" in name else 1) for name, data in members(20).items()}
    findings = write(sources={"faces": files})
    figures = json.loads((tmp_path / "metrics/details" / "data.json").read_text(encoding="utf-8"))["shortcuts"][
        "brightness"
    ]
    auc, chance = f"{figures['auc']:.2f}", f"{figures['chance']:.2f}"
    for text in documents(tmp_path, findings):
        assert (
            f"Brightness alone tells “No mask” from the rest with AUC {auc}; chance allows {chance}: the model may "
            "learn the light instead of the mask."
        ) in text
    page = page_of(tmp_path, findings, shortcut_images=4)
    assert f"Brightness No mask {auc} {chance} warning" in page.text
    dark, rest = shown(page, "Brightness, no mask"), shown(page, "Brightness, the rest")
    assert len(dark) == len(rest) == 4
    assert all("/without_mask/" in name for name in dark)
    assert not any("/without_mask/" in name for name in rest)
    brightness = findings.manifest.set_index("id")["brightness"]
    for names in (dark, rest):
        values = [brightness[name] for name in names]
        assert values == sorted(values)
        assert all(f"{value:.0f}" in page.text for value in values)
    assert "not a proof" in page.text


def test_a_file_type_that_gives_a_class_away_is_shown_as_shares(tmp_path: Path, write: Write) -> None:
    files = members(20)
    for name in [name for name in files if "without" in name]:
        with Image.open(io.BytesIO(files.pop(name))) as image:
            files[name] = encoded(np.asarray(image), "JPEG")
    text = page_of(tmp_path, write(sources={"faces": files})).text
    assert "File type alone tells “No mask” from the rest with AUC 1.00" in text
    assert "Share of the pictures No mask The rest JPEG 100.0% 0.0% PNG 0.0% 100.0%" in text


def test_where_no_property_tells_a_class_nothing_is_warned_of(tmp_path: Path, write: Write) -> None:
    findings = write()
    assert not any(figures["warning"] for figures in findings.data["shortcuts"].values())
    text = section(page_of(tmp_path, findings), "Shortcuts A mask", "Split")
    assert "Nothing found" in text
    assert "Warning." not in text
    assert "None: no property of the pictures" in markdown_summary(findings)


def test_every_property_and_every_reason_has_words() -> None:
    assert list(PROPERTY_WORDS) == list(PROPERTIES)
    assert list(JUNK_TITLES) == list(JUNK_FLAGS)


@pytest.mark.parametrize("number", [0, 1])
def test_settings_bound_the_pictures_on_the_page(tmp_path: Path, write: Write, number: int) -> None:
    files = members(10) | {f"with_mask/grey{level}.png": flat(level) for level in (60, 70)}
    copies = [ids("with_mask", 1, 2), ids("with_mask", 3, 4)]
    copies += [[*ids("with_mask", place), *ids("without_mask", place)] for place in (5, 6)]
    settings = dict.fromkeys(("groups", "contradictions", "junk_images", "leak_pairs", "shortcut_images"), number)
    page = page_of(tmp_path, write(sources={"faces": files}, copies=copies), **settings)
    counts = {word: len(shown(page, word)) for word in ("Photograph", "Contradiction", "Nearly one colour", "Pair")}
    assert counts == {
        "Photograph": 2 * number,
        "Contradiction": 2 * number,
        "Nearly one colour": number,
        "Pair": 2 * number,
    }


def test_no_two_pictures_have_the_same_description(tmp_path: Path, write: Write) -> None:
    files = {name: darkened(data, 0.3 if "without" in name else 1) for name, data in members(20).items()}
    files |= {f"with_mask/grey{level}.png": flat(level) for level in (60, 70)}
    copies = [ids("with_mask", 1, 2), ids("without_mask", 3, 4), [*ids("with_mask", 5), *ids("without_mask", 5)]]
    descriptions = [
        image["alt"] for image in page_of(tmp_path, write(sources={"faces": files}, copies=copies)).of("img")
    ]
    assert len(descriptions) > 30
    assert len(set(descriptions)) == len(descriptions)
