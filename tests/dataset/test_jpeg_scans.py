"""The scans of a JPEG file are counted, and nothing else that looks like one."""

import numpy as np
import pytest

from facemask.dataset.decode import UnusableImage, decode
from facemask.dataset.jpeg import MAX_SCANS, count_scans
from tests.bad_images import cut, picture, saved

NOISE = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)


def many_scans(count: int) -> bytes:
    """A progressive JPEG that repeats its last scan until there are `count`."""
    content = saved(picture(), progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * (count - count_scans(content)) + content[-2:]


@pytest.mark.parametrize(
    ("content", "scans"),
    [
        (saved(NOISE), 1),
        (saved(picture(300, 300), progressive=True), 10),
        (many_scans(1000), 1000),
        (saved(NOISE, exif=b"Exif\0\0" + b"\xff\xda" * 200), 1),  # in a segment that is skipped
        (saved(NOISE) + b"\xff\xda" * 200, 1),  # behind the image, where telephones put a film
        (cut(saved(NOISE), 0.5), 1),
        (b"\xff\xd8", 0),
        (b"\xff\xd8\xff\xda\0\0\xff\xda", 2),
        (saved(NOISE, "PNG"), 0),
    ],
)
def test_scans_are_counted(content: bytes, scans: int) -> None:
    assert count_scans(content) == scans


def test_a_usual_progressive_image_is_allowed() -> None:
    assert count_scans(saved(picture(300, 300), progressive=True, subsampling=2)) < MAX_SCANS


def test_a_file_that_would_take_hours_to_decode_is_refused_at_once() -> None:
    with pytest.raises(UnusableImage, match="too many scans"):
        decode(many_scans(1000))
