"""Gray of more than eight bits: which of its values is black and which is white.

It is divided by the largest value that the file may hold: what its tags say (their number of bits, their largest
sample, the display range of ImageJ), else 65,535. Floating-point gray is taken as [0, 1]; values up to 255 or up to
65,535 as of that range, with a word; any others are refused.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from geodesic_cli.errors import InputError
from geodesic_cli.media import profiles
from geodesic_cli.media.stills import STRIP, Ground

BITS, PHOTOMETRIC, ABOUT, LARGEST_SAMPLE, SIGN, LARGEST_OF_ANY = 258, 262, 270, 281, 339, 341
"""Tags of TIFF."""
RANGES = (255, 65_535)


def is_deep(image: Image.Image) -> bool:
    """Whether an image has more than eight bits in Pillow's modes: I;16, its byte orders, I, and F."""
    return image.mode == "F" or image.mode.startswith("I")


def deep_gray(
    image: Image.Image, tags: Any, name: str, warn: Callable[[str], None], ground: Ground
) -> Callable[[Image.Image], np.ndarray]:
    """What makes values (h, w, 1) in [0, 1] of a part of a deep image, or (h, w, 3) where a coloured ground is seen.

    Raises:
        InputError: floating-point values of an unknown range.
    """
    bits, sign = first_of_tag(tags, BITS), first_of_tag(tags, SIGN)
    unsigned = image.mode == "I" and bits == 32 and sign in (None, 1)

    def values_of(part: Image.Image) -> np.ndarray:
        values = np.asarray(part)
        return values.astype(np.int32).view(np.uint32) if unsigned else values  # Pillow has no unsigned mode

    low, high = _range(image.mode == "F", *_extremes(image, values_of), tags, name, warn)
    curve = None
    if image.info.get("icc_profile"):
        try:
            curve = profiles.curve(image.info["icc_profile"])
        except profiles.UnusableProfile:
            warn(f"The colour profile of {name} cannot be applied; its gray is taken as that of sRGB.")
    negative = first_of_tag(tags, PHOTOMETRIC) == 0  # white is nought
    clear = image.info.get("transparency")

    def shown(part: Image.Image) -> np.ndarray:
        values = values_of(part).astype(np.float64)
        gray = np.nan_to_num((values - low) / (high - low)).clip(0, 1).astype(np.float32)
        gray = 1 - gray if negative else gray
        if curve is not None:
            gray = np.interp(255 * gray, np.arange(256), curve).astype(np.float32)
        if not isinstance(clear, int):
            return gray[..., None]
        return np.where((values == clear)[..., None], np.asarray(ground, np.float32), gray[..., None])

    return shown


def _extremes(image: Image.Image, values_of: Callable[[Image.Image], np.ndarray]) -> tuple[float, float]:
    """The least and the largest finite value of an image, 0 and 0 where it has none."""
    width, height = image.size
    rows = max(1, STRIP // width)
    found: list[float] = []
    for top in range(0, height, rows):
        values = values_of(image.crop((0, top, width, min(top + rows, height))))
        finite = values[np.isfinite(values)]
        found += [float(finite.min()), float(finite.max())] if finite.size else []
    return (min(found), max(found)) if found else (0.0, 0.0)


def _range(
    floating: bool, least: float, most: float, tags: Any, name: str, warn: Callable[[str], None]
) -> tuple[float, float]:
    """The values of black and of white."""
    told = _told_range(tags)
    if told is not None:
        return told
    if not floating:
        bits = first_of_tag(tags, BITS) or 16
        high = 2.0 ** (bits - (first_of_tag(tags, SIGN) == 2)) - 1
        if bits == 32 and least >= 0 and most <= RANGES[-1]:
            warn(f"The values of {name} go up to {most:g}: they are taken as of the range 0 to {RANGES[-1]}.")
            high = RANGES[-1]
        if least >= 0:
            if 0 < most < high / 15:
                warn(f"{name} is nearly black: its values go up to {most:g} of {high:g}.")
            return 0.0, high
    elif least >= -0.5 and most <= 1.5:
        if least < -0.01 or most > 1.01:
            warn(f"The values of {name} go from {least:.3g} to {most:.3g}; those outside of [0, 1] are cut off.")
        return 0.0, 1.0
    elif least >= 0 and most <= RANGES[-1]:
        high = next(high for high in RANGES if most <= high)
        warn(f"The values of {name} go up to {most:g}: they are taken as of the range 0 to {high}.")
        return 0.0, float(high)
    raise InputError(
        f"Gray values in [0, 1] or from 0 to 255 are needed, and those of {name} go from {least:g} to {most:g}.",
        "Scale them to [0, 1].",
    )


def _told_range(tags: Any) -> tuple[float, float] | None:
    """The range that a TIFF names: its largest sample, or what ImageJ shows as black and white."""
    about = str(tags.get(ABOUT, ""))
    shown = [re.search(rf"^{word}=(\S+)\s*$", about, re.MULTILINE) for word in ("min", "max")]
    if about.startswith("ImageJ=") and shown[0] and shown[1]:
        low, high = float(shown[0][1]), float(shown[1][1])
        return (low, high) if low < high else None
    high = float(first_of_tag(tags, LARGEST_OF_ANY) or first_of_tag(tags, LARGEST_SAMPLE) or 0)
    return (0.0, high) if high > 0 else None


def first_of_tag(tags: Any, tag: int) -> Any:
    """The value of a tag, or of its first channel."""
    value = tags.get(tag)
    return value[0] if isinstance(value, tuple) and value else value
