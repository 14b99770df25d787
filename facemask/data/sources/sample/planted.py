"""Planted faults of real collections: copies, contradictions and broken files, listed so that tests can find them."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from facemask.core.classes import CLASSES
from facemask.data.sources.sample.plan import Plan, plan_portrait
from facemask.data.sources.sample.portraits import draw_portrait, encode, render

# How many of each kind are planted among 3 x 300 portraits.
_AT_300 = {
    "duplicate": 6,
    "copy_rotated": 3,
    "copy_cropped": 3,
    "copy_mirrored": 3,
    "copy_darkened": 3,
    "copy_recompressed": 3,
    "truncated": 3,
    "text": 1,
    "empty": 1,
    "broken_png": 2,
    "palette": 2,
    "cmyk": 2,
    "exif_3": 1,
    "exif_6": 2,
    "exif_8": 2,
    "contradiction": 2,
}
_ORIENTATION_TAG = 0x0112
# What has to be done to upright pixels so that the tag turns them back.
_STORED_AS = {
    "exif_3": Image.Transpose.ROTATE_180,
    "exif_6": Image.Transpose.ROTATE_90,
    "exif_8": Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Planted:
    """One planted file: `kind` of trouble, made from the portrait `source`, filed under `label` as number `index`."""

    kind: str
    source: Plan
    label: str
    index: int

    @property
    def extension(self) -> str:
        """The file name's extension, which follows the kind."""
        if self.kind in ("duplicate", "contradiction"):
            return self.source.format
        return "png" if self.kind in ("broken_png", "palette") else "jpg"


def plan_planted(per_class: int, seed: int) -> list[Planted]:
    """Return the planted files in a fixed order; their numbers follow those of the portraits of their class."""
    rng = np.random.default_rng([seed, len(CLASSES)])
    following = dict.fromkeys(CLASSES, per_class)
    plan = []
    for kind, at_300 in _AT_300.items():
        for _ in range(max(1, round(at_300 * per_class / 300))):
            if kind == "contradiction":
                origin, label = "mask_weared_incorrect", "with_mask"
            else:
                origin = label = CLASSES[int(rng.integers(len(CLASSES)))]
            source = plan_portrait(origin, int(rng.integers(per_class)), seed)
            plan.append(Planted(kind, source, label, following[label]))
            following[label] += 1
    return plan


def make_planted(planted: Planted, seed: int) -> bytes:
    """Return the bytes of one planted file."""
    kind, source = planted.kind, planted.source
    if kind in ("duplicate", "contradiction"):
        return draw_portrait(source, seed)
    if kind == "empty":
        return b""
    if kind == "text":
        return b"This is not a picture, although its name says so.\n"
    rng = np.random.default_rng([seed, CLASSES.index(planted.label), planted.index, 4])
    picture = render(source, seed)
    image = Image.fromarray(picture)
    if kind == "truncated":
        whole = encode(picture, "jpg", 85)
        return whole[: int(len(whole) * rng.uniform(0.3, 0.6))]
    if kind == "broken_png":
        whole = encode(picture, "png", 0)
        middle = len(whole) // 2
        return whole[:middle] + bytes(64) + whole[middle + 64 :]
    if kind == "palette":
        return _palette_png(image)
    if kind == "cmyk":
        return _jpeg(image.convert("CMYK"), 88)
    if kind in _STORED_AS:
        exif = Image.Exif()
        exif[_ORIENTATION_TAG] = int(kind.removeprefix("exif_"))
        return _jpeg(image.transpose(_STORED_AS[kind]), 88, exif)
    return _jpeg(_COPIES[kind](image, rng), int(rng.integers(60, 90)))


def _jpeg(image: Image.Image, quality: int, exif: Image.Exif | None = None) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, exif=exif or Image.Exif())
    return buffer.getvalue()


def _palette_png(image: Image.Image) -> bytes:
    """Return a PNG with 255 colours and one transparent index, used by the upper corners."""
    palette = image.quantize(255)
    clear = 255
    pixels = np.asarray(palette).copy()
    corner = image.width // 12
    rows, columns = np.indices(pixels.shape)
    pixels[np.minimum(columns, image.width - 1 - columns) + rows < corner] = clear
    marked = Image.fromarray(pixels, "P")
    marked.putpalette([*(palette.getpalette() or [])[: 3 * clear], 0, 0, 0])
    buffer = io.BytesIO()
    marked.save(buffer, "PNG", transparency=clear)
    return buffer.getvalue()


def _rotated(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.rotate(float(rng.choice([-1, 1]) * rng.uniform(6, 14)), Image.Resampling.BICUBIC, fillcolor=(0, 0, 0))


def _cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = image.size
    left, top, right, bottom = rng.uniform(0.03, 0.09, 4) * (width, height, width, height)
    return image.crop((round(left), round(top), round(width - right), round(height - bottom)))


def _mirrored(image: Image.Image, rng: np.random.Generator) -> Image.Image:  # noqa: ARG001 - one signature for all
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _darkened(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.45, 0.65)))


def _recompressed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    smaller = image.resize((round(image.width * 0.75), round(image.height * 0.75)), Image.Resampling.BILINEAR)
    buffer = io.BytesIO(_jpeg(smaller, int(rng.integers(25, 45))))
    return Image.open(buffer).convert("RGB")


_COPIES: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "copy_rotated": _rotated,
    "copy_cropped": _cropped,
    "copy_mirrored": _mirrored,
    "copy_darkened": _darkened,
    "copy_recompressed": _recompressed,
}
