"""What the states of a ray say: a curve with nodes at uniform u, and how geodesic it is.

From uneven steps the nodes come by the quintic polynomial through x, v and v' at both ends of a step, whose error is
O(h^6), at least as many as the finest step asks for.

How well the path satisfies the geodesic equation costs no further score: its derivatives at a state are those of the
polynomial through the points of five neighbouring states, however they are spaced. They owe nothing to the velocities
of the method or to the score, which they are compared with.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric, Residual
from geodesic_cli.geometry.solution import Step
from geodesic_cli.geometry.solvers.steppers import State, acceleration
from geodesic_cli.geometry.space import across, kappa

ASTRAY = 0.5
"""A step that departs from where its velocities point to by more than this fraction was too long."""


@dataclass(frozen=True, eq=False)
class Motion:
    """The state of an integration that has taken m - 1 steps.

    Args:
        velocity: at the last state, (d,).
        u: the positions of the states, (m,).
        scores: the scores there, (m, d).
    """

    velocity: Float[Tensor, "d"]
    u: Float[Tensor, "m"]
    scores: Float[Tensor, "m d"]


def observed(metric: DensityMetric, weighted: bool, path: list[State], calls: int) -> Step:
    """The ray so far as a step, from two or more states; its `state` is a `Motion`."""
    x, v, scores = (torch.cat(rows) for rows in zip(*((s.x, s.v, s.score) for s in path), strict=True))
    u = torch.tensor([state.u for state in path], dtype=x.dtype, device=x.device)
    curve = polygon = Curve(x, metric.space)
    h = u[1:] - u[:-1]
    if float(h.max()) > (1 + 1e-6) * float(h.min()):
        pulls = acceleration(metric, x, v, scores, weighted)
        curve = Curve(_between(metric, u, x, v, pulls), metric.space)
    residual = _residual(metric, u, x, v, scores, polygon.length).relative
    log_length = float(metric.log_length(polygon, scores))
    return Step(len(path) - 1, curve, residual, log_length, calls, (residual,), Motion(path[-1].v[0], u, scores))


def _residual(metric: DensityMetric, u: Tensor, x: Tensor, v: Tensor, scores: Tensor, length: Tensor) -> Residual:
    """The terms of the geodesic equation at the inner states; at both ends where there are no others."""
    if x.shape[0] == 2:
        h = u[1] - u[0]
        chord = (x[1:] - x[:-1]) / h
        bent = torch.cat([6 * chord - 4 * v[:1] - 2 * v[1:], 2 * v[:1] + 4 * v[1:] - 6 * chord]) / h
    else:
        v, bent = _derivatives(u, x)
        x, v, scores = x[1:-1], metric.space.tangent(x[1:-1], v), scores[1:-1]
    # `relative` leaves out the first and the last row.
    rows = torch.tensor([0, *range(x.shape[0]), x.shape[0] - 1], device=x.device)
    pull = metric.alpha * across(metric.space, x, v, scores)
    return Residual(kappa(metric.space, x, v, bent)[rows], pull[rows], length)


def _derivatives(u: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The first and second derivatives at the inner ones of k >= 3 points x at uneven positions u, (k - 2, d) each."""
    k, width = x.shape[0], min(5, x.shape[0])
    inner = torch.arange(1, k - 1, device=x.device)
    first = (inner - width // 2).clamp(0, k - width)
    members = first[:, None] + torch.arange(width, device=x.device)
    scale = (u[members[:, -1]] - u[members[:, 0]])[:, None]
    offsets = (u[members] - u[inner][:, None]) / scale
    weights = torch.linalg.inv(torch.linalg.vander(offsets, N=width))
    slope, bend = torch.zeros_like(x[1:-1]), torch.zeros_like(x[1:-1])
    for j in range(width):
        away = x[members[:, j]] - x[inner]  # differences of x itself would lose digits to its magnitude
        slope = slope + weights[:, 1, j, None] / scale * away
        bend = bend + 2 * weights[:, 2, j, None] / scale**2 * away
    return slope, bend


def _between(metric: DensityMetric, u: Tensor, x: Tensor, v: Tensor, a: Tensor) -> Tensor:
    """Points at uniform positions from uneven steps, the first and the last bit for bit, (k, d)."""
    spans = math.ceil(float((u[-1] - u[0]) / (u[1:] - u[:-1]).min()) - 1e-6)
    wanted = torch.linspace(0, 1, spans + 1, dtype=x.dtype, device=x.device) * u[-1]
    i = torch.searchsorted(u, wanted, right=True).clamp(1, u.shape[0] - 1) - 1
    h = (u[i + 1] - u[i])[:, None]
    w = (wanted - u[i])[:, None] / h
    # Taylor's polynomial at the start of the step, and what is missing of x, v and a at its end.
    start, v0, a0 = x[i], h * v[i], h**2 * a[i]
    gap = x[i + 1] - start - v0 - a0 / 2
    gap_v, gap_a = h * v[i + 1] - v0 - a0, h**2 * a[i + 1] - a0
    cubic, quartic = 10 * gap - 4 * gap_v + gap_a / 2, -15 * gap + 7 * gap_v - gap_a
    quintic = 6 * gap - 3 * gap_v + gap_a / 2
    points = start + w * (v0 + w * (a0 / 2 + w * (cubic + w * (quartic + w * quintic))))
    return torch.cat([x[:1], metric.space.project(points[1:-1]), x[-1:]])


def is_smooth(path: list[State]) -> bool:
    """Whether every step goes about where the velocities at its ends point to.

    Where the force has no room across the path, as on a circle, nothing else tells that rounding has thrown it about.
    """
    x, v = torch.cat([state.x for state in path]), torch.cat([state.v for state in path])
    u = torch.tensor([state.u for state in path], dtype=x.dtype, device=x.device)
    expected = (u[1:] - u[:-1])[:, None] * (v[1:] + v[:-1]) / 2
    off = linalg.norm(x[1:] - x[:-1] - expected)
    rounding = 8 * torch.finfo(x.dtype).eps * linalg.norm(x[1:])
    return bool((off <= ASTRAY * linalg.norm(expected) + rounding).all())
