"""The page finds the same faces and gives the same answers as `facemask predict`."""

import base64
import io
import re
import struct
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
from tests.bad_images import CASES, ORIENTATION, STORED_AS, Case, chunk
from tests.dataset import test_colour as colour
from tests.photos import group, one_face
from tests.web.pages import DECODE, LOAD, PREDICT

pytestmark = pytest.mark.slow  # runs a browser

PIXELS, PROBABILITY = 0.01, 0.001
SIZES = ((640, 480), (800, 600), (1280, 960), (480, 700))

LEVELS = 2  # of 255, by which pixels may differ after conversion of colours

Predict = Callable[[bytes], dict[str, Any]]
Read = Callable[[bytes], Any]


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
def read(bare: Page) -> Read:
    """Read a file in the browser: uint8 pixels, or the reason against it."""

    def pixels_or_reason(data: bytes) -> Any:
        found = bare.evaluate(DECODE, base64.b64encode(data).decode())
        if "problem" in found:
            return found["problem"]
        levels = np.frombuffer(base64.b64decode(found["pixels"]), np.uint8)
        return levels.reshape(found["height"], found["width"], 3)

    return pixels_or_reason


@pytest.fixture(scope="module")
def predictor(photo_export: Path) -> Predictor:
    return Predictor(photo_export, Options())


def packed(pixels: np.ndarray | Image.Image, form: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, form, **how)
    return buffer.getvalue()


def distance(one: np.ndarray, other: np.ndarray) -> int:
    assert isinstance(one, np.ndarray), one
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


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


