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
_HIDDEN_EAR = 0.3  # sine of the angle by which a head is turned, from which the face hides one of the ears

# The middle of the face from the forehead to the chin, in points of the mesh.
_PROFILE = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 164, 0, 13, 17, 18, 200, 199, 175, 152)
_MOUTH, _LOWER_LIP, _BELOW_LIP = 13, 17, 200

_NOSE = (1, 4, 2, 98, 327, 97, 326, 19, 94)
_LIPS = (0, 13, 14, 17, 37, 267, 84, 314)
NOSE_BALL = (5, 195, 4, 1, 19, 94, 2, 98, 97, 326, 327, 129, 358, 64, 294, 48, 278, 49, 279, 209, 429, 240, 460)
_EYES = (33, 133, 159, 145, 263, 362, 386, 374)
_LEFT_EDGE = (103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136)  # of the face, from the forehead down
_RIGHT_EDGE = (332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365)

# What must show, and what must be covered, for the kind to be what it is called; points of the mesh.
BARE: dict[Kind, tuple[int, ...]] = {
    "right": _EYES,
    "right_low": _EYES,
    "nose_out": (*_EYES, 1, 4),  # its tip; the nostrils may just be hidden, as seen from above
    "nose_just_out": (*_EYES, 1, 4, 5),
    "mouth_out": (*_EYES, *_NOSE, *_LIPS),
    "below_chin": (*_EYES, *_NOSE, *_LIPS, 200, 199),
    "chin_out": (*_EYES, 175, 199),
    "askew": (159, 386),
    "one_ear": (*_EYES, *_NOSE, *_LIPS),
    "forehead": (*_EYES, *_NOSE, *_LIPS),
    "over_eyes": (2, *_LIPS),
}
# Of these groups at least one must show.
BARE_EITHER: dict[Kind, tuple[tuple[int, ...], ...]] = {
    "askew": ((1, 4, 2), (61, 40, 91, 39, 84), (291, 270, 321, 269, 314)),  # the nose, or half of the mouth
}
COVERED: dict[Kind, tuple[int, ...]] = {
    "right": (1, 4, 5, *_LIPS, 61, 291, 199),
    "right_low": (1, 4, 2, *_LIPS, 61, 291, 199),
    "nose_out": (13, 14, 17, 199),
    "nose_just_out": (*_LIPS, 61, 291, 199),
    "mouth_out": (),
    "below_chin": (),
    "chin_out": (1, 4, 2, 0),
    "askew": (),
    "one_ear": (),
    "forehead": (),
    "over_eyes": (159, 145, 386, 374),
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
        folds: how many folds from side to side a bunched mask lies in.
        fold_depth: half their depth.
        upside_down: whether the edge made for the nose is the lower one.
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
    folds: float
    fold_depth: float
    upside_down: bool


@dataclass(frozen=True)
class Worn:
    """A mask in its place.

    Attributes:
        sheet: (rows, columns, 3) in the face's frame.
        loops: curves (n, 2) in pixels, where its loops run.
    """

    sheet: Points
    loops: list[Points]


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
    taper, peak, tilt, drift = uniform(0.0, 0.22), uniform(0.2, 0.6), rng.normal(0, 3.5), rng.normal(0, 0.012)
    bunched, upside_down = False, False
    if kind in ("right", "right_low"):
        # Between the bridge and the tip of the nose.
        low = (heights[195] + heights[5]) / 2
        top = uniform(heights[6] + 0.02, low) if kind == "right" else uniform(low, heights[lm.NOSE_TIP] - 0.02)
        bottom = chin + uniform(-0.01, 0.1)
        peak = 0.0 if kind == "right_low" and rng.random() < 0.5 else peak
    elif kind == "nose_out":
        # Mostly close under the nose, as in photographs: there a mask worn badly is easiest to miss.
        top = nose - 0.08 + max(heights[_MOUTH] - nose + 0.06, 0.1) * uniform() ** 1.5
        bottom = chin + uniform(0.0, 0.25)
        side_top, side_bottom = uniform(0.02, 0.25), uniform(0.36, 0.5)
        tilt = rng.normal(0, 5)
        peak = 0.0 if rng.random() < 0.6 else peak
    elif kind == "nose_just_out":
        top = uniform(heights[1], nose + 0.04)
        bottom = chin + uniform(-0.01, 0.12)
        side_top = uniform(-0.03, 0.16)
        peak = 0.0 if rng.random() < 0.8 else peak
    elif kind == "mouth_out":
        top = heights[_LOWER_LIP] + (chin - heights[_LOWER_LIP]) * uniform(0.02, 0.55)
        bunched = rng.random() < 0.25
        bottom = top + uniform(0.14, 0.24) if bunched else chin + uniform(0.08, 0.35)
        side_top, side_bottom = uniform(0.12, 0.38), uniform(0.42, 0.6)
        peak = 0.0
    elif kind == "below_chin":
        top = uniform(chin - 0.06, chin + 0.06)
        bunched = rng.random() < 0.5
        bottom = top + (uniform(0.14, 0.26) if bunched else uniform(0.2, 0.5))
        side_top, side_bottom = uniform(0.3, 0.5), uniform(0.5, 0.75)
        reach, peak = uniform(0.34, 0.48), 0.0
    elif kind == "askew":
        top = uniform(heights[lm.NOSE_TIP], heights[_MOUTH])
        bottom = top + uniform(0.45, 0.62)
        reach, side_top = uniform(0.38, 0.46), top + uniform(-0.08, 0.08)
        side_bottom = side_top + uniform(0.3, 0.42)
        upside_down = rng.random() < 0.4
        peak = 0.0 if rng.random() < 0.5 else peak
        tilt, drift = rng.choice([-1, 1]) * uniform(15, 40), rng.normal(0, 0.08)
    elif kind == "forehead":
        top = uniform(heights[lm.FOREHEAD] - 0.2, heights[lm.FOREHEAD] + 0.06)
        bottom = uniform(heights[9] - 0.12, heights[9] + 0.04)
        side_top, side_bottom = uniform(-0.56, -0.38), uniform(-0.4, -0.22)
        reach, taper, peak, tilt = uniform(0.36, 0.46), 0.0, 0.0, rng.normal(0, 5)
        bunched, upside_down = rng.random() < 0.4, rng.random() < 0.3
    elif kind == "over_eyes":
        top = uniform(heights[9] - 0.1, heights[8])
        bottom = uniform(heights[195], heights[lm.NOSE_TIP])
        side_top, side_bottom = uniform(-0.3, -0.18), uniform(0.0, 0.14)
        taper, peak = uniform(0.0, 0.1), 0.0
        bunched = rng.random() < 0.3
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
    elif style == "bandana" and kind not in ("chin_out", "askew", "forehead", "over_eyes"):
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
        tilt=tilt,
        drift=drift,
        waves=tuple(rng.normal(0, 0.008, 4)),
        folds=uniform(2.5, 5),
        fold_depth=uniform(0.002, 0.007) if bunched else 0.0,
        upside_down=upside_down,
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
    if cut.upside_down:
        rounded, peaked = peaked, rounded
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
    depth = depth + cut.fold_depth * np.sin(2 * np.pi * (cut.folds * down + 0.2 * np.sin(4 * along + cut.folds)))
    sheet = np.stack(np.broadcast_arrays(across, height, depth), axis=-1)
    return _tilted(sheet, cut)


def wear(frame: Frame, kind: Kind, style: Style, rng: np.random.Generator) -> Worn:
    """Put a mask of a style where it is when worn in this way, all else by chance."""
    if kind == "one_ear":
        return _hang(frame, rng)
    sheet = lay_out(frame, draw_cut(frame, kind, style, rng))
    return Worn(sheet, _loops(frame, sheet))


def _loops(frame: Frame, sheet: Points) -> list[Points]:
    """Loops from the corners of the sheet to the ears, as far as they can be seen."""
    seen, ears = frame.to_picture(sheet)[..., :2], frame.to_picture(ear_points(frame))[..., :2]
    right = frame.axes[0, :2] / max(float(np.linalg.norm(frame.axes[0, :2])), 1e-6)
    curves = []
    for side, column, sign in ((0, 0, -1), (1, -1, 1)):
        if sign * frame.axes[0, 2] > _HIDDEN_EAR:
            continue
        for end, row in ((0, 0), (1, -1)):
            corner, ear = seen[row, column], ears[side, end]
            if sign * float((ear - corner) @ right) < 0.02 * frame.width:
                continue
            sag = (0.04 if end == 0 else -0.04) * frame.width * frame.axes[1, :2]
            curves.append(_curve(corner, (corner + ear) / 2 + sag, ear))
    return curves


def _curve(start: Points, middle: Points, end: Points) -> Points:
    """Sample a quadratic Bezier curve."""
    t = np.linspace(0, 1, 12)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end


def _hang(frame: Frame, rng: np.random.Generator) -> Worn:
    """Hang the mask from one ear: upright beside or before the cheek, its pleats running down."""
    uniform = rng.uniform
    turned = float(frame.axes[0, 2])  # what hangs from the ear that is turned away would be hidden
    side = -np.sign(turned) if abs(turned) > 0.2 else rng.choice([-1, 1])
    ear = frame.points[lm.RIGHT_EAR if side > 0 else lm.LEFT_EAR] + np.array([0.02 * side, 0.0, 0.04])
    along = np.linspace(0, 1, _COLUMNS)
    across = np.linspace(0.5, -0.5, _ROWS)[:, None]  # from right to left, so that its outside is seen
    start = np.array([side * uniform(0.32, 0.56), uniform(0.06, 0.4)])
    length, width = uniform(0.6, 1.1), uniform(0.22, 0.52)
    swing = np.tan(np.deg2rad(rng.normal(0, 9))) * along * length + rng.normal(0, 0.05) * np.sin(np.pi * along)
    narrow = uniform(0.55, 0.9)
    wide = width * (narrow + (1 - narrow) * np.sin(np.pi * np.clip(along * 0.9 + 0.05, 0, 1)) ** 0.6)
    slope = np.deg2rad(rng.normal(0, 10))  # its ends are not level
    x = start[0] + swing + across * wide * np.cos(slope)
    y = start[1] + along * length + across * wide * np.sin(slope)
    back = _side_depth(frame, np.array(start[1]), np.array(abs(start[0]))) - 0.04
    folds, depth = uniform(1.0, 3.0), uniform(0.01, 0.03)
    z = back + depth * np.cos(2 * np.pi * (folds * across + rng.normal(0, 0.15) * along + uniform())) * width / 0.3
    z = z + uniform(-0.15, 0.3) * across * wide
    sheet = np.stack(np.broadcast_arrays(x, y, z), axis=-1)
    seen, ear = frame.to_picture(sheet)[..., :2], frame.to_picture(ear)[:2]
    down = frame.axes[1, :2] * frame.width
    loops = [_curve(ear, (ear + corner) / 2 + 0.03 * down, corner) for corner in (seen[0, 0], seen[-1, 0])]
    if rng.random() < 0.6:
        first, last = seen[0, -1], seen[-1, -1]
        loops.append(_curve(first, (first + last) / 2 + uniform(0.15, 0.5) * down, last))
    return Worn(sheet, loops)


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
    left, right = frame.points[list(_LEFT_EDGE)], frame.points[list(_RIGHT_EDGE)]
    heights = (left[:, 1] + right[:, 1]) / 2
    edge = np.interp(height, heights, (left[:, 2] + right[:, 2]) / 2)
    wide = np.interp(height, heights, (right[:, 0] - left[:, 0]) / 2)
    # From the edge of the face the cheek comes forward steeply.
    return edge - 0.45 * np.sqrt(np.clip(1 - (reach / np.maximum(wide, 0.05)) ** 2, 0, 1))


def _tilted(sheet: Points, cut: Cut) -> Points:
    angle = np.deg2rad(cut.tilt)
    centre = np.array([0.0, (cut.top + cut.bottom) / 2])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = sheet.copy()
    turned[..., :2] = (sheet[..., :2] - centre) @ turn.T + centre
    return turned
