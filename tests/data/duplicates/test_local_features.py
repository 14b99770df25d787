"""What a picture is recognised by stays when it is lit, sized or mirrored differently, and is not made up."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facemask.data.duplicates.local_features import Keypoints, find_keypoints, mirrored, mirrored_descriptors
from facemask.data.sources.sample import draw_sample
from facemask.dataset.decode import decode

COUNT = 4


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Drawn portraits of different people, without the copies that the sample plants among them."""
    files = draw_sample(per_class=COUNT, seed=3, workers=1)
    return [decode(data) for name, data in files if name.endswith((".jpg", ".png")) and int(Path(name).stem) < COUNT]


def found_again(first: Keypoints, second: Keypoints) -> float:
    """Share of the keypoints of `first` for which `second` has one within 2 pixels with much the same descriptor."""
    distances = np.linalg.norm(first.places[:, np.newaxis] - second.places, axis=2)
    lengths = [np.linalg.norm(points.descriptors.astype(np.float32), axis=1) for points in (first, second)]
    likeness = first.descriptors.astype(np.float32) @ second.descriptors.astype(np.float32).T
    cosines = likeness / np.outer(*lengths)
    return float(((distances < 2) & (cosines > 0.9)).any(axis=1).mean())


def test_a_portrait_has_enough_keypoints_to_be_recognised_by(portraits: list[np.ndarray]) -> None:
    counts = [len(find_keypoints(pixels).places) for pixels in portraits]
    assert min(counts) >= 20
    assert max(counts) <= 170


def test_the_parts_of_the_keypoints_belong_together(portraits: list[np.ndarray]) -> None:
    points = find_keypoints(portraits[0])
    count = len(points.places)
    assert max(points.grey.shape) == 96
    assert points.grey.dtype == points.descriptors.dtype == np.uint8
    assert points.places.shape == (count, 2)
    assert points.sizes.shape == points.angles.shape == (count,)
    assert points.descriptors.shape == (count, 128)
    assert (points.places >= 0).all()
    assert (points.places < points.grey.shape[::-1]).all()
    np.testing.assert_allclose(np.linalg.norm(points.descriptors.astype(np.float32), axis=1), 255, rtol=0.05)


def test_the_same_picture_gives_the_same_keypoints(portraits: list[np.ndarray]) -> None:
    first, second = find_keypoints(portraits[1]), find_keypoints(portraits[1].copy())
    for name in ("grey", "places", "sizes", "angles", "descriptors"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("number", range(3 * COUNT))
def test_keypoints_of_a_mirror_image_need_not_be_looked_for(portraits: list[np.ndarray], number: int) -> None:
    pixels = portraits[number]
    turned_over = mirrored(find_keypoints(pixels))
    looked_for = find_keypoints(np.ascontiguousarray(pixels[:, ::-1]))
    assert np.abs(turned_over.grey.astype(int) - looked_for.grey).max() <= 1
    assert found_again(turned_over, looked_for) > 0.8


def test_angles_of_a_mirror_image_are_mirrored(portraits: list[np.ndarray]) -> None:
    turned_over = mirrored(find_keypoints(portraits[0]))
    looked_for = find_keypoints(np.ascontiguousarray(portraits[0][:, ::-1]))
    distances = np.linalg.norm(turned_over.places[:, np.newaxis] - looked_for.places, axis=2)
    differences = (turned_over.angles[:, np.newaxis] - looked_for.angles + 180) % 360 - 180
    assert ((distances < 1) & (np.abs(differences) < 5)).any(axis=1).mean() > 0.8


def test_the_mirror_image_of_a_mirror_image_is_the_picture_itself(portraits: list[np.ndarray]) -> None:
    points = find_keypoints(portraits[0])
    back = mirrored(mirrored(points))
    np.testing.assert_array_equal(back.grey, points.grey)
    np.testing.assert_allclose(back.places, points.places, atol=1e-3)
    np.testing.assert_allclose(back.angles, points.angles, atol=1e-3)
    np.testing.assert_array_equal(mirrored_descriptors(mirrored_descriptors(points.descriptors)), points.descriptors)


@pytest.mark.parametrize("factor", [0.5, 0.2])
def test_a_darkened_picture_keeps_its_keypoints(portraits: list[np.ndarray], factor: float) -> None:
    shares = [
        found_again(find_keypoints((pixels * factor).astype(np.uint8)), find_keypoints(pixels)) for pixels in portraits
    ]
    assert np.median(shares) > 0.5


def test_a_picture_of_twice_the_size_keeps_its_keypoints(portraits: list[np.ndarray]) -> None:
    shares = [
        found_again(find_keypoints(cv2.resize(pixels, None, fx=2, fy=2)), find_keypoints(pixels))
        for pixels in portraits
    ]
    assert np.median(shares) > 0.8


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_picture_without_texture_has_no_keypoints(level: int) -> None:
    assert len(find_keypoints(np.full((120, 100, 3), level, np.uint8)).places) == 0


def test_the_noise_of_the_compression_is_no_texture() -> None:
    ramp = np.linspace(100, 101, 128).round().astype(np.uint8)
    points = find_keypoints(np.repeat(np.tile(ramp, (128, 1))[..., np.newaxis], 3, axis=2))
    assert len(points.places) <= 5


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (1, 300), (300, 1), (2, 3), (16, 2000)])
def test_tiny_and_thin_pictures_do_no_harm(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    points = find_keypoints(pixels)
    assert points.descriptors.shape == (len(points.places), 128)
    assert mirrored(points).places.shape == points.places.shape