@pytest.mark.parametrize("photographs", [12, pytest.param(50, marks=pytest.mark.nightly)])
def test_drawn_photographs_have_the_same_faces_and_answers(
    photographs: int, in_browser: Predict, predictor: Predictor
) -> None:
    rng = np.random.default_rng(5)
    portraits = drawn_portraits(per_class=6, seed=31)
    faces = 0
    for number in range(photographs):
        people = [portraits[place] for place in rng.integers(len(portraits), size=rng.integers(1, 5))]
        photo = group_photo(people, rng, *SIZES[number % len(SIZES)])
        form, how = (("JPEG", {"quality": int(rng.integers(60, 96))}), ("PNG", {}), ("WEBP", {"quality": 85}))[
            number % 3
        ]
        faces += assert_same(packed(photo, form, **how), in_browser, predictor)
    assert faces > photographs


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
PROGRESSIVE = packed(two_people(), "JPEG", progressive=True)
PNG = packed(two_people(), "PNG")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        JPEG[:100],
        JPEG[: len(JPEG) // 2],
        JPEG[:-3],
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
        "jpeg-last-pixels",
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


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
def test_a_jpeg_that_lacks_only_its_end_marker_is_answered(
    data: bytes, in_browser: Predict, predictor: Predictor
) -> None:
    for cut in (1, 2):
        assert assert_same(data[:-cut], in_browser, predictor) == 2


def test_a_progressive_jpeg_that_ends_between_two_scans_is_truncated(read: Read) -> None:
    scans = [match.start() for match in re.finditer(rb"\xff[\xc4\xda]", PROGRESSIVE)][-6:]
    assert [read(PROGRESSIVE[:end]) for end in scans] == ["truncated"] * len(scans)


def test_a_jpeg_in_cmyk_that_lacks_only_its_end_marker_is_read(read: Read) -> None:
    data = packed(Image.fromarray(two_people()).convert("CMYK"), "JPEG")
    assert distance(read(data[:-2]), decode(data)) <= LEVELS


# Read by none of the browsers, or by one of them only.
NOT_READ = ("TIFF", "JPEG 2000", "PPM", "JPEG in CMYK without marker")
# Broken in more than one way; which is named, may differ.
OTHERWISE_NAMED = {
    "JPEG cut in its signature": "truncated",
    "PNG without pixels": "damaged",
    "GIF with broken data": "truncated",
}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_odd_and_broken_files_have_the_same_pixels_or_the_same_reason(case: Case, read: Read) -> None:
    found = read(case.build())
    if case.name.startswith(NOT_READ):
        assert found == "not read by browsers"
    elif isinstance(case.expected, str):
        assert found == OTHERWISE_NAMED.get(case.name, case.expected)
    else:
        assert distance(found, decode(case.build())) <= LEVELS


def managed(name: str) -> bytes:
    """A picture with a profile that is not sRGB's."""
    kind, space = name.split(" ", 1)
    if space == "Display P3, transparent":
        pixels = in_p3().bandjoin(colour.image(np.tile(np.linspace(0, 255, 800).astype(np.uint8), (600, 1))))
        return colour.encoded(pixels, kind)
    if space == "Display P3, 16 bits":
        return colour.encoded(in_p3(depth=16), kind)
    if space == "Display P3, palette":
        return bytes(in_p3().pngsave_buffer(palette=True, dither=0))
    if space == "Display P3":
        return colour.encoded(in_p3(), kind)
    content = {"Adobe RGB": colour.ADOBE_RGB, "grey": colour.DARK_GREY}[space]
    pixels = colour.original()[..., 0] if space == "grey" else colour.original()
    how: dict[str, Any] = {"lossless": True} if kind == "webp" else {"quality": 95}
    return packed(pixels, kind, icc_profile=content, **how)


def in_p3(depth: int = 8) -> Any:
    return colour.image(colour.original()).icc_transform("p3", input_profile="srgb", depth=depth, **colour.MANAGED)


@pytest.mark.parametrize(
    "name",
    [
        *(f"{kind} {space}" for kind in ("jpeg", "png", "webp") for space in ("Display P3", "Adobe RGB")),
        "avif Adobe RGB",
        "jpeg grey",
        "png grey",
        "png Display P3, transparent",
        "webp Display P3, transparent",
        "png Display P3, 16 bits",
        "png Display P3, palette",
    ],
)
def test_colours_are_converted_by_the_embedded_profile(name: str, read: Read) -> None:
    data = managed(name)
    with Image.open(io.BytesIO(data)) as stored:
        assert stored.info["icc_profile"]
        if name.endswith(("P3", "RGB")):
            assert distance(np.asarray(stored.convert("RGB")), decode(data)) > 10  # without the profile
    assert distance(read(data), decode(data)) <= LEVELS


def test_a_wide_gamut_photograph_has_the_same_answers(in_browser: Predict, predictor: Predictor) -> None:
    wide = colour.image(two_people()).icc_transform("p3", input_profile="srgb", **colour.MANAGED)
    expected = predictor.predict(decode(wide.pngsave_buffer()))
    found = in_browser(wide.pngsave_buffer())["faces"]
    assert [face["answer"] for face in found] == [face.answer for face in expected]
    assert len(found) == 2
    for face, other in zip(found, expected, strict=True):
        # A level more or less moves the box and the probabilities a little.
        assert face["probabilities"] == pytest.approx(other.probabilities, abs=0.02)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_a_profile_of_srgb_changes_no_pixel(kind: str, read: Read) -> None:
    plain = colour.image(colour.original())
    managed = plain.icc_transform("srgb", input_profile="srgb")
    with Image.open(io.BytesIO(colour.encoded(managed, kind))) as stored:
        assert stored.info["icc_profile"]
    assert distance(read(colour.encoded(managed, kind)), read(colour.encoded(plain, kind))) == 0


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    "content",
    [b"no profile", colour.ADOBE_RGB[:200], colour.DARK_GREY, colour.ADOBE_RGB.replace(b"mntr", b"link")],
    ids=["broken", "cut", "grey", "link"],
)
def test_a_profile_that_is_broken_or_of_another_kind_is_ignored(form: str, content: bytes, read: Read) -> None:
    assert (
        distance(read(packed(colour.original(), form, icc_profile=content)), read(packed(colour.original(), form))) == 0
    )


@pytest.mark.parametrize("profile", [b"", colour.ADOBE_RGB], ids=["without", "with"])
def test_what_else_a_png_says_of_its_colours_is_ignored(profile: bytes, read: Read) -> None:
    data = packed(colour.original(), "PNG", **({"icc_profile": profile} if profile else {}))
    more = chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"cICP", bytes([12, 13, 0, 1]))
    assert distance(read(data[:33] + more + data[33:]), decode(data)) <= LEVELS


def test_printing_inks_with_a_profile_are_said_to_differ(bare: Page, read: Read) -> None:
    inks = colour.image(colour.original()).icc_transform("cmyk", input_profile="srgb", **colour.MANAGED)
    data = colour.encoded(inks, "jpeg")
    assert 0 < np.abs(read(data).astype(int) - decode(data)).mean() < 10
    found = bare.evaluate(DECODE, base64.b64encode(data).decode())
    assert found["colours"] == "nearly"


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
