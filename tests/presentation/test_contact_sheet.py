import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.dataset.archive import Archive, write_archive
from facemask.presentation.contact_sheet import TILE, choose_samples, contact_sheet, fitted, read_thumbnails
from tests.bad_images import picture, saved

RED = np.full((90, 60, 3), (255, 0, 0), np.uint8)


def manifest(*counts: tuple[str, str, int], flags: str = "") -> pd.DataFrame:
    rows = [
        (f"{source}/{label}/{number:04}.png", source, label, f"{source}-{label}-{number}", flags)
        for source, label, count in counts
        for number in range(count)
    ]
    return pd.DataFrame(rows, columns=["id", "source", "label", "group", "flags"])


def test_sources_are_shown_in_equal_numbers_as_far_as_they_last() -> None:
    table = manifest(("big", "with_mask", 900), ("mid", "with_mask", 50), ("small", "with_mask", 3))
    chosen = choose_samples(table, per_class=16, seed=1)["with_mask"]
    assert len(set(chosen)) == 16
    shares = pd.Series(chosen).str.split("/").str[0].value_counts().to_dict()
    assert shares == {"big": 7, "mid": 6, "small": 3}


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    table = manifest(*(("one", label, 200) for label in CLASSES))
    first = choose_samples(table, 16, seed=1)
    assert list(first) == list(CLASSES)
    assert first == choose_samples(table[::-1], 16, seed=1)
    assert first != choose_samples(table, 16, seed=2)


@pytest.mark.parametrize("flags", ["duplicate", "contradiction", "near_constant", "duplicate blurred"])
def test_flagged_images_are_shown_only_if_a_class_has_no_others(flags: str) -> None:
    flagged = manifest(("a", "with_mask", 30), flags=flags)
    assert len(choose_samples(flagged, 8, seed=1)["with_mask"]) == 8
    table = pd.concat([flagged, manifest(("b", "with_mask", 2))])
    assert {name[0] for name in choose_samples(table, 8, seed=1)["with_mask"]} == {"b"}


def test_of_each_photograph_one_picture_is_shown_however_many_copies_it_has() -> None:
    table = manifest(("a", "with_mask", 30), ("b", "with_mask", 30))
    table["group"] = [f"photograph {number % 5}" for number in range(len(table))]
    chosen = choose_samples(table, 16, seed=1)["with_mask"]
    assert sorted(table.set_index("id").loc[chosen, "group"]) == [f"photograph {number}" for number in range(5)]
    assert chosen == choose_samples(table[::-1], 16, seed=1)["with_mask"]


def test_a_photograph_whose_first_copy_is_flagged_is_shown_by_another() -> None:
    table = manifest(("a", "with_mask", 3))
    table["group"] = "one photograph"
    table.loc[0, "flags"] = "blurred"
    assert choose_samples(table, 16, seed=1)["with_mask"] == ["a/with_mask/0001.png"]


def test_a_class_without_images_has_no_samples_and_still_a_title() -> None:
    samples = choose_samples(manifest(("a", "with_mask", 1)), 8, seed=1)
    assert samples["without_mask"] == []
    with_title = contact_sheet({"with_mask": [RED], "without_mask": []}, {"with_mask": 1, "without_mask": 0})
    without = contact_sheet({"with_mask": [RED]}, {"with_mask": 1})
    assert Image.open(io.BytesIO(with_title)).height > Image.open(io.BytesIO(without)).height


def test_a_sheet_shows_every_image_whole_and_at_its_own_proportions() -> None:
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet({"with_mask": [RED] * 11}, {"with_mask": 11}))))
    red = np.all(np.abs(sheet.astype(int) - (254, 0, 0)) < 12, axis=2).sum()
    assert abs(red / (11 * TILE * TILE * 60 / 90) - 1) < 0.03


def test_the_same_images_give_the_same_sheet() -> None:
    images = {label: [picture(30, 50), picture(60, 20)] for label in CLASSES}
    totals = dict.fromkeys(CLASSES, 2)
    assert contact_sheet(images, totals) == contact_sheet(images, totals)


def test_the_total_of_a_class_is_written_on_the_sheet() -> None:
    assert contact_sheet({"with_mask": [RED]}, {"with_mask": 1}) != contact_sheet(
        {"with_mask": [RED]}, {"with_mask": 2}
    )


def test_thumbnails_are_read_from_the_archive_in_the_order_asked_for(tmp_path: Path) -> None:
    write_archive(tmp_path / "images.zip", [("a.png", saved(picture(40, 400), "PNG")), ("b.png", saved(RED, "PNG"))])
    with Archive(tmp_path / "images.zip") as archive:
        thumbnails = read_thumbnails(archive, {"with_mask": ["b.png", "a.png"], "without_mask": []})
    assert [image.shape for image in thumbnails["with_mask"]] == [(TILE, 96, 3), (14, TILE, 3)]
    assert thumbnails["without_mask"] == []
    assert np.all(thumbnails["with_mask"][0] == (255, 0, 0))


def test_even_a_picture_of_one_row_has_a_thumbnail() -> None:
    assert fitted(picture(1, 900), 144).shape == (1, 144, 3)
    assert fitted(picture(2, 2), 144).shape == (144, 144, 3)
