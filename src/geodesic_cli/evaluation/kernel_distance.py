"""The kernel distance of two sets of features: how far apart they are, without a bias that depends on their sizes.

With the polynomial kernel k(x, y) = (x . y / d + 1)^3 of features in R^d, the squared maximum mean discrepancy is
estimated without bias from m rows of each set (Binkowski et al., ICLR 2018; Gretton et al., JMLR 2012, lemma 6):

    MMD² = (Σ_{i≠j} k(x_i, x_j) + Σ_{i≠j} k(y_i, y_j)) / (m (m - 1)) - 2 / m² Σ_{i,j} k(x_i, y_j)

and averaged over random subsets. With the features of Inception-v3 it is the KID. The Fréchet distance is biased by
about a constant over n, and needs more images than features; this one is not and does not, so with few images it is the
one to read. It may come out below 0, as an unbiased estimate of 0 must.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.errors import InputError

SUBSETS, MOST_OF_A_SUBSET = 100, 1000


@dataclass(frozen=True)
class KernelDistance:
    """A squared maximum mean discrepancy.

    Args:
        value: the mean over the subsets.
        std: the standard deviation over them, divided by their number.
        counts: features in each set.
        size: rows of each set in a subset.
        subsets: how many there are.
    """

    value: float
    std: float
    counts: tuple[int, int]
    size: int
    subsets: int


def kernel_distance(
    a: Tensor, b: Tensor, generator: torch.Generator, subsets: int = SUBSETS, most: int = MOST_OF_A_SUBSET
) -> KernelDistance:
    """The kernel distance of features (n, d) and (m, d).

    Args:
        a: of one set.
        b: of the other.
        generator: draws the subsets, without replacement.
        subsets: how many.
        most: rows of each set in a subset, fewer where a set is smaller.

    Raises:
        InputError: fewer than two rows in a set, other dimensions, or values that are not finite.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(
            "A kernel distance needs two sets of features (n, d) of two images or more each; got "
            f"{tuple(a.shape)} and {tuple(b.shape)}.",
            "Pass more images, and use the same network for both sets.",
        )
    one, two = (features.detach().to("cpu", torch.float64) for features in (a, b))
    if not (bool(torch.isfinite(one).all()) and bool(torch.isfinite(two).all())):
        raise InputError("A kernel distance needs finite features; got NaN or infinity.", "Pass --dtype fp32.")
    size = min(most, len(one), len(two))
    found = []
    for _ in range(subsets):
        x, y = (part[torch.randperm(len(part), generator=generator)[:size]] for part in (one, two))
        found.append(_discrepancy(x, y))
    values = torch.tensor(found, dtype=torch.float64)
    return KernelDistance(float(values.mean()), float(values.std(unbiased=False)), (len(a), len(b)), size, subsets)


def _discrepancy(x: Tensor, y: Tensor) -> float:
    m, d = x.shape

    def kernel(first: Tensor, second: Tensor) -> Tensor:
        return (first @ second.T / d + 1) ** 3

    own = sum(float(part.sum() - part.diagonal().sum()) for part in (kernel(x, x), kernel(y, y)))
    return own / (m * (m - 1)) - 2 * float(kernel(x, y).mean())
