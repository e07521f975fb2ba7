"""Whether a curve that solves the geodesic equation is the shortest of its neighbours, asked of the true score.

The equation holds on saddle points of the length as well: past a conjugate point, and on the top between two valleys.
The second variation (`variation`) tells, on few nodes, because what shortens a curve most is a long wave. A direction
in which it falls is believed only if the curve moved along it really is shorter, so that noise gives no false alarm.
"""

from dataclasses import dataclass

import torch

from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.variation import UNSTABLE, steepest

FEW_NODES = 17
"""Nodes of the curve that is tested, at most."""

MOST_APPLIED, CONSTANT = 12, 0.02
"""Of Lanczos' method at most, and the change of the eigenvalue at which it stops."""

DIFFERENCE = 1e-3
"""The step of a difference as a fraction of the length: scores may be in single precision."""

LEAPS = (0.08, 0.02)
"""How far a curve is moved, as fractions of its length."""

SHORTER_BY = 1e-4
"""A curve is shorter where the logarithm of its length is lower by more than this."""


@dataclass(frozen=True, eq=False)
class Beside:
    """What lies beside a curve.

    Args:
        shorter: a shorter curve nearby, if there is one.
        asked: how many scores were asked for.
        finite: whether all of them were finite numbers; where not, nothing is known.
    """

    shorter: Curve | None
    asked: int
    finite: bool = True


def shorter_nearby(metric: DensityMetric, curve: Curve) -> Beside:
    """A curve beside a geodesic that is shorter under the metric, with as many nodes; none where it is a minimum.

    Costs about 5 to 8 scores for each of at most FEW_NODES nodes, and 4 more where the second variation is negative.
    """
    few = curve.at_constant_speed(min(curve.x.shape[0], FEW_NODES))
    n = few.x.shape[0] - 2
    if n < 1 or metric.alpha == 0:
        return Beside(None, 0)
    asked, finite = 0, True

    def counted(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        nonlocal asked, finite
        asked += len(x)
        told = metric.score(x, u)
        finite = finite and bool(told.isfinite().all())
        return told

    watched = DensityMetric(counted, metric.alpha, metric.space)
    scores = watched.scores_at(few.x, few.u)
    value, direction = steepest(watched, few, scores, steps=MOST_APPLIED, known=CONSTANT, reach=DIFFERENCE)
    if not (finite and value < UNSTABLE):  # not a number where the length is beyond all numbers
        return Beside(None, asked, finite)
    here, length = float(metric.symmetric_log_length(few, scores)), float(few.length)
    for leap in LEAPS:
        sides = [few.with_inner(metric.space.project(few.x[1:-1] + s * leap * length * direction)) for s in (1, -1)]
        lengths = [float(watched.symmetric_log_length(side)) for side in sides]
        best = min(range(2), key=lambda k: lengths[k] if lengths[k] == lengths[k] else float("inf"))
        if lengths[best] < here - SHORTER_BY:
            return Beside(sides[best].at_constant_speed(curve.x.shape[0]), asked)
    return Beside(None, asked, finite)
