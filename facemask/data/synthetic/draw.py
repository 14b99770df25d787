"""Drawing of one mask over one photograph of a bare face."""

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.data.synthetic.compose import Loops, View, blend, look, measure_light, paint
from facemask.data.synthetic.fabric import Fabric, Image, Map, Style
from facemask.data.synthetic.mask_geometry import (
    BARE,
    BARE_EITHER,
    COVERED,
    NOSE_BALL,
    Frame,
    Points,
    Worn,
    face_frame,
    wear,
)
from facemask.dataset.synthetic import Kind
from facemask.faces.mesh import BELOW_LIPS, CHIN, FOREHEAD

LABELS: dict[Kind, str] = {
    "right": "with_mask",
    "right_low": "with_mask",
    "nose_out": "mask_weared_incorrect",
    "nose_just_out": "mask_weared_incorrect",
    "mouth_out": "mask_weared_incorrect",
    "below_chin": "mask_weared_incorrect",
    "chin_out": "mask_weared_incorrect",
    "askew": "mask_weared_incorrect",
    "one_ear": "mask_weared_incorrect",
    "forehead": "mask_weared_incorrect",
    "over_eyes": "mask_weared_incorrect",
    "bare": "without_mask",
}

_TRIES = 12
_ROOM = 0.06  # below the chin, in widths of the face, for a mask that hangs there
_LEAST = 0.07  # of the picture: with narrower strips at their borders, faces above them were predicted as badly masked
_LEAST_OF: dict[Kind, float] = {"below_chin": 0.05, "one_ear": 0.05}
_LEAST_TURNED = 0.055  # the same after turning: a bowed head hides much of a mask on the chin


def draw_mask(
    image: Image,
    points: NDArray[np.floating],
    kind: Kind,
    style: Style,
    fabric: Fabric,
    rng: np.random.Generator,
    upright: NDArray[np.floating] | None = None,
) -> Image | None:
    """Draw a mask over a bare face.

    Args:
        image: uint8 (height, width, 3), RGB.
        points: (468, 3) the face's mesh, in pixels.
        kind: how it is worn.
        style: how it is cut.
        fabric: what it is made of.
        rng: source of every random choice.
        upright: the mesh before the head was turned, if it was. How the mask is worn is judged there: seen from below
            or from the side, a mask worn right may hide a corner of the eye, and its kind must not depend on the pose.

    Returns:
        uint8 (height, width, 3), the picture as it is for `bare`, or None if no mask came out that covers what this
        kind covers and leaves bare what it leaves bare, as on a face seen from far below.
    """
    if kind == "bare":
        return image
    frame = face_frame(points)
    below = (image.shape[0] - points[CHIN, 1]) / frame.width
    if kind == "below_chin" and below < _ROOM:
        return None
    light = measure_light(image, points, rng)
    colour, thickness = _loop_colour(fabric, rng), rng.uniform(0.006, 0.015) * frame.width
    hidden = style == "bandana" or rng.random() < 0.12
    front = points if upright is None or kind == "one_ear" else upright  # it hangs from the ear that is seen
    front_frame = face_frame(front)

    def look_at(mesh: NDArray[np.floating], of_mesh: Frame, worn: Worn) -> View:
        nose = _ball_of_nose(mesh) if kind in ("nose_out", "nose_just_out") else None
        return look(image.shape[:2], of_mesh, worn.sheet, light, nose)

    for _ in range(_TRIES):
        chance = int(rng.integers(2**63))
        worn = wear(front_frame, kind, style, np.random.default_rng(chance))
        view = look_at(front, front_frame, worn)
        if not is_worn(view.cloth, front, kind):
            continue
        if front is not points:
            worn = wear(frame, kind, style, np.random.default_rng(chance))
            view = look_at(points, frame, worn)
        if view.cloth.mean() > _LEAST_TURNED:
            loops = None if hidden else Loops(colour, thickness, worn.loops)
            return blend(image, paint(view, fabric, light, loops), frame, light, rng)
    return None


def _ball_of_nose(points: NDArray[np.floating]) -> Points:
    """Return what hangs over a mask tucked under the nose, a little wider than the mesh has it: (n, 2) pixels."""
    ball = np.asarray(points[list(NOSE_BALL), :2], dtype=np.float64)
    return ball.mean(axis=0) + 1.2 * (ball - ball.mean(axis=0))


def _loop_colour(fabric: Fabric, rng: np.random.Generator) -> NDArray[np.float64]:
    """Loops are white, black or of the colour of the cloth."""
    cloth = fabric.colour.mean(axis=(0, 1), dtype=np.float64)
    if rng.random() < 0.3:
        return cloth * rng.uniform(0.6, 1.0)
    pale = rng.random() < (0.85 if cloth.mean() > 0.3 else 0.2)
    return np.full(3, 0.96 if pale else 0.08)


def make_room(
    image: Image, points: NDArray[np.floating], rng: np.random.Generator
) -> tuple[Image, NDArray[np.floating]]:
    """Move the window of a picture that ends at the chin downwards, more often than not, so that a mask has room there.

    What comes in below mirrors what lies above it, darker as a neck is; as many rows go at the top. Whether it is done
    does not depend on the mask.

    Args:
        image: uint8 (height, width, 3), RGB.
        points: (468, 3) the face's mesh, in pixels.
        rng: source of chance.

    Returns:
        A picture of the same size, and the mesh in it.
    """
    height = image.shape[0]
    below = max(height - float(points[CHIN, 1]), 0)
    # What is mirrored must end below the lips.
    rows = round(min(rng.uniform(0.1, 0.28) * height - below, 0.9 * (height - float(points[BELOW_LIPS, 1]))))
    if rng.random() < 0.35 or rows < 1 or points[FOREHEAD, 1] + rows > 0.4 * height:
        return image, points
    taller = cv2.copyMakeBorder(image, 0, rows, 0, 0, cv2.BORDER_REFLECT_101)
    fading = np.linspace(1, rng.uniform(0.55, 0.9), rows)[:, None, None]
    taller[height:] = cv2.GaussianBlur(taller[height:] * fading, (0, 0), 1 + height / 100)
    return taller[rows:], points - np.array([0, rows, 0])


def is_worn(cloth: Map, points: NDArray[np.floating], kind: Kind) -> bool:
    """Check that the mask covers and leaves bare what its kind requires, and that enough of it is visible.

    Args:
        cloth: float32 (height, width), its opacity.
        points: (468, 3) the face's mesh, in pixels.
        kind: how it is worn.
    """
    height, width = cloth.shape
    reach = cv2.dilate(cloth, np.ones((3, 3), np.uint8))

    def at(opacity: Map, numbers: tuple[int, ...]) -> Map:
        x, y = np.round(points[list(numbers), :2]).astype(int).T
        return opacity[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]

    def is_bare(numbers: tuple[int, ...]) -> bool:
        return bool((at(reach, numbers) < 0.02).all())

    enough = cloth.sum() > _LEAST_OF.get(kind, _LEAST) * height * width
    either = BARE_EITHER.get(kind, ((),))
    covered = (at(cloth, COVERED[kind]) > 0.9).all()
    return bool(enough and covered and is_bare(BARE[kind]) and any(is_bare(group) for group in either))
