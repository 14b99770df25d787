"""Blending of a mask into a photograph with matching light, sharpness and grain."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.data.synthetic.fabric import HEIGHT, WIDTH, Fabric, Image, Map
from facemask.data.synthetic.mask_geometry import Frame, Points
from facemask.faces import mesh as lm

_SHIFT = 4  # binary digits after the point
_CANVAS_FACE = 250  # pixels: faces are painted about so wide, then shrunk
OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
         152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip


@dataclass(frozen=True)
class Light:
    """The light of a photograph.

    Attributes:
        white: (3,) what a sheet of white paper held before the face would look like, RGB in [0, 1].
        shading: float32 (height, width): how much lighter or darker than its mean the face is here, smoothly.
        direction: (2,) where the light comes from, right and down, from -1 to 1.
        blur: spread of the photograph's edges, standard deviation in pixels.
        grain: standard deviation of its noise, in [0, 1].
    """

    white: NDArray[np.float64]
    shading: Map
    direction: NDArray[np.float64]
    blur: float
    grain: float


def measure_light(image: Image, points: NDArray[np.floating], rng: np.random.Generator) -> Light:
    """Measure the light on a face; what a single picture can't tell is left to chance.

    Args:
        image: uint8 (height, width, 3), RGB.
        points: (468, 3) the mesh, in pixels.
        rng: source of chance.
    """
    picture = image.astype(np.float32) / 255
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    face = np.zeros(luma.shape, np.uint8)
    cv2.fillPoly(face, [np.round(points[list(OVAL), :2]).astype(np.int32)], 1)
    inside = luma[face > 0]
    level = max(float(inside.mean()), 0.02)
    width = float(np.linalg.norm(points[lm.RIGHT_EAR, :2] - points[lm.LEFT_EAR, :2]))
    weight = cv2.GaussianBlur(face.astype(np.float32), (0, 0), 0.13 * width) + 1e-3
    smooth = (cv2.GaussianBlur(luma * face, (0, 0), 0.13 * width) + 1e-3 * level) / weight
    shading = np.clip(smooth / level, 0.4, 1.6) ** 0.7

    y, x = np.nonzero(face)
    design = np.column_stack([np.ones(len(x)), (x - x.mean()) / width, (y - y.mean()) / width])
    slope = np.linalg.lstsq(design, inside, rcond=None)[0]
    direction = np.clip(slope[1:] / level, -1, 1) + rng.normal(0, 0.15, 2) + [0, -0.35]

    brightest = float(np.percentile(luma, 97))
    white = np.clip(max(brightest, 1.25 * float(np.percentile(inside, 85))) * rng.uniform(0.95, 1.2), 0.2, 1.15)
    cast = picture.reshape(-1, 3).mean(axis=0) / max(float(luma.mean()), 0.02)
    tint = np.clip(1 + 0.3 * (cast - 1) + rng.normal(0, 0.015, 3), 0.7, 1.3)
    return Light(white * tint, shading.astype(np.float32), direction, _edge_blur(luma), _grain(luma))


def _edge_blur(luma: Map) -> float:
    """Spread of the sharpest edges: a step of height a, blurred by s, is nowhere steeper than a / (s sqrt(2 pi))."""
    gx, gy = cv2.Sobel(luma, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(luma, cv2.CV_32F, 0, 1) / 8
    slope = np.sqrt(gx**2 + gy**2)
    kernel = np.ones((9, 9), np.uint8)
    height = cv2.dilate(luma, kernel) - cv2.erode(luma, kernel)
    steep = slope >= np.percentile(slope, 97)
    spread = height[steep] / np.maximum(slope[steep] * np.sqrt(2 * np.pi), 1e-4)
    return float(np.clip(np.percentile(spread, 25) - 0.3, 0.3, 4.0))


def _grain(luma: Map) -> float:
    """Noise as in Immerkaer, 1996, but by the median, so that edges do not count."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.clip(np.median(np.abs(cv2.filter2D(luma, cv2.CV_32F, kernel))) / 6 / 0.6745, 0.0, 0.06))


