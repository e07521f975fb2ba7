"""How geodesic is a curve? One batch of scores at its nodes tells.

At every node the two terms of the geodesic equation, kappa = P_v P_x g'' / |g'|² and alpha P_v P_x s, are compared:
on a geodesic they have equal norms and point in opposite directions (an angle of pi), and their sum, the residual, is
zero. The density along the curve is known relative to its first node.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric


@dataclass(frozen=True, eq=False)
class CurveReport:
    """Measurements of a curve at its k nodes, and over the whole of it.

    Args:
        u: positions of the nodes, (k,).
        log_density: log p relative to the first node, nats, (k,).
        speed: |dx/du|, (k,).
        residual: |kappa + alpha P_v P_x s|, (k,), in 1 / unit of x. The end nodes rest on one-sided differences.
        score_term: |alpha P_v P_x s|, (k,).
        curvature_term: |kappa|, (k,).
        angle: between the two terms in radians, (k,); pi on a geodesic, 0 where a term vanishes.
        relative_residual: `Residual.relative`, over the interior nodes.
        euclidean_length: in units of x.
        log_length: log of the length under the metric, weight 1 at the first node.
        bending: the bending number of this curve, euclidean_length times the median of score_term.
        min_log_density: the least of log_density.
        mean_log_density: the mean of log p, relative to the first node, over the arc length.
    """

    u: Float[Tensor, "k"]
    log_density: Float[Tensor, "k"]
    speed: Float[Tensor, "k"]
    residual: Float[Tensor, "k"]
    score_term: Float[Tensor, "k"]
    curvature_term: Float[Tensor, "k"]
    angle: Float[Tensor, "k"]
    relative_residual: float
    euclidean_length: float
    log_length: float
    bending: float
    min_log_density: float
    mean_log_density: float

    @property
    def length(self) -> float:
        """The length under the metric, weight 1 at the first node; infinite beyond the largest float."""
        return math.exp(self.log_length) if self.log_length < 709 else math.inf


def analyse(
    metric: DensityMetric, curve: Curve, scores: Float[Tensor, "k d"] | None = None, order: int = 2
) -> CurveReport:
    """Measure a curve under a metric.

    Unless the scores at the nodes are given, the score is called once. The curvature rests on differences of the
    given order, 2 or 4.
    """
    scores = metric.scores_at(curve.x, curve.u) if scores is None else scores
    terms = metric.residual(curve, scores, order)
    log_density = metric.log_density(curve, scores)
    segments = curve.segments
    total = float(segments.sum())
    middles = (log_density[:-1] + log_density[1:]) / 2
    score_term = linalg.norm(terms.density).squeeze(-1)
    return CurveReport(
        u=curve.u,
        log_density=log_density,
        speed=curve.speed,
        residual=linalg.norm(terms.vectors).squeeze(-1),
        score_term=score_term,
        curvature_term=linalg.norm(terms.curvature).squeeze(-1),
        angle=linalg.angle(terms.curvature, terms.density).squeeze(-1),
        relative_residual=terms.relative,
        euclidean_length=total,
        log_length=float(metric.log_length(curve, scores)),
        bending=total * float(score_term.median()),
        min_log_density=float(log_density.min()),
        mean_log_density=float((middles * segments).sum()) / total if total > 0 else float(torch.mean(log_density)),
    )
