"""Clear face shields: a bent sheet of plastic before the whole face, with haze, reflections and a headband."""

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.data.synthetic.compose import blend, look, measure_light, paint
from facemask.data.synthetic.fabric import HEIGHT, WIDTH, Fabric, Image, Map
from facemask.data.synthetic.mask_geometry import Frame, Points, face_frame
from facemask.faces import mesh as lm

_COLUMNS, _ROWS = 81, 97


def draw_shield(image: Image, points: NDArray[np.floating], rng: np.random.Generator) -> Image:
    """Put a clear shield before a face, whatever else it wears.

    Args:
        image: uint8 (height, width, 3), RGB.
        points: (468, 3) the face's mesh, in pixels.
        rng: source of every random choice.
    """
    frame = face_frame(points)
    light = measure_light(image, points, rng)
    view = look(image.shape[:2], frame, _bend(frame, rng), light)
    return blend(image, paint(view, _plastic(rng), light, None), frame, light, rng)


def _bend(frame: Frame, rng: np.random.Generator) -> Points:
    """Bend the sheet around the face: (rows, columns, 3) in the face's frame."""
    along, down = np.linspace(-1, 1, _COLUMNS), np.linspace(0, 1, _ROWS)[:, None]
    top = frame.points[lm.FOREHEAD, 1] + rng.uniform(-0.15, 0.12)
    bottom = frame.points[lm.CHIN, 1] + rng.uniform(0.0, 0.4)
    reach = rng.uniform(0.52, 0.66)
    corner = rng.uniform(3, 12)  # exponent of the lower edge
    across = np.sin(along * np.pi / 2 * 0.95) * reach
    rise = rng.uniform(0.0, 0.12) * (1 - down) * (1 - along**2)
    height = top + (bottom - top) * down - rise - 0.25 * down**2 * np.abs(along) ** corner
    # From the band, which rests on the forehead, it hangs before the nose.
    middle = frame.points[lm.FOREHEAD, 2] - 0.12 - rng.uniform(0.12, 0.3) * down
    depth = middle + (0.0 - middle) * np.abs(np.sin(along * np.pi / 2 * 0.95)) ** 2.4
    return np.stack(np.broadcast_arrays(across, height, depth), axis=-1)


def _plastic(rng: np.random.Generator) -> Fabric:
    """Paint the sheet laid flat: nearly invisible but for its reflections, edges and band."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    u, v = x / (WIDTH - 1), y / (HEIGHT - 1)
    opacity = np.full((HEIGHT, WIDTH), rng.uniform(0.02, 0.12), np.float32)
    for _ in range(int(rng.integers(1, 6))):
        opacity += _reflection(u, v, rng)
    edge = np.minimum(np.minimum(u, 1 - u) * 1.5, 1 - v)
    opacity += rng.uniform(0.1, 0.6) * np.exp(-((edge / rng.uniform(0.008, 0.02)) ** 2))
    colour = np.full((HEIGHT, WIDTH, 3), rng.uniform(0.85, 0.98), np.float32)
    colour *= (1 + rng.normal(0, 0.03, 3)).astype(np.float32)
    opacity = np.clip(opacity, 0, 0.85)
    if rng.random() < 0.8:
        bottom = rng.uniform(0.05, 0.13)
        band = np.clip((bottom + 0.03 * (u - 0.5) ** 2 - v) * HEIGHT / 2, 0, 1)
        shade = rng.uniform(0.05, 0.95, 3) if rng.random() < 0.3 else np.full(3, rng.choice([0.93, 0.93, 0.7, 0.08]))
        foam = shade * (1 - 0.25 * np.abs(v / bottom * 2 - 1))[..., None] ** 2
        colour += band[..., None] * (foam.astype(np.float32) - colour)
        opacity += band * (rng.uniform(0.6, 1.0) - opacity)
    return Fabric(colour, np.zeros((HEIGHT, WIDTH), np.float32), opacity.astype(np.float32))


def _reflection(u: Map, v: Map, rng: np.random.Generator) -> Map:
    """Paint a lamp or a window mirrored in the sheet, drawn out from top to bottom by its bend."""
    at, wide = rng.uniform(0.05, 0.95), rng.uniform(0.01, 0.09)
    middle, long = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.6)
    lean = rng.normal(0, 0.12)
    hard = rng.uniform(2, 8)  # exponent of its outline
    inside = np.abs((u - at - lean * (v - middle)) / wide) ** hard + np.abs((v - middle) / long) ** hard
    streak = np.exp(-inside) * rng.uniform(0.08, 0.65)
    return cv2.GaussianBlur(streak.astype(np.float32), (0, 0), rng.uniform(0.5, 4))
