"""What is called junk is junk, and a dim or soft photograph is none."""

from pathlib import PurePosixPath

import cv2
import numpy as np
import pandas as pd
import pytest

from facemask.core.params import JunkParams
from facemask.data.quality import JUNK_FLAGS, flag_junk
from facemask.data.sources.sample import draw_sample
from facemask.dataset.decode import UnusableImage, decode
from facemask.dataset.image_stats import measure

SOUND = {"width": 128, "height": 128, "contrast": 50.0, "posterisation": 0.1, "sharpness": 0.1}


def flags(*rows: dict[str, float], settings: JunkParams | None = None) -> list[str]:
    return list(flag_junk(pd.DataFrame([SOUND | row for row in rows]), settings or JunkParams()))


def measured(*pictures: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        [{"width": picture.shape[1], "height": picture.shape[0], **measure(picture)} for picture in pictures]
    )


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    found = []
    for name, content in draw_sample(4, seed=1, workers=1):
        if PurePosixPath(name).suffix in (".jpg", ".png"):
            try:
                found.append(decode(content))
            except UnusableImage:
                continue
    assert len(found) >= 12
    return found


def test_every_reason_is_given_alone() -> None:
    found = flags({}, {"contrast": 3.9}, {"posterisation": 1.7}, {"height": 19}, {"sharpness": 0.019})
    assert found == ["", *JUNK_FLAGS]


def test_several_reasons_are_parted_by_spaces_in_a_fixed_order() -> None:
    assert flags({"sharpness": 0.01, "width": 18, "posterisation": 2.0}) == ["posterised too_small blurred"]


def test_a_value_on_the_limit_is_not_junk() -> None:
    assert flags({"contrast": 4.0}, {"posterisation": 1.6}, {"width": 20}, {"sharpness": 0.02}) == [""] * 4


def test_an_empty_picture_is_not_called_blurred_and_posterised_as_well() -> None:
    assert list(flag_junk(measured(np.zeros((64, 64, 3), np.uint8)), JunkParams())) == ["near_constant"]


def test_every_reason_can_be_turned_off() -> None:
    off = JunkParams(near_constant=0, posterised=8, too_small=1, blurred=0)
    worst = {"contrast": 0.0, "posterisation": 8.0, "width": 1, "height": 1, "sharpness": 0.0}
    assert flags(worst, settings=off) == [""]


def test_flags_keep_the_index_of_the_table() -> None:
    table = pd.DataFrame([SOUND, SOUND | {"width": 5}], index=[7, 3])
    assert flag_junk(table, JunkParams()).to_dict() == {7: "", 3: "too_small"}


def test_no_drawn_portrait_is_junk_even_much_darkened_or_softened(portraits: list[np.ndarray]) -> None:
    for change in (
        lambda picture: picture,
        lambda picture: np.round(picture * 0.3).astype(np.uint8),
        lambda picture: cv2.GaussianBlur(picture, (0, 0), picture.shape[0] / 100),
    ):
        assert set(flag_junk(measured(*map(change, portraits)), JunkParams())) == {""}


def test_a_portrait_that_is_a_smear_is_blurred(portraits: list[np.ndarray]) -> None:
    smeared = [cv2.GaussianBlur(picture, (0, 0), picture.shape[0] / 12) for picture in portraits]
    assert set(flag_junk(measured(*smeared), JunkParams())) == {"blurred"}


def test_portraits_of_four_levels_are_posterised(portraits: list[np.ndarray]) -> None:
    bright = [picture for picture in portraits if picture.mean() > 80]  # of dark ones hardly anything is left
    posterised = [picture // 64 * 85 for picture in bright]
    assert set(flag_junk(measured(*posterised), JunkParams())) == {"posterised"}
