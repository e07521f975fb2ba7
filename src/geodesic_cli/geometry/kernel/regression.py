"""A model of the score from the scores seen so far: kernel regression with a linear trend.

    s(x, u) = m - k x + sum_j κ(ρ_j) c_j,    ρ_j² = |x - x_j|² / ℓ² + (u - u_j)² / ℓ_u²,

with κ the Matérn kernel of smoothness 5/2. The trend, k >= 0, is what a diffusion model's score is away from its data;
without it the model is wrong wherever a path leaves the points seen. For given ℓ, ℓ_u and nugget ν (the share of noise
in the scores), m and k follow from generalised least squares and the c_j from the linear system (K + ν I) c = rest.
ℓ, ℓ_u and ν maximise the profile likelihood

    -(m / 2) log q - (1 / 2) log det(K + ν I),    q = <rest, c> / (m d),

over a grid; one eigendecomposition of K serves every ν. The posterior variance q (1 - κᵀ (K + ν I)^-1 κ) says where
the model is least certain.

The position u is an input only where the density varies along the path. Relation to prior art: the same kernel idea as
in Gaussian-process-accelerated nudged elastic bands (Koistinen et al., 2017), for a score instead of an energy.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry.seen import Seen

LENGTHS = torch.logspace(math.log10(0.06), math.log10(1.2), 10, dtype=torch.float64).tolist()
"""ℓ as fractions of the diameter of the points."""

POSITION_LENGTHS = (4.0, 1.5, 0.6)
"""ℓ_u."""

NUGGETS = torch.tensor([1e-7, 1e-5, 1e-3, 1e-2, 1e-1, 1.0, 10.0], dtype=torch.float64)
"""ν. A score without noise chooses among the first; the largest are for noise beyond the signal."""

RIGID = 1e-5
"""A model of another length may have this nugget, or it would swing between points that are close together."""

LENGTH_CHANGE = 2.1
"""ℓ changes by at most this factor from one fit to the next: near-duplicate points make it jump otherwise."""


@dataclass(frozen=True, eq=False)
class KernelScore:
    """The fitted model; a `Score` itself.

    Args:
        coefficients: c_j.
        offset: m.
        slope: k, in 1 / unit of x squared.
        length: ℓ, in units of x.
        position_length: ℓ_u; infinite where u is no input.
        nugget: ν.
        scale: q, the prior variance of one component, nats² per unit of x squared.
        whitening: a (m, m) matrix W with W Wᵀ = (K + ν I)^-1.
    """

    seen: Seen
    coefficients: Float[Tensor, "m d"]
    offset: Float[Tensor, "d"]
    slope: float
    length: float
    position_length: float
    nugget: float
    scale: float
    whitening: Float[Tensor, "m m"]

    def __call__(self, x: Float[Tensor, "n d"], u: Float[Tensor, "n"]) -> Float[Tensor, "n d"]:
        """The modelled score at n points."""
        return self.offset - self.slope * x + self._to_seen(x, u) @ self.coefficients

    @property
    def noise(self) -> float:
        """The estimated norm of the noise of one score, nats per unit of x."""
        return math.sqrt(self.scale * self.nugget * self.seen.x.shape[1])

    def least_certain(self, x: Float[Tensor, "n d"], u: Float[Tensor, "n"], count: int) -> list[int]:
        """Which `count` of the points (n, d), (n,) to evaluate next, in increasing order.

        Greedily those of largest posterior variance, each taken as known before the next is chosen.
        """
        whitened = self._to_seen(x, u) @ self.whitening
        variance = self._kernel(_apart(x, x), u, u) - whitened @ whitened.T
        chosen: list[int] = []
        for _ in range(min(count, x.shape[0])):
            left = variance.diagonal().clone()
            left[chosen] = -1.0
            pick = int(left.argmax())
            chosen.append(pick)
            column = variance[:, pick : pick + 1]
            variance = variance - column @ column.T / (max(float(column[pick]), 0.0) + self.nugget + 1e-8)
        return sorted(chosen)

    def doubted(self, x: Float[Tensor, "n d"], u: Float[Tensor, "n"]) -> tuple[Float[Tensor, "n d"], ...]:
        """What models of half and of twice the length, fitted to the same scores, differ by from this one, (n, d) each.

        They agree where something was seen nearby, and differ where the score between may turn unseen.
        """
        apart, nuggets = _apart(self.seen.x, self.seen.x), NUGGETS[max(self.nugget, RIGID) >= NUGGETS]
        others = (
            _fit_at(
                self.seen,
                _matern(apart, self.seen.u, self.seen.u, length, self.position_length),
                length,
                self.position_length,
                nuggets,
            )[1]
            for length in (self.length / 2, 2 * self.length)
        )
        here = self(x, u)
        return tuple(other(x, u) - here for other in others)

    def _to_seen(self, x: Tensor, u: Tensor) -> Tensor:
        # |x - y|² by products is ten times as fast; the kernel is flat where rounding would show, at x = y.
        middle, about, sizes = self._about
        at = x - middle
        squares = torch.addmm(sizes, at, about, alpha=-2).add_((at * at).sum(1, keepdim=True))
        return self._kernel(squares.clamp_(min=0).sqrt_(), u, self.seen.u)

    @cached_property
    def _about(self) -> tuple[Tensor, Tensor, Tensor]:
        """The middle of what was seen (d,); the points about it, in columns (d, m); the squares of their norms (m,)."""
        middle = self.seen.x.mean(0)
        about = self.seen.x - middle
        return middle, about.T, (about * about).sum(1)

    def _kernel(self, apart: Tensor, u: Tensor, w: Tensor) -> Tensor:
        return _matern(apart, u, w, self.length, self.position_length)


def fit_scores(
    seen: Seen, *, varying: bool, previous: float | None = None, most_nugget: float = math.inf
) -> KernelScore:
    """Fit the model to m >= 2 different points, finite and in float64, with u as an input where scores are `varying`.

    `previous` is ℓ of an earlier fit to part of the data. A score that is known to have no noise has a bound to ν.
    """
    apart = _apart(seen.x, seen.x)
    diameter = float(apart.max())
    lengths = [fraction * diameter for fraction in LENGTHS]
    if previous is not None:
        lengths = [length for length in lengths if previous / LENGTH_CHANGE <= length <= previous * LENGTH_CHANGE] or [
            previous
        ]
    nuggets = NUGGETS[most_nugget >= NUGGETS]
    position_lengths = POSITION_LENGTHS if varying else (math.inf,)
    fits = (
        _fit_at(seen, _matern(apart, seen.u, seen.u, length, position_length), length, position_length, nuggets)
        for length in lengths
        for position_length in position_lengths
    )
    return max(fits, key=lambda fit: fit[0])[1]


def _fit_at(
    seen: Seen, kernel: Tensor, length: float, position_length: float, nuggets: Tensor
) -> tuple[float, KernelScore]:
    """The best nugget for the kernel (m, m) between the points seen: its likelihood and its model."""
    count, d = seen.x.shape
    values, vectors = torch.linalg.eigh(kernel)
    values = values.clamp(min=0)
    ones, x, s = vectors.T @ torch.ones(count, 1, dtype=seen.x.dtype), vectors.T @ seen.x, vectors.T @ seen.scores
    spectrum = values[:, None] + nuggets
    weight = 1 / spectrum  # (m, nuggets)
    total = (weight * ones**2).sum(0)
    mean_x, mean_s = ((weight * ones).T @ part / total[:, None] for part in (x, s))
    # Weighted sums of squares about the means, for every nugget at once.
    cross = weight.T @ (x * s).sum(1) - total * (mean_x * mean_s).sum(1)
    square = weight.T @ (x * x).sum(1) - total * (mean_x * mean_x).sum(1)
    power = weight.T @ (s * s).sum(1) - total * (mean_s * mean_s).sum(1)
    slope = torch.where(square > 0, -cross / torch.where(square > 0, square, torch.ones_like(square)), 0.0).clamp(min=0)
    left = (power + 2 * slope * cross + slope**2 * square).clamp(min=0)
    scale = left / (count * d)
    tiny = torch.finfo(scale.dtype).tiny
    likelihood = -0.5 * count * (scale + tiny).log() - 0.5 * spectrum.log().sum(0)
    best = int(likelihood.argmax())
    k, w = float(slope[best]), weight[:, best : best + 1]
    offset = mean_s[best] + k * mean_x[best]
    rest = s + k * x - ones * offset
    model = KernelScore(
        seen=seen,
        coefficients=vectors @ (w * rest),
        offset=offset,
        slope=k,
        length=length,
        position_length=position_length,
        nugget=float(nuggets[best]),
        scale=float(scale[best]),
        whitening=vectors * w.sqrt().T,
    )
    return float(likelihood[best]), model


def _apart(x: Tensor, y: Tensor) -> Tensor:
    """Distances between points (n, d) and (m, d) to all digits, (n, m)."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _matern(apart: Tensor, u: Tensor, w: Tensor, length: float, position_length: float) -> Tensor:
    """κ(ρ) for points that lie `apart` (n, m), at positions u (n,) and w (m,): (n, m)."""
    distance = apart / length
    if not math.isinf(position_length):
        distance = torch.hypot(distance, (u[:, None] - w[None]).abs() / position_length)
    a = math.sqrt(5) * distance
    return (1 + a + a * a / 3) * torch.exp(-a)