@dataclass(frozen=True)
class View:
    """A sheet as the camera sees it.

    Attributes:
        seen: (rows, columns, 3) its points in pixels of the photograph.
        normals: (rows, columns, 3), unit vectors; z < 0 faces the camera.
        canvas: float32 (height * scale, width * scale), 1 where the sheet is and 0 elsewhere.
        cloth: float32 (height, width), its opacity, with the blur of the photograph.
        scale: how much finer the canvas is than the photograph.
    """

    seen: Points
    normals: Points
    canvas: Map
    cloth: Map
    scale: int


@dataclass(frozen=True)
class Layer:
    """A painted mask at the photograph's size: float32 colour (height, width, 3), times its opacity (height, width)."""

    colour: Map
    opacity: Map


def canvas_scale(frame: Frame) -> int:
    """Return how many times finer than the photograph a canvas for a face is."""
    return int(np.clip(round(_CANVAS_FACE / frame.width), 1, 4))


def look(shape: tuple[int, int], frame: Frame, sheet: Points, light: Light, before: Points | None = None) -> View:
    """Find where in the photograph the sheet is seen.

    Args:
        shape: height and width of the photograph.
        frame: of the face.
        sheet: (rows, columns, 3) in that frame.
        light: of the photograph, for its blur.
        before: (n, 2) corners, in pixels, of a convex part of the face that stands before the cloth, if there is one.
    """
    scale = canvas_scale(frame)
    seen = frame.to_picture(sheet)
    normals = _normals(seen)
    canvas = _silhouette(seen[..., :2], _towards(normals), shape, scale)
    if before is not None:
        cv2.fillConvexPoly(canvas, _fixed(cv2.convexHull(np.float32(before))[:, 0], scale), 0, shift=_SHIFT)
    cloth = cv2.GaussianBlur(_shrunk(canvas, shape), (0, 0), light.blur)
    return View(seen, normals, canvas, cloth, scale)


@dataclass(frozen=True)
class Loops:
    """The loops of a mask.

    Attributes:
        colour: (3,) RGB in [0, 1].
        thickness: in pixels of the photograph.
        curves: (n, 2) each, in pixels.
    """

    colour: NDArray[np.float64]
    thickness: float
    curves: list[Points]


def paint(view: View, fabric: Fabric, light: Light, loops: Loops | None) -> Layer:
    """Paint what is seen of the sheet.

    Args:
        view: of the sheet.
        fabric: what it is made of.
        light: that falls on it.
        loops: of the mask, if there are any to be seen.
    """
    shape, size = view.cloth.shape, view.canvas.shape[::-1]
    maps = _spread(view.seen, _towards(view.normals), _geometric_shade(view.normals, light), shape)
    u, v, shade = (cv2.resize(item, size, interpolation=cv2.INTER_LINEAR) for item in maps)
    colour = cv2.remap(_lit(fabric, light), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    smooth = cv2.resize(light.shading, size, interpolation=cv2.INTER_LINEAR)
    colour *= (shade * smooth)[..., None]
    opacity = view.canvas
    if fabric.opacity is not None:
        opacity = opacity * cv2.remap(fabric.opacity, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if loops is not None:
        strands = _strands(loops.curves, view, loops.thickness)
        bare = view.canvas == 0
        colour[bare] = smooth[bare][:, None] * loops.colour.astype(np.float32)
        opacity = np.maximum(opacity, strands)
    colour = film(colour * light.white.astype(np.float32)) * opacity[..., None]
    return Layer(*(cv2.GaussianBlur(_shrunk(item, shape), (0, 0), light.blur) for item in (colour, opacity)))


def _shrunk(canvas: Map, shape: tuple[int, ...]) -> Map:
    return cv2.resize(canvas, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)


def _towards(normals: Points) -> NDArray[np.bool_]:
    return normals[..., 2] < 0.05


def blend(image: Image, layer: Layer, frame: Frame, light: Light, rng: np.random.Generator) -> Image:
    """Blend the mask into the photograph, with its shadow and the photograph's grain."""
    picture = image.astype(np.float32) / 255
    reach = 0.02 * frame.width
    offset = np.array([[1, 0, -light.direction[0] * reach], [0, 1, 1.2 * reach]], dtype=np.float32)
    shadow = cv2.warpAffine(layer.opacity, offset, layer.opacity.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    shadow = cv2.GaussianBlur(shadow, (0, 0), max(reach, 0.8)) * rng.uniform(0.1, 0.45)
    shaded = picture * (1 - shadow * (1 - layer.opacity))[..., None]
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(light.grain)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.5) * 1.6
    mixed = shaded * (1 - layer.opacity[..., None]) + layer.colour + noise * layer.opacity[..., None]
    return np.clip(np.round(mixed * 255), 0, 255).astype(np.uint8)


def film(colour: Map) -> Map:
    """Compress highlights as cameras do, instead of clipping them; in place."""
    bright = colour > 0.8
    colour[bright] = 0.8 + 0.2 * np.tanh((colour[bright] - 0.8) / 0.2)
    return colour


def _normals(seen: Points) -> Points:
    """Find the unit normals (rows, columns, 3) of a grid of points; z < 0 faces the camera."""
    normals = np.cross(np.gradient(seen, axis=0), np.gradient(seen, axis=1))
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)


def _geometric_shade(normals: Points, light: Light) -> Points:
    """Lambert's law with much stray light."""
    source = np.array([light.direction[0], light.direction[1], -1.2])
    source /= np.linalg.norm(source)
    return 0.5 + 0.55 * np.clip(normals @ source, 0, 1)


def _silhouette(seen: Points, front: NDArray[np.bool_], shape: tuple[int, int], scale: int) -> Map:
    canvas = np.zeros((shape[0] * scale, shape[1] * scale), np.uint8)
    corners = _fixed(seen[::3, ::4], scale)
    towards = front[::3, ::4]
    quads = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2)
    visible = towards[:-1, :-1] | towards[1:, 1:] | towards[:-1, 1:] | towards[1:, :-1]
    for quad in quads[visible]:
        cv2.fillConvexPoly(canvas, quad, 1, shift=_SHIFT)
    return canvas.astype(np.float32)


