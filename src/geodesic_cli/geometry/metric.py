"""The metric ds = p(x)^(-alpha) |dx|, and everything about it that the score alone tells.

Source: "Probability Density Geodesics in Image Diffusion Latent Space", Yu et al., CVPR 2025; the terms of the sphere
and the logarithms are derived. Fermat's principle with the refractive index p^(-alpha): with v = g', P_v = I - v
vᵀ/|v|², s = grad log p and P_x the projection onto the tangent space at x,

    length          L[g] = ∫ p(g)^(-alpha) |g'| du
    first variation δL   = -∫ p^(-alpha) (kappa + alpha P_v P_x s) . δg d(arclength),   kappa = P_v P_x g'' / |g'|²
    geodesic        kappa + alpha P_v P_x s = 0
    constant speed  g'' = -alpha |g'|² P_v P_x s + (centripetal acceleration of the space)

so a geodesic turns towards LOWER density: between fixed ends it bows out through high density, while a ray that is shot
bends away from the modes.

Without log p itself, log p(g(b)) - log p(g(a)) = ∫ s.g' du, and lengths are known relative to the weight at the start
of the curve. Weights p^(-alpha) overflow in high dimension, so all sums are taken in logarithms.
"""

import math
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.space import Euclidean, Positions, Rows, Space, across, kappa

_Number = TypeVar("_Number", float, Tensor)

LEAST_TURN = 0.1
"""Radians. A geodesic that turns by less than this over its whole length is measured as if it turned by this much, so
that a residual is also defined for alpha = 0 and where the score vanishes."""


@dataclass(frozen=True, eq=False)
class Residual:
    """The two terms of the geodesic equation at the k nodes of a curve. On a geodesic they cancel.

    They are `curvature`, kappa = P_v P_x g'' / |g'|², and `density`, alpha P_v P_x s, both in 1 / unit of x. The length
    is Euclidean.
    """

    curvature: Float[Tensor, "k d"]
    density: Float[Tensor, "k d"]
    length: Float[Tensor, ""]

    @property
    def vectors(self) -> Float[Tensor, "k d"]:
        """kappa + alpha P_v P_x s at the nodes. The end nodes rest on one-sided differences."""
        return self.curvature + self.density

    @property
    def relative(self) -> float:
        """rms |kappa + alpha P_v P_x s| / max(rms |alpha P_v P_x s|, LEAST_TURN / length) over the interior nodes.

        About 1 on a straight line, 0 on a geodesic, where it is scale-free; 0 for a curve without interior nodes or of
        length zero. With alpha = 0 it is the curvature in units of LEAST_TURN / length.
        """
        if self.curvature.shape[0] < 3 or float(self.length) == 0:
            return 0.0
        scale = torch.maximum(_rms(self.density[1:-1]), LEAST_TURN / self.length)
        return float(_rms(self.vectors[1:-1]) / scale)


