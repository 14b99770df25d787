"""Hands before the face, with the colour of its skin."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from facemask.data.synthetic.fabric import Map
from facemask.data.synthetic.mask_geometry import Points
from facemask.data.synthetic.scene import (
    Colour,
    Painting,
    Scene,
    Solid,
    brightness,
    joined,
    lit,
    mottle,
    tube,
)
from facemask.faces import mesh as lm

HandPose = Literal["over_mouth", "on_lips", "chin", "cheek", "both"]
HAND_POSES: tuple[HandPose, ...] = get_args(HandPose)

# A hand in widths of the face, its wrist at (0, 0), its fingers up; the thumb is on the left.
_KNUCKLES = np.array([[-0.19, -0.50], [-0.065, -0.545], [0.06, -0.53], [0.175, -0.47]])
_LENGTHS = np.array([0.43, 0.5, 0.46, 0.36])
_THICKNESS = np.array([0.066, 0.069, 0.066, 0.058])
_JOINTS = (0.0, 0.45, 0.76, 1.0)  # along a finger


@dataclass(frozen=True)
class Placing:
    """Where a hand is held.

    Attributes:
        wrist: (2,) in pixels of the canvas.
        angle: of the fingers, degrees clockwise from upwards.
        size: by which the hand is larger than the face's width suggests.
        mirrored: the thumb is on the other side.
    """

    wrist: Points
    angle: float
    size: float
    mirrored: bool

    def to_canvas(self, scene: Scene, points: Points) -> Points:
        """Map points (..., 2) of the hand to pixels of the canvas."""
        flat = points * self.size * np.array([-1 if self.mirrored else 1, 1])
        angle = np.deg2rad(self.angle)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return self.wrist + scene.moved(flat @ turn)


@dataclass(frozen=True)
class Shape:
    """How a hand is held in itself; a row for each finger from the index to the little one.

    Attributes:
        straight: (4,) 1 for a stretched finger, less for a curled one, which is seen shorter.
        fan: (4,) degrees by which each leans outwards.
        thumb: degrees by which the thumb stands off.
        nails: whether they are seen.
        arm: whether the wrist and the arm are seen.
    """

    straight: Points
    fan: Points
    thumb: float
    nails: bool
    arm: bool


def chosen_shape(rng: np.random.Generator, straight: float | Sequence[float] = 0.95, arm: bool = True) -> Shape:
    """Choose the shape of a hand whose fingers are about as straight as that."""
    return Shape(
        straight=np.clip(np.broadcast_to(straight, 4) + rng.normal(0, 0.04, 4), 0.2, 1.05),
        fan=rng.uniform(0, 7) * np.array([-1.2, -0.4, 0.4, 1.3]) + rng.normal(0, 2, 4),
        thumb=rng.uniform(10, 50),
        nails=rng.random() < 0.75,
        arm=arm,
    )


def paint_hand(scene: Scene, pose: HandPose, rng: np.random.Generator) -> Painting:
    """Paint a hand, or both, before the mouth, at the chin or at the cheek.

    Args:
        scene: the face.
        pose: where, and what the fingers do.
        rng: source of chance.
    """
    painting = Painting(scene)
    skin = hand_skin(scene, rng)
    side = int(rng.choice([-1, 1]))
    size = rng.uniform(0.82, 1.08)
    sleeve = rng.uniform(0.03, 0.9, 3) if rng.random() < 0.5 else None
    if pose == "both":
        for which in (-1, 1):
            target = scene.at(14, which * rng.uniform(-0.03, 0.06), rng.uniform(-0.05, 0.1))
            placing = held(scene, target, -which * rng.uniform(15, 50), size, which > 0, reach=0.8)
            draw_hand(painting, scene, placing, chosen_shape(rng), skin, rng, sleeve)
        return painting
    if pose == "over_mouth":
        target = scene.at(14, rng.normal(0, 0.05), rng.uniform(-0.04, 0.1))
        placing = held(scene, target, -side * rng.uniform(20, 100), size, side > 0, reach=rng.uniform(0.62, 0.85))
        shape = chosen_shape(rng)
    elif pose == "on_lips":
        target = scene.at(13, rng.normal(0, 0.02), rng.uniform(-0.1, 0.0))
        placing = held(scene, target, -side * rng.uniform(0, 25), size, side > 0, reach=0.9, finger=0)
        shape = chosen_shape(rng, (1.0, 0.42, 0.4, 0.38))
    elif pose == "chin":
        target = scene.at(lm.CHIN, rng.normal(0, 0.08), rng.uniform(-0.08, 0.06))
        placing = held(scene, target, -side * rng.uniform(5, 65), size, side > 0, reach=rng.uniform(0.55, 0.75))
        shape = chosen_shape(rng, rng.uniform(0.4, 0.6))
    else:
        ear = lm.RIGHT_EAR if side > 0 else lm.LEFT_EAR
        target = scene.at(ear, -side * rng.uniform(0.0, 0.16), rng.uniform(0.15, 0.4))
        placing = held(scene, target, -side * rng.uniform(-15, 30), size, side > 0, reach=rng.uniform(0.4, 0.7))
        shape = chosen_shape(rng, rng.uniform(0.6, 1.0))
    draw_hand(painting, scene, placing, shape, skin, rng, sleeve)
    return painting


def held(
    scene: Scene, target: Points, angle: float, size: float, mirrored: bool, reach: float, finger: int | None = None
) -> Placing:
    """Place a hand so that the middle of its fingers, or one finger, passes `target`.

    Args:
        scene: the face.
        target: (2,) in pixels of the canvas.
        angle: of the fingers, degrees clockwise from upwards.
        size: of the hand.
        mirrored: the thumb is on the other side.
        reach: way from the wrist to the target, in widths of the face.
        finger: which finger; None for the middle ones.
    """
    across = 0.0 if finger is None else float(_KNUCKLES[finger, 0])
    placing = Placing(np.zeros(2), angle, size, mirrored)
    return Placing(target - placing.to_canvas(scene, np.array([across, -reach])), angle, size, mirrored)


def hand_skin(scene: Scene, rng: np.random.Generator) -> Colour:
    """Choose the colour of a hand: that of the face, a little lighter or darker."""
    return np.clip(scene.skin * rng.uniform(0.88, 1.12) + rng.normal(0, 0.012, 3), 0.02, 0.98).astype(np.float32)


def draw_hand(
    painting: Painting,
    scene: Scene,
    placing: Placing,
    shape: Shape,
    skin: Colour,
    rng: np.random.Generator,
    sleeve: Points | None = None,
) -> None:
    """Paint one hand over what is there.

    Args:
        painting: what is there.
        scene: the face.
        placing: where the hand is.
        shape: how it is held.
        skin: (3,) its colour, as the camera sees it.
        rng: source of chance.
        sleeve: (3,) what the sleeve reflects; None for a bare arm.
    """
    unit = scene.unit * placing.size

    def laid(points: Points, radii: Sequence[float] | Points, flatness: float = 1.0) -> Solid:
        return tube(scene, placing.to_canvas(scene, points), np.asarray(radii) * unit, flatness)

    back = [
        laid(np.array([[0.55 * x, -0.02], [x * 0.98, y * 0.9], [x, y]]), (0.085, 0.08, thick * 1.05), 0.75)
        for (x, y), thick in zip(_KNUCKLES, _THICKNESS, strict=True)
    ]
    palm = laid(np.array([[0.0, -0.02], [0.0, -0.42]]), (0.15, 0.2), 0.42)
    fingers, tips = [], []
    for number in range(4):
        path, radii = _finger(number, shape)
        fingers.append(laid(path, radii, 1.05))
        tips.append((path, radii))
    angle = np.deg2rad(shape.thumb)
    first = np.array([-0.27, -0.3]) + 0.05 * np.array([-np.sin(angle), 0.0])
    second = first + 0.17 * np.array([-np.sin(angle), -np.cos(angle)])
    third = second + 0.13 * np.array([-np.sin(angle * 0.6), -np.cos(angle * 0.6)])
    thumb = laid(np.stack([np.array([-0.12, -0.1]), first, second, third]), (0.1, 0.082, 0.07, 0.055), 0.9)
    body = joined([palm, *back, thumb, *fingers])
    if shape.arm:
        arm = laid(np.array([[0.0, 0.02], [0.0, 0.15], [0.02, 1.2]]), (0.15, 0.155, 0.22), 0.55)
        _paint_skin(painting, scene, arm.height, skin, rng)
        if sleeve is not None:
            start = rng.uniform(0.1, 0.35)
            cuff = laid(np.array([[0.0, start], [0.02, 1.3]]), (0.2, 0.28), 0.6)
            folds = mottle(scene.shape, (0.06 * unit, 0.15 * unit), rng) * 0.02 * unit
            shade = lit(scene, cuff.height + folds)
            painting.over(sleeve.astype(np.float32) * brightness(scene) * shade[..., None], cuff.mask)
    _paint_skin(painting, scene, body.height, skin, rng, _creases(scene, fingers, tips, unit))
    if shape.nails:
        for path, radii in tips:
            _paint_nail(painting, scene, placing, path, radii, unit, skin)


def _finger(number: int, shape: Shape) -> tuple[Points, Points]:
    """Return the joints (4, 2) of a finger and their radii (4,), in widths of the face."""
    start, straight = _KNUCKLES[number], float(shape.straight[number])
    # A curled finger comes towards the camera and is seen shorter, its last joint most of all.
    seen = np.array([0.0, 0.45, 0.31 * (0.4 + 0.6 * straight), 0.24 * (0.2 + 0.8 * straight)]) * straight
    lean = np.deg2rad(shape.fan[number])
    heading = np.array([np.sin(lean), -np.cos(lean)])
    path = start + np.cumsum(seen)[:, None] * _LENGTHS[number] * heading
    return path, _THICKNESS[number] * np.array([1.04, 1.0, 0.92, 0.78])


def _creases(scene: Scene, fingers: Sequence[Solid], tips: Sequence[tuple[Points, Points]], unit: float) -> Map:
    """Lines across the fingers at their joints: darkness from 0 to 1."""
    dark = np.zeros(scene.shape, np.float32)
    for solid, (path, _) in zip(fingers, tips, strict=True):
        inside = solid.height > 0
        along, round_ = solid.along[inside], 1 - np.clip(np.abs(solid.across[inside]), 0, 1) ** 2
        places = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])[1:3] * unit
        for place in places:
            for offset in (-0.012, 0.012):
                line = np.exp(-(((along - place - offset * unit) / (0.006 * unit)) ** 2)) * round_
                dark[inside] = np.maximum(dark[inside], line)
    return dark


def _paint_skin(
    painting: Painting, scene: Scene, height: Map, skin: Colour, rng: np.random.Generator, creases: Map | None = None
) -> None:
    mask = (height > 0).astype(np.float32)
    bumps = mottle(scene.shape, (0.05 * scene.unit, 0.05 * scene.unit), rng) * 0.004 * scene.unit
    shade = lit(scene, height + bumps * mask, stray=0.52)
    # Little light comes between the fingers.
    wide = cv2.GaussianBlur(height, (0, 0), 0.05 * scene.unit)
    shade *= np.clip(0.62 + 0.55 * height / np.maximum(wide, 0.01 * scene.unit), 0.55, 1.08)
    if creases is not None:
        shade *= 1 - 0.16 * creases
    # Skin is as bright as the face's where the light falls on it.
    full = float(np.percentile(shade[height > 0], 55)) if (height > 0).any() else 1.0
    level = np.clip(shade / max(full, 0.05), 0.02, 1.3)[..., None]
    # Light that has gone through skin is red: shadows lose less of it.
    colour = skin * level ** np.array([0.85, 1.06, 1.12], np.float32)
    spots = mottle(scene.shape, (0.09 * scene.unit, 0.09 * scene.unit), rng)[..., None]
    colour = colour * (1 + 0.03 * spots * np.array([0.4, 1.0, 0.9], np.float32))
    pores = rng.standard_normal(scene.shape, dtype=np.float32)[..., None] * 0.02
    painting.over(colour * (1 + pores), mask)


def _paint_nail(
    painting: Painting, scene: Scene, placing: Placing, path: Points, radii: Points, unit: float, skin: Colour
) -> None:
    heading = path[-1] - path[-2]
    heading = heading / max(float(np.hypot(*heading)), 1e-6)
    axis = np.stack([path[-1] - 0.012 * heading, path[-1] + 0.03 * heading])
    nail = tube(scene, placing.to_canvas(scene, axis), np.array([0.52, 0.46]) * radii[-1] * unit, 0.5)
    rosy = np.clip(skin * np.array([1.12, 1.05, 1.08], np.float32) + 0.03, 0, 1)
    painting.over(rosy * lit(scene, nail.height)[..., None] * 1.05, nail.mask * np.float32(0.6))
