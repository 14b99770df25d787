import csv
import hashlib
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.data.sources.sample import ATTRIBUTES, attribute_rows, draw_sample
from facemask.data.sources.sample.plan import WEARS

PER_CLASS = 4
UNREADABLE = {"truncated", "text", "empty", "broken_png"}


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    return dict(draw_sample(PER_CLASS, seed=1, workers=1))


@pytest.fixture(scope="module")
def rows(drawn: dict[str, bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(drawn["attributes.csv"].decode())))


def planted(rows: list[dict[str, str]], kind: str) -> list[dict[str, str]]:
    found = [row for row in rows if row["planted"] == kind]
    assert found, f"no {kind} was planted"
    return found


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (dict(draw_sample(1, seed, workers=1)) for seed in (5, 5, 6))
    assert first == again
    assert first["with_mask/0000.jpg"] != other["with_mask/0000.jpg"]


@pytest.mark.slow
def test_the_number_of_workers_does_not_change_a_byte() -> None:
    def digest(workers: int) -> str:
        return hashlib.sha256(b"".join(content for _, content in draw_sample(16, 2, workers))).hexdigest()

    assert digest(1) == digest(2)


def test_a_smaller_sample_is_the_beginning_of_a_larger_one(drawn: dict[str, bytes]) -> None:
    smaller = dict(draw_sample(1, seed=1, workers=1))
    portraits = [row["path"] for row in attribute_rows(1, seed=1) if not row["planted"]]
    assert len(portraits) == len(CLASSES)
    assert all(smaller[path] == drawn[path] for path in portraits)


def test_every_file_has_a_row_and_every_row_a_file(drawn: dict[str, bytes], rows: list[dict[str, str]]) -> None:
    assert list(drawn)[-1] == "attributes.csv"
    assert [row["path"] for row in rows] == list(drawn)[:-1]
    assert tuple(rows[0]) == ATTRIBUTES
    assert rows == attribute_rows(PER_CLASS, seed=1)


def test_each_class_has_the_number_of_portraits_asked_for(rows: list[dict[str, str]]) -> None:
    portraits = Counter(row["path"].split("/")[0] for row in rows if not row["planted"])
    assert portraits == dict.fromkeys(CLASSES, PER_CLASS)


def test_every_readable_file_is_a_picture_of_the_promised_size(
    drawn: dict[str, bytes], rows: list[dict[str, str]]
) -> None:
    for row in rows:
        if row["planted"] in UNREADABLE:
            continue
        image = Image.open(io.BytesIO(drawn[row["path"]]))
        image.load()
        assert image.format == {"jpg": "JPEG", "png": "PNG"}[row["path"].rsplit(".")[-1]]
        if not row["planted"]:
            assert 112 <= image.height <= 320


@pytest.mark.parametrize("kind", sorted(UNREADABLE))
def test_a_broken_file_cannot_be_decoded(drawn: dict[str, bytes], rows: list[dict[str, str]], kind: str) -> None:
    for row in planted(rows, kind):
        with pytest.raises((OSError, SyntaxError)):
            Image.open(io.BytesIO(drawn[row["path"]])).load()


def test_a_duplicate_has_the_bytes_of_its_original_and_stands_in_the_same_class(
    drawn: dict[str, bytes], rows: list[dict[str, str]]
) -> None:
    for row in planted(rows, "duplicate"):
        assert drawn[row["path"]] == drawn[row["planted_of"]]
        assert row["path"] != row["planted_of"]
        assert row["path"].split("/")[0] == row["planted_of"].split("/")[0]


def test_a_contradiction_has_the_same_bytes_in_two_classes(drawn: dict[str, bytes], rows: list[dict[str, str]]) -> None:
    for row in planted(rows, "contradiction"):
        assert drawn[row["path"]] == drawn[row["planted_of"]]
        assert row["path"].startswith("with_mask/")
        assert row["planted_of"].startswith("mask_weared_incorrect/")


