"""Geometry of a mask on a face: a bent sheet in three dimensions, projected into the photograph.

A sheet is a grid of points: columns run from one ear to the other, rows from the upper to the lower edge. It is laid
out in the face's own frame - right, down and back, in widths of the face from ear to ear - so that it turns with the
head.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facemask.data.synthetic.fabric import Style
from facemask.dataset.synthetic import Kind
from facemask.faces import mesh as lm

Points = NDArray[np.float64]

_COLUMNS, _ROWS = 81, 49

# The middle of the face from between the eyes to the chin, in points of the mesh.
_PROFILE = (168, 6, 197, 195, 5, 4, 1, 2, 164, 0, 13, 17, 18, 200, 199, 175, 152)
_MOUTH, _LOWER_LIP, _BELOW_LIP = 13, 17, 200

_NOSE = (1, 4, 2, 98, 327, 97, 326, 19, 94)
_LIPS = (0, 13, 14, 17, 37, 267, 84, 314)
NOSE_BALL = (5, 195, 4, 1, 19, 94, 2, 98, 97, 326, 327, 129, 358, 64, 294, 48, 278, 49, 279, 209, 429, 240, 460)
_EYES = (33, 133, 159, 145, 263, 362, 386, 374)

# What must show, and what must be covered, for the kind to be what it is called; points of the mesh.
BARE: dict[Kind, tuple[int, ...]] = {
    "right": _EYES,
    "nose_out": (*_EYES, 1, 4),  # its tip; the nostrils may just be hidden, as seen from above
    "mouth_out": (*_EYES, *_NOSE, *_LIPS),
    "below_chin": (*_EYES, *_NOSE, *_LIPS, 200, 199),
    "chin_out": (*_EYES, 175, 199),
}
COVERED: dict[Kind, tuple[int, ...]] = {
    "right": (1, 4, 5, *_LIPS, 61, 291, 199),
    "nose_out": (13, 14, 17, 199),
    "mouth_out": (),
    "below_chin": (),
    "chin_out": (1, 4, 2, 0),
}


@dataclass(frozen=True)
class Frame:
    """A face's own frame.

    Attributes:
        origin: (3,) in pixels, midway between the ears.
        axes: (3, 3), rows are unit vectors: right, down, back.
        width: of the face, in pixels.
        points: (468, 3) the mesh in this frame.
    """

    origin: Points
    axes: Points
    width: float
    points: Points

    def to_picture(self, points: Points) -> Points:
        """Map (..., 3) points of the frame to (..., 3) pixels."""
        return self.origin + self.width * (points @ self.axes)


@dataclass(frozen=True)
class Cut:
    """Measures of a worn mask in the face's frame; heights grow downwards from the ears.

    Attributes:
        top, bottom: heights of the edges in the middle.
        side_top, side_bottom: heights of the corners.
        reach: half the width between the corners.
        taper: how much narrower it is at the bottom, as a share.
        arch: exponent of the lower edge, larger being squarer.
        peak: width of the peak over the nose in the upper edge, as a share of `reach`; 0 for none.
        bulge: how far the cloth stands off the face.
        ridge: exponent of the cross-section: 1 a sharp keel, 2 round, 3 flat in front.
        tilt: degrees about the axis of sight.
        drift: of the middle, to the right.
        waves: (4,) low-frequency unevenness of the edges.
    """

    top: float
    bottom: float
    side_top: float
    side_bottom: float
    reach: float
    taper: float
    arch: float
    peak: float
    bulge: float
    ridge: float
    tilt: float
    drift: float
    waves: tuple[float, ...]


def face_frame(points: NDArray[np.floating]) -> Frame:
    """Find the frame of a face from its mesh, (468, 3) in pixels."""
    mesh = np.asarray(points, dtype=np.float64)
    across = mesh[lm.RIGHT_EAR] - mesh[lm.LEFT_EAR]
    width = float(np.linalg.norm(across))
    right = across / width
    down = mesh[lm.CHIN] - mesh[lm.FOREHEAD]
    down -= right * (right @ down)
    down /= np.linalg.norm(down)
    axes = np.stack([right, down, np.cross(right, down)])
    origin = (mesh[lm.RIGHT_EAR] + mesh[lm.LEFT_EAR]) / 2
    return Frame(origin, axes, width, (mesh - origin) @ axes.T / width)


def draw_cut(frame: Frame, kind: Kind, style: Style, rng: np.random.Generator) -> Cut:
    """Choose how a mask sits: the measures depend on the face, the kind and the style, the rest is chance."""
    heights = dict(zip(_PROFILE, frame.points[list(_PROFILE), 1], strict=True))
    nose, chin = heights[lm.UNDER_NOSE], heights[lm.CHIN]
    uniform = rng.uniform
    reach, side_top, side_bottom = uniform(0.41, 0.5), uniform(-0.03, 0.12), uniform(0.3, 0.46)
    taper, peak = uniform(0.0, 0.22), uniform(0.2, 0.6)
    if kind == "right":
        top = uniform(heights[6] + 0.02, (heights[195] + heights[5]) / 2)
        bottom = chin + uniform(-0.01, 0.1)
    elif kind == "nose_out":
        # Mostly close under the nose, as in photographs: there a mask worn badly is easiest to miss.
        top = nose - 0.08 + max(heights[_MOUTH] - nose + 0.06, 0.1) * uniform() ** 1.5
        bottom = chin + uniform(0.0, 0.25)
        side_top, side_bottom = uniform(0.02, 0.25), uniform(0.36, 0.5)
        peak = 0.0 if rng.random() < 0.6 else peak
    elif kind == "mouth_out":
        top = heights[_LOWER_LIP] + (chin - heights[_LOWER_LIP]) * uniform(0.02, 0.55)
        bottom = chin + uniform(0.08, 0.35) if rng.random() < 0.75 else top + uniform(0.14, 0.24)  # or bunched up
        side_top, side_bottom = uniform(0.12, 0.38), uniform(0.42, 0.6)
        peak = 0.0
    elif kind == "below_chin":
        top = uniform(chin - 0.04, chin + 0.06)
        bottom = top + uniform(0.2, 0.5)
        side_top, side_bottom = uniform(0.3, 0.5), uniform(0.5, 0.75)
        reach, peak = uniform(0.34, 0.48), 0.0
    else:
        top = uniform(heights[168] + 0.04, heights[197])
        bottom = uniform(heights[_LOWER_LIP] - 0.06, heights[_BELOW_LIP])
        side_top, side_bottom = uniform(-0.1, 0.05), uniform(0.15, 0.32)
        taper = uniform(0.0, 0.1)
    arch, bulge, ridge = uniform(1.6, 3.0), uniform(0.0, 0.09), uniform(1.4, 2.8)
    if style == "surgical":
        arch, taper = uniform(2.0, 3.6), taper * 0.6
    elif style == "cup":
        reach, bulge, ridge = reach * 0.95, uniform(0.05, 0.16), uniform(1.1, 2.2)
    elif style == "bandana" and kind != "chin_out":
        reach, bottom, arch, taper = uniform(0.47, 0.52), bottom + uniform(0.05, 0.35), uniform(1.0, 2.6), 0.1
        side_bottom = side_bottom + uniform(0.05, 0.2)
    side_bottom = max(side_bottom, side_top + 0.12)
    return Cut(
        top=top,
        bottom=max(bottom, top + 0.14),
        side_top=side_top,
        side_bottom=side_bottom,
        reach=reach,
        taper=taper,
        arch=arch,
        peak=peak,
        bulge=bulge,
        ridge=ridge,
        tilt=rng.normal(0, 5 if kind == "nose_out" else 3.5),
        drift=rng.normal(0, 0.012),
        waves=tuple(rng.normal(0, 0.008, 4)),
    )


def lay_out(frame: Frame, cut: Cut) -> Points:
    """Bend the sheet around the face.

    Returns:
        (rows, columns, 3) in the face's frame.
    """
    along = np.linspace(-1, 1, _COLUMNS)
    down = np.linspace(0, 1, _ROWS)[:, None]
    sideways = np.sin(along * np.pi / 2 * 0.97)  # columns an equal length of cloth apart
    rounded = 1 - np.abs(sideways) ** cut.arch
    peaked = np.exp(-((sideways / cut.peak) ** 2)) if cut.peak else 1 - np.abs(sideways) ** 2.2
    waves = [np.cos(np.pi * (number + 1) / 2 * (along + 1)) * size for number, size in enumerate(cut.waves)]
    upper = cut.side_top + (cut.top - cut.side_top) * peaked + waves[0] + waves[1]
    lower = cut.side_bottom + (cut.bottom - cut.side_bottom) * rounded + waves[2] + waves[3]
    height = upper + (lower - upper) * down
    reach = cut.reach * (1 - cut.taper * down**1.5)
    across = sideways * reach + cut.drift * (1 - np.abs(sideways))
    front = _front(frame, cut)
    middle = np.interp(np.linspace(cut.top, cut.bottom, _ROWS), front[:, 1], front[:, 2])[:, None]
    side = _side_depth(frame, cut.side_top + (cut.side_bottom - cut.side_top) * down, reach)
    middle = middle - cut.bulge * np.sin(np.pi * np.clip(down, 0.02, 0.98)) ** 0.7
    depth = side + (middle - side) * np.clip(1 - np.abs(sideways) ** cut.ridge, 0, 1) ** 0.85
    sheet = np.stack(np.broadcast_arrays(across, height, depth), axis=-1)
    return _tilted(sheet, cut)


def ear_points(frame: Frame) -> Points:
    """Return the ends of the ear loops, (2 sides, upper and lower, 3) in the face's frame."""
    left, right = frame.points[lm.LEFT_EAR], frame.points[lm.RIGHT_EAR]
    upper, lower = np.array([0.03, -0.1, 0.06]), np.array([0.02, 0.1, 0.06])
    mirror = np.array([-1, 1, 1])
    return np.array([[left + upper * mirror, left + lower * mirror], [right + upper, right + lower]])


