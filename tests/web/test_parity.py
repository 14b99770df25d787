"""The page finds the same faces and gives the same answers as `facemask predict`."""

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks.photos import drawn_portraits, group_photo
from facemask.dataset.decode import UnusableImage, decode, resize
from facemask.inference.options import Options
from facemask.inference.predictor import Predictor
from tests.bad_images import ORIENTATION, STORED_AS
from tests.photos import group, one_face
from tests.web.pages import LOAD, PREDICT

pytestmark = pytest.mark.slow  # runs a browser

PIXELS, PROBABILITY = 0.01, 0.001
PHOTOGRAPHS = 50
SIZES = ((640, 480), (800, 600), (1280, 960), (480, 700))

Predict = Callable[[bytes], dict[str, Any]]


@pytest.fixture(scope="module")
def bare(browser: Browser, address: str) -> Iterator[Page]:
    """A page without content that has loaded the models."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}licences.txt")
        page.evaluate(LOAD)
        yield page


@pytest.fixture(scope="module")
def in_browser(bare: Page) -> Predict:
    return lambda data: bare.evaluate(PREDICT, base64.b64encode(data).decode())


@pytest.fixture(scope="module")
def predictor(photo_export: Path) -> Predictor:
    return Predictor(photo_export, Options())


def packed(pixels: np.ndarray | Image.Image, form: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, form, **how)
    return buffer.getvalue()


def assert_same(data: bytes, in_browser: Predict, predictor: Predictor) -> int:
    """Compare one file; return the number of its faces."""
    found = in_browser(data)
    image = decode(data)
    expected = predictor.predict(image)
    assert "problem" not in found, found
    assert (found["height"], found["width"]) == image.shape[:2]
    assert [face["answer"] for face in found["faces"]] == [face.answer for face in expected]
    for face, other in zip(found["faces"], expected, strict=True):
        assert other.box is not None
        for edge in ("left", "top", "right", "bottom"):
            assert face["box"][edge] == pytest.approx(getattr(other.box, edge), abs=PIXELS)
        assert face["box"]["score"] == pytest.approx(other.box.score, abs=PROBABILITY)
        assert face["label"] == other.label
        assert face["probabilities"] == pytest.approx(other.probabilities, abs=PROBABILITY)
    return len(expected)


def two_people() -> np.ndarray:
    return group([(60, 60, 300), (420, 180, 160)], width=640, height=480)


def test_fifty_drawn_photographs_have_the_same_faces_and_answers(in_browser: Predict, predictor: Predictor) -> None:
    rng = np.random.default_rng(5)
    portraits = drawn_portraits(per_class=6, seed=31)
    faces = 0
    for number in range(PHOTOGRAPHS):
        people = [portraits[place] for place in rng.integers(len(portraits), size=rng.integers(1, 5))]
        photo = group_photo(people, rng, *SIZES[number % len(SIZES)])
        form, how = (("JPEG", {"quality": int(rng.integers(60, 96))}), ("PNG", {}), ("WEBP", {"quality": 85}))[
            number % 3
        ]
        faces += assert_same(packed(photo, form, **how), in_browser, predictor)
    assert faces > PHOTOGRAPHS


@pytest.mark.parametrize("orientation", STORED_AS)
@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_a_turned_photograph_is_upright(form: str, orientation: int, in_browser: Predict, predictor: Predictor) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = Image.fromarray(two_people()).transpose(STORED_AS[orientation])
    assert assert_same(packed(stored, form, exif=exif, quality=90), in_browser, predictor) == 2


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_transparency_lies_on_the_same_grey(form: str, in_browser: Predict, predictor: Predictor) -> None:
    picture = Image.fromarray(one_face()).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").rotate(90).resize(picture.size))
    assert assert_same(packed(picture, form, lossless=True), in_browser, predictor) == 1


@pytest.mark.parametrize(
    ("mode", "form", "how"),
    [
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 2, "quality": 75}),
        ("P", "PNG", {}),
        ("RGB", "GIF", {}),
        ("RGB", "BMP", {}),
        ("RGB", "AVIF", {}),
    ],
)
def test_every_kind_of_file_is_decoded_alike(
    mode: str, form: str, how: dict[str, Any], in_browser: Predict, predictor: Predictor
) -> None:
    data = packed(Image.fromarray(one_face()).convert(mode), form, **how)
    assert assert_same(data, in_browser, predictor) == 1


def test_a_photograph_of_48_megapixels(in_browser: Predict, predictor: Predictor) -> None:
    photo = cv2.resize(two_people(), (8000, 6000), interpolation=cv2.INTER_CUBIC)
    assert assert_same(packed(photo, "JPEG", quality=80), in_browser, predictor) == 2


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (700, 2), (130, 7)])
def test_a_picture_of_any_shape_can_be_looked_at(
    shape: tuple[int, int], in_browser: Predict, predictor: Predictor
) -> None:
    assert assert_same(packed(np.zeros((*shape, 3), np.uint8), "PNG"), in_browser, predictor) == 0


def test_faces_too_small_to_judge_are_named_so(in_browser: Predict, predictor: Predictor) -> None:
    photo = group([(20, 20, 46), (90, 30, 150)], width=260, height=200)
    assert assert_same(packed(photo, "PNG"), in_browser, predictor) == 2
    assert in_browser(packed(photo, "PNG"))["faces"][0]["answer"] == "too small"


JPEG = packed(two_people(), "JPEG")
PNG = packed(two_people(), "PNG")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        JPEG[:100],
        JPEG[: len(JPEG) // 2],
        JPEG[:-2],
        PNG[:20],
        PNG[: len(PNG) // 2],
        packed(two_people(), "WEBP")[:1000],
        packed(two_people(), "GIF")[:5000],
        packed(two_people(), "BMP")[:5000],
        b"\0\0\0\x18ftypheic" + bytes(99),
        packed(Image.new("1", (10_000, 6_000)), "PNG"),
    ],
    ids=[
        "empty",
        "text",
        "jpeg-100",
        "jpeg-half",
        "jpeg-end",
        "png-20",
        "png-half",
        "webp",
        "gif",
        "bmp",
        "heic",
        "60mp",
    ],
)
def test_a_file_that_cannot_be_used_has_the_same_reason(data: bytes, in_browser: Predict) -> None:
    with pytest.raises(UnusableImage) as refused:
        decode(data)
    assert in_browser(data) == {"problem": refused.value.reason}


@pytest.mark.parametrize("side", [5, 31, 32, 33, 50, 64, 77, 96, 100, 128, 160, 250])
def test_a_crop_of_any_size_is_resized_to_the_same_pixels(side: int, bare: Page) -> None:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    found = bare.evaluate(
        """({ side, values }) => {
          const picture = { width: side, height: side, data: Uint8Array.from(values) };
          return Array.from(image.resizeSquare(picture, 32).data);
        }""",
        {"side": side, "values": pixels.ravel().tolist()},
    )
    assert found == resize(pixels, 32).ravel().tolist()
