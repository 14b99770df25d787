"""Rendering of one portrait from its attributes: composition, light, camera, encoding."""

import io

import cv2
import numpy as np
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.data.sources.sample import accessories, covering, face, hair, mask, scene
from facemask.data.sources.sample.canvas import Array, Canvas, mix
from facemask.data.sources.sample.head import Head, draw_proportions
from facemask.data.sources.sample.plan import Plan

_LARGEST = 400  # pixels painted from top to bottom
_BLOTCHES = np.float32(0.09)  # standard deviation of their light, as a share


def render(plan: Plan, seed: int) -> Array:
    """Return the picture of a plan, uint8 RGB of shape (size, about size, 3)."""
    # One stream for the person and one for the mask: drawing a mask must not change who wears it.
    rng = np.random.default_rng([seed, CLASSES.index(plan.label), plan.index, 1])
    mask_rng = np.random.default_rng([seed, CLASSES.index(plan.label), plan.index, 2])
    width = round(plan.size * rng.uniform(0.84, 1.02))
    # Edges are smooth as painted; a little larger leaves room for thin lines.
    zoom = min(1.4, _LARGEST / plan.size)
    canvas = Canvas(round(plan.size * zoom), round(width * zoom))
    _compose(canvas, plan, rng, mask_rng)
    small = cv2.resize(canvas.picture, (width, plan.size), interpolation=cv2.INTER_AREA)
    mottle_rng = np.random.default_rng([seed, CLASSES.index(plan.label), plan.index, 5])
    return _expose(_mottle(small, mottle_rng), plan, rng)


def _head(canvas: Canvas, plan: Plan, rng: np.random.Generator) -> tuple[Head, Head]:
    """Return the head, and the body's frame: the same with less tilt and no turn."""
    height, width = canvas.picture.shape[:2]
    shape = draw_proportions(rng, plan.age, plan.masculine)
    way = rng.choice([-1, 1])
    yaw, roll = rng.normal(0, 0.06), rng.normal(0, 0.03)
    if plan.pose == "turned":
        yaw = way * rng.uniform(0.30, 0.62)
    if plan.pose == "tilted":
        roll = way * rng.uniform(0.15, 0.33)
    scale = height * rng.uniform(0.335, 0.385)
    x = width * (0.5 + rng.normal(0, 0.02)) - 0.14 * scale * np.sin(yaw) - 0.4 * scale * np.sin(roll)
    y = height * (0.485 + rng.normal(0, 0.012))
    pitch = rng.normal(0, 0.05)
    head = Head(shape, x, y, scale, float(yaw), float(pitch), float(roll))
    body = Head(shape, x - 0.05 * scale * np.sin(yaw), y, scale, 0.0, 0.0, float(roll) * 0.15)
    return head, body


