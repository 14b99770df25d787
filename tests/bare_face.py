"""A bare face for tests without a model: the median mesh of the sample's drawn faces, and a plain picture of it."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.data.synthetic.compose import OVAL

SIDE = 160  # pixels


def mean_points(side: int = SIDE, turn: float = 0.0, width: float = 0.72, height: float = 0.45) -> NDArray[np.float32]:
    """Return the mesh (468, 3) in pixels.

    Args:
        side: of the square picture.
        turn: degrees to the side.
        width: of the face from ear to ear, as a share of the picture's side.
        height: of the ears above the picture's lower border, likewise.
    """
    mesh = np.loadtxt(Path(__file__).with_name("mean_face.csv"), delimiter=",", skiprows=1)
    angle = np.deg2rad(turn)
    about = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    depth = np.array([0, 0, -0.3])  # it turns about its middle, not about the ears
    turned = (mesh - depth) @ about + depth
    return (turned * width * side + [side / 2, side * (1 - height), 0]).astype(np.float32)


def bare_photo(points: NDArray[np.float32], side: int = SIDE) -> NDArray[np.uint8]:
    """Paint skin where the mesh is, with eyes, lips and some grain, before a grey wall."""
    picture = np.full((side, side, 3), (120, 125, 130), np.uint8)
    flat = np.round(points[:, :2]).astype(np.int32)
    cv2.fillPoly(picture, [flat[list(OVAL)]], (205, 160, 135))
    for eye in (159, 386):
        cv2.circle(picture, flat[eye].tolist(), side // 30, (40, 30, 25), -1)
    cv2.line(picture, flat[61].tolist(), flat[291].tolist(), (160, 70, 70), side // 40)
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)
