"""Other poses and proportions of a photographed head, by its face mesh.

A head is turned in depth as in the face profiling of 300W-LP (Zhu et al., "Face Alignment Across Large Poses",
CVPR 2016, https://arxiv.org/abs/1511.07212): anchors around the face carry the mesh on over hair, neck and background,
the vertices are turned, and the triangles between them are drawn at their new places, those behind first.
"""

from dataclasses import astuple, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from facemask.core.params import RenderParams
from facemask.data.synthetic.compose import OVAL
from facemask.data.synthetic.fabric import Image
from facemask.data.synthetic.mask_geometry import Frame, Points, face_frame
from facemask.faces.mesh import CHIN, FOREHEAD

_PIVOT = np.array([0.0, 0.2, -0.3])  # in the face's frame; about it the face stays where it is
_DISTANCE = 5.0  # of the camera, in widths of the face; nearer parts grow
_FLAT = 0.6  # factor for the depth of the sides of the face, which a frontal photograph shows in few pixels
_FINE = 2  # the picture is drawn so much larger, then shrunk, for smooth edges
_FINE_BELOW = 200  # pixels, of the shorter side; training sees larger pictures shrunk
_SHIFT = 4  # binary digits after the point
_FARTHEST = 55, 40  # degrees of yaw and pitch from the front, with what the photograph has
_OBLIQUE = 10  # degrees of yaw from which on a face is turned no way but further: its far side can't be seen
_UPRIGHT = 10  # degrees: so far the chin of a mesh lies behind its forehead when the head is held upright
_EYES = ((33, 133), (263, 362))  # corners


@dataclass(frozen=True)
class _Ring:
    """Anchors around the face.

    Attributes:
        size: distance from the middle of the face, in distances of its outline.
        depth: behind the outline, in widths of the face.
        follows: how far it moves with the head, from 0 to 1.
    """

    size: float
    depth: float
    follows: float


# To the sides and above: ears and hair, the outline of the head, what is near it. Below: the neck.
_AROUND = (_Ring(1.1, 0.1, 1.0), _Ring(1.3, 0.25, 0.85), _Ring(1.75, 0.5, 0.25))
_BELOW = (_Ring(1.06, 0.1, 0.75), _Ring(1.25, 0.3, 0.25), _Ring(1.6, 0.4, 0.05))


@dataclass(frozen=True)
class Pose:
    """What is done to a head: turned by whole degrees of yaw, pitch and roll, and made childlike, from 0 to 1."""

    yaw: int = 0
    pitch: int = 0
    roll: int = 0
    childlike: float = 0.0

    @property
    def is_turned(self) -> bool:
        """Whether it is turned at all."""
        return bool(self.yaw or self.pitch or self.roll)


def draw_pose(points: NDArray[np.floating], turned: float, settings: RenderParams, rng: np.random.Generator) -> Pose:
    """Choose a pose by chance. It depends on the face and on nothing that is drawn there.

    Args:
        points: (468, 3) the face's mesh, in pixels.
        turned: probability that the head is turned at all.
        settings: how far at most, and how often a face becomes childlike.
        rng: source of chance.
    """
    is_turned, is_childlike = rng.random(2) < (turned, settings.childlike)
    yaw, pitch = rng.uniform(-1, 1, 2) * (settings.yaw, settings.pitch)
    roll, amount = rng.normal(0, 5), rng.uniform(0.4, 1)
    own_yaw, own_pitch = measure_pose(points)
    if abs(own_yaw) > _OBLIQUE:
        yaw = np.copysign(yaw, own_yaw)
    # A face that looks far away already is left as it is.
    left, up = (min(-limit - own, 0) for limit, own in zip(_FARTHEST, (own_yaw, own_pitch), strict=True))
    right, down = (max(limit - own, 0) for limit, own in zip(_FARTHEST, (own_yaw, own_pitch), strict=True))
    whole = (round(float(np.clip(yaw, left, right))), round(float(np.clip(pitch, up, down))), round(roll))
    return Pose(*(whole if is_turned else (0, 0, 0)), childlike=float(amount) if is_childlike else 0.0)


def measure_pose(points: NDArray[np.floating]) -> tuple[float, float]:
    """Estimate yaw and pitch in degrees, with the signs of `turn`, from a mesh (468, 3) in pixels."""
    right, down, _ = face_frame(points).axes
    return float(np.degrees(np.arcsin(right[2]))), float(np.degrees(np.arcsin(down[2]))) - _UPRIGHT


