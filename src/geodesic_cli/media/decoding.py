"""The pixels of an image file as a screen shows them: upright, in sRGB, in [0, 1], on white.

Eight bits are divided by 255. Deeper gray is divided by the largest value that the file may hold: what its tags say
(their number of bits, their largest sample, the display range of ImageJ), else 65,535. Floating-point gray is taken as
[0, 1]; values up to 255 or up to 65,535 as of that range, with a word; any others are refused. What says how colours
are meant is applied: a profile, the code points of AVIF and PNG, the gamma of PNG, the Adobe RGB of cameras.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from geodesic_cli.errors import InputError
from geodesic_cli.media import colours, profiles

Warn = Callable[[str], None]
BITS, PHOTOMETRIC, ABOUT, LARGEST_SAMPLE, SIGN, LARGEST_OF_ANY = 258, 262, 270, 281, 339, 341
"""Tags of TIFF."""
RANGES = (255, 65_535)
GAMMA = 1 / 2.2
"""Of a PNG that is as good as sRGB."""
ORIENTATION, INTEROPERABILITY = 0x0112, 0xA005
"""Parts of EXIF."""
HEAD = 65_536
"""Bytes at the beginning of a file in which its code points stand."""


def decode(image: Image.Image, name: str, warn: Warn) -> np.ndarray:
    """Pixels (h, w, 3) of an opened image of any of Pillow's modes.

    Args:
        image: an open file, at the frame that is wanted.
        name: for messages.
        warn: told of what had to be guessed, and of what could not be applied.

    Raises:
        InputError: floating-point values of an unknown range.
    """
    tags: Any = getattr(image, "tag_v2", {})
    code, adobe = _code_points(image), _adobe(image)
    image = _upright(image, name, warn)
    if image.mode == "F" or image.mode.startswith("I"):  # I;16, its byte orders, and I
        return _deep(image, tags, name, warn)
    profile = image.info.get("icc_profile") or None
    alpha, opaque = _split(image)
    try:
        shown = profiles.in_srgb(opaque, profile)
    except profiles.UnusableProfile:
        warn(f"The colour profile of {name} cannot be applied; its colours are taken as sRGB.")
        shown = profiles.in_srgb(opaque, None)
    colour = np.asarray(shown.convert("RGB")).astype(np.float32) / 255
    if profile is None:
        code = (colours.ADOBE, colours.GAMMA22) if code is None and adobe else code
        colour = _as_coded(colour, image.info, code, name, warn)
    return colour if alpha is None else alpha * colour + (1 - alpha)


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


def _upright(image: Image.Image, name: str, warn: Warn) -> Image.Image:
    """The image turned and mirrored as its EXIF data say, as a copy."""
    image.load()  # what is wrong with the pixels is another matter
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception as error:  # a parser of foreign bytes has many ways to fail
        warn(f"The EXIF data of {name} are damaged ({error}): if it should be turned, it is not.")
        return image.copy()
    return image.copy() if orientation == 1 else ImageOps.exif_transpose(image)


def _deep(image: Image.Image, tags: Any, name: str, warn: Warn) -> np.ndarray:
    """Gray of more than eight bits."""
    values = np.asarray(image)
    bits, sign = _first(tags, BITS), _first(tags, SIGN)
    if image.mode == "I" and bits == 32 and sign in (None, 1):
        values = values.astype(np.int32).view(np.uint32)  # Pillow has no unsigned mode
    values = values.astype(np.float64)
    low, high = _range(image.mode == "F", values, tags, name, warn)
    gray = np.nan_to_num((values - low) / (high - low)).clip(0, 1).astype(np.float32)
    if _first(tags, PHOTOMETRIC) == 0:  # white is nought
        gray = 1 - gray
    profile = image.info.get("icc_profile")
    if profile:
        try:
            curve = profiles.curve(profile)
            gray = gray if curve is None else np.interp(255 * gray, np.arange(256), curve).astype(np.float32)
        except profiles.UnusableProfile:
            warn(f"The colour profile of {name} cannot be applied; its gray is taken as that of sRGB.")
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        gray = np.where(values == clear, np.float32(1), gray)
    return np.repeat(gray[..., None], 3, -1)


def _range(floating: bool, values: np.ndarray, tags: Any, name: str, warn: Warn) -> tuple[float, float]:
    """The values of black and of white."""
    finite = values[np.isfinite(values)]
    least, most = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    told = _told_range(tags)
    if told is not None:
        return told
    if not floating:
        bits = _first(tags, BITS) or 16
        high = 2.0 ** (bits - (_first(tags, SIGN) == 2)) - 1
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
    high = float(_first(tags, LARGEST_OF_ANY) or _first(tags, LARGEST_SAMPLE) or 0)
    return (0.0, high) if high > 0 else None


def _first(tags: Any, tag: int) -> Any:
    """The value of a tag, or of its first channel."""
    value = tags.get(tag)
    return value[0] if isinstance(value, tuple) and value else value


def _code_points(image: Image.Image) -> tuple[int, int] | None:
    """Primaries and transfer of AVIF, HEIF (a box colr of the kind nclx) and PNG (a chunk cICP), by H.273."""
    file = getattr(image, "filename", None)
    if image.format not in ("AVIF", "HEIF", "PNG") or not file:
        return None
    with open(file, "rb") as stream:  # noqa: PTH123 (Pillow's name of a file is a text)
        head = stream.read(HEAD)
    place = head.find(b"cICP" if image.format == "PNG" else b"colrnclx")
    if place < 0:
        return None
    if image.format == "PNG":
        return head[place + 4], head[place + 5]
    numbers = head[place + 8 : place + 12]
    return int.from_bytes(numbers[:2], "big"), int.from_bytes(numbers[2:], "big")


def _adobe(image: Image.Image) -> bool:
    """Whether a camera marked its photograph as Adobe RGB, as it may do without a profile."""
    with suppress(Exception):  # as above
        return image.format in ("JPEG", "MPO") and image.getexif().get_ifd(INTEROPERABILITY).get(1) == "R03"
    return False


def _as_coded(
    colour: np.ndarray, info: dict[Any, Any], code: tuple[int, int] | None, name: str, warn: Warn
) -> np.ndarray:
    """Colours in sRGB of an image without a profile."""
    if code is not None and colours.changes(*code):
        if code[1] in colours.HDR:
            warn(
                f"{name} is of high dynamic range (HDR, {colours.HDR[code[1]]}): light up to the white of paper is "
                "kept, and what is brighter is pressed together."
            )
        return colours.to_srgb(colour, *code)
    gamma = float(info.get("gamma") or GAMMA)
    if code is None and "srgb" not in info and abs(gamma - GAMMA) > 0.02:
        return colours.encoded(colour ** (1 / gamma)).astype(np.float32)
    return colour
