"""The initial-value problem: the geodesic that leaves a point with a given velocity.

Integrates the geodesic equation over u in [0, 1] with a method of `steppers`, so that the path is |v0| long; `rays`
make a curve of its states. Steps of one length are given by their number. Otherwise they follow from the path:

    by its bending    h is the largest power of two with  max(alpha |P_x s|, |v| / R on a sphere) |v| h <= bend,
                      looked up anew after every step; powers of two let a method with a memory keep it
    by the error      for a method that estimates it: a step whose error is above the tolerance is taken back, and the
                      next one is h (0.9 (tolerance / error)^(1 / order)), within a fifth and five times h

A ray bends towards lower density and does so exponentially (on a log-density slope c, tan(theta / 2) grows as
e^(alpha c s)), so a long extrapolation wants a guard: `max_drop` ends it when log p has fallen too far below its
value at the start.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.solution import Solution, Status, Step
from geodesic_cli.geometry.solvers.rays import is_smooth, observed
from geodesic_cli.geometry.solvers.steppers import RK4, State, Stepper

TURN_PER_STEP = 0.5
"""Radians by which the direction may turn within a step that is chosen by the bending; the powers of two make it about
0.35 on average."""

LONGEST_STEP = 1 / 8
"""The longest step of a path whose steps are not given, so that even a straight one has nine nodes."""

SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
"""Of the step length after an estimate of the error: its caution and its bounds."""


def solve_ivp(
    metric: DensityMetric,
    x0: Tensor,
    v0: Tensor,
    *,
    steps: int | None = None,
    stepper: Stepper | None = None,
    bend: float = TURN_PER_STEP,
    max_steps: int = 1024,
    max_drop: float = math.inf,
    tol: float = 0.05,
    on_step: Callable[[Step], None] | None = None,
) -> Solution:
    """Follow the geodesic from x0 with velocity v0 over u in [0, 1].

    Args:
        x0: (d,), the first node, kept bit for bit.
        v0: (d,), dx/du at the start; its part normal to the space is dropped. The path is |v0| long: in units of x, or
            in the metric with weight 1 at x0 for a stepper that is `weighted`.
        steps: how many equal steps; the curve has steps + 1 nodes. None chooses them as the path needs.
        stepper: `RK4()` unless given.
        bend: radians; how far the direction may turn in a step chosen by the bending.
        max_steps: no chosen step is shorter than 1 / max_steps: where one would have to be, the path ends (MAX_STEPS).
        max_drop: nats; the path ends before the first node whose log density is lower than that of x0 by more.
        tol: the relative residual above which the steps are too long to show a geodesic (MAX_STEPS).
        on_step: called with a `Step` after each step that is kept; its `state` is a `Motion`. It only watches.

    Returns:
        The curve: all of it, or up to the node where it had to end, its u then running over that part only (two equal
            nodes if it ended at once). Costs the scores of each step, those taken back included,
            and one more for the start.

    Raises:
        GeometryError: shapes that do not fit, values that are not finite, x0 off the space, numbers of steps below one,
            a bend that is not positive.
    """
    _require_startable(metric, x0, v0)
    pace = _Pace(metric, RK4() if stepper is None else stepper, steps, bend, max_steps)
    path, calls, status = _walked(pace, x0, v0, max_drop, on_step)
    if len(path) == 1:
        residual = math.inf if status is Status.NON_FINITE else 0.0
        nowhere = Curve(torch.cat([path[0].x, path[0].x]), metric.space)
        return Solution(nowhere, status or Status.MAX_STEPS, residual, 0, calls)
    last = observed(metric, pace.stepper.weighted, path, calls)
    if status is None:
        status = Status.CONVERGED if last.residual <= tol and is_smooth(path) else Status.MAX_STEPS
    return Solution(last.curve, status, last.residual, last.index, calls)


@dataclass(frozen=True)
class _Pace:
    """How long the steps are; see the module's text."""

    metric: DensityMetric
    stepper: Stepper
    steps: int | None
    bend: float
    max_steps: int

    def __post_init__(self) -> None:
        if min(1 if self.steps is None else self.steps, self.max_steps) < 1 or not self.bend > 0:
            raise GeometryError(
                f"A ray needs at least one step and a positive bend, got {self.steps} steps, at most {self.max_steps}, "
                f"and a bend of {self.bend}."
            )

    @property
    def allowed(self) -> float | None:
        """The error of a step that is allowed, where the error decides."""
        return self.stepper.tol if self.steps is None else None

    def first(self, start: State) -> float:
        if self.steps is not None:
            return 1 / self.steps
        h = _by_bending(self.metric, start, LONGEST_STEP, self.bend)
        # Where the error decides, the bending is no more than a first guess.
        return h if self.allowed is None else max(h, 1 / self.max_steps)

    def target(self, path: list[State], h: float) -> float:
        """The position to step to: what is left is shared out evenly."""
        if self.steps is not None:
            return len(path) / self.steps
        u = path[-1].u
        left = (1 - u) / h - 1e-9
        return 1.0 if left <= 1 else u + (1 - u) / math.ceil(left)

    def after(self, now: State, trial: State, h: float) -> tuple[float, bool]:
        """The length of the next step, and whether the one that was tried is kept."""
        finite = _is_finite(trial)
        if self.allowed is None:
            free = self.steps is None and finite
            return _by_bending(self.metric, trial, h, self.bend) if free else h, True
        # A stage beyond the support of the density is a step too long, not yet the end.
        error = trial.error if finite and trial.error is not None else math.inf
        change = SAFETY * (self.allowed / error) ** (1 / self.stepper.order) if error > 0 else GROW
        h = (trial.u - now.u) * min(GROW if error <= self.allowed else 1.0, max(SHRINK, change))
        h = min(h, LONGEST_STEP)
        return h, error <= self.allowed or not (finite or h * self.max_steps >= 1)