def turn(
    image: Image, points: NDArray[np.floating], yaw: float, pitch: float, roll: float = 0.0
) -> tuple[Image, NDArray[np.float32]]:
    """Turn the head in a photograph, as far as one picture allows: some 45 degrees from the front, 30 up or down.

    Args:
        image: uint8 (height, width, 3), RGB.
        points: (468, 3) the face's mesh, in pixels.
        yaw: degrees about the axis of the neck; positive turns the nose to the right of the picture.
        pitch: degrees about the axis through the ears; positive bows the head.
        roll: degrees about the axis of sight; positive leans the head to the right of the picture.

    Returns:
        A picture of the same size and the mesh in it. Turned by nothing, the picture is the one given.
    """
    mesh = np.asarray(points, dtype=np.float64)
    if not (yaw or pitch or roll):
        return image, mesh.astype(np.float32)
    frame = face_frame(mesh)
    anchors, follows = _anchors(mesh, frame.width, image.shape[:2])
    place = (np.vstack([mesh, anchors]) - frame.origin) @ frame.axes.T / frame.width - _PIVOT
    place[:, 2] = np.where(place[:, 2] > 0, _FLAT * place[:, 2], place[:, 2])
    turned = place @ _rotation(yaw, pitch, roll).T
    turned[:, :2] *= ((_DISTANCE + place[:, 2]) / (_DISTANCE + turned[:, 2]))[:, None]
    moved = np.vstack([mesh, anchors]) + follows[:, None] * (turned - place) @ frame.axes * frame.width
    return _warped(image, frame, np.vstack([mesh, anchors]), moved), moved[: len(mesh)].astype(np.float32)


def childlike(image: Image, points: NDArray[np.floating], amount: float) -> tuple[Image, NDArray[np.float32]]:
    """Give a face a small child's proportions: larger eyes and forehead, a smaller nose, a short and narrow jaw.

    Args:
        image: uint8 (height, width, 3), RGB.
        points: (468, 3) the face's mesh, in pixels.
        amount: 0 for none, 1 for the proportions of a child of about two.

    Returns:
        A picture of the same size and the mesh in it. By nothing, the picture is the one given.
    """
    mesh = np.asarray(points, dtype=np.float64)
    if not amount:
        return image, mesh.astype(np.float32)
    frame = face_frame(mesh)
    anchors, follows = _anchors(mesh, frame.width, image.shape[:2])
    start = np.vstack([mesh, anchors])
    place = (start - frame.origin) @ frame.axes.T / frame.width
    across, down = place[:, 0], place[:, 1]
    change = np.zeros_like(place)
    eyes = frame.points[[list(corners) for corners in _EYES], :].mean(axis=1)
    height = eyes[:, 1].mean()
    below, above = np.maximum(down - height, 0), np.maximum(height - down, 0)
    change[:, 0] = across * (0.06 - 0.22 * np.minimum(below, 0.8))
    change[:, 1] = -0.2 * below - 0.14 * above + 0.1  # the eyes sit lower in the head
    for eye in eyes:
        offset = place - eye
        change += 0.28 * offset * np.exp(-((offset[:, :2] / 0.17) ** 2).sum(axis=1))[:, None] * [1, 1, 0]
    offset = place - frame.points[4]
    change -= 0.18 * offset * np.exp(-((offset[:, :2] / 0.15) ** 2).sum(axis=1))[:, None] * [1, 1, 0]
    moved = start + amount * follows[:, None] * change @ frame.axes * frame.width
    return _warped(image, frame, start, moved), moved[: len(mesh)].astype(np.float32)


def _rotation(yaw: float, pitch: float, roll: float) -> Points:
    """Matrix for column vectors (right, down, back): roll after pitch after yaw."""
    a, b, c = np.deg2rad([yaw, pitch, roll])
    about_neck = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_ears = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_sight = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_sight @ about_ears @ about_neck, dtype=np.float64)


def _anchors(mesh: Points, width: float, shape: tuple[int, int]) -> tuple[Points, Points]:
    """Place rings of anchors around the face, one of each ring beyond each point of the face's oval.

    Returns:
        (rings * 36, 3) pixels, from the inner ring to the outer, and (468 + rings * 36,) how far each point of the mesh
        and of the rings moves with the head.
    """
    hull = mesh[cv2.convexHull(np.float32(mesh[:, :2]), returnPoints=False)[:, 0], :2]
    middle = (hull.min(axis=0) + hull.max(axis=0)) / 2
    oval = mesh[list(OVAL)]
    along = (oval[:, :2] - middle) / np.linalg.norm(oval[:, :2] - middle, axis=1, keepdims=True)
    radius = _radius(hull - middle, along)
    down = mesh[CHIN, :2] - mesh[FOREHEAD, :2]
    below = np.clip(along @ down / np.linalg.norm(down) * 2.5 - 1.25, 0, 1)
    rings, follows = [], [np.ones(len(mesh))]
    for around, under in zip(_AROUND, _BELOW, strict=True):
        size, behind, share = (
            first + (second - first) * below for first, second in zip(astuple(around), astuple(under), strict=True)
        )
        rings.append(np.column_stack([middle + along * (radius * size)[:, None], oval[:, 2] + behind * width]))
        follows.append(share)
    far = 3 * max(radius.max(), *shape)
    rings.append(np.column_stack([middle + along * far, np.full(len(oval), oval[:, 2].max() + width)]))
    follows.append(np.zeros(len(oval)))
    return np.vstack(rings), np.concatenate(follows)


