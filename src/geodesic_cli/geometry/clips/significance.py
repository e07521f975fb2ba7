"""Two figures that need no scale: does a path bend the way a geodesic would, and for which alpha would it be one?

On a geodesic kappa = -alpha P_v s for some alpha > 0, so at every point the cosine between kappa and -P_v s is 1,
whatever alpha is. The mean cosine over the points is compared with what it is where the order of the frames means
nothing: the inner points visited in random order, with the ends fixed. Their scores are known, so this costs no network
evaluation. With n orders of which m reach the observed value the one-sided p-value is (1 + m) / (1 + n).

It matters which way the null hypothesis points. Points of a diffusion model's typical set lie on a shell about the
denoised image, x = a z + sigma eps with |eps| nearly constant, and s = -eps / sigma. On a shell eps''.eps = -|eps'|²:
every path on it bends towards its centre, which is towards HIGHER density, against the geodesic equation. There the
mean cosine is negative and the best alpha is about -1 / d, for shuffled frames and for smooth motion alike.

The best alpha is that of least squares over the points,

    alpha* = - sum kappa_k . P_v s_k / sum |P_v s_k|²,
    variance = n / (n - 1) sum (P_v s_k . e_k)² / (sum |P_v s_k|²)²,    e_k = kappa_k + alpha* P_v s_k,

an estimate that lets every point have an error of its own size (White, 1980) and takes the points as independent.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry.clips.sequence import alignment, directions
from geodesic_cli.geometry.space import Space


@dataclass(frozen=True)
class BestAlpha:
    """The alpha at which a path is most geodesic.

    Args:
        alpha: alpha*; negative where the path bends towards higher density, so that no metric makes it a geodesic.
        error: its standard error; infinite for a single point.
        explained: the share of sum |kappa|² that the density accounts for at alpha*, in [0, 1].
    """

    alpha: float
    error: float
    explained: float


@dataclass(frozen=True)
class Alignment:
    """The mean cosine between kappa and -P_v s, and what it would be by chance.

    Args:
        mean: of the path.
        null: of every path of the null hypothesis.
    """

    mean: float
    null: tuple[float, ...]

    @property
    def null_mean(self) -> float:
        """The mean over the paths of the null hypothesis."""
        return sum(self.null) / len(self.null)

    @property
    def p_value(self) -> float:
        """The probability of a mean as large by chance, one-sided; at least 1 / (number of paths + 1)."""
        return (1 + sum(value >= self.mean - 1e-12 for value in self.null)) / (1 + len(self.null))


def best_alpha(products: Float[Tensor, "n"], squares: Float[Tensor, "n"], turned: float) -> BestAlpha:
    """Fit kappa = -alpha P_v s to the products kappa . P_v s and the squares |P_v s|² at n points.

    `turned` is sum |kappa|². All zero where there is no pull or nothing turns.
    """
    whole = float(squares.sum())
    if whole == 0 or turned == 0:
        return BestAlpha(0.0, 0.0, 0.0)
    alpha = -float(products.sum()) / whole
    left = products + alpha * squares  # P_v s . e
    count = len(squares)
    error = math.sqrt(count / (count - 1) * float(left.square().sum())) / whole if count > 1 else math.inf
    return BestAlpha(alpha, error, min(1.0, float(products.sum()) ** 2 / (whole * turned)))


def against_shuffled(
    x: Float[Tensor, "m d"], scores: Float[Tensor, "m d"], space: Space, generator: torch.Generator, draws: int = 199
) -> Alignment:
    """The mean alignment of m >= 3 different points against that of the same ones in random orders, ends fixed.

    The scores are taken not to depend on the place in the order. The generator is one of the CPU.
    """
    observed = _mean_alignment(x, scores, space)
    null = []
    for _ in range(draws):
        order = torch.randperm(len(x) - 2, generator=generator).to(x.device) + 1
        order = torch.cat([order.new_zeros(1), order, order.new_full((1,), len(x) - 1)])
        null.append(_mean_alignment(x[order], scores[order], space))
    return Alignment(observed, tuple(null))


def _mean_alignment(x: Tensor, scores: Tensor, space: Space) -> float:
    ahead, back, pull = directions(x, scores, space)
    return float(alignment(ahead + back, pull).mean())
