"""Sets of points under the metric ds = p^(-alpha) |dx|: their distances, their mean, the nearest of them.

A length relative to the weight at one point says nothing beside a length relative to another: distances between several
points have to share one anchor. Along the path from a_i to a_j the score gives the change l_ij of the log density; the
potentials phi of the points are those that agree with all changes best,

    minimise  sum (phi_j - phi_i - l_ij)²,   phi_0 = 0,     D_ij = d_ij exp(-alpha (phi_i + phi_j - l_ij) / 2),

where d_ij is anchored at a_i. For the exact score of a density phi_i + phi_j - l_ij is 2 phi_i, and D_ij the distance
with weight 1 at a_0. In general it is the mean (of the logarithms) over the two ends, so that D is symmetric.

The weighted mean of points a_i (Fréchet, Karcher) is stationary for sum w_i d(m, a_i)², whose gradient at m is
-2 sum w_i log_m(a_i). All logarithms are taken at m, so the anchor moves along and no potentials are needed:

    m <- exp_m(step g),   g = sum w_i log_m(a_i),   residual |g| / sqrt(sum w_i |log_m(a_i)|²).

The step is 1 at first, right in flat space; where the curvature is negative and the points are far apart it overshoots,
and is halved whenever the residual does not fall.

The paths are those of `log_map`, with its provisos.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.sets.maps import Search, exp_map, log_map
from geodesic_cli.geometry.solution import Status

SMALLEST_STEP = 1e-3
"""The search for a mean has stalled when its step has been halved below this."""


@dataclass(frozen=True, eq=False)
class DistanceMatrix:
    """Distances between n points, with weight 1 at the first of them.

    Args:
        log_distances: (n, n), symmetric, -inf on the diagonal. Nan where no path with finite scores leads.
        statuses: how the path from point i to point j ended, for i < j; a distance is true if it CONVERGED.
        log_densities: log p relative to the first point, in nats, (n,).
        mismatch: the root mean square of phi_j - phi_i - l_ij in nats: 0 for the exact score of a density.
        score_calls: evaluations of the score at single points.
    """

    log_distances: Float[Tensor, "n n"]
    statuses: dict[tuple[int, int], Status]
    log_densities: Float[Tensor, "n"]
    mismatch: float
    score_calls: int

    @property
    def distances(self) -> Float[Tensor, "n n"]:
        """(n, n), symmetric, 0 on the diagonal; infinite where they overflow."""
        return self.log_distances.exp()

    @property
    def converged(self) -> bool:
        """Whether all paths converged."""
        return all(status is Status.CONVERGED for status in self.statuses.values())


@dataclass(frozen=True, eq=False)
class Mean:
    """The Fréchet mean of points.

    Args:
        x: the mean, (d,).
        status: CONVERGED; or what stopped the search at x, be it the search itself or a path to one of the points.
        residual: |sum w_i log_x(a_i)| / sqrt(sum w_i |log_x(a_i)|²); about 1 off the points, 0 at the mean.
        log_distances: from the mean to the points with weight 1 at the mean, (n,).
        steps: how often the mean has moved.
        score_calls: evaluations of the score at single points.
    """

    x: Float[Tensor, "d"]
    status: Status
    residual: float
    log_distances: Float[Tensor, "n"]
    steps: int
    score_calls: int


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k points nearest to a query.

    Args:
        indices: into the points, nearest first, (k,).
        log_distances: theirs, with weight 1 at the query, (k,).
        statuses: of the paths from the query to all n points; the order is certain if all CONVERGED.
        score_calls: evaluations of the score at single points.
    """

    indices: Int[Tensor, "k"]
    log_distances: Float[Tensor, "k"]
    statuses: tuple[Status, ...]
    score_calls: int

    @property
    def converged(self) -> bool:
        """Whether the paths to all points converged."""
        return all(status is Status.CONVERGED for status in self.statuses)


def distance_matrix(metric: DensityMetric, points: Tensor, *, search: Search = Search()) -> DistanceMatrix:
    """The geodesic distances between all pairs of points (n, d), n >= 1, with one common anchor, the first point.

    One path is solved for each of the n (n - 1) / 2 pairs.

    Raises:
        GeometryError: points that are not a matrix, are not finite, lie off the space or are antipodal.
    """
    _require_points(points)
    n = points.shape[0]
    found = {(i, j): log_map(metric, points[i], points[j], search=search) for i in range(n) for j in range(i + 1, n)}
    change, distance = points.new_zeros(n, n), points.new_full((n, n), -math.inf)
    for (i, j), path in found.items():
        change[i, j], change[j, i] = path.log_density, -path.log_density
        distance[i, j] = distance[j, i] = path.log_distance
    known = change.isfinite()
    # The normal equations of the least squares are those of the graph's Laplacian.
    links = known.to(points.dtype)
    laplacian = links.sum(dim=1).diag() - links
    potential = torch.linalg.pinv(laplacian, hermitian=True) @ torch.where(known, change, links * 0).sum(dim=0)
    reached = known[0]
    for _ in range(n):
        reached = known[reached].any(dim=0)
    potential = torch.where(reached, potential - potential[0], torch.full_like(potential, math.nan))
    off = (potential[None, :] - potential[:, None] - change)[known & reached & reached[:, None]]
    # l_ij is antisymmetric: the anchor of d_ij, the first of the two points, is taken from the upper triangle.
    forward = change.triu() + change.triu().T
    anchor = (potential[:, None] + potential[None, :] - forward) / 2
    return DistanceMatrix(
        log_distances=(distance - metric.alpha * anchor).fill_diagonal_(-math.inf),
        statuses={pair: path.status for pair, path in found.items()},
        log_densities=potential,
        mismatch=float(off.square().sum().div(max(1, n * (n - 1))).sqrt()),
        score_calls=sum(path.score_calls for path in found.values()),
    )


