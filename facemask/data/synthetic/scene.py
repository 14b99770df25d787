"""A face as objects are painted before it: the canvas, its coordinates, its colours, and the brushes."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.data.synthetic.compose import Layer, Light, canvas_scale, film, measure_light
from facemask.data.synthetic.fabric import Image, Map
from facemask.data.synthetic.mask_geometry import Frame, Points, face_frame

Colour = NDArray[np.float32]  # (3,) RGB in [0, 1], or a map of it (height, width, 3)

_SHIFT = 4  # binary digits after the point
_SKIN = (205, 425, 50, 280, 117, 346, 36, 266, 195)  # cheeks and the back of the nose
_ABOVE_MASK = (9, 151, 8, 168, 108, 337)  # the forehead, and between the eyes
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)


@dataclass(frozen=True)
class Scene:
    """A face and its light, on a canvas a little finer than the photograph.

    Attributes:
        frame: of the face, in pixels of the photograph.
        points: (468, 2) the mesh, in pixels of the canvas.
        shape: height and width of the canvas.
        scale: how much finer it is than the photograph.
        unit: width of the face, in pixels of the canvas.
        light: of the photograph.
        shading: float32 (height, width): the smooth part of it.
        skin: (3,) what the skin looks like, RGB in [0, 1].
        brows: (3,) what the darkest of the brows looks like.
    """

    frame: Frame
    points: Points
    shape: tuple[int, int]
    scale: int
    unit: float
    light: Light
    shading: Map
    skin: Colour
    brows: Colour

    @property
    def right(self) -> Points:
        """Unit vector (2,) from the left ear to the right one."""
        return _unit(self.frame.axes[0, :2])

    @property
    def down(self) -> Points:
        """Unit vector (2,) down the face, square to `right`."""
        return np.array([-self.right[1], self.right[0]])

    def at(self, number: int, right: float = 0.0, down: float = 0.0) -> Points:
        """Find the place (2,) this far from a point of the mesh, in widths of the face."""
        return self.points[number] + self.moved(np.array([right, down]))

    def moved(self, offsets: Points) -> Points:
        """Turn offsets (..., 2), right and down in widths of the face, into pixels of the canvas."""
        return self.unit * (offsets[..., :1] * self.right + offsets[..., 1:] * self.down)

    def seen(self, points: Points) -> Points:
        """Project points (..., 3) of the face's frame to (..., 2) pixels of the canvas."""
        return (self.frame.to_picture(points)[..., :2] + 0.5) * self.scale - 0.5


def look_at(image: Image, points: NDArray[np.floating], rng: np.random.Generator, masked: bool = False) -> Scene:
    """Measure a face and its light.

    Args:
        image: uint8 (height, width, 3), RGB.
        points: (468, 3) the face's mesh, in pixels.
        rng: source of chance.
        masked: whether there is a mask in the picture: then the skin is measured above it.
    """
    frame = face_frame(points)
    light = measure_light(image, points, rng)
    scale = canvas_scale(frame)
    height, width = image.shape[0] * scale, image.shape[1] * scale
    soft = cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), 0.02 * frame.width)
    return Scene(
        frame=frame,
        points=(np.asarray(points[:, :2], dtype=np.float64) + 0.5) * scale - 0.5,
        shape=(height, width),
        scale=scale,
        unit=frame.width * scale,
        light=light,
        shading=cv2.resize(light.shading, (width, height), interpolation=cv2.INTER_LINEAR),
        skin=np.median(_pixels(soft, points, _ABOVE_MASK if masked else _SKIN), axis=0),
        brows=np.percentile(_pixels(soft, points, _BROWS), 20, axis=0).astype(np.float32),
    )


def _pixels(picture: Map, points: NDArray[np.floating], numbers: Sequence[int]) -> Map:
    x, y = np.round(points[list(numbers), :2]).astype(int).T
    return picture[np.clip(y, 0, picture.shape[0] - 1), np.clip(x, 0, picture.shape[1] - 1)]


def _unit(vector: Points) -> Points:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