def _front(frame: Frame, cut: Cut) -> Points:
    """Find the line that the middle of the cloth follows: tight over nose, lips and chin, from edge to edge.

    Returns:
        (n, 3) with ascending heights.
    """
    profile = frame.points[list(_PROFILE)]
    profile = profile[np.argsort(profile[:, 1], kind="stable")]
    chin = profile[-1]
    # Below the chin the cloth hangs towards the neck.
    hanging = chin + np.array([[0, 0.15, 0.05], [0, 0.4, 0.12]])
    start = np.array([0.0, cut.top, np.interp(cut.top, profile[:, 1], profile[:, 2])])
    line = np.vstack([start, profile[profile[:, 1] > cut.top], hanging])
    hull: list[Points] = []
    for point in line:
        while len(hull) > 1 and _turns_back(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return np.array(hull)


def _turns_back(first: Points, second: Points, third: Points) -> bool:
    """Whether the middle one of three points of the profile lies behind the line between the others."""
    (a, b), (c, d) = second[1:] - first[1:], third[1:] - first[1:]
    return bool(a * d - b * c <= 0)


def _side_depth(frame: Frame, height: Points, reach: Points) -> Points:
    """How far back the face is at the corners of the mask."""
    jaw = frame.points[[234, 93, 132, 58, 172, 136, 454, 323, 361, 288, 397, 365]]
    edge = np.interp(height, jaw[:6, 1], (jaw[:6, 2] + jaw[6:, 2]) / 2)
    wide = np.interp(height, jaw[:6, 1], (jaw[6:, 0] - jaw[:6, 0]) / 2)
    # From the edge of the face the cheek comes forward steeply.
    return edge - 0.45 * np.sqrt(np.clip(1 - (reach / np.maximum(wide, 0.05)) ** 2, 0, 1))


def _tilted(sheet: Points, cut: Cut) -> Points:
    angle = np.deg2rad(cut.tilt)
    centre = np.array([0.0, (cut.top + cut.bottom) / 2])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = sheet.copy()
    turned[..., :2] = (sheet[..., :2] - centre) @ turn.T + centre
    return turned