def frechet_mean(
    metric: DensityMetric,
    points: Tensor,
    weights: Tensor | None = None,
    *,
    start: Tensor | None = None,
    tol: float = 1e-3,
    max_steps: int = 50,
    search: Search = Search(),
) -> Mean:
    """The point from which the sum of squared distances is stationary, the least near the start.

    Args:
        points: (n, d), n >= 1.
        weights: (n,), at least 0 and not all 0; equal unless given. They are divided by their sum.
        start: (d,), where to begin; the mean in space unless given.
        tol: the residual of a mean; not much below what `search.tol` leaves of the logarithms.
        max_steps: evaluations of all n logarithms.

    Raises:
        GeometryError: points or weights that do not fit, or a start off the space.
    """
    _require_points(points)
    weights = torch.ones_like(points[:, 0]) if weights is None else weights
    fit = weights.shape == points.shape[:1]
    if not fit or not bool((weights >= 0).all() & (weights.sum() > 0) & weights.isfinite().all()):
        raise GeometryError(
            f"A mean needs a weight for each of {points.shape[0]} points, at least 0 and not all 0, "
            f"got {weights.tolist()}."
        )
    weights = (weights / weights.sum())[:, None]
    x = metric.space.project((weights * points).sum(dim=0, keepdim=True))[0] if start is None else start
    if not bool(metric.space.contains(x[None]).all()):
        raise GeometryError(f"The search for a mean must start in {metric.space}.", "Give a start there.")
    steps, calls, step = 0, 0, 1.0
    best, status = _Logarithms.at(metric, x, points, weights, search), None
    calls += best.score_calls
    for _ in range(max_steps):
        if best.status is not Status.CONVERGED or best.residual <= tol:
            status = best.status
            break
        if step < SMALLEST_STEP:
            status = Status.STALLED
            break
        moved = exp_map(metric, best.x, step * best.gradient)
        calls += moved.score_calls
        if moved.converged:
            there = _Logarithms.at(metric, moved.curve.x[-1], points, weights, search)
            calls += there.score_calls
            if there.status is Status.CONVERGED and there.residual < best.residual:
                best, steps = there, steps + 1
                continue
        step /= 2
    return Mean(best.x, status or Status.MAX_STEPS, best.residual, best.log_distances, steps, calls)


def nearest_neighbours(
    metric: DensityMetric, query: Tensor, points: Tensor, k: int, *, search: Search = Search()
) -> Neighbours:
    """The k >= 1 of points (n, d) with the least geodesic distance to a query (d,), where the weight is 1.

    Solves for the paths to all n of them.

    Raises:
        GeometryError: points that do not fit, are not finite, lie off the space or are antipodal to the query, or k
            out of range.
    """
    _require_points(points)
    if not 1 <= k <= points.shape[0]:
        raise GeometryError(f"The number of neighbours must be from 1 to {points.shape[0]}, got {k}.")
    paths = [log_map(metric, query, point, search=search) for point in points]
    distances = points.new_tensor([path.log_distance for path in paths])
    # A path without a length is no neighbour: nan sorts last.
    order = distances.argsort(stable=True)[:k]
    calls = sum(path.score_calls for path in paths)
    return Neighbours(order, distances[order], tuple(path.status for path in paths), calls)


@dataclass(frozen=True, eq=False)
class _Logarithms:
    """The logarithms of all points at x, and their mean."""

    x: Tensor
    gradient: Tensor
    residual: float
    status: Status
    log_distances: Tensor
    score_calls: int

    @classmethod
    def at(cls, metric: DensityMetric, x: Tensor, points: Tensor, weights: Tensor, search: Search) -> "_Logarithms":
        paths = [log_map(metric, x, point, search=search) for point in points]
        vectors = torch.stack([path.velocity for path in paths])
        gradient = (weights * vectors).sum(dim=0)
        spread = (weights * linalg.dot(vectors, vectors)).sum().sqrt()
        residual = float(linalg.norm(gradient) * linalg.reciprocal(spread))
        failed = [path.status for path in paths if path.status is not Status.CONVERGED]
        finite = bool(spread.isfinite())
        status = failed[0] if failed else Status.CONVERGED if finite else Status.NON_FINITE
        log_distances = points.new_tensor([path.log_distance for path in paths])
        calls = sum(path.score_calls for path in paths)
        return cls(x, gradient, residual if finite else math.inf, status, log_distances, calls)


def _require_points(points: Tensor) -> None:
    if points.ndim != 2 or points.shape[0] < 1:
        raise GeometryError(f"Needed at least one point as a tensor of shape (n, d), got {tuple(points.shape)}.")
