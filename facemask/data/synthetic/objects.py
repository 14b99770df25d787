"""Objects about a face that are easily taken for a badly worn mask: before bare faces, and with masks.

With masks they are drawn too, so that an object by itself says little about the class.
"""

import numpy as np
from numpy.typing import NDArray

from facemask.core.params import RenderParams
from facemask.data.synthetic.compose import Layer, blend
from facemask.data.synthetic.fabric import Image, Map
from facemask.data.synthetic.mask_geometry import BARE, COVERED
from facemask.data.synthetic.objects_hair import BEARD_FORMS, BeardForm, paint_beard, paint_hair
from facemask.data.synthetic.objects_hand import HAND_POSES, HandPose, paint_hand
from facemask.data.synthetic.objects_held import (
    DRINK_FORMS,
    FOOD_FORMS,
    paint_book,
    paint_drink,
    paint_food,
    paint_microphone,
    paint_phone,
)
from facemask.data.synthetic.objects_worn import (
    COLLAR_FORMS,
    HEADWEAR_FORMS,
    paint_collar,
    paint_headset,
    paint_headwear,
    paint_scarf,
    paint_spectacles,
)
from facemask.data.synthetic.scene import Painting, Scene, look_at
from facemask.dataset.synthetic import NO_OBJECT, OBJECTS, Kind

BELOW_MASK = ("beard", "scarf", "collar", "headwear")  # a mask is worn over these
BEFORE_BARE_ONLY = ("cup", "food")  # nobody eats or drinks through a mask

_BESIDE_MASK: tuple[HandPose, ...] = ("chin", "cheek")  # where a hand leaves most of a mask to be seen
_BEARDS: tuple[BeardForm, ...] = (*BEARD_FORMS, "full", "full")  # most like a mask, so most often
_AROUND_MASK: tuple[BeardForm, ...] = ("full", "stubble", "jaw")  # beards that a mask does not hide
_TRIES = 5
_LEAST = 0.006  # of the picture is covered by the object
_SEEN = 0.6  # of a mask, at least
_CLOTH = ("scarf", "collar", "headwear")
_NOSE = (1, 4)
_MOUTH = (0, 13, 14, 17)


def choose_object(settings: RenderParams, masked: bool, rng: np.random.Generator) -> str:
    """Choose what a picture shows besides the face, and the mask if it is `masked`; mostly `NO_OBJECT`."""
    share = settings.with_object.masked if masked else settings.with_object.bare
    weights = {name: getattr(settings.objects, name) for name in OBJECTS if not (masked and name in BEFORE_BARE_ONLY)}
    total = sum(weights.values())
    if rng.random() >= share or total == 0:
        return NO_OBJECT
    return str(rng.choice(list(weights), p=np.array(list(weights.values())) / total))


def draw_before_bare(image: Image, points: NDArray[np.floating], name: str, rng: np.random.Generator) -> Image | None:
    """Draw an object about a bare face, which stays `without_mask`.

    Args:
        image: uint8 (height, width, 3), RGB.
        points: (468, 3) the face's mesh, in pixels.
        name: one of `OBJECTS`.
        rng: source of every random choice.

    Returns:
        uint8 (height, width, 3), or None if what came out is hardly in the picture, or could be a mask: nothing but a
        hand covers both nose and mouth, and cloth ends below the mouth.
    """
    return _draw(image, points, name, False, rng)


def _draw(
    image: Image, points: NDArray[np.floating], name: str, masked: bool, rng: np.random.Generator
) -> Image | None:
    scene = look_at(image, points, rng)
    for _ in range(_TRIES):
        layer = _paint(scene, name, masked=masked, low=True, rng=rng).layer()
        if is_no_mask(layer.opacity, points, name):
            return blend(image, layer, scene.frame, scene.light, rng)
    return None


def draw_below_mask(
    image: Image, points: NDArray[np.floating], name: str, rng: np.random.Generator
) -> tuple[Image, bool]:
    """Draw what a mask is worn over, if `name` is such a thing; return the picture, and whether anything was drawn."""
    drawn = _draw(image, points, name, True, rng) if name in BELOW_MASK else None
    return (image, False) if drawn is None else (drawn, True)


