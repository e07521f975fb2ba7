"""The Fréchet distance of two sets of features: how far apart the Gaussians fitted to them are.

    d² = |m1 - m2|² + tr(C1 + C2 - 2 (C1^½ C2 C1^½)^½)                         (Dowson and Landau, 1982)

C1^½ C2 C1^½ is symmetric and positive semi-definite, so its root has an exact trace, the sum of the roots of its
eigenvalues; nothing is iterated and no imaginary part is thrown away. With the features of Inception-v3 it is the FID
(Heusel et al., NeurIPS 2017). Any other features give an "FID-type" distance whose numbers compare with nothing but
themselves: say which features, and how many images.

The estimate is biased upwards by about a constant over n (Chong and Forsyth, CVPR 2020), so compare only sets of equal
size. With n <= d the covariance is singular and the estimate poor: `Frechet.caution` says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.errors import InputError

FeatureMap = Callable[[Tensor], Tensor]
"""Images (n, 3, h, w) in [0, 1] to features (n, d)."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean (d,) and covariance (d, d), of ``count`` features, in float64 on the CPU; divided by n - 1."""

    mean: Tensor
    covariance: Tensor
    count: int


@dataclass(frozen=True)
class Frechet:
    """A squared Fréchet distance and what it was made of.

    Args:
        value: the distance d², >= 0.
        counts: features in each set.
        dimension: d of the features.
    """

    value: float
    counts: tuple[int, int]
    dimension: int

    @property
    def caution(self) -> str:
        """A sentence where the sets are too small for the dimension; empty otherwise."""
        least = min(self.counts)
        if least > self.dimension:
            return ""
        return (
            f"{least} images are too few for {self.dimension} features: the covariance is singular, and the distance "
            f"is biased upwards. Compare it only with sets of the same sizes, or take more than {self.dimension}."
        )


def statistics(features: Tensor) -> Statistics:
    """Mean and covariance of features (n, d).

    Raises:
        InputError: fewer than two rows, or values that are not finite.
    """
    if features.ndim != 2 or len(features) < 2:
        raise InputError(
            f"A Fréchet distance needs features (n, d) of two images or more; got {tuple(features.shape)}.",
            "Pass more images.",
        )
    x = features.detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(x).all()):
        raise InputError("A Fréchet distance needs finite features; got NaN or infinity.", "Pass --dtype fp32.")
    mean = x.mean(0)
    centred = x - mean
    return Statistics(mean, centred.T @ centred / (len(x) - 1), len(x))


def frechet(a: Tensor | Statistics, b: Tensor | Statistics) -> Frechet:
    """The squared Fréchet distance between two sets of features (n, d), or their statistics.

    Raises:
        InputError: the dimensions differ, or see `statistics`.
    """
    one, two = (x if isinstance(x, Statistics) else statistics(x) for x in (a, b))
    if one.mean.shape != two.mean.shape:
        raise InputError(
            f"Features of one dimension are needed; got {len(one.mean)} and {len(two.mean)}.",
            "Use the same network for both sets.",
        )
    values, vectors = torch.linalg.eigh(one.covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    inner = root @ two.covariance @ root
    overlap = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp(min=0).sqrt().sum()
    apart = (one.mean - two.mean).square().sum()
    value = apart + one.covariance.trace() + two.covariance.trace() - 2 * overlap
    return Frechet(max(0.0, float(value)), (one.count, two.count), len(one.mean))