def test_a_copy_stands_in_the_class_of_its_original_but_has_other_bytes(
    drawn: dict[str, bytes], rows: list[dict[str, str]]
) -> None:
    for kind in ("rotated", "cropped", "mirrored", "darkened", "recompressed"):
        for row in planted(rows, f"copy_{kind}"):
            assert drawn[row["path"]] != drawn[row["planted_of"]]
            assert row["path"].split("/")[0] == row["planted_of"].split("/")[0]


def test_the_palette_png_is_transparent(drawn: dict[str, bytes], rows: list[dict[str, str]]) -> None:
    for row in planted(rows, "palette"):
        image = Image.open(io.BytesIO(drawn[row["path"]]))
        assert image.mode == "P"
        assert "transparency" in image.info
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]


def test_the_cmyk_jpeg_is_cmyk(drawn: dict[str, bytes], rows: list[dict[str, str]]) -> None:
    for row in planted(rows, "cmyk"):
        assert Image.open(io.BytesIO(drawn[row["path"]])).mode == "CMYK"


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_jpeg_is_upright_for_a_reader_that_heeds_its_orientation(
    drawn: dict[str, bytes], rows: list[dict[str, str]], orientation: int
) -> None:
    from PIL import ImageChops, ImageOps, ImageStat

    for row in planted(rows, f"exif_{orientation}"):
        image = Image.open(io.BytesIO(drawn[row["path"]]))
        assert image.getexif()[0x0112] == orientation
        upright = ImageOps.exif_transpose(image)
        original = Image.open(io.BytesIO(drawn[row["planted_of"]])).convert("RGB")
        assert upright.size == original.size
        assert max(ImageStat.Stat(ImageChops.difference(upright, original)).mean) < 6


def test_the_sample_shows_all_skin_tones_wears_and_hard_cases_in_its_usual_size() -> None:
    rows = [row for row in attribute_rows(300, seed=0) if not row["planted"]]
    for label in CLASSES:
        of_class = [row for row in rows if row["path"].startswith(label)]
        assert {row["skin_tone"] for row in of_class} == {str(tone) for tone in range(1, 11)}
        assert {row["wear"] for row in of_class} == set(WEARS[label])
        assert {row["pose"] for row in of_class} == {"frontal", "turned", "tilted"}
        assert {row["light"] for row in of_class} == {"dark", "normal", "bright"}
        assert {"full", "long"} <= {row["beard"] for row in of_class}
        for hard in ("hand", "scarf"):
            assert sum(row[hard] == "yes" for row in of_class) >= 10
    assert {row["mask_type"] for row in rows} == {"none", "surgical", "cloth", "patterned", "black", "ffp2"}


def test_about_forty_files_are_planted_in_the_usual_size() -> None:
    assert 30 <= sum(bool(row["planted"]) for row in attribute_rows(300, seed=0)) <= 50


@pytest.mark.slow
def test_neither_brightness_nor_size_nor_format_tells_the_class() -> None:
    from sklearn.metrics import roc_auc_score

    per_class = 120  # a bound of 0.1 is then three standard errors of the AUC
    files = dict(draw_sample(per_class, seed=0))
    portraits = [row["path"] for row in attribute_rows(per_class, seed=0) if not row["planted"]]
    masked = [not path.startswith("without_mask") for path in portraits]
    images = [Image.open(io.BytesIO(files[path])) for path in portraits]
    tells = {
        "brightness": [np.asarray(image.convert("L")).mean() for image in images],
        "height": [image.height for image in images],
        "aspect": [image.width / image.height for image in images],
        "png": [image.format == "PNG" for image in images],
        "bytes": [len(files[path]) for path in portraits],
    }
    for name, values in tells.items():
        assert 0.4 < roc_auc_score(masked, values) < 0.6, name


def test_a_sample_of_no_portraits_is_refused() -> None:
    with pytest.raises(FacemaskError, match="per_class"):
        next(draw_sample(0, seed=0))