def draw_before_mask(
    bare: Image | None,
    masked: Image,
    points: NDArray[np.floating],
    kind: Kind,
    name: str,
    rng: np.random.Generator,
) -> tuple[Image, bool]:
    """Draw what is held or worn before a mask, if `name` is such a thing and leaves what the label depends on.

    Args:
        bare: uint8 (height, width, 3), RGB, without the mask; None if there is no such picture.
        masked: the same with it.
        points: (468, 3) the face's mesh, in pixels.
        kind: how the mask is worn.
        name: one of `OBJECTS`, or `NO_OBJECT`.
        rng: source of every random choice.

    Returns:
        The picture, and whether anything was drawn.
    """
    if name == NO_OBJECT or name in BELOW_MASK or name in BEFORE_BARE_ONLY:
        return masked, False
    scene = look_at(masked if bare is None else bare, points, rng, masked=bare is None)
    decisive = tuple(number for number in BARE[kind] if number in (*_NOSE, *_MOUTH))
    for _ in range(_TRIES):
        layer = _paint(scene, name, masked=True, low=kind == "right", rng=rng).layer()
        if bare is None:
            hidden = _covered(layer.opacity, points, COVERED[kind])
        else:
            mask = np.abs(masked.astype(np.int16) - bare).max(axis=2) > 10
            hidden = float(layer.opacity[mask].mean()) if mask.any() else 0.0
        if hidden <= 1 - _SEEN and _enough(layer) and (not decisive or _covered(layer.opacity, points, decisive) < 0.2):
            return blend(masked, layer, scene.frame, scene.light, rng), True
    return masked, False


def is_no_mask(opacity: Map, points: NDArray[np.floating], name: str) -> bool:
    """Check that an object can be seen and can't be taken for a mask by anybody who looks closely.

    Args:
        opacity: float32 (height, width), of the object.
        points: (468, 3) the face's mesh, in pixels.
        name: one of `OBJECTS`.
    """
    nose, mouth = (_covered(opacity, points, numbers) for numbers in (_NOSE, _MOUTH))
    if name in _CLOTH and mouth > 0.02:
        return False
    return opacity.mean() > _LEAST and (name == "hand" or nose < 0.5 or mouth < 0.5)


def _enough(layer: Layer) -> bool:
    return float(layer.opacity.mean()) > _LEAST


def _covered(opacity: Map, points: NDArray[np.floating], numbers: tuple[int, ...]) -> float:
    """Return the mean opacity at points of the mesh."""
    x, y = np.round(points[list(numbers), :2]).astype(int).T
    height, width = opacity.shape
    return float(opacity[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)].mean())


def _paint(scene: Scene, name: str, masked: bool, low: bool, rng: np.random.Generator) -> Painting:
    """Paint an object in one of its forms; `low` allows spectacles on the tip of the nose."""
    if name == "beard":
        forms = _AROUND_MASK if masked else _BEARDS
        return paint_beard(scene, forms[rng.integers(len(forms))], rng)
    if name == "hand":
        poses = _BESIDE_MASK if masked else HAND_POSES
        return paint_hand(scene, poses[rng.integers(len(poses))], rng)
    if name == "cup":
        return paint_drink(scene, DRINK_FORMS[rng.integers(len(DRINK_FORMS))], rng)
    if name == "food":
        return paint_food(scene, FOOD_FORMS[rng.integers(len(FOOD_FORMS))], rng)
    if name == "collar":
        return paint_collar(scene, COLLAR_FORMS[rng.integers(len(COLLAR_FORMS))], rng)
    if name == "headwear":
        return paint_headwear(scene, HEADWEAR_FORMS[rng.integers(len(HEADWEAR_FORMS))], rng)
    if name == "spectacles":
        return paint_spectacles(scene, low and rng.random() < (0.5 if masked else 0.75), rng)
    painters = {
        "scarf": paint_scarf,
        "microphone": paint_microphone,
        "headset": paint_headset,
        "hair": paint_hair,
        "phone": paint_phone,
        "book": paint_book,
    }
    return painters[name](scene, rng)
