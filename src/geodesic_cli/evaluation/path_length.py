"""How long and how even a sequence of images is to the eye. Two things are called PPL; they are named apart here.

Of one sequence x_0 ... x_m, with d_k = d(x_k, x_{k+1}) for a perceptual distance d (DiffMorpher, Zhang et al., CVPR
2024; IMPUS, Yang et al., ICLR 2024):

    path_ppl = Σ d_k        pdv = (1/m) Σ (d_k - mean)²        std = pdv^½

Papers and their code report the variance in one place and the standard deviation in another, which differ by orders of
magnitude; both are given. path_ppl depends on the number of frames, because d grows as the square of a small change:
halving all steps about halves the sum. Compare only sequences of equal length.

Of a generator, over pairs of latents at a small distance eps (StyleGAN, Karras et al., CVPR 2019, section 4.1):

    stylegan_ppl = E[ d(G(x(u)), G(x(u + eps))) / eps² ]

where the mean is over pairs whose value lies between the 1st and the 99th percentile, as in the authors' code.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.perceptual import Distance

PAIRS_AT_ONCE = 32
"""Pairs of images that are compared in one go; it bounds memory."""


@dataclass(frozen=True)
class PathPerception:
    """Perceptual measures of one sequence of images.

    Args:
        distances: between neighbours, one fewer than there are images.
        path_ppl: their sum.
        pdv: their variance, divided by their number.
        std: their standard deviation, the root of `pdv`.
        largest_share: the largest distance over the mean one; 1 is a perfectly even pace.
    """

    distances: tuple[float, ...]
    path_ppl: float
    pdv: float
    std: float
    largest_share: float


@dataclass(frozen=True)
class StyleGANPPL:
    """Perceptual path length of a generator.

    Args:
        value: the mean of d / eps² over the pairs kept.
        std: the standard deviation of what it is a mean of (n - 1).
        pairs: pairs given.
        kept: pairs between the 1st and the 99th percentile.
        eps: the step.
    """

    value: float
    std: float
    pairs: int
    kept: int
    eps: float

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return self.std / self.kept**0.5


def path_perception(frames: Tensor, distance: Distance) -> PathPerception:
    """Measure a sequence of images (m + 1, 3, h, w).

    Raises:
        InputError: fewer than two images.
    """
    if frames.ndim != 4 or len(frames) < 2:
        raise InputError(f"A path needs at least two images; got {tuple(frames.shape)}.")
    apart = pair_distances(frames[:-1], frames[1:], distance)
    mean, pdv = float(apart.mean()), float(apart.var(unbiased=False))
    share = float(apart.max()) / mean if mean > 0 else 1.0
    return PathPerception(tuple(apart.tolist()), float(apart.sum()), pdv, pdv**0.5, share)


def stylegan_ppl(a: Tensor, b: Tensor, eps: float, distance: Distance) -> StyleGANPPL:
    """Measure pairs of images (n, 3, h, w) drawn from latents that are ``eps`` apart.

    Raises:
        InputError: no pairs, or eps is not positive.
    """
    if not eps > 0:
        raise InputError(f"A perceptual path length needs a step above 0; got {eps:g}.", "1e-4 is the published one.")
    return stylegan_ppl_of(pair_distances(a, b, distance), eps)


def stylegan_ppl_of(distances: Tensor, eps: float) -> StyleGANPPL:
    """The same from perceptual distances (n,) that are known already, such as those of batches that were not kept."""
    value = (distances.double().cpu() / eps**2).sort().values
    n = len(value)
    if not n:
        raise InputError("A perceptual path length needs at least one pair; got none.")
    low = value[int(0.01 * (n - 1))]
    high = value[-(int(0.01 * (n - 1)) + 1)]
    kept = value[(value >= low) & (value <= high)]
    std = float(kept.std()) if len(kept) > 1 else 0.0
    return StyleGANPPL(float(kept.mean()), std, n, len(kept), eps)


@torch.no_grad()
def pair_distances(a: Tensor, b: Tensor, distance: Distance) -> Tensor:
    """Distances (n,) of images from images, in float64 on the CPU, in parts that bound the memory."""
    parts = [
        distance(one, two).detach().to("cpu", torch.float64)
        for one, two in zip(a.split(PAIRS_AT_ONCE), b.split(PAIRS_AT_ONCE), strict=True)
    ]
    return torch.cat(parts)
