"""Colour profiles of images: from what a file says of its colours to sRGB, in eight bits, by LittleCMS."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

RELATIVE, BLACK_POINT = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
AS_GOOD_AS_SRGB = 2
"""Levels. A profile that changes no colour by more is that of sRGB under one of its names."""
SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}
"""What a profile calls the colours of each of Pillow's modes."""


class UnusableProfile(Exception):
    """A profile that is damaged or of other colours than the image."""


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An image of the modes RGB, L, CMYK or LAB in sRGB: RGB, or L as it was where it needs no change.

    Raises:
        UnusableProfile: see there.
    """
    if profile is None and image.mode != "LAB":
        return image if image.mode != "CMYK" else image.convert("RGB")
    mode = image.mode
    if mode == "L" and _space(profile) == "RGB ":  # gray values in a space of three colours
        image, mode = image.convert("RGB"), "RGB"
    if _space(profile) != SPACES[mode]:
        raise UnusableProfile
    transform = _transform(profile, mode)
    return image if transform is None else ImageCms.applyTransform(image, transform) or image


def curve(profile: bytes) -> np.ndarray | None:
    """What a gray profile makes of the 256 levels, in [0, 1]; None for no change.

    Raises:
        UnusableProfile: see there.
    """
    ramp = in_srgb(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), profile)
    return None if ramp.mode == "L" else np.asarray(ramp)[0, :, 0].astype(np.float32) / 255


@lru_cache(maxsize=8)
def _space(profile: bytes | None) -> str:
    if profile is None:
        return "Lab "
    try:
        return str(ImageCms.ImageCmsProfile(BytesIO(profile)).profile.xcolor_space)
    except (OSError, ImageCms.PyCMSError) as error:
        raise UnusableProfile from error


@lru_cache(maxsize=8)
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    given = ImageCms.createProfile("LAB") if profile is None else ImageCms.ImageCmsProfile(BytesIO(profile))
    try:
        transform = ImageCms.buildTransform(
            given, ImageCms.createProfile("sRGB"), mode, "RGB", renderingIntent=RELATIVE, flags=BLACK_POINT
        )
    except (OSError, ImageCms.PyCMSError) as error:
        raise UnusableProfile from error
    if mode in ("CMYK", "LAB"):
        return transform
    probes = _probes(mode)
    changed = ImageCms.applyTransform(probes, transform)
    most = np.abs(np.asarray(changed).astype(int) - np.asarray(probes.convert("RGB")).astype(int)).max()
    return transform if most > AS_GOOD_AS_SRGB else None


def _probes(mode: str) -> Image.Image:
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    if mode == "L":
        return Image.fromarray(levels[None])
    return Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3))
