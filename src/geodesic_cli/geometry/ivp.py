"""The initial-value problem: the geodesic that leaves a point with a given velocity.

Integrates g'' = -alpha |g'|² P_v P_x s + centripetal over u in [0, 1], so that the displacement is about |v0|. After
every step the point is put back on the space, and the velocity is made tangent and given its first length again: the
exact flow keeps both, so neither costs an order. Without the centripetal term in the stages the method would fall to
second order on a sphere.

A ray bends towards lower density and does so exponentially (on a log-density slope c, tan(theta / 2) grows as
e^(alpha c s)), so a long extrapolation wants a guard: `max_drop` ends it when log p has fallen too far below its
value at the start.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.solution import Solution, Status, Step


class Stepper(Protocol):
    """A one-step method for x' = v, v' = acceleration(x, v, u)."""

    @property
    def order(self) -> int:
        """The global error is O(h^order)."""
        ...

    @property
    def extra_scores(self) -> int:
        """Scores evaluated per step besides the one at its start."""
        ...

    def step(
        self, metric: DensityMetric, x: Tensor, v: Tensor, u: Tensor, h: float, score: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Advance x, v (1, d) from u (1,) by h, given the score (1, d) at the start."""
        ...


@dataclass(frozen=True)
class Euler:
    """The explicit Euler method, order 1: a baseline."""

    order: int = 1
    extra_scores: int = 0

    def step(
        self, metric: DensityMetric, x: Tensor, v: Tensor, u: Tensor, h: float, score: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Advance by h."""
        return x + h * v, v + h * metric.acceleration_given(x, v, score)


@dataclass(frozen=True)
class RK4:
    """The classical Runge-Kutta method, order 4, four scores per step."""

    order: int = 4
    extra_scores: int = 3

    def step(
        self, metric: DensityMetric, x: Tensor, v: Tensor, u: Tensor, h: float, score: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Advance by h."""
        v1, a1 = v, metric.acceleration_given(x, v, score)
        v2 = v + h / 2 * a1
        a2 = metric.acceleration(x + h / 2 * v1, v2, u + h / 2)
        v3 = v + h / 2 * a2
        a3 = metric.acceleration(x + h / 2 * v2, v3, u + h / 2)
        v4 = v + h * a3
        a4 = metric.acceleration(x + h * v3, v4, u + h)
        return x + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4), v + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)


@dataclass(frozen=True, eq=False)
class Motion:
    """The state of an integration: the velocity at the last node (d,) and the scores at all nodes (k, d)."""

    velocity: Tensor
    scores: Tensor


def solve_ivp(
    metric: DensityMetric,
    x0: Tensor,
    v0: Tensor,
    *,
    steps: int,
    stepper: Stepper | None = None,
    max_drop: float = math.inf,
    tol: float = 0.05,
    on_step: Callable[[Step], None] | None = None,
) -> Solution:
    """Follow the geodesic from x0 with velocity v0 over u in [0, 1].

    Args:
        metric: the density metric.
        x0: (d,), the first node, kept bit for bit.
        v0: (d,), dx/du at the start; its part normal to the space is dropped. The path is |v0| long.
        steps: how many equal steps; the curve has steps + 1 nodes.
        stepper: `RK4()` unless given.
        max_drop: nats; the path ends before the first node whose log density is lower than that of x0 by more.
        tol: the relative residual above which the nodes are too far apart to show a geodesic (MAX_STEPS).
        on_step: called with a `Step` after each step; its `state` is a `Motion`. It only watches.

    Returns:
        The curve: all of it, or up to the node where it had to end, its u then running over that part only (two equal
            nodes if it ended at once). Costs steps (1 + stepper.extra_scores) + 1 scores.

    Raises:
        GeometryError: shapes that do not fit, values that are not finite, x0 off the space, fewer than one step.
    """
    if x0.ndim != 1 or x0.shape != v0.shape or steps < 1:
        raise GeometryError(
            f"A ray needs a point and a velocity of one shape (d,) and at least one step, "
            f"got {tuple(x0.shape)}, {tuple(v0.shape)} and {steps} steps."
        )
    if not bool(v0.isfinite().all()) or not bool((x0.isfinite().all() & metric.space.contains(x0[None])).all()):
        raise GeometryError(f"The start of a ray must be finite and lie in {metric.space}.")
    stepper = RK4() if stepper is None else stepper
    h = 1 / steps
    x, v = x0[None], metric.space.tangent(x0[None], v0[None])
    speed = linalg.norm(v)
    nodes, scores = [x], [metric.scores_at(x, torch.zeros_like(x[:, 0]))]
    calls, drop, status = 1, 0.0, None
    if not bool(scores[0].isfinite().all()):
        status = Status.NON_FINITE
    while status is None and len(nodes) <= steps:
        index = len(nodes)
        u = torch.full_like(x[:, 0], (index - 1) * h)
        new_x, new_v = stepper.step(metric, x, v, u, h, scores[-1])
        new_x = metric.space.project(new_x)
        new_v = speed * linalg.unit(metric.space.tangent(new_x, new_v))
        score = metric.scores_at(new_x, torch.full_like(x[:, 0], index * h))
        calls += stepper.extra_scores + 1
        if not bool((new_x.isfinite() & new_v.isfinite() & score.isfinite()).all()):
            status = Status.NON_FINITE
            break
        pair, pair_scores = torch.cat([x, new_x]), torch.cat([scores[-1], score])
        drop -= float(metric.log_density_steps(pair, pair_scores))
        if drop > max_drop:
            status = Status.LEFT_SUPPORT
            break
        x, v = new_x, new_v
        nodes.append(x)
        scores.append(score)
        if on_step is not None:
            on_step(_observed(metric, nodes, scores, v, calls))
    if len(nodes) == 1:
        residual = math.inf if status is Status.NON_FINITE else 0.0
        return Solution(Curve(torch.cat([x, x]), metric.space), status or Status.MAX_STEPS, residual, 0, calls)
    last = _observed(metric, nodes, scores, v, calls)
    if status is None:
        status = Status.CONVERGED if last.residual <= tol else Status.MAX_STEPS
    return Solution(last.curve, status, last.residual, last.index, calls)


def _observed(metric: DensityMetric, nodes: list[Tensor], scores: list[Tensor], v: Tensor, calls: int) -> Step:
    curve, at_nodes = Curve(torch.cat(nodes), metric.space), torch.cat(scores)
    residual = metric.residual(curve, at_nodes).relative
    log_length = float(metric.log_length(curve, at_nodes))
    return Step(len(nodes) - 1, curve, residual, log_length, calls, (residual,), Motion(v[0], at_nodes))
