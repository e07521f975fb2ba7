"""Is a geodesic the shortest of its neighbours? The second variation of the length, by differences of the score.

With w = p^-alpha the second derivative of the length across a stationary curve is, symmetrised,

    H = w^(1/2) d[-P_v P_x (x'' + alpha |x'|² s)] / dx  w^(-1/2),

preconditioned by the Laplacian, H = C A Cᵀ with -D2^-1 = C Cᵀ, so that its spectrum clusters at 1; Lanczos' method
finds its lowest eigenvalue from differences of the force. A negative one is a direction in which the curve shortens:
past a conjugate point, on the top between two valleys, on an axis of symmetry.

One application costs a score at each inner node, which is nothing on a model of the score.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.space import across

UNSTABLE = -0.01
"""An eigenvalue below this is a direction in which the curve shortens."""

LANCZOS_STEPS = 40
"""Within which the lowest eigenvalue is found; the preconditioned spectrum clusters at 1."""

FEWEST_STEPS = 3
"""Before so many the value is not taken for known."""


def steepest(
    metric: DensityMetric,
    curve: Curve,
    scores: Float[Tensor, "k d"],
    *,
    steps: int = LANCZOS_STEPS,
    known: float = 0.0,
    reach: float = 1e-5,
    seed: int = 0,
) -> tuple[float, Float[Tensor, "k-2 d"]]:
    """The lowest eigenvalue of the second variation, and its direction with largest row of norm 1.

    Args:
        metric: its score is asked for at the inner nodes, at most `steps` + 1 times.
        curve: a geodesic of k nodes, at equal steps.
        scores: at its nodes.
        steps: of Lanczos' method at most.
        known: it stops where a step changes the value by less.
        reach: the step of a difference as a fraction of the length; in single precision not below 1e-3.
        seed: of its first vector.
    """
    map_ = _Variation(metric, curve, scores, reach)
    n, d = curve.x.shape[0] - 2, curve.x.shape[1]
    start = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(curve.x)
    first = map_(start)
    if not bool(first.isfinite().all()):  # the length is beyond all numbers
        return math.nan, torch.zeros_like(first)
    values, vectors, basis = _lanczos(map_, first, steps, known)
    direction = map_.move(_combined(vectors[:, 0], basis))
    return float(values[0]), direction / linalg.norm(direction).max().clamp(min=torch.finfo(curve.x.dtype).tiny)


def too_long_by(metric: DensityMetric, curve: Curve, scores: Float[Tensor, "k d"]) -> float:
    """By about how much the logarithm of the length of a curve may exceed that of the minimum nearby, at most.

    Near a minimum the length is quadratic, and half of <slope, H^-1 slope> is what a curve is too long by. H, which
    costs scores, is replaced by the Laplacian alone, its preconditioner: where the density is concave across the curve
    H is larger, by a factor in the thousands at low noise, and the curve is too long by far less than this; where a
    saddle point is near, it may be more. It costs nothing.

    Args:
        metric: its score is not asked for.
        curve: k nodes at about equal steps.
        scores: at its nodes.
    """
    if curve.x.shape[0] < 3:
        return 0.0
    map_ = _Variation(metric, curve, scores, 0.0)
    return 0.5 * map_.scale * float((map_.slope * map_.slope).sum())


class _Variation:
    """The second variation of the length at a curve as a map of rows (n, d), preconditioned by the Laplacian."""

    def __init__(self, metric: DensityMetric, curve: Curve, scores: Tensor, reach: float) -> None:
        self.metric, self.curve = metric, curve
        self.inner, self.u, self.v = curve.x[1:-1], curve.u[1:-1], curve.velocity()[1:-1]
        n, speed = self.inner.shape[0], float(linalg.norm(self.v).mean())
        still = curve.x.new_zeros(n)
        eye = torch.eye(n, dtype=still.dtype, device=still.device)
        green = linalg.solve_second_difference(eye, still, still)
        self.laplacian = torch.linalg.cholesky(-(green + green.T) / 2)
        self.reach = reach * speed
        log_density = metric.log_density(curve, scores)
        weights = torch.exp(-metric.alpha * (log_density - log_density[1:-1].mean()))
        self.root = weights[1:-1].sqrt()[:, None]
        self.here = self._shortening(self.inner, scores[1:-1])
        self.slope = self.laplacian.T @ (self.root * self._sideways(self.here))
        self.scale = 1 / max(speed**2 * float((weights[:-1] + weights[1:]).sum()) / 2, 1e-300)

    def __call__(self, rows: Tensor) -> Tensor:
        """The map, for a score at each inner node."""
        move = self.move(rows)
        size = float(move.norm())
        if size == 0:
            return torch.zeros_like(rows)
        there = self.metric.space.project(self.inner + self.reach / size * move)
        change = self._shortening(there, self.metric.scores_at(there, self.u)) - self.here
        return self.laplacian.T @ (self.root * self._sideways(change * (size / self.reach)))

    def move(self, rows: Tensor) -> Tensor:
        """What rows mean as a move of the inner nodes."""
        return self._sideways(self.laplacian @ rows / self.root)

    def _sideways(self, rows: Tensor) -> Tensor:
        space = self.metric.space
        return space.tangent(self.inner, across(space, self.inner, self.v, rows))

    def _shortening(self, moved: Tensor, scores: Tensor) -> Tensor:
        space, whole = self.metric.space, self.curve.with_inner(moved)
        along = whole.velocity()[1:-1]
        spans = float(whole.x.shape[0] - 1)
        second = space.tangent(moved, (whole.x[2:] - 2 * moved + whole.x[:-2]) * spans**2)
        pull = space.tangent(moved, scores)
        return -linalg.reject(second + self.metric.alpha * linalg.dot(along, along) * pull, along=along)


def _combined(weights: Tensor, basis: list[Tensor]) -> Tensor:
    return torch.einsum("k,kij->ij", weights, torch.stack(basis))


def _lanczos(
    apply: Callable[[Tensor], Tensor], start: Tensor, most: int, known: float
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Lanczos' method with full reorthogonalisation: eigenvalues and vectors of a symmetric map in a Krylov space.

    The vectors are columns in the basis, whose first member is the start.
    """
    tiny = torch.finfo(start.dtype).tiny
    basis = [start / start.norm().clamp(min=tiny)]
    steps = min(most, start.numel())
    projected = torch.zeros(steps, steps, dtype=start.dtype, device=start.device)
    before = math.inf
    values, vectors = projected.new_full((1,), math.nan), projected.new_ones(1, 1)
    for j in range(steps):
        image = apply(basis[j])
        for i in range(j + 1):
            projected[i, j] = (image * basis[i]).sum()
            image = image - projected[i, j] * basis[i]
        for i in range(j + 1):
            image = image - (image * basis[i]).sum() * basis[i]
        size = image.norm()
        part = projected[: j + 1, : j + 1]
        if not bool(part.isfinite().all()):
            break
        values, vectors = torch.linalg.eigh(torch.triu(part) + torch.triu(part, 1).T)
        if j + 1 == steps or size < 1e-8 or (j >= FEWEST_STEPS and abs(float(values[0]) - before) < known):
            break
        before = float(values[0])
        basis.append(image / size)
    return values, vectors, basis[: len(values)]
