"""Colours as a screen shows them: from the colour space that a file names to sRGB.

Numbers of primaries, transfers and matrices are those of ITU-T H.273, which films, AVIF and PNG share. The transfer of
films (BT.709 and its kin) is taken as that of the screen, as all players do, so only these are changed:

- PQ and HLG, which count light up to far above the white of paper: light is scaled so that paper (203 cd/m2, as in
  BT.2408) is 1, kept up to a KNEE, and bent towards 1 above it, by one factor for the three colours: the hue stays;
- a linear transfer, and a gamma of 2.8;
- wide primaries (BT.2020, Display P3, DCI P3, Adobe RGB), in linear light; what sRGB cannot show is cut off.

The gamma and the primaries that a PNG names in numbers are taken as they are, white to white.
"""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

BT709, GAMMA22, GAMMA28, LINEAR, PQ, HLG = 1, 4, 5, 8, 16, 18
ADOBE = 256
"""The primaries of Adobe RGB, which have no number of their own there."""
HDR = {PQ: "PQ", HLG: "HLG"}
UNKNOWN_TRANSFERS = {9: "logarithmic", 10: "logarithmic", 17: "of digital cinema"}
"""Transfers that are left as they are."""
PRIMARIES = {
    BT709: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    ADOBE: ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
}
"""Red, green and blue in x and y, for the white of daylight."""
WHITE = (0.3127, 0.3290)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""From XYZ to the colours in which eyes adapt to a white."""
PAPER = 203.0
"""Candela a square metre of diffuse white in a film of high dynamic range."""
KNEE = 0.75
TABLED = 65_536
"""Of a table of light."""
AS_GOOD = 0.004
"""A matrix that is nearer to no change than this is rounded numbers of sRGB."""


def alters(primaries: int, transfer: int) -> bool:
    """Whether values of this colour space are not sRGB as they are."""
    return transfer in (*HDR, LINEAR, GAMMA28) or primaries in PRIMARIES.keys() - {BT709}


def to_srgb(values: np.ndarray, primaries: int, transfer: int) -> np.ndarray:
    """Values (h, w, 3) in [0, 1], float32, of any of these colour spaces as those of sRGB."""
    light = _light(transfer)[np.rint(values * (TABLED - 1)).astype(np.int32)]
    if transfer == HLG:  # scene light; a screen of 1000 cd/m2 shows it with a gamma of 1.2
        light *= np.maximum(light @ np.array([0.2627, 0.6780, 0.0593], np.float32), 1e-6)[..., None] ** 0.2 * (
            1000 / PAPER
        )
    if primaries in PRIMARIES and primaries != BT709:
        light = light @ _matrix(primaries).T
    light = np.maximum(light, 0)
    if transfer in HDR:
        most = np.maximum(light.max(-1, keepdims=True), 1e-6)
        bent = KNEE + (1 - KNEE) * (1 - np.exp(-(most - KNEE) / (1 - KNEE)))
        light *= np.where(most > KNEE, bent / most, 1)
    return encoded(light.clip(0, 1)).astype(np.float32)


def encoded(light: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] as values of sRGB."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def from_light_of(values: np.ndarray, power: float | None, matrix: np.ndarray | None) -> np.ndarray:
    """Values (h, w, 3) in [0, 1] as those of sRGB: to light by a power or else as sRGB, then by a matrix."""
    light = values**power if power is not None else _light(BT709)[np.rint(values * (TABLED - 1)).astype(np.int32)]
    light = light if matrix is None else light @ matrix.T
    return encoded(light.clip(0, 1)).astype(np.float32)


def matrix_of(chromaticities: Sequence[float]) -> np.ndarray | None:
    """From light of any primaries to that of sRGB, white to white; None for numbers that no colours have.

    Args:
        chromaticities: x and y of white, red, green and blue, as in the chunk cHRM of a PNG.
    """
    numbers = np.array(chromaticities, float)
    if numbers.shape != (8,) or not np.isfinite(numbers).all() or (numbers[1::2] <= 0).any() or (numbers > 1.2).any():
        return None
    white, *corners = numbers.reshape(4, 2).tolist()
    try:
        given = _xyz_of(corners, white)
        ours, theirs = BRADFORD @ _xyz(WHITE), BRADFORD @ _xyz(white)
        adapted = np.linalg.solve(BRADFORD, (ours / theirs)[:, None] * (BRADFORD @ given))
        matrix = np.linalg.solve(_to_xyz(BT709), adapted)
    except np.linalg.LinAlgError:
        return None
    return matrix.astype(np.float32) if np.isfinite(matrix).all() and np.abs(matrix).max() < 20 else None


@cache
def _light(transfer: int) -> np.ndarray:
    """Linear light at TABLED values from 0 to 1, where paper is 1."""
    v = np.linspace(0, 1, TABLED)
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        p = v ** (1 / m2)
        light = 10_000 / PAPER * (np.maximum(p - c1, 0) / (c2 - c3 * p)) ** (1 / m1)
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(v <= 0.5, v**2 / 3, (np.exp((v - c) / a) + b) / 12)
    elif transfer in (GAMMA22, GAMMA28, LINEAR):
        light = v ** {GAMMA22: 2.2, GAMMA28: 2.8, LINEAR: 1.0}[transfer]
    else:
        light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@cache
def _matrix(primaries: int) -> np.ndarray:
    """From linear light of these primaries to that of sRGB."""
    return np.linalg.solve(_to_xyz(BT709), _to_xyz(primaries)).astype(np.float32)


def _to_xyz(primaries: int) -> np.ndarray:
    return _xyz_of(PRIMARIES[primaries], WHITE)


def _xyz_of(corners: Iterable[Sequence[float]], white: Sequence[float]) -> np.ndarray:
    """From light of red, green and blue at these x and y, which together are this white, to XYZ."""
    columns = np.array([_xyz(corner) for corner in corners]).T
    return columns * np.linalg.solve(columns, _xyz(white))


def _xyz(point: Sequence[float]) -> np.ndarray:
    x, y = point
    return np.array([x / y, 1, (1 - x - y) / y])
