"""How the colours of a still image are meant where it has no profile: code points, the chunks of PNG, Adobe RGB.

The first of these that a file has is believed: the code points of AVIF, HEIF and PNG (cICP), the word sRGB of PNG, the
gamma and the primaries of PNG (gAMA, cHRM), the mark of a camera that its photograph is in Adobe RGB.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image

from geodesic_cli.media import colours

GAMMA = 1 / 2.2
"""Of a PNG that is as good as sRGB."""
INTEROPERABILITY = 0xA005
"""A part of EXIF."""
HEAD = 65_536
"""Bytes at the beginning of a file in which its code points stand."""
Recoloured = Callable[[np.ndarray], np.ndarray]


def change_of(image: Image.Image, name: str, warn: Callable[[str], None]) -> Recoloured | None:
    """What brings values (h, w, 3) in [0, 1] of an opened image without a profile to sRGB; None for no change."""
    code = _code_points(image)
    if code is None and _adobe(image):
        code = colours.ADOBE, colours.GAMMA22
    if code is not None:
        if not colours.alters(*code):
            return None
        if code[1] in colours.HDR:
            warn(
                f"{name} is of high dynamic range (HDR, {colours.HDR[code[1]]}): light up to the white of paper is "
                "kept, and what is brighter is pressed together."
            )
        return lambda values: colours.to_srgb(values, *code)
    return None if "srgb" in image.info else _by_chunks(image.info, name, warn)


def _by_chunks(info: dict[Any, Any], name: str, warn: Callable[[str], None]) -> Recoloured | None:
    """The change for the gamma and the primaries that a PNG names."""
    gamma = float(info.get("gamma") or GAMMA)
    power = None if abs(gamma - GAMMA) <= 0.02 else 1 / gamma
    matrix = None
    if "chromaticity" in info:
        matrix = colours.matrix_of(info["chromaticity"])
        if matrix is None:
            warn(f"The primaries that {name} names (in its chunk cHRM) are impossible; its colours are taken as sRGB.")
    if power is None and (matrix is None or np.abs(matrix - np.eye(3)).max() < colours.AS_GOOD):
        return None
    return lambda values: colours.from_light_of(values, power, matrix)


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
    with suppress(Exception):  # a parser of foreign bytes has many ways to fail
        return image.format in ("JPEG", "MPO") and image.getexif().get_ifd(INTEROPERABILITY).get(1) == "R03"
    return False