def _walked(
    pace: _Pace, x0: Tensor, v0: Tensor, max_drop: float, on_step: Callable[[Step], None] | None
) -> tuple[list[State], int, Status | None]:
    """The states of the ray, the scores it took, and why it ended early, if it did."""
    metric = pace.metric
    x, v = x0[None], metric.space.tangent(x0[None], v0[None])
    path = [State(0.0, x, v, metric.scores_at(x, torch.zeros_like(x[:, 0])))]
    calls, drop = 1, 0.0
    if not _is_finite(path[0]):
        return path, calls, Status.NON_FINITE
    h = pace.first(path[0])
    while path[-1].u < 1:
        if pace.steps is None and h * pace.max_steps < 1:
            return path, calls, Status.MAX_STEPS
        now = path[-1]
        trial = pace.stepper.step(metric, now, pace.target(path, h))
        calls += trial.calls
        h, kept = pace.after(now, trial, h)
        if not kept:
            continue
        if not _is_finite(trial):
            return path, calls, Status.NON_FINITE
        pair, scores = torch.cat([now.x, trial.x]), torch.cat([now.score, trial.score])
        drop -= float(metric.log_density_steps(pair, scores))
        if drop > max_drop:
            return path, calls, Status.LEFT_SUPPORT
        path.append(trial)
        if on_step is not None:
            on_step(observed(metric, pace.stepper.weighted, path, calls))
    return path, calls, None


def _require_startable(metric: DensityMetric, x0: Tensor, v0: Tensor) -> None:
    if x0.ndim != 1 or x0.shape != v0.shape:
        raise GeometryError(
            f"A ray needs a point and a velocity of one shape (d,), got {tuple(x0.shape)} and {tuple(v0.shape)}."
        )
    if not bool(v0.isfinite().all()) or not bool((x0.isfinite().all() & metric.space.contains(x0[None])).all()):
        raise GeometryError(f"The start of a ray must be finite and lie in {metric.space}.")


def _is_finite(state: State) -> bool:
    # Components may be finite and their norm not: then a force has no direction any more.
    norms = torch.cat([linalg.norm(state.x), linalg.norm(state.v), linalg.norm(state.score)])
    return bool(norms.isfinite().all())


def _by_bending(metric: DensityMetric, now: State, h: float, bend: float) -> float:
    """The power of two to go on with, at most twice h, which must be one, and only where the steps stay aligned."""
    speed = float(linalg.norm(now.v))
    force = metric.alpha * speed * float(linalg.norm(metric.space.tangent(now.x, now.score)))
    inward = float(linalg.norm(metric.space.curvature(now.x, now.v))) / speed if speed > 0 else 0.0
    rate = max(force, inward)
    if rate * h > bend:
        return 2.0 ** math.floor(math.log2(bend / rate)) if rate < math.inf else 0.0
    longer = min(2 * h, LONGEST_STEP)
    return longer if rate * longer <= bend and math.fmod(now.u, longer) == 0 else h
