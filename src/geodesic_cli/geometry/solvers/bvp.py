"""The boundary-value problem: the geodesic between two fixed points.

One loop for every path solver. It asks the solver for steps, each costing one batch of scores, until the relative
residual of the curve itself is below the tolerance and the solver has made sure of it, or the solver gives up, or the
steps or the evaluations are used up. It never stops on the length: near a geodesic the length is stationary, so it is
right long before the path is.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.kernel.surrogate import Surrogate
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.solution import COMPARED_AT, PathSolver, Solution, Status, Step

TOO_LONG = 1e-3
"""A path is longer than the guess where the logarithm of its length is larger by more than this."""

DOUBTED = 0.1
"""A geodesic that seems longer than the guess by more is compared with it: a model knows lengths to about this."""

EVERY_SO_MANY = (2, 1)
"""Of COMPARED_AT points every second one is asked for first, then all."""


def solve_bvp(
    metric: DensityMetric,
    guess: Curve,
    *,
    solver: PathSolver | None = None,
    tol: float = 0.03,
    max_steps: int = 60,
    max_calls: int | None = None,
    on_step: Callable[[Step], None] | None = None,
    start: Step | None = None,
) -> Solution:
    """Relax a curve to a geodesic with its ends fixed bit for bit.

    A geodesic is a stationary curve of the length, and the one found is near the guess: it need not be the shortest.
    It is never longer than the guess: a path that is, and is no geodesic or a longer one, is given up for the guess.
    From a guess on an axis of symmetry the solver cannot leave that axis, be it a ridge or a valley.

    Args:
        metric: the density metric; its space must be the curve's.
        guess: a curve of at least three nodes, for example `Curve.straight(a, b, 17, space)`.
        solver: how to step; `Surrogate()` unless given.
        tol: the relative residual (`Residual.relative`) below which the curve counts as a geodesic. A converged curve
            is held to twice that wherever the solver had not looked before.
        max_steps: steps after the guess, those before a resumption included.
        max_calls: score evaluations that no step may go beyond, those before a resumption included. The guess is
            evaluated, and a converged curve confirmed, whatever that costs.
        on_step: called with every new `Step`, the guess included. It only watches.
        start: a `Step` of an earlier call with the same metric and solver: go on from it, bit for bit as if never
            stopped; then `guess` gives only the ends. Steps already seen are not reported again.

    Returns:
        The solver's answer with its status. Identical ends give a constant curve at no cost.

    Raises:
        GeometryError: fewer than three nodes, nodes not finite or off the space, another space, or ends not `start`'s.
    """
    _require_usable(metric, guess, start)
    if torch.equal(guess.x[0], guess.x[-1]):
        constant = Curve(guess.x[:1].repeat(guess.x.shape[0], 1), guess.space)
        return Solution(constant, Status.CONVERGED, residual=0.0, steps=0, score_calls=0)
    solver = Surrogate() if solver is None else solver
    step = solver.init(metric, guess) if start is None else start
    if start is None:
        step = replace(step, begun=step.log_length)
    if on_step is not None and start is None:
        on_step(step)
    while True:
        status = step.status
        if step.residual <= tol and status is not Status.NON_FINITE:
            step = solver.finish(metric, replace(step, status=None), tol)
            status = step.status or status
        if status is None and step.index >= max_steps:
            status = Status.MAX_STEPS
        if status is None and max_calls is not None and step.score_calls + solver.cost(step) > max_calls:
            status = Status.BUDGET
        if status is not None:
            return _no_longer(metric, guess, step, status, math.inf if max_calls is None else max_calls)
        step = replace(solver.step(metric, step), begun=step.begun, compared=step.compared)
        if on_step is not None:
            on_step(step)


def _no_longer(metric: DensityMetric, guess: Curve, step: Step, status: Status, most: float) -> Solution:
    """The answer; the guess itself where it is the shorter one by the true score.

    A solver with a model of the score knows lengths on the model alone, so that the truth is asked for where the path
    is no geodesic, or is a geodesic that seems longer: at every second of COMPARED_AT points, and at the others where
    that leaves it open. The guess was hardly looked at, a geodesic was: the guess is asked first, which may do. Where
    the solver knows better, or where all points would be more than the evaluations allowed, what it knows has to do.
    """
    found = Solution(step.curve, status, step.residual, step.index, step.score_calls)
    longer = step.log_length > step.begun + (DOUBTED if step.compared or status is Status.CONVERGED else TOO_LONG)
    open_ = status is not Status.CONVERGED and step.compared
    if status is Status.NON_FINITE or step.index == 0 or not (longer or open_):
        return found
    given_up = Status.STALLED if status is Status.CONVERGED else status
    if not step.compared or step.score_calls + 2 * COMPARED_AT > most:
        if not longer:
            return found
        return replace(found, curve=guess.evenly_spaced(), status=given_up, residual=step.residuals[0])
    before, after = (_Measured(metric, one) for one in (guess, step.curve))
    for apart in EVERY_SO_MANY:
        least, unsure = before.log_length(apart)
        if status is Status.CONVERGED and step.log_length < least - unsure:
            return replace(found, score_calls=step.score_calls + before.asked + after.asked)
        length, off = after.log_length(apart)
        if abs(length - least) > unsure + off:
            break
    residual, left = before.residual(apart), after.residual(apart)
    calls = step.score_calls + before.asked + after.asked
    known = length < least - unsure - off  # beyond that, the one that is nearer to a geodesic is taken
    if known or (length <= least + TOO_LONG and not left > residual):
        return replace(found, score_calls=calls)
    return Solution(guess.evenly_spaced(), given_up, residual, step.index, calls)


class _Measured:
    """A curve by the true score, which is asked for once at each of COMPARED_AT points, or of every so many of them."""

    def __init__(self, metric: DensityMetric, curve: Curve) -> None:
        self.metric, self.curve = metric, curve.at_constant_speed(COMPARED_AT)
        self.scores = torch.full_like(self.curve.x, math.nan)
        self.known = torch.zeros(COMPARED_AT, dtype=torch.bool, device=self.scores.device)

    @property
    def asked(self) -> int:
        """At how many points."""
        return int(self.known.sum())

    def log_length(self, apart: int) -> tuple[float, float]:
        """The logarithm of the length, and what it would change by with far more points (Richardson)."""
        whole, half = (float(self.metric.symmetric_log_length(*self._at(step))) for step in (apart, 2 * apart))
        return whole, abs(whole - half) / 3

    def residual(self, apart: int) -> float:
        """Of the geodesic equation."""
        return self.metric.residual(*self._at(apart)).relative

    def _at(self, apart: int) -> tuple[Curve, Tensor]:
        new = torch.arange(0, COMPARED_AT, apart, device=self.known.device)
        new = new[~self.known[new]]
        if len(new):
            self.scores[new] = self.metric.scores_at(self.curve.x[new], self.curve.u[new]).detach()
            self.known[new] = True
        return Curve(self.curve.x[::apart], self.curve.space), self.scores[::apart]


def _require_usable(metric: DensityMetric, guess: Curve, start: Step | None) -> None:
    if guess.space != metric.space:
        raise GeometryError(f"The curve and the metric need one space, got {guess.space} and {metric.space}.")
    if guess.x.shape[0] < 3:
        raise GeometryError(f"A path between fixed ends needs at least three nodes, got {guess.x.shape[0]}.")
    if not bool(guess.x.isfinite().all()) or not bool(guess.space.contains(guess.x).all()):
        raise GeometryError(f"The nodes of the initial path must be finite and lie in {guess.space}.")
    if start is not None and not (
        torch.equal(start.curve.x[0], guess.x[0]) and torch.equal(start.curve.x[-1], guess.x[-1])
    ):
        raise GeometryError("The step to go on from belongs to other endpoints.", "Start afresh.")