@dataclass(frozen=True)
class DensityMetric:
    """ds = p(x)^(-alpha) |dx| in a space.

    The density exponent alpha has no meaning without the scale of the score: see `bending`.

    Raises:
        GeometryError: alpha is negative or not finite.
    """

    score: Score
    alpha: float
    space: Space = field(default_factory=Euclidean)

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < math.inf:
            raise GeometryError(
                f"The density exponent alpha must be a finite number >= 0, got {self.alpha}.",
                "Larger values follow high density more closely.",
            )

    def acceleration(self, x: Rows, v: Rows, u: Positions) -> Rows:
        """g'' of the constant-speed geodesic through x with velocity v at position u. Calls the score once."""
        return self.acceleration_given(x, v, self.scores_at(x, u))

    def acceleration_given(self, x: Rows, v: Rows, score: Rows) -> Rows:
        """The same where the score at x is known: -alpha |v|² P_v P_x s + curvature of the space."""
        return self.space.curvature(x, v) - self.alpha * linalg.dot(v, v) * across(self.space, x, v, score)

    def scores_at(self, x: Rows, u: Positions) -> Rows:
        """The score at n points in one batch, checked for its shape and dtype.

        Raises:
            GeometryError: the score does not return one row of the same dtype for each point.
        """
        score = self.score(x, u)
        if score.shape != x.shape or score.dtype != x.dtype:
            raise GeometryError(
                f"A score must return a row for each point: needed {x.dtype} of shape {tuple(x.shape)}, "
                f"got {score.dtype} of shape {tuple(score.shape)}."
            )
        return score

    def residual(self, curve: Curve, scores: Float[Tensor, "k d"] | None = None, order: int = 2) -> Residual:
        """The terms of the geodesic equation at the nodes. Pass `scores` (k, d) if they are known already.

        The curvature rests on differences of the given order, 2 or 4: with 33 nodes and a bending number of 10 those
        of second order alone leave a relative residual of about a hundredth.
        """
        x, v = curve.x, curve.velocity(order)
        scores = self.scores_at(x, curve.u) if scores is None else scores
        curvature = kappa(self.space, x, v, curve.acceleration(order))
        return Residual(curvature, self.alpha * across(self.space, x, v, scores), curve.length)

    def defect(self, curve: Curve, scores: Float[Tensor, "k d"], order: int = 2) -> Float[Tensor, "k-2 d"]:
        """The strong form P_v P_x (x'' - acceleration) at the interior nodes, (k - 2, d), in units of x."""
        x, v = curve.x[1:-1], curve.velocity(order)[1:-1]
        wanted = self.acceleration_given(x, v, scores[1:-1])
        return across(self.space, x, v, curve.acceleration(order)[1:-1] - wanted)

    def refined(self, curve: Curve, scores: Float[Tensor, "k d"]) -> tuple[Curve, Float[Tensor, "2*k-1 d"]]:
        """A curve of k nodes with one more between every two, and the scores at all of them: k - 1 evaluations."""
        fine = curve.refine()
        merged = torch.empty_like(fine.x)
        merged[::2], merged[1::2] = scores, self.scores_at(fine.x[1::2], fine.u[1::2])
        return fine, merged

    def log_density(self, curve: Curve, scores: Float[Tensor, "k d"] | None = None) -> Float[Tensor, "k"]:
        """log p at the nodes relative to the first node, in nats, (k,): the trapezoid rule for ∫ s.dx, second order."""
        scores = self.scores_at(curve.x, curve.u) if scores is None else scores
        return accumulate(self.log_density_steps(curve.x, scores))

    def log_density_steps(self, x: Float[Tensor, "k d"], scores: Float[Tensor, "k d"]) -> Float[Tensor, "k-1"]:
        """The change of log p from each node (k, d) to the next, in nats."""
        tangential = self.space.tangent(x, scores)
        return linalg.dot(0.5 * (tangential[:-1] + tangential[1:]), x[1:] - x[:-1]).squeeze(-1)

    def log_distance(self, curve: Curve, scores: Float[Tensor, "k d"] | None = None) -> Float[Tensor, "k"]:
        """The logarithm of the length from the first node to each node, with weight 1 at the first node.

        The first entry is -inf. The distance in units of the weight at node b is log_distance + alpha log_density[b].
        """
        return self._log_distance(curve, self.log_density(curve, scores))

    def _log_distance(self, curve: Curve, log_density: Float[Tensor, "k"]) -> Float[Tensor, "k"]:
        weight = -self.alpha * log_density
        pieces = curve.segments.log() + torch.logaddexp(weight[:-1], weight[1:]) - math.log(2)
        return torch.cat([torch.full_like(pieces[:1], -math.inf), torch.logcumsumexp(pieces, dim=0)])

    def log_length(self, curve: Curve, scores: Float[Tensor, "k d"] | None = None) -> Float[Tensor, ""]:
        """log of ∫ (p / p_start)^(-alpha) |dx|, (); never overflows. Second order in the spacing of the nodes."""
        return self.log_distance(curve, scores)[-1]

    def symmetric_log_length(self, curve: Curve, scores: Float[Tensor, "k d"] | None = None) -> Float[Tensor, ""]:
        """The logarithm of the length with weight 1 half way between the log densities of the two ends, ().

        It is the same whichever end is named first. Where a score is not quite a gradient, as a network's, log p of the
        far end depends on the path, and of two paths each end may call another one the shorter.
        """
        log_density = self.log_density(curve, scores)
        return from_both_ends(self._log_distance(curve, log_density)[-1], log_density[-1], self.alpha)

    def length(self, curve: Curve, scores: Float[Tensor, "k d"] | None = None) -> Float[Tensor, ""]:
        """∫ (p / p_start)^(-alpha) |dx|, (); infinite where `log_length` is too large for the dtype."""
        return self.log_length(curve, scores).exp()


def from_both_ends(log_length: _Number, change: _Number, alpha: float) -> _Number:
    """ln L + alpha l / 2: the logarithm of a length that is the same whichever end is named first.

    ln L has weight 1 at the first end, and l = log p(b) - log p(a) is the change along that very path, in nats. From
    the other end it is ln L + alpha l; where l differs between two paths, so does what the two ends say of them.
    """
    return log_length + alpha * change / 2


def bending(score: Score, curve: Curve, scores: Float[Tensor, "k d"] | None = None) -> float:
    """Euclidean length times the median of |P_v P_x s| over the nodes, in nats: the bending number per unit of alpha.

    The bending number Be = alpha * bending says how far a geodesic departs from this (initial) curve: nearly straight
    below 1, bent from 1 to 6, hugging the modes beyond 10. To ask for a bending number, use alpha = Be /
    bending(score, curve). Calls the score once, at all nodes, unless its values `scores` (k, d) are passed.
    """
    terms = DensityMetric(score, 1.0, curve.space).residual(curve, scores)
    return float(terms.length * linalg.norm(terms.density).median())


def accumulate(steps: Float[Tensor, "k"]) -> Float[Tensor, "k+1"]:
    """Running sums that start at zero."""
    return torch.cat([torch.zeros_like(steps[:1]), steps.cumsum(0)])


def _rms(vectors: Tensor) -> Tensor:
    return (vectors * vectors).sum(-1).mean().sqrt()
