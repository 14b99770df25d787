"""A copy lies over its photograph, whatever was done to it; another face does not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facemask.data.duplicates.local_features import Keypoints, find_keypoints, mirrored
from facemask.data.duplicates.verification import Alignment, align
from facemask.data.sources.sample import draw_sample
from facemask.dataset.decode import decode

COUNT = 6
SAME = 0.55  # these different faces agree by much less, nearly all copies by more


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Drawn portraits of different people, without the copies that the sample plants among them."""
    files = draw_sample(per_class=COUNT, seed=3, workers=1)
    return [decode(data) for name, data in files if name.endswith((".jpg", ".png")) and int(Path(name).stem) < COUNT]


@pytest.fixture(scope="module")
def keypoints(portraits: list[np.ndarray]) -> list[Keypoints]:
    return [find_keypoints(pixels) for pixels in portraits]


def agreement(alignment: Alignment | None) -> float:
    return alignment.agreement if alignment else 0.0


def turned(pixels: np.ndarray, angle: float, zoom: float = 1.0) -> np.ndarray:
    height, width = pixels.shape[:2]
    return cv2.warpAffine(pixels, cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom), (width, height))


def sheared(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    return cv2.warpAffine(pixels, np.array([[1, 0.2, -0.1 * height], [0, 1, 0]]), (width, height))


def grey(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def jpeg(pixels: np.ndarray) -> np.ndarray:
    return decode(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 30])[1].tobytes())


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nothing": lambda pixels: pixels,
    "turned by 10 degrees": lambda pixels: turned(pixels, 10),
    "turned by 30 degrees": lambda pixels: turned(pixels, 30),
    "a quarter turn": np.rot90,
    "upside down": lambda pixels: np.rot90(pixels, 2),
    "sheared": sheared,
    "zoomed": lambda pixels: turned(pixels, 0, 1.3),
    "made smaller, with a black border": lambda pixels: turned(pixels, 0, 0.8),
    "cropped": lambda pixels: pixels[pixels.shape[0] // 10 :, : -pixels.shape[1] // 8],
    "shifted": lambda pixels: np.roll(pixels, pixels.shape[1] // 10, axis=1),
    "half the size": lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "stretched": lambda pixels: cv2.resize(pixels, None, fx=1.2, fy=1),
    "recompressed": jpeg,
    "grey": grey,
    "dark": lambda pixels: (pixels * 0.3).astype(np.uint8),
    "bright": lambda pixels: np.clip(pixels * 1.3, 0, 255).astype(np.uint8),
    "blurred": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), pixels.shape[0] / 128),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_lies_over_its_photograph(
    portraits: list[np.ndarray], keypoints: list[Keypoints], change: str
) -> None:
    copies = [find_keypoints(np.ascontiguousarray(CHANGES[change](pixels))) for pixels in portraits]
    found = [agreement(align(points, copy)) for points, copy in zip(keypoints, copies, strict=True)]
    assert np.mean(np.array(found) > SAME) >= 0.9


def test_a_mirrored_copy_lies_over_the_mirror_image_only(
    portraits: list[np.ndarray], keypoints: list[Keypoints]
) -> None:
    copies = [find_keypoints(np.ascontiguousarray(turned(pixels, 8)[:, ::-1])) for pixels in portraits]
    for points, copy in zip(keypoints, copies, strict=True):
        assert agreement(align(points, mirrored(copy))) > SAME
        assert agreement(align(points, copy)) < SAME


def test_the_transformation_leads_from_the_copy_to_the_photograph() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (24, 24, 3), np.uint8)
    pixels = cv2.resize(pixels, (96, 96), interpolation=cv2.INTER_CUBIC)
    matrix = cv2.getRotationMatrix2D((48, 48), 20, 1.1)
    copy = cv2.warpAffine(pixels, matrix, (96, 96))
    alignment = align(find_keypoints(pixels), find_keypoints(copy))
    assert alignment is not None
    corners = np.array([[30, 30, 1], [66, 30, 1], [30, 66, 1], [66, 66, 1]], float)
    moved = np.hstack([corners @ matrix.T, np.ones((4, 1))]) @ alignment.matrix.T
    np.testing.assert_allclose(moved, corners[:, :2], atol=1.0)
    assert alignment.matches >= 20


def test_different_faces_do_not_agree(keypoints: list[Keypoints]) -> None:
    found = [
        agreement(align(first, other))
        for number, first in enumerate(keypoints)
        for second in keypoints[:number]
        for other in (second, mirrored(second))
    ]
    assert max(found) < SAME


def test_the_answer_hardly_depends_on_which_picture_comes_first(
    portraits: list[np.ndarray], keypoints: list[Keypoints]
) -> None:
    for points, pixels in zip(keypoints, portraits, strict=True):
        copy = find_keypoints(turned(pixels, 12))
        assert agreement(align(points, copy)) > SAME
        assert agreement(align(copy, points)) > SAME


def test_the_same_pictures_give_the_same_answer(portraits: list[np.ndarray], keypoints: list[Keypoints]) -> None:
    copy = find_keypoints(turned(portraits[0], 12))
    first, second = align(keypoints[0], copy), align(keypoints[0], copy)
    assert first is not None
    assert second is not None
    assert (first.matches, first.agreement) == (second.matches, second.agreement)
    np.testing.assert_array_equal(first.matrix, second.matrix)


def test_nothing_lies_over_a_picture_without_texture(keypoints: list[Keypoints]) -> None:
    flat = find_keypoints(np.full((100, 80, 3), 70, np.uint8))
    assert align(keypoints[0], flat) is None
    assert align(flat, keypoints[0]) is None
    assert align(flat, flat) is None


@pytest.mark.parametrize("shape", [(8, 8), (1, 300), (300, 1), (1, 1)])
def test_tiny_and_thin_pictures_do_no_harm(keypoints: list[Keypoints], shape: tuple[int, int]) -> None:
    noise = find_keypoints(np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8))
    assert agreement(align(keypoints[0], noise)) < SAME
    assert agreement(align(noise, keypoints[0])) < SAME
    align(noise, noise)
