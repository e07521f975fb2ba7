"""The pixels of an image file as a screen shows them: upright, in sRGB, on the chosen ground.

Eight bits stay eight bits; deeper gray is floating-point (`depths`). What says how colours are meant is applied: a
profile (`profiles`), else code points, the gamma and the primaries of PNG, the Adobe RGB of cameras (`codings`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from geodesic_cli.media import codings, profiles
from geodesic_cli.media.depths import deep_gray, is_deep
from geodesic_cli.media.stills import ON_WHITE, Ground, Still, in_strips

Warn = Callable[[str], None]
ORIENTATION = 0x0112
"""A part of EXIF."""
LARGE = 2**22
"""Pixels of an image that is never reduced."""
DRAFTS = (8, 4, 2)
"""By which a JPEG can be decoded smaller."""


def decode(image: Image.Image, name: str, warn: Warn, ground: Ground = ON_WHITE, enough: int | None = None) -> Still:
    """An opened image of any of Pillow's modes.

    Args:
        image: an open file, at the frame that is wanted.
        name: for messages.
        warn: told of what had to be guessed, and of what could not be applied.
        ground: what is seen where the image is transparent.
        enough: pixels of the shorter side that are enough: a large image is reduced by a whole factor, not below them.

    Raises:
        InputError: floating-point values of an unknown range.
    """
    tags: Any = getattr(image, "tag_v2", {})
    drafted = _drafted(image, enough)
    image.load()
    width, height = drafted or image.size  # a TIFF is turned as it is loaded
    orientation = _orientation(image, name, warn)
    deep = is_deep(image)
    shown = deep_gray(image, tags, name, warn, ground) if deep else _colours_of(image, name, warn, ground)
    factor = _factor(image.size, enough)
    pixels = torch.from_numpy(np.ascontiguousarray(_turned(in_strips(image, shown, factor, deep), orientation)))
    if orientation >= 5:
        height, width = width, height
    return Still(pixels.expand(3, -1, -1), height, width)


def _factor(size: tuple[int, int], enough: int | None) -> int:
    """By how much an image may be reduced; what is not large is left as it is."""
    return 1 if enough is None or size[0] * size[1] <= LARGE else max(1, min(size) // enough)


def _drafted(image: Image.Image, enough: int | None) -> tuple[int, int] | None:
    """The size of a JPEG that will be decoded smaller, which takes less memory and time; None for others."""
    size = image.size
    by = next((by for by in DRAFTS if by <= _factor(size, enough)), 1)
    if image.format not in ("JPEG", "MPO"):
        return None
    return size if by > 1 and image.draft(image.mode, (size[0] // by, size[1] // by)) else None


def _colours_of(image: Image.Image, name: str, warn: Warn, ground: Ground) -> Callable[[Image.Image], np.ndarray]:
    """What makes (h, w, 3) of a part of an image of eight bits: bytes, or values in [0, 1]."""
    profile = image.info.get("icc_profile") or None
    change = None if profile is not None else codings.change_of(image, name, warn)
    if profile is not None:
        try:
            profiles.in_srgb(_split(image.crop((0, 0, 1, 1)))[1], profile)
        except profiles.UnusableProfile:
            warn(f"The colour profile of {name} cannot be applied; its colours are taken as sRGB.")
            profile = None

    def shown(part: Image.Image) -> np.ndarray:
        alpha, opaque = _split(part)
        colour = np.asarray(profiles.in_srgb(opaque, profile).convert("RGB"))
        if alpha is None and change is None:
            return colour
        values = colour.astype(np.float32) / 255
        values = values if change is None else change(values)
        return values if alpha is None else alpha * values + (1 - alpha) * np.asarray(ground, np.float32)

    return shown


def _split(image: Image.Image) -> tuple[np.ndarray | None, Image.Image]:
    """How much each pixel covers, (h, w, 1), or None, and the image without that as RGB, L, CMYK or LAB."""
    if image.mode in ("CMYK", "LAB"):
        return None, image
    image = {"La": lambda: image.convert("LA"), "1": lambda: image.convert("L")}.get(image.mode, lambda: image)()
    gray = image.mode in ("L", "LA")
    if not image.has_transparency_data:
        return None, image.convert("L" if gray else "RGB")
    rgba = image.convert("RGBA")
    alpha = np.asarray(rgba.getchannel("A")).astype(np.float32)[..., None] / 255
    return alpha, rgba.getchannel("R") if gray else rgba.convert("RGB")


def _orientation(image: Image.Image, name: str, warn: Warn) -> int:
    """How an image is to be turned and mirrored, 1 (not at all) to 8, as its EXIF data say."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception as error:  # a parser of foreign bytes has many ways to fail
        warn(f"The EXIF data of {name} are damaged ({error}): if it should be turned, it is not.")
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (c, h, w) turned and mirrored: from 5 on the sides are exchanged first."""
    if orientation >= 5:
        pixels = pixels.transpose(0, 2, 1)
    down = orientation in (3, 4, 7, 8)
    across = orientation in (2, 3, 6, 7)
    return pixels[:, :: -1 if down else 1, :: -1 if across else 1]
