"""The boundary-value problem: the geodesic between two fixed points.

One loop for every path solver. It asks the solver for steps, each costing one batch of scores, until the relative
residual of the curve itself is below the tolerance, or the residual has stopped falling, or the steps are used up. It
never stops on the length: near a geodesic the length is stationary, so it is right long before the path is.
"""

from collections.abc import Callable

import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.relax import PathSolver, SemiImplicit
from geodesic_cli.geometry.solution import Solution, Status, Step

PATIENCE = 10
"""Steps within which the residual has to fall by the factor FALL, or the solver has stalled."""

FALL = 0.9


def solve_bvp(
    metric: DensityMetric,
    guess: Curve,
    *,
    solver: PathSolver | None = None,
    tol: float = 0.01,
    max_steps: int = 40,
    on_step: Callable[[Step], None] | None = None,
    start: Step | None = None,
) -> Solution:
    """Relax a curve to a geodesic with its ends fixed bit for bit.

    A geodesic is a stationary curve of the length, and the one found is near the guess: it need not be the shortest.
    From a guess on an axis of symmetry the solver cannot leave that axis, be it a ridge or a valley.

    Args:
        metric: the density metric; its space must be the curve's.
        guess: a curve of at least three nodes, for example `Curve.straight(a, b, 17, space)`.
        solver: how to step; `SemiImplicit()` unless given.
        tol: the relative residual (`Residual.relative`) below which the curve counts as a geodesic.
        max_steps: steps after the guess, those before a resumption included.
        on_step: called with every new `Step`, the guess included. It only watches.
        start: a `Step` of an earlier call with the same metric and solver: go on from it, bit for bit as if never
            stopped; then `guess` gives only the ends. Steps already seen are not reported again.

    Returns:
        The curve of least residual with its status. Identical ends give a constant curve at no cost.

    Raises:
        GeometryError: fewer than three nodes, nodes that are not finite or not in the space, a space that differs, or
            ends that differ from those of `start`.
    """
    _require_usable(metric, guess, start)
    if torch.equal(guess.x[0], guess.x[-1]):
        constant = Curve(guess.x[:1].repeat(guess.x.shape[0], 1), guess.space)
        return Solution(constant, Status.CONVERGED, residual=0.0, steps=0, score_calls=0)
    solver = SemiImplicit() if solver is None else solver
    if start is None:
        step = solver.init(metric, guess)
        if on_step is not None:
            on_step(step)
    else:
        step = start
    while (status := _verdict(step, tol, max_steps)) is None:
        step = solver.step(metric, step)
        if on_step is not None:
            on_step(step)
    return Solution(step.curve, status, step.residual, step.index, step.score_calls)


def _verdict(step: Step, tol: float, max_steps: int) -> Status | None:
    if step.status is Status.NON_FINITE:
        return step.status
    if step.residual <= tol:
        return Status.CONVERGED
    if step.status is not None:
        return step.status
    if len(step.residuals) > PATIENCE and step.residuals[-1] > FALL * step.residuals[-1 - PATIENCE]:
        return Status.STALLED
    return Status.MAX_STEPS if step.index >= max_steps else None


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
