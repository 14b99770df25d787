"""The face mesh, fitted to drawn portraits; needs its wheel, so it runs with the slow tests only."""

import re

import cv2
import numpy as np
import pytest

from facemask.data.sources.sample import draw_sample
from facemask.dataset.decode import decode
from facemask.faces.mesh import CHIN, LEFT_EYE, NOSE_TIP, POINTS, RIGHT_EYE, FaceMesh, load_mesh

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    return FaceMesh(load_mesh())


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Drawn bare faces."""
    drawn = {
        name: data
        for name, data in draw_sample(per_class=12, seed=1, workers=1)
        # What comes on top are planted copies and broken files.
        if re.fullmatch(r"without_mask/0*(\d|1[01])\.(jpg|png)", name)
    }
    return [decode(data) for data in drawn.values()]


@pytest.fixture(scope="module")
def fitting(mesh: FaceMesh, portraits: list[np.ndarray]) -> np.ndarray:
    """The first portrait that the mesh fits, mirrored too: drawn faces are at the edge of what it knows."""
    return next(image for image in portraits if mesh.fit(image) and mesh.fit(mirrored(image)))


def mirrored(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


def test_the_points_are_those_of_an_upright_face(mesh: FaceMesh, fitting: np.ndarray) -> None:
    face = mesh.fit(fitting)
    assert face is not None
    assert face.points.shape == (POINTS, 3)
    assert face.points.dtype == np.float32
    assert 0.9 < face.score <= 1
    assert face.points[LEFT_EYE, 0] < face.points[NOSE_TIP, 0] < face.points[RIGHT_EYE, 0]
    assert face.points[LEFT_EYE, 1] < face.points[NOSE_TIP, 1] < face.points[CHIN, 1]
    assert face.points[NOSE_TIP, 2] < face.points[CHIN, 2]


def test_nearly_every_portrait_is_fitted(mesh: FaceMesh, portraits: list[np.ndarray]) -> None:
    fitted = [mesh.fit(image) is not None for image in portraits]
    assert sum(fitted) >= len(fitted) - 2


def test_in_a_picture_twice_as_large_the_points_are_twice_as_far_apart(mesh: FaceMesh, fitting: np.ndarray) -> None:
    small, large = mesh.fit(fitting), mesh.fit(cv2.resize(fitting, None, fx=2, fy=2))
    assert small is not None
    assert large is not None
    assert np.abs(large.points[:, :2] / 2 - small.points[:, :2]).mean() < 0.03 * fitting.shape[1]


def test_a_mirrored_face_gives_mirrored_points(mesh: FaceMesh, fitting: np.ndarray) -> None:
    face, other = mesh.fit(fitting), mesh.fit(mirrored(fitting))
    assert face is not None
    assert other is not None
    left, right = other.points[LEFT_EYE], face.points[RIGHT_EYE]
    assert abs(fitting.shape[1] - 1 - left[0] - right[0]) < 0.05 * fitting.shape[1]


def test_the_same_picture_gives_the_same_points(mesh: FaceMesh, fitting: np.ndarray) -> None:
    first, again = mesh.fit(fitting), FaceMesh(load_mesh()).fit(fitting)
    assert first is not None
    assert again is not None
    assert np.array_equal(first.points, again.points)


@pytest.mark.parametrize("what", ["plain", "noise", "hair"])
def test_where_there_is_no_face_there_is_no_fit(mesh: FaceMesh, fitting: np.ndarray, what: str) -> None:
    pictures = {
        "plain": np.full((128, 128, 3), 127, np.uint8),
        "noise": np.random.default_rng(1).integers(0, 256, (128, 128, 3), dtype=np.uint8),
        "hair": fitting[: fitting.shape[0] // 4],
    }
    assert mesh.fit(pictures[what]) is None