def _fixed(points: NDArray[np.floating], scale: int) -> NDArray[np.int32]:
    """Pixels of the photograph as pixels of the canvas, in OpenCV's fixed-point numbers."""
    return np.round(((points + 0.5) * scale - 0.5) * 2**_SHIFT).astype(np.int32)


def _spread(seen: Points, front: NDArray[np.bool_], shade: Points, shape: tuple[int, int]) -> tuple[Map, Map, Map]:
    """Return for each pixel its place on the fabric, in pixels, and its brightness."""
    height, width = shape
    rows, columns = front.shape
    v, u = np.mgrid[0:rows, 0:columns].astype(np.float64)
    values = [u * (WIDTH - 1) / (columns - 1), v * (HEIGHT - 1) / (rows - 1), shade]
    x, y = np.round(seen[..., 0]).astype(int), np.round(seen[..., 1]).astype(int)
    kept = front & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    place = y[kept] * width + x[kept]

    def gathered(weights: Points) -> Map:
        total = np.bincount(place, weights[kept], height * width).reshape(height, width).astype(np.float32)
        near = cv2.GaussianBlur(total, (0, 0), 1.0)
        return near + 1e-6 * cv2.GaussianBlur(total, (0, 0), 4.0)

    count = gathered(np.ones(front.shape)) + 1e-12
    u_map, v_map, shade_map = (gathered(value) / count for value in values)
    return u_map, v_map, shade_map


def _lit(fabric: Fabric, light: Light) -> Map:
    """Shade the folds of the flat fabric."""
    gx, gy = cv2.Sobel(fabric.relief, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(fabric.relief, cv2.CV_32F, 0, 1) / 8
    # Folds show in any light that is not quite frontal.
    source = light.direction / max(float(np.linalg.norm(light.direction)), 0.3)
    slope = -(gx * np.float32(source[0]) + gy * np.float32(source[1]))
    rise = np.clip(1 + 0.6 * slope - 0.12 * np.hypot(gx, gy), 0.45, 1.35)
    y = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None]
    rim = 1 - 0.12 * np.clip(np.abs(x) ** 12 + np.abs(y) ** 14, 0, 1)
    return fabric.colour * (rise * rim)[..., None]


def _strands(curves: list[Points], view: View, thickness: float) -> Map:
    """Draw the loops, of a thickness in pixels of the photograph."""
    canvas = np.zeros(view.canvas.shape, np.uint8)
    thick = max(round(thickness * view.scale), 1)
    for curve in curves:
        cv2.polylines(canvas, [_fixed(curve, view.scale)], False, 255, thick, cv2.LINE_AA, shift=_SHIFT)
    return np.divide(canvas, 255, dtype=np.float32)
