"""The exponential and the logarithm map of the metric ds = p^(-alpha) |dx|, and the distance.

The score tells a density only relative to some point, so every length needs an anchor where the weight is 1. With the
anchor at x, where the metric is then the Euclidean one,

    exp_x(v)    the point reached along the geodesic that leaves x in the direction v, at the distance |v|
    log_x(y)    the v with exp_x(v) = y: the first direction of the geodesic from x to y, as long as the distance

so log is the inverse of exp as far as the geodesic found is the shortest. An anchor at another point z multiplies all
distances by (p(z) / p(x))^alpha. Rays at constant speed in the metric need no length in space to stop at.

Lengths and densities along a path are integrals over its nodes of functions f known there, by the cubic through four
neighbours: h (-f[i-1] + 13 f[i] + 13 f[i+1] - f[i+2]) / 24 on an inner segment, of fourth order in the spacing.

The geodesic is the one found near the straight line, and the density must not vary with u: a distance belongs to two
points.
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric, accumulate
from geodesic_cli.geometry.solution import PathSolver, Solution, Status
from geodesic_cli.geometry.solvers.bvp import solve_bvp
from geodesic_cli.geometry.solvers.ivp import solve_ivp
from geodesic_cli.geometry.solvers.relaxation import Relaxation
from geodesic_cli.geometry.solvers.steppers import DormandPrince


@dataclass(frozen=True)
class Search:
    """How to look for the geodesic between two points.

    Args:
        solver: for `solve_bvp`. Second-order differences would limit distances to about 1e-3.
        nodes: of the straight line to begin with, at least 6.
        tol: the relative residual of a geodesic.
        max_steps: for each path.

    Raises:
        GeometryError: fewer than six nodes.
    """

    solver: PathSolver = field(default_factory=lambda: Relaxation(order=4))
    nodes: int = 33
    tol: float = 1e-4
    max_steps: int = 100

    def __post_init__(self) -> None:
        if self.nodes < 6:
            raise GeometryError(f"Differences of fourth order need at least 6 nodes, got {self.nodes}.")


@dataclass(frozen=True, eq=False)
class Connection:
    """The geodesic from a to b, and what it measures with weight 1 at a. True only if `status` is CONVERGED.

    Args:
        curve: the path.
        status: why the solver of the path stopped.
        velocity: log_a(b): the direction at a, as long as the distance (infinite where that overflows).
        log_distance: the logarithm of the distance; -inf for equal points.
        log_density: log p(b) - log p(a), in nats, by the integral of the score along the path.
        score_calls: evaluations of the score at single points.
    """

    curve: Curve
    status: Status
    velocity: Float[Tensor, "d"]
    log_distance: float
    log_density: float
    score_calls: int

    @property
    def distance(self) -> float:
        """The distance with weight 1 at a; infinite where it overflows."""
        return math.exp(self.log_distance) if self.log_distance < 709 else math.inf


def exp_map(
    metric: DensityMetric, x: Tensor, v: Tensor, *, tol: float = 1e-9, max_steps: int = 4096, max_drop: float = math.inf
) -> Solution:
    """The exponential map: the geodesic that leaves x in the direction of v, as far as |v| in the metric.

    Args:
        x: (d,), where the weight is 1.
        v: (d,); its part normal to the space is dropped. |v| is the distance gone in the metric, not in space.
        tol: the error of a step that is allowed, as a fraction of |v|.
        max_steps: no step is shorter than 1 / max_steps of the path.
        max_drop: nats; the path ends where log p is lower than that at x by more.

    Returns:
        The path at constant speed in the metric; its last node is exp_x(v) if it CONVERGED.

    Raises:
        GeometryError: as `solve_ivp`.
    """
    return solve_ivp(metric, x, v, stepper=DormandPrince(tol, weighted=True), max_steps=max_steps, max_drop=max_drop)


def log_map(metric: DensityMetric, a: Tensor, b: Tensor, *, search: Search = Search()) -> Connection:
    """The logarithm map and the distance: the geodesic from a to b, (d,) both, near the straight line, measured.

    The weight is 1 at a. Costs one score for each node of the path more than solving for it.

    Raises:
        GeometryError: points that do not fit, are not finite, lie off the space or are antipodal.
    """
    guess = Curve.straight(a, b, search.nodes, metric.space)
    if torch.equal(a, b):
        return Connection(guess, Status.CONVERGED, torch.zeros_like(a), -math.inf, 0.0, 0)
    path = solve_bvp(metric, guess, solver=search.solver, tol=search.tol, max_steps=search.max_steps)
    curve = path.curve
    velocity = curve.velocity(order=4)
    slopes = linalg.dot(curve.space.tangent(curve.x, metric.scores_at(curve.x, curve.u)), velocity).squeeze(-1)
    log_density = accumulate(segment_integrals(slopes))
    log_speed = linalg.norm(velocity).squeeze(-1).log() - metric.alpha * log_density
    top = log_speed.max()
    log_distance = top + segment_integrals((log_speed - top).exp()).sum().log()
    return Connection(
        curve=curve,
        status=path.status,
        velocity=log_distance.exp() * linalg.unit(velocity[0]),
        log_distance=float(log_distance),
        log_density=float(log_density[-1]),
        score_calls=path.score_calls + curve.x.shape[0],
    )


def segment_integrals(f: Tensor) -> Tensor:
    """The integrals of f (k,) over the k - 1 segments of [0, 1], given at k >= 4 uniform positions."""
    inner = (13 * (f[1:-2] + f[2:-1]) - f[:-3] - f[3:]) / 24
    first = (9 * f[:1] + 19 * f[1:2] - 5 * f[2:3] + f[3:4]) / 24
    last = (9 * f[-1:] + 19 * f[-2:-1] - 5 * f[-3:-2] + f[-4:-3]) / 24
    return torch.cat([first, inner, last]) / (f.shape[0] - 1)
