"""Mask textures cut out of photographs of real masks and flattened.

The cloth is told from skin, hair and background with GrabCut (Rother et al., 2004,
https://doi.org/10.1145/1015706.1015720), started from the face mesh.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from facemask.data.synthetic.fabric import HEIGHT, WIDTH, Fabric, Image
from facemask.data.synthetic.mask_geometry import Frame, face_frame

_SIDE = 96  # pixels: GrabCut's time grows with the area
_INNER = (4, 205, 207, 212, 204, 194, 201, 200, 421, 418, 424, 432, 427, 425)  # from the nose's tip to above the chin
_OUTER = (6, 116, 123, 147, 213, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 433, 376, 352, 345)
_EDGE_STEPS = 61
_DOWN = np.linspace(-0.3, 1.0, 131)  # heights at which the edges are looked for, in widths of the face


def cut_out(image: Image, points: NDArray[np.floating]) -> Fabric | None:
    """Cut the mask out of a photograph of a face that wears one.

    Args:
        image: uint8 (height, width, 3), RGB.
        points: (468, 3) the face's mesh, in pixels.

    Returns:
        The cloth laid flat, or None if the face is turned away or no piece was found that could be a mask.
    """
    frame = face_frame(points)
    if abs(frame.axes[0, 2]) > 0.45:
        return None
    cloth = _segment(image, points)
    edges = _edges(cloth, frame)
    if edges is None:
        return None
    reach, upper, lower = edges
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    sideways = np.sin((u / (WIDTH - 1) * 2 - 1) * np.pi / 2 * 0.97)
    column = (sideways + 1) / 2 * (_EDGE_STEPS - 1)
    top = np.interp(column, np.arange(_EDGE_STEPS), upper)
    bottom = np.interp(column, np.arange(_EDGE_STEPS), lower)
    place = _flat_to_picture(frame, sideways * reach, top + (bottom - top) * v / (HEIGHT - 1))
    across, down = (np.float32(place[..., axis]) for axis in (0, 1))
    pixels = cv2.remap(image, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    colour = pixels.astype(np.float32) / 255
    level = cv2.GaussianBlur(colour.mean(axis=2), (0, 0), WIDTH / 5)
    colour = colour * ((level.mean() / np.maximum(level, 0.02)) ** 0.5)[..., None]
    # Cloth may be lighter than anything else in the picture, but not lighter than white paper.
    white = max(float(np.percentile(image, 97)) / 255, float(np.percentile(colour, 98)) / 0.96)
    return Fabric(np.clip(colour / white, 0.01, 1).astype(np.float32), np.zeros((HEIGHT, WIDTH), np.float32))


def _segment(image: Image, points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Opacity of the cloth, float32 (height, width) in {0, 1}."""
    height, width = image.shape[:2]
    scale = min(_SIDE / max(height, width), 1)
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    mesh = points[:, :2] * scale
    state = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    centre = mesh[list(_OUTER)].mean(axis=0)
    outer = (mesh[list(_OUTER)] - centre) * 1.15 + centre
    cv2.fillPoly(state, [np.round(outer).astype(np.int32)], cv2.GC_PR_FGD)
    inner = np.zeros_like(state)
    cv2.fillPoly(inner, [np.round(mesh[list(_INNER)]).astype(np.int32)], 1)
    state[inner > 0] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # of this thread: GrabCut takes no generator and starts from random clusters
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(small[..., ::-1]), state, None, *models, 2, cv2.GC_INIT_WITH_MASK)
    found = np.isin(state, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    found = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    found = cv2.morphologyEx(found, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)


def _flat_to_picture(frame: Frame, across: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels (..., 2) of places before a face seen from the front, at the depth of its cheeks."""
    return frame.to_picture(np.stack([across, down, np.full_like(across, -0.45)], axis=-1))[..., :2]


def _edges(cloth: NDArray[np.float32], frame: Frame) -> tuple[float, NDArray[np.float64], NDArray[np.float64]] | None:
    """Half the width of the cloth, and the heights of its upper and lower edge from left to right, or None."""
    height, width = cloth.shape
    nose, tip, chin = frame.points[[197, 4, 152], 1]

    def sample(across: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.bool_]:
        x, y = np.moveaxis(np.round(_flat_to_picture(frame, across, down)).astype(int), -1, 0)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return inside & (cloth[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] > 0.5)

    # Its width is measured at the height of the mouth.
    sides = np.linspace(-0.6, 0.6, 121)
    row = sample(sides, np.full(121, (tip + chin) / 2))
    if row.sum() < 50:
        return None
    reach = min(-sides[row][0], sides[row][-1]) - 0.02
    across = np.linspace(-1, 1, _EDGE_STEPS) * reach
    grid = sample(*np.meshgrid(across, _DOWN))
    if not grid.any(axis=0).all():
        return None
    upper = _DOWN[grid.argmax(axis=0)]
    lower = _DOWN[len(_DOWN) - 1 - grid[::-1].argmax(axis=0)]
    upper, lower = _smoothed(upper), _smoothed(lower)
    middle = slice(_EDGE_STEPS // 3, -(_EDGE_STEPS // 3))
    good = (
        0.33 < reach < 0.56
        and nose - 0.12 < upper[middle].mean() < tip + 0.05
        and chin - 0.12 < lower[middle].mean()
        and (lower - upper > 0.15).all()
        and grid.mean() > 0.3
    )
    return (float(reach), upper + 0.012, lower - 0.012) if good else None


def _smoothed(edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw a smooth line through most of the heights."""
    x = np.linspace(-1, 1, len(edge))
    line = np.poly1d(np.polyfit(x, edge, 4))
    kept = np.abs(edge - line(x)) < 0.06
    if kept.sum() > 20:
        line = np.poly1d(np.polyfit(x[kept], edge[kept], 4))
    return np.asarray(line(x), dtype=np.float64)