class Painting:
    """What has been painted so far: colour times opacity, and opacity, at the size of the canvas."""

    def __init__(self, scene: Scene) -> None:
        """Start with nothing."""
        self._scene = scene
        self.colour: Map = np.zeros((*scene.shape, 3), np.float32)
        self.opacity: Map = np.zeros(scene.shape, np.float32)

    def over(self, colour: NDArray[np.floating], opacity: NDArray[np.floating]) -> None:
        """Paint over what is there.

        Args:
            colour: as the camera sees it, (3,) or (height, width, 3), RGB in [0, 1].
            opacity: (height, width), from 0 to 1.
        """
        rows, columns = (np.flatnonzero(opacity.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        share = opacity[window][..., None]
        seen = film(np.broadcast_to(colour, self.colour.shape)[window].astype(np.float32))
        self.colour[window] = self.colour[window] * (1 - share) + seen * share
        self.opacity[window] = self.opacity[window] * (1 - share[..., 0]) + share[..., 0]

    def without(self, cut: Map) -> None:
        """Take away what lies behind something of the face; `cut` is its opacity, float32 (height, width)."""
        self.colour = self.colour * (1 - cut)[..., None]
        self.opacity = self.opacity * (1 - cut)

    def layer(self) -> Layer:
        """Shrink it to the photograph's size and blur it as the photograph is."""
        size = (self._scene.shape[1] // self._scene.scale, self._scene.shape[0] // self._scene.scale)
        colour, opacity = (
            cv2.GaussianBlur(cv2.resize(item, size, interpolation=cv2.INTER_AREA), (0, 0), self._scene.light.blur)
            for item in (self.colour, self.opacity)
        )
        return Layer(colour, opacity)


@dataclass(frozen=True)
class Solid:
    """A body before the face; float32 maps (height, width) in pixels of the canvas.

    Attributes:
        height: towards the camera; 0 where it is not.
        along: way along its axis.
        across: way from its axis, in radii, from -1 to 1.
    """

    height: Map
    along: Map
    across: Map

    @property
    def mask(self) -> Map:
        """Opacity: 1 where it is."""
        return (self.height > 0).astype(np.float32)


def tube(scene: Scene, path: Points, radii: NDArray[np.floating], flatness: float = 1.0) -> Solid:
    """Lay a tube of changing thickness with round ends.

    Args:
        scene: the face.
        path: (n, 2) its axis, in pixels of the canvas.
        radii: (n,) in pixels.
        flatness: height of its middle, in radii.
    """
    height, along, across = (np.zeros(scene.shape, np.float32) for _ in range(3))
    start = 0.0
    for first, second, thick, thin in zip(path, path[1:], radii, radii[1:], strict=False):
        step = second - first
        length = max(float(np.hypot(*step)), 1e-6)
        window = _window(scene.shape, np.stack([first, second]), float(max(thick, thin)))
        if window is None:
            continue
        rows, columns = window
        y, x = np.mgrid[rows, columns].astype(np.float32)
        ahead = ((x - first[0]) * step[0] + (y - first[1]) * step[1]) / length
        aside = ((y - first[1]) * step[0] - (x - first[0]) * step[1]) / length
        share = np.clip(ahead / length, 0, 1)
        radius = thick + (thin - thick) * share
        beyond = ahead - share * length
        inside = radius**2 - aside**2 - beyond**2
        rise = np.sqrt(np.maximum(inside, 0)) * flatness
        taller = rise > height[rows, columns]
        height[rows, columns][taller] = rise[taller]
        along[rows, columns][taller] = (start + ahead)[taller]
        across[rows, columns][taller] = (aside / np.maximum(radius, 1e-6))[taller]
        start += length
    return Solid(height, along, across)


def _window(shape: tuple[int, int], points: Points, margin: float) -> tuple[slice, slice] | None:
    left, top = np.floor(points.min(axis=0) - margin).astype(int)
    right, bottom = np.ceil(points.max(axis=0) + margin).astype(int) + 1
    rows, columns = slice(max(top, 0), min(bottom, shape[0])), slice(max(left, 0), min(right, shape[1]))
    return None if rows.start >= rows.stop or columns.start >= columns.stop else (rows, columns)


def joined(solids: Sequence[Solid]) -> Solid:
    """Unite bodies: what is nearest to the camera is seen."""
    height, along, across = solids[0].height, solids[0].along, solids[0].across
    for solid in solids[1:]:
        nearer = solid.height > height
        height, along, across = (
            np.where(nearer, new, old)
            for new, old in ((solid.height, height), (solid.along, along), (solid.across, across))
        )
    return Solid(height, along, across)


def lit(scene: Scene, height: NDArray[np.floating], stray: float = 0.5) -> Map:
    """Shade a body by Lambert's law with much stray light; about 1 where it faces the camera.

    Args:
        scene: the face, with its light.
        height: (height, width), towards the camera, in pixels of the canvas.
        stray: share of the light that comes from everywhere.
    """
    smooth = cv2.GaussianBlur(height.astype(np.float32), (0, 0), max(0.008 * scene.unit, 0.7))
    gx, gy = (np.clip(cv2.Sobel(smooth, cv2.CV_32F, *order) / 8, -2, 2) for order in ((1, 0), (0, 1)))
    source = np.array([scene.light.direction[0], scene.light.direction[1], 1.2])
    source /= np.linalg.norm(source)
    facing = (source[2] - gx * source[0] - gy * source[1]) / np.sqrt(1 + gx**2 + gy**2)
    # Towards its edge a round body hides part of the stray light.
    edge = 1 / (1 + 0.25 * (gx**2 + gy**2))
    return ((stray * edge + (1 - stray) * np.clip(facing, 0, None)) * scene.shading).astype(np.float32)


def polygon(scene: Scene, corners: Points, softness: float = 0.0) -> Map:
    """Fill a polygon.

    Args:
        scene: the face.
        corners: (n, 2) in pixels of the canvas.
        softness: spread of its edge, in widths of the face.

    Returns:
        float32 (height, width), from 0 to 1.
    """
    canvas = np.zeros(scene.shape, np.uint8)
    cv2.fillPoly(canvas, [fixed(corners)], 255, cv2.LINE_AA, _SHIFT)
    filled = np.divide(canvas, 255, dtype=np.float32)
    return cv2.GaussianBlur(filled, (0, 0), softness * scene.unit) if softness else filled


def line(scene: Scene, path: Points, thickness: float) -> Map:
    """Draw a line of a thickness in widths of the face along a path (n, 2); float32 (height, width)."""
    canvas = np.zeros(scene.shape, np.uint8)
    wide = max(round(thickness * scene.unit), 1)
    cv2.polylines(canvas, [fixed(path)], False, 255, wide, cv2.LINE_AA, _SHIFT)
    return np.divide(canvas, 255, dtype=np.float32)


def fixed(points: Points) -> NDArray[np.int32]:
    """Give pixels of the canvas in OpenCV's fixed-point numbers."""
    return np.round(points * 2**_SHIFT).astype(np.int32)


def curve(points: Points, count: int = 24) -> Points:
    """Lay a smooth curve (count, 2) through points (n, 2), by Catmull and Rom, 1974."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    place = np.linspace(0, len(points) - 1, count)
    number = np.minimum(place.astype(int), len(points) - 2)
    t = (place - number)[:, None]
    a, b, c, d = (padded[number + step] for step in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - 3 * c + d - a) * t**3)


def mottle(shape: tuple[int, int], spot: tuple[float, float], rng: np.random.Generator) -> Map:
    """Make noise of mean 0 and spread 1 whose spots are about so many pixels high and wide."""
    rows, columns = (max(int(side / max(size, 1)), 1) + 3 for side, size in zip(shape, spot, strict=True))
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    fine = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return (fine - fine.mean()) / max(float(fine.std()), 1e-6)


def looked_up(picture: Map, u: Map, v: Map) -> Map:
    """Look a picture up at places (u to the right, v down), in its pixels; beyond its border it is mirrored."""
    return cv2.remap(
        picture, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )


def brightness(scene: Scene) -> Colour:
    """Return what white looks like in this light, (3,)."""
    return scene.light.white.astype(np.float32)