def _radius(hull: Points, along: Points) -> Points:
    """Distance (n,) from the origin to a convex outline (m, 2) in the directions `along`, (n, 2) unit vectors."""
    angles = np.arctan2(hull[:, 1], hull[:, 0])
    order = np.argsort(angles)
    reach = np.hypot(hull[:, 0], hull[:, 1])
    return np.interp(np.arctan2(along[:, 1], along[:, 0]), angles[order], reach[order], period=2 * np.pi)


def _triangles(mesh: Points) -> NDArray[np.int64]:
    """Connect the points of a mesh in a face's frame, (468, 3), and of the rings around it; (n, 3) vertices."""
    unrolled = np.column_stack([np.arctan2(mesh[:, 0], 0.1 - mesh[:, 2]), mesh[:, 1]])
    face = Delaunay(unrolled).simplices
    face = face[~np.isin(face, OVAL).all(axis=1)]  # not across the hollows of the oval
    count = len(OVAL)
    rings = np.vstack([OVAL, len(mesh) + np.arange(count * (len(_AROUND) + 1)).reshape(-1, count)])
    inner, outer = rings[:-1], rings[1:]
    after, beyond = np.roll(inner, -1, axis=1), np.roll(outer, -1, axis=1)
    strips = [np.stack([inner, after, outer], axis=-1), np.stack([after, beyond, outer], axis=-1)]
    return np.concatenate([face, *(strip.reshape(-1, 3) for strip in strips)])


def _warped(image: Image, frame: Frame, start: Points, end: Points) -> Image:
    """Move the points of mesh and rings from `start` to `end`, (n, 3) pixels; of two triangles the nearer is seen."""
    height, width = image.shape[:2]
    fine = _FINE if min(height, width) < _FINE_BELOW else 1
    triangles = _triangles(frame.points)
    triangles = triangles[np.argsort(-end[triangles, 2].mean(axis=1), kind="stable")]
    corners = np.round(((end[triangles, :2] + 0.5) * fine - 0.5) * 2**_SHIFT).astype(np.int32)
    owner = np.zeros((height * fine, width * fine), np.int32)
    for number, corner in enumerate(corners):
        cv2.fillConvexPoly(owner, corner, number, shift=_SHIFT)
    flat = np.concatenate([end[triangles, :2], np.ones((len(triangles), 3, 1))], axis=2)
    flat += 1e-6 * np.eye(3)  # triangles seen edge-on have no inverse
    back = np.linalg.inv(flat) @ start[triangles, :2]  # (n, 3, 2): from new places, with a 1, to old ones
    taken = np.take(back.reshape(-1, 6).astype(np.float32), owner, axis=0)
    x = (np.arange(width * fine, dtype=np.float32) + 0.5) / fine - 0.5
    y = ((np.arange(height * fine, dtype=np.float32) + 0.5) / fine - 0.5)[:, None]
    across, down = (taken[..., i] * x + taken[..., 2 + i] * y + taken[..., 4 + i] for i in (0, 1))
    wide, border = _with_surroundings(image)
    large = cv2.remap(wide, across + border, down + border, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _with_surroundings(image: Image) -> tuple[Image, int]:
    """Continue a picture beyond its border: mirrored, but blurred, so that no second face is seen there."""
    height, width = image.shape[:2]
    border = round(0.4 * max(height, width))
    wide = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REFLECT_101)
    size = wide.shape[1::-1]
    small = cv2.resize(wide, (max(size[0] // 8, 1), max(size[1] // 8, 1)), interpolation=cv2.INTER_AREA)
    soft = cv2.resize(cv2.GaussianBlur(small, (0, 0), border / 48), size, interpolation=cv2.INTER_LINEAR)
    y, x = np.arange(-border, height + border)[:, None], np.arange(-border, width + border)
    outside = np.maximum(np.maximum(-y, y - height + 1), np.maximum(-x, x - width + 1))
    share = np.clip(outside / (0.2 * border), 0, 1).astype(np.float32)
    return cv2.blendLinear(soft, wide, share, 1 - share), border
