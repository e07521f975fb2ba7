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
    x, space, alpha = curve.x, curve.space, metric.alpha
    n, d = x.shape[0] - 2, x.shape[1]
    inner, u = x[1:-1], curve.u[1:-1]
    v = curve.velocity()[1:-1]
    still = x.new_zeros(n)
    green = linalg.solve_second_difference(torch.eye(n, dtype=x.dtype, device=x.device), still, still)
    laplacian = torch.linalg.cholesky(-(green + green.T) / 2)
    reach = reach * float(linalg.norm(v).mean())

    def sideways(rows: Tensor) -> Tensor:
        return space.tangent(inner, across(space, inner, v, rows))

    def shortening(moved: Tensor, scores: Tensor) -> Tensor:
        whole = curve.with_inner(moved)
        along = whole.velocity()[1:-1]
        second = space.tangent(moved, (whole.x[2:] - 2 * moved + whole.x[:-2]) * float(n + 1) ** 2)
        pull = space.tangent(moved, scores)
        return -linalg.reject(second + alpha * linalg.dot(along, along) * pull, along=along)

    here = shortening(inner, scores[1:-1])
    log_density = metric.log_density(curve, scores)[1:-1]
    root = torch.exp(-0.5 * alpha * (log_density - log_density.mean()))[:, None]

    def variation(rows: Tensor) -> Tensor:
        move = sideways(laplacian @ rows / root)
        size = float(move.norm())
        if size == 0:
            return torch.zeros_like(rows)
        there = space.project(inner + reach / size * move)
        change = (shortening(there, metric.scores_at(there, u)) - here) * (size / reach)
        return laplacian.T @ (root * sideways(change))

    start = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(x)
    value, vector = _lowest(variation, start, steps, known)
    direction = sideways(laplacian @ vector / root)
    return value, direction / linalg.norm(direction).max().clamp(min=torch.finfo(x.dtype).tiny)


def _lowest(apply: Callable[[Tensor], Tensor], start: Tensor, most: int, known: float) -> tuple[float, Tensor]:
    """Lanczos' method with full reorthogonalisation: the lowest eigenvalue of a symmetric map and its vector."""
    vector = apply(start)
    tiny = torch.finfo(start.dtype).tiny
    basis = [vector / vector.norm().clamp(min=tiny)]
    steps = min(most, start.numel())
    projected = torch.zeros(steps, steps, dtype=start.dtype, device=start.device)
    before = math.inf
    for j in range(steps):
        image = apply(basis[j])
        for i in range(j + 1):
            projected[i, j] = (image * basis[i]).sum()
            image = image - projected[i, j] * basis[i]
        for i in range(j + 1):
            image = image - (image * basis[i]).sum() * basis[i]
        size = image.norm()
        part = projected[: j + 1, : j + 1]
        values, vectors = torch.linalg.eigh(torch.triu(part) + torch.triu(part, 1).T)
        if j + 1 == steps or size < 1e-8 or (j >= FEWEST_STEPS and abs(float(values[0]) - before) < known):
            break
        before = float(values[0])
        basis.append(image / size)
    return float(values[0]), sum(float(vectors[i, 0]) * basis[i] for i in range(len(values)))
