"""Points of a path where the true score is asked for, and what it says there of the path.

The two terms of the geodesic equation, kappa and alpha P_v P_x s, take the points, the velocity and the curvature from
the path itself, by the polynomials of its scheme. Everything is float64 on the CPU, but for the score's own input.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.kernel.schemes import Nodes, Scheme
from geodesic_cli.geometry.metric import LEAST_TURN, DensityMetric
from geodesic_cli.geometry.space import Positions, Rows, across, kappa


@dataclass(frozen=True, eq=False)
class PathSample:
    """Points of a path, given by all of its points, ends included, at whose positions u the true score is asked for.

    The path may be in the coordinates of a basis, orthonormal rows (k, d); then everything is, d below meaning k, but
    for what is asked of the score and what it answers. Without a basis the path is in full dimension.
    """

    metric: DensityMetric
    scheme: Scheme
    path: Nodes
    u: Float[Tensor, "m"]
    basis: Float[Tensor, "k whole"] | None = None

    def widened(self, basis: Float[Tensor, "more whole"]) -> "PathSample":
        """The same in the coordinates of a basis that begins with this one."""
        return replace(self, path=widened(self.path, basis), basis=basis)

    @cached_property
    def x(self) -> Float[Tensor, "m d"]:
        """The points."""
        return self.metric.space.project(self.scheme.at(self.u) @ self.path)

    @cached_property
    def v(self) -> Float[Tensor, "m d"]:
        """dx/du there."""
        return self.metric.space.tangent(self.x, self.scheme.at(self.u, order=1) @ self.path)

    def scores(self, like: Curve) -> Float[Tensor, "m whole"]:
        """The true scores there, in full dimension, asked for in the dtype and on the device of a curve."""
        x = self.x if self.basis is None else self.metric.space.project(self.x @ self.basis)
        return true_scores(self.metric, like, x, self.u)

    def curvature(self) -> Float[Tensor, "m d"]:
        """kappa."""
        return kappa(self.metric.space, self.x, self.v, self.scheme.at(self.u, order=2) @ self.path)

    def pull(self, scores: Float[Tensor, "m d"]) -> Float[Tensor, "m d"]:
        """alpha P_v P_x s for scores (m, d)."""
        return self.metric.alpha * across(self.metric.space, self.x, self.v, scores)

    def residual(self, scores: Float[Tensor, "m d"], pull: float) -> float:
        """As `Residual.relative`: rms of the terms' sum over the rms `pull` along the path, or a straight one's."""
        return rms(self.curvature() + self.pull(scores)) / max(pull, LEAST_TURN / polygon_length(self.path))


def true_scores(metric: DensityMetric, like: Curve, x: Rows, u: Positions) -> Rows:
    """True scores at points, asked for in the dtype and on the device of a curve."""
    scores = metric.scores_at(x.to(like.x.device, like.x.dtype), u.to(like.x.device, like.x.dtype))
    return scores.detach().to("cpu", torch.float64)


def widened(rows: Float[Tensor, "n k"], basis: Float[Tensor, "more d"]) -> Float[Tensor, "n more"]:
    """Coordinates of rows in a basis that begins with the one they are in."""
    return pad(rows, (0, basis.shape[0] - rows.shape[1]))


def rms(vectors: Float[Tensor, "m d"]) -> float:
    """Root mean square of the norms of rows (m, d)."""
    return float((vectors * vectors).sum(-1).mean().sqrt())


def polygon_length(x: Float[Tensor, "n d"]) -> float:
    """The length of the polygon through points (n, d)."""
    return float(linalg.norm(x[1:] - x[:-1]).sum())