def _compose(canvas: Canvas, plan: Plan, rng: np.random.Generator, mask_rng: np.random.Generator) -> None:
    """Paint the plan from back to front."""
    head, body = _head(canvas, plan, rng)
    skin = face.skin_of(plan.skin_tone)
    sidewards = rng.uniform(0.25, 0.95) * rng.choice([-1, 1])
    light = np.array([sidewards, -0.55, 0.85])
    light /= np.linalg.norm(light)
    colour = hair.hair_colour(plan.hair_colour, rng)
    cloth = covering.covering_colour(rng)
    covered = plan.head_covering
    style = "bald" if covered in covering.COVERS_HAIR else plan.hair
    ears_free = covered not in covering.COVERS_EARS and style not in hair.COVERS_EARS
    brow = mix(colour, "#1a1210", 0.35 if plan.hair_colour != "dyed" else 0.85)
    old = plan.age == "elderly"

    scene.paint_background(canvas, plan.background, rng)
    covering.paint_covering_behind(canvas, head, covered, cloth, light)
    if covered not in covering.COVERS_HAIR:
        hair.paint_hair_behind(canvas, head, style, colour, skin, light, rng)
    sleeve = scene.paint_body(canvas, body, head, skin, light, plan.age == "child", rng)
    if plan.scarf and covered != "hijab":
        scene.paint_scarf(canvas, body, light, rng)
    bare = face.paint_head(canvas, head, skin, light)
    if old:
        face.paint_wrinkles(canvas, head, skin)
    face.paint_nose(canvas, head, skin, light, bare)
    face.paint_mouth(canvas, head, skin, rng, not plan.masculine and plan.age == "adult")
    face.paint_eyes(canvas, head, skin, brow, rng, not plan.masculine and plan.age != "child", old)
    if plan.beard != "none":
        face.paint_beard(canvas, head, mix(colour, "#241a16", 0.15), plan.beard, bare, rng)
    hair.paint_hair(canvas, head, style, colour, light, rng, pressed=covered not in ("none", "hood"))

    look = mask.draw_look(plan.mask_type, mask_rng) if plan.wear != "none" else None
    cut = mask.cut_of(plan.wear, head.shape, plan.mask_type) if look and plan.wear != "one_ear" else None
    if look and cut:
        mask.paint_straps(canvas, head, cut, look, skin)
    if ears_free:
        for side in (-1, 1):
            if head.sees_ear(side):
                face.paint_ear(canvas, head, skin, light, side)
    if look and cut and plan.wear != "under_chin":
        mask.paint_mask(canvas, head, cut, look, skin, light)
    if style in hair.COVERS_EARS:
        hair.paint_locks(canvas, head, style, colour, light, rng)
    if covered != "none":
        covering.paint_covering(canvas, head, covered, cloth, light, rng)
    if look and cut and plan.wear == "under_chin":
        mask.paint_mask(canvas, head, cut, look, skin, light, clip=1 - bare)
    if look and plan.wear == "one_ear":
        near = -1 if head.yaw > 0 else 1
        mask.paint_hanging(canvas, head, near, look, skin, light, mask_rng.uniform(0.02, 0.14))
    if plan.glasses != "none":
        accessories.paint_glasses(canvas, head, plan.glasses, rng, ears_free)
    if plan.hand:
        accessories.paint_hand(canvas, head, skin, sleeve, int(rng.choice([-1, 1])), rng)


def _mottle(picture: Array, rng: np.random.Generator) -> Array:
    """Lay faint blotches over a painting, no two alike.

    Skin, cloth and walls have them in a photograph. Without them two portraits are the same strokes in other colours,
    and what looks for copies of a photograph by its detail would find copies everywhere.
    """
    height, width = picture.shape[:2]
    blotches = np.zeros((height, width), np.float32)
    for share in (0.01, 0.02, 0.04):
        layer = cv2.GaussianBlur(rng.standard_normal((height, width), dtype=np.float32), (0, 0), share * height)
        blotches += layer / layer.std()
    return picture * (1 + _BLOTCHES * blotches / blotches.std())[..., np.newaxis]


def _expose(picture: Array, plan: Plan, rng: np.random.Generator) -> Array:
    """Take the painting as a camera would: exposure, colour cast, vignette, blur and noise; to uint8."""
    height, width = picture.shape[:2]
    gain = {"dark": rng.uniform(0.34, 0.55), "normal": rng.uniform(0.88, 1.05), "bright": rng.uniform(1.14, 1.3)}
    warm = rng.normal(0, 0.025)
    cast = np.array([1 + warm, 1.0, 1 - warm], dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    vignette = 1 - np.float32(rng.uniform(0.02, 0.12)) * (x * x + y * y)
    out = picture * (cast * np.float32(gain[plan.light])) * vignette[..., None]
    # Film-like shoulder: bright parts fade out instead of being cut off.
    bright = np.maximum(out - 215, 0)
    out = np.minimum(out, 215) + 40 * (1 - np.exp(-bright / 40))
    if plan.sharpness == "blurred":
        out = cv2.GaussianBlur(out, (0, 0), height * rng.uniform(0.008, 0.016))
    sigma = rng.uniform(0.5, 2.5) * (2.0 if plan.light == "dark" else 1.0)
    out = out + rng.standard_normal(out.shape, dtype=np.float32) * np.float32(sigma)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def encode(picture: Array, file_format: str, quality: int) -> bytes:
    """Return the bytes of a "jpg" (of that quality) or "png" file."""
    buffer = io.BytesIO()
    if file_format == "png":
        Image.fromarray(picture).save(buffer, "PNG")
    else:
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def draw_portrait(plan: Plan, seed: int) -> bytes:
    """Return the file of one portrait."""
    quality = int(np.random.default_rng([seed, CLASSES.index(plan.label), plan.index, 3]).integers(70, 94))
    return encode(render(plan, seed), plan.format, quality)
