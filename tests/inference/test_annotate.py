"""Annotated images have a frame and a label for each face, and are otherwise unchanged."""

import numpy as np
import pytest

from facemask.core.classes import CLASSES
from facemask.faces.detector import Box
from facemask.inference.annotate import COLOURS, OTHERWISE, Mark, annotate

GROUND = 50


def blank(height: int = 300, width: int = 400) -> np.ndarray:
    return np.full((height, width, 3), GROUND, np.uint8)


def changed(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns in which something was drawn."""
    drawn = (picture != GROUND).any(axis=2)
    return np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))


@pytest.mark.parametrize("answer", [*CLASSES, "uncertain", "too small"])
def test_the_frame_has_the_colour_of_the_answer(answer: str) -> None:
    picture = annotate(blank(), [Mark(Box(100, 120, 200, 220, 0.9), answer, "")])
    colour = COLOURS.get(answer, OTHERWISE)
    for row, column in ((120, 150), (220, 150), (170, 100), (170, 200)):
        assert tuple(picture[row, column]) == colour
    assert (picture[130:210, 110:190] == GROUND).all()
    rows, columns = changed(picture)
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (120, 220, 100, 200)


def test_the_colours_differ_in_lightness_or_hue() -> None:
    assert len({*COLOURS.values(), OTHERWISE}) == len(CLASSES) + 1


def test_the_label_is_above_the_frame() -> None:
    picture = annotate(blank(), [Mark(Box(100, 120, 200, 220, 0.9), "with_mask", "with_mask 98.3%")])
    label = picture[:120]
    rows, _ = changed(label)
    assert rows[-1] == 119
    assert 10 <= len(rows) <= 30
    assert (label[rows[0] :] == COLOURS["with_mask"]).all(axis=2).sum() > 300
    bright = label.min(axis=2) > 200
    assert bright.sum() > 50  # the letters


@pytest.mark.parametrize(
    "box",
    [Box(100, 2, 200, 100, 1), Box(350, 50, 399, 120, 1), Box(-30, -20, 60, 80, 1), Box(0, 0, 399, 299, 1)],
    ids=["at the top", "at the right", "in the corner", "the whole picture"],
)
def test_the_label_stays_inside_the_image(box: Box) -> None:
    plain, text = (annotate(blank(), [Mark(box, "without_mask", words)]) for words in ("", "without_mask 51.2%"))
    words = annotate(blank(), [Mark(Box(150, 150, 250, 250, 1), "without_mask", "without_mask 51.2%")])
    full = (words != annotate(blank(), [Mark(Box(150, 150, 250, 250, 1), "without_mask", "")])).any(axis=2).sum()
    # A part of the words' ground may lie on the frame; nothing of it is cut off.
    assert (plain != text).any(axis=2).sum() > 0.9 * full


def test_the_given_image_is_not_modified() -> None:
    picture = blank()
    marked = annotate(picture, [Mark(Box(10, 40, 90, 120, 1), "with_mask", "with_mask")])
    assert (picture == GROUND).all()
    assert marked.shape == picture.shape
    assert marked.dtype == np.uint8


def test_without_faces_nothing_is_drawn() -> None:
    assert (annotate(blank(), []) == GROUND).all()


@pytest.mark.parametrize("shape", [(1, 1), (8, 200), (200, 8)])
def test_pictures_of_any_shape_can_be_marked(shape: tuple[int, int]) -> None:
    assert annotate(blank(*shape), [Mark(Box(-5, 2, 3, 1, 1), "too small", "too small")]).shape == (*shape, 3)


def test_in_large_pictures_lines_and_words_are_larger() -> None:
    heights = []
    for scale in (1, 4):
        mark = Mark(Box(100 * scale, 120 * scale, 200 * scale, 220 * scale, 1), "with_mask", "with_mask")
        rows, _ = changed(annotate(blank(300 * scale, 400 * scale), [mark])[: 120 * scale])
        heights.append(len(rows))
    assert heights[1] > 2 * heights[0]
