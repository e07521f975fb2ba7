"""Densities that make path solvers work: more of them than `toys`, in more dimensions, and some of them rude.

    Disk          p = ((1 - |x|²) / 2)^(1/alpha)        ds = 2 |dx| / (1 - |x|²), the Poincaré ball
    RoundMixture  p = Σ exp(-|x - m|² / 2 scale²)       fast in many dimensions: |x - m|² = |x|² - 2 x.m + |m|²
    BlockMixture  a product of mixtures over blocks of coordinates: bent in every dimension at once
    Kink          p = exp(-slope |y|)                   its score jumps where y, the last coordinate, changes sign
    Noisy         s(x) + scale n(x), n standard normal  what a score with random draws inside looks like

A mixture's score at x lies in the span of x and the means, so a path between points of the span of its ends and the
means never leaves that span: the problem in an orthonormal basis of it is the same problem (`RoundMixture.rotated`).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.space import Point, Positions, Rows
from geodesic_cli.geometry.toys import Exponential


@dataclass(frozen=True)
class Disk:
    """p(x) = ((1 - |x|²) / 2)^(1/alpha) in |x| < 1: the Poincaré ball of any dimension. Outside everything is nan.

    It is to be used with this alpha.
    """

    alpha: float

    def log_prob(self, x: Rows) -> Float[Tensor, "n"]:
        """log((1 - |x|²) / 2) / alpha."""
        return ((1 - linalg.dot(x, x)) / 2).log().squeeze(-1) / self.alpha

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """The score, -2 x / (alpha (1 - |x|²))."""
        room = 1 - linalg.dot(x, x)
        return torch.where(room > 0, -2 * x / (self.alpha * room), torch.full_like(x, math.nan))

    def distance(self, a: Point, b: Point) -> float:
        """2 arsinh(|a - b| / sqrt((1 - |a|²) (1 - |b|²)))."""
        room = (1 - linalg.dot(a, a)) * (1 - linalg.dot(b, b))
        return 2 * float(torch.asinh(linalg.norm(a - b) / room.sqrt()))


@dataclass(frozen=True, eq=False)
class RoundMixture:
    """p(x) = Σ_m exp(-|x - m|² / (2 scale²)) over the means, with equal weights and one scale, not normalised."""

    means: Float[Tensor, "m d"]
    scale: float

    def log_prob(self, x: Rows) -> Float[Tensor, "n"]:
        """log p."""
        return torch.logsumexp(self._log_components(x), dim=-1)

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """The score, (mean of the means by responsibility - x) / scale²."""
        return (torch.softmax(self._log_components(x), dim=-1) @ self.means - x) / self.scale**2

    def rotated(self, basis: Float[Tensor, "d r"]) -> "RoundMixture":
        """The same mixture in the coordinates of an orthonormal basis (d, r) of a space that holds its means."""
        return RoundMixture(self.means @ basis, self.scale)

    def _log_components(self, x: Tensor) -> Tensor:
        squares = linalg.dot(x, x) - 2 * x @ self.means.T + linalg.dot(self.means, self.means).T
        return -0.5 * squares / self.scale**2


@dataclass(frozen=True, eq=False)
class BlockMixture:
    """A product over blocks of coordinates, each a mixture of its own as in `RoundMixture`: d = blocks * width."""

    means: Float[Tensor, "blocks m width"]
    scale: float

    def log_prob(self, x: Rows) -> Float[Tensor, "n"]:
        """log p."""
        return torch.logsumexp(self._log_components(x), dim=-1).sum(-1)

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """The score, block by block that of a mixture."""
        shares = torch.softmax(self._log_components(x), dim=-1)
        centres = torch.einsum("nbm,bmw->nbw", shares, self.means)
        return (centres.flatten(1) - x) / self.scale**2

    def _log_components(self, x: Tensor) -> Tensor:
        blocks = x.unflatten(1, (self.means.shape[0], -1))
        products = torch.einsum("nbw,bmw->nbm", blocks, self.means)
        squares = linalg.dot(blocks, blocks) - 2 * products + linalg.dot(self.means, self.means).squeeze(-1)
        return -0.5 * squares / self.scale**2


@dataclass(frozen=True)
class Kink:
    """p(x) = exp(-slope |y|), y the last coordinate: a ridge with a sharp edge, an `Exponential` on either side."""

    slope: float

    def log_prob(self, x: Rows) -> Float[Tensor, "n"]:
        """-slope |y|."""
        return -self.slope * x[:, -1].abs()

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """The score, -slope sign(y) along the last axis; 0 on the edge."""
        return torch.cat([torch.zeros_like(x[:, :-1]), -self.slope * x[:, -1:].sign()], dim=1)

    def distance_through_the_origin(self, a: Point, alpha: float) -> float:
        """The length of the geodesic from a, above the edge, to -a. By symmetry it crosses the edge at the origin.

        The weight is continuous, so the path crosses without a corner, and each half is a geodesic of `Exponential`.

        Raises:
            GeometryError: a is so low that the path would first dip through the edge, and then creep along it.
        """
        across = alpha * self.slope * float(linalg.norm(a[:-1]))
        if not (across < math.pi / 2 and alpha * self.slope * float(a[-1]) > -math.log(math.cos(across))):
            raise GeometryError("A path across the kink needs an end that is higher above it.", "Move the end up.")
        downhill = torch.zeros_like(a)
        downhill[-1] = -self.slope
        return 2 * Exponential(downhill).distance(a, torch.zeros_like(a), alpha)


@dataclass(frozen=True, eq=False)
class Noisy:
    """score(x) + scale n, with n standard normal and a function of the bits of x: the same point, the same noise.

    Neighbouring points have independent noise, as with a fresh draw for each evaluation; unlike with one, a solver can
    be run again, and batches may be cut up at will. Another seed, another noise.
    """

    score: Score
    scale: float
    seed: int = 0

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """Evaluate at n points in one batch."""
        source = torch.Generator().manual_seed(self.seed)
        # A random odd factor for every coordinate; the products and their sum are taken modulo 2^64.
        factors = 2 * torch.randint(2**62, x.shape[1:], generator=source) + 1
        keys = (x.detach().cpu().double().view(torch.int64) * factors).sum(-1)
        rows = [
            torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(key), dtype=torch.float64)
            for key in keys.tolist()
        ]
        return self.score(x, u) + self.scale * torch.stack(rows).to(x)
