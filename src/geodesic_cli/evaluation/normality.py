"""Whether points look like standard normal noise: what an inversion to tau = 1 should give, and where it fails.

For x in R^d with entries from N(0, 1), of a map (C, H, W),

    |x| / sqrt(d) -> 1        excess kurtosis -> 0        correlation of neighbouring pixels -> 0

with standard deviations 1/sqrt(2 d), sqrt(24/d) and, for m pairs of neighbours, 1/sqrt(m). DDIM inversion is known to
leave structure of the image in the noise, seen as correlated neighbours, most of all in flat regions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.errors import InputError


@dataclass(frozen=True)
class Normality:
    """Measures of one point, each with what chance alone would make of them (one standard deviation).

    Args:
        norm: |x| / sqrt(d); 1 for noise.
        mean: of the entries; 0 for noise.
        kurtosis: excess kurtosis of the entries; 0 for noise.
        neighbours: correlation of entries side by side, across and down; 0 for noise.
        chance: the standard deviations of these four under N(0, 1), in the same order.
    """

    norm: float
    mean: float
    kurtosis: float
    neighbours: float
    chance: tuple[float, float, float, float]


BEYOND_CHANCE = 6.0
"""Standard deviations of chance beyond which a measure is not chance."""
PLAIN = {"norm": 0.1, "kurtosis": 0.5, "neighbours": 0.1}
"""And by so much it is off where that is seen in what the noise is used for; a small map has much chance."""


def why_not_noise(found: Normality) -> str:
    """In what a point is plainly not standard normal noise, in words; empty where it may be."""
    words = {"norm": "its norm is {:.2f} of that of noise", "kurtosis": "its excess kurtosis is {:.1f}, of noise 0"}
    words["neighbours"] = "its neighbouring entries correlate by {:.2f}, of noise 0"
    chance = dict(zip(("norm", "mean", "kurtosis", "neighbours"), found.chance, strict=True))
    told = []
    for name, plain in PLAIN.items():
        off = abs(getattr(found, name) - (name == "norm"))
        if off > max(plain, BEYOND_CHANCE * chance[name]):
            told.append(words[name].format(getattr(found, name)))
    return ", and ".join(told)


def normality(x: Tensor, shape: tuple[int, int, int]) -> list[Normality]:
    """Measure points x (n, d), each a map of ``shape`` (C, H, W).

    Raises:
        InputError: the points are no such maps, or the maps have no neighbours.
    """
    channels, height, width = shape
    if x.ndim != 2 or x.shape[1] != channels * height * width or min(height, width) < 2:
        raise InputError(f"Points (n, {channels * height * width}) of maps {shape} are needed; got {tuple(x.shape)}.")
    points = x.detach().to("cpu", torch.float64)
    d = points.shape[1]
    pairs = channels * (height * (width - 1) + (height - 1) * width)
    chance = ((0.5 / d) ** 0.5, d**-0.5, (24 / d) ** 0.5, pairs**-0.5)
    found = []
    for point in points:
        centred = point - point.mean()
        variance = centred.square().mean().clamp(min=1e-30)
        maps = centred.reshape(shape)
        across = (maps[:, :, 1:] * maps[:, :, :-1]).sum()
        down = (maps[:, 1:] * maps[:, :-1]).sum()
        found.append(
            Normality(
                norm=float(point.norm()) / d**0.5,
                mean=float(point.mean()),
                kurtosis=float(centred.pow(4).mean() / variance**2) - 3,
                neighbours=float((across + down) / pairs / variance),
                chance=chance,
            )
        )
    return found
