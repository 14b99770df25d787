"""Colour management: conversion of a picture to sRGB by its embedded ICC profile."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

# Beyond this difference, in grey levels, a profile is not sRGB's. Its copies by different makers differ by one.
_SAME = 2

_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # of a profile -> mode of Pillow


class Conversion:
    """A conversion of pixels to sRGB. Safe to call from several threads."""

    def __init__(self, transform: ImageCms.ImageCmsTransform) -> None:
        self._transform = transform

    def __call__(self, picture: Image.Image) -> Image.Image:
        """Convert a picture of the mode that the conversion is for; the result has mode RGB."""
        converted = Image.new("RGB", picture.size)
        self._transform.apply(picture, converted)
        return converted


def to_srgb(profile: bytes | None, mode: str) -> Conversion | None:
    """Return the conversion to sRGB that a picture needs.

    The rendering intent is relative colorimetric with black point compensation, as in image editors.

    Args:
        profile: ICC profile of the picture, if it has one.
        mode: of Pillow: RGB, L or CMYK.

    Returns:
        None if there is no profile, it is broken or for another kind of picture, or it is that of sRGB.
    """
    return _conversion(profile, mode) if profile else None


@lru_cache(maxsize=1)
def lab_to_srgb() -> Conversion:
    """Return the conversion of mode LAB, which is CIELAB under the illuminant D50, as TIFF defines it."""
    return Conversion(_transform(ImageCms.createProfile("LAB"), "LAB"))


# Photographs of one camera share their profile. A table for CMYK takes some hundredth of a second to prepare.
@lru_cache(maxsize=16)
def _conversion(profile: bytes, mode: str) -> Conversion | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _SPACES.get(source.profile.xcolor_space) != mode:
            return None
        conversion = Conversion(_transform(source, mode))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return conversion if mode == "CMYK" or _changes(conversion, mode) else None


def _transform(source: ImageCms.ImageCmsProfile | ImageCms.core.CmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _changes(conversion: Conversion, mode: str) -> bool:
    """Return whether a conversion changes colours spread over all that there are, rather than leaving them alone."""
    levels = np.arange(256, dtype=np.uint8)[None]
    if mode == "RGB":
        steps = levels[0, ::15]
        levels = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    before = Image.fromarray(levels)
    plain, converted = (np.asarray(one, np.int16) for one in (before.convert("RGB"), conversion(before)))
    return bool(np.abs(plain - converted).max() > _SAME)
