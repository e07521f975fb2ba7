"""The path solvers that race: ours, the published one, and scipy's."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from geodesic_cli.geometry import Curve, DensityMetric, Relaxation, Status, Step, Surrogate, solve_bvp
from geodesic_cli.geometry.solution import PathSolver

MOST_STEPS = 401
"""All the iterations of the published solver, and the step that says so."""
MOST_CALLS = 4000
"""Score evaluations after which a solver is stopped."""
MOST_SEEN = 300
"""The same for one that keeps all scores it has seen in a model, whose work grows with their cube."""

Watch = Callable[[Step], None]


@dataclass(frozen=True, eq=False)
class Ending:
    """Where a solver stopped: its path, the residual it claims, and a word on why."""

    curve: Curve
    residual: float
    status: str


Entrant = Callable[[DensityMetric, Curve, float, Watch], Ending]
"""Metric, guess, tolerance and observer -> the end."""


def path_solver(solver: PathSolver, most_calls: int = MOST_CALLS) -> Entrant:
    """A `PathSolver` with so many evaluations at most."""

    def solve(metric: DensityMetric, guess: Curve, tol: float, watch: Watch) -> Ending:
        solution = solve_bvp(
            metric, guess, solver=solver, tol=tol, max_steps=MOST_STEPS, max_calls=most_calls, on_step=watch
        )
        return Ending(solution.curve, solution.residual, solution.status.name)

    return solve


def scipy_solver(metric: DensityMetric, guess: Curve, tol: float, watch: Watch) -> Ending:
    """scipy.integrate.solve_bvp on the first-order system of (g, g'), of twice the dimension; it cannot be watched.

    Its Jacobian is taken by differences, so that it evaluates each point 2 d + 1 times or more.
    """
    from scipy.integrate import solve_bvp as collocate

    d = guess.x.shape[1]
    a, b = guess.x[0].numpy(), guess.x[-1].numpy()

    def slope(u: Any, y: Any) -> Any:
        x, v = (torch.from_numpy(part.T.copy()) for part in (y[:d], y[d:]))
        return torch.cat([v, metric.acceleration(x, v, torch.from_numpy(u.copy()))], dim=1).numpy().T

    def ends(first: Any, last: Any) -> Any:
        return torch.cat([torch.from_numpy(first[:d] - a), torch.from_numpy(last[:d] - b)]).numpy()

    start = torch.cat([guess.x, guess.velocity()], dim=1).numpy().T
    with warnings.catch_warnings(action="ignore"):  # where it fails it says so by its status
        found = collocate(slope, ends, guess.u.numpy(), start, tol=tol, max_nodes=1000)
    inner = torch.from_numpy(found.sol(torch.linspace(0, 1, 129, dtype=guess.x.dtype)[1:-1].numpy())[:d].T.copy())
    curve = Curve(torch.cat([guess.x[:1], inner, guess.x[-1:]]), guess.space)
    status = {0: Status.CONVERGED, 1: Status.MAX_STEPS}.get(found.status, Status.STALLED)
    return Ending(curve, float(found.rms_residuals.max()), status.name)


ENTRANTS: dict[str, Entrant] = {
    "surrogate": path_solver(Surrogate(), MOST_SEEN),
    "relaxation": path_solver(Relaxation()),
}
