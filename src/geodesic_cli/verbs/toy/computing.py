"""The computation behind `geodesic toy`: solve, shoot, measure."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.geometry import (
    Curve,
    CurveReport,
    DensityMetric,
    Relaxation,
    Solution,
    Status,
    Step,
    analyse,
    bending,
    perturb,
    solve_bvp,
    solve_ivp,
)
from geodesic_cli.geometry.toys import GaussianMixture
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import ToySettings
from geodesic_cli.settings.vocabulary import PATH_NAMES, path_name
from geodesic_cli.verbs.toy.result import DRAWN, FINE, Moment, Toy, even_steps, exp

FIRST_BUMP = 0.01
"""Of the first path, as a fraction of its length: keeps a straight line along an axis of symmetry off a saddle."""
ACROSS = 0.25
"""Least share of the score that counts as lying across the straight line; see `bend_per_alpha`."""
FAN = math.radians(60)
"""Rays leave within this angle of the geodesic."""
RAY_STEPS = 120
FALL = 7.0
"""Nats. A ray ends where the density has fallen by more."""


def bend_per_alpha(density: GaussianMixture, straight: Curve) -> float:
    """The bending number of the straight line per unit of alpha, by which a bend becomes an alpha.

    Along an axis of symmetry the score has no part across the line, and the bending number would be zero whatever alpha
    is; the line would not stay on the axis, though. So at least a part of the score's whole norm counts.
    """
    scores = density(straight.x, straight.u)
    return max(bending(density, straight), ACROSS * float(straight.length * scores.norm(dim=1).median()))


def compute(
    job: Job[ToySettings], name: str, density: GaussianMixture, points: Tensor | None, places: tuple[Tensor, Tensor]
) -> Toy:
    """The geodesic between two places, the geodesics that leave the first one beside it, and the numbers of all.

    Args:
        job: settings and observer.
        name: of the density.
        density: what it is a geodesic of.
        points: that the density was fitted to, or None.
        places: A and B, (2,) each.
    """
    began = time.monotonic()
    settings, observer = job.settings, job.observer
    first = Curve.straight(*places, settings.nodes)
    per_alpha = bend_per_alpha(density, first)
    alpha = settings.alpha
    if alpha is None:
        alpha = settings.bend / per_alpha if per_alpha > 0 else 0.0
    metric = DensityMetric(density, alpha)
    solution, steps = _solve(settings, observer, metric, first)
    history = tuple(_moment(metric, step.curve, step.score_calls) for step in steps)
    last = _moment(metric, solution.curve, solution.score_calls)
    if history[-1].score_calls != last.score_calls or not torch.equal(history[-1].x, last.x):
        history = (*history, last)  # after its last step a solver may look once more, and mend what it sees
    observer.stage("Shooting", settings.rays, "rays")
    fan = [0.0] if settings.rays == 1 else torch.linspace(-FAN, FAN, settings.rays, dtype=torch.float64).tolist()
    shot = [_ray(metric, solution.curve, turn, observer) for turn in fan]
    straight, geodesic = (Curve(line(even_steps(FINE))) for line in (first, solution.curve))
    made = Toy(
        name=name,
        density=density,
        points=points,
        metric=metric,
        straight=straight,
        solution=solution,
        geodesic=geodesic,
        straight_report=analyse(metric, straight),
        geodesic_report=analyse(metric, geodesic),
        history=history,
        rays=tuple(ray.curve for ray in shot),
        metrics={"bend": alpha * per_alpha},
        status=solution.status.value,
    )
    called = path_name("geodesic", solution.residual, settings.tol, solution.converged)
    metrics = made.metrics | _metrics(made, shot, analyse(metric, first).relative_residual)
    metrics |= {"names": {"straight": PATH_NAMES["lerp"], "geodesic": called}}
    return replace(made, metrics=metrics | {"seconds": round(time.monotonic() - began, 3)})


def _metrics(made: Toy, shot: Sequence[Solution], straight_residual: float) -> dict[str, Any]:
    density, solution = made.density, made.solution
    report, reference = made.geodesic_report, made.straight_report
    true = density.log_prob(made.geodesic.x) - density.log_prob(made.geodesic.x[:1])
    ends = made.straight.x[[0, -1]]
    at_ends = density.log_prob(ends)
    return {
        "density": made.name,
        "components": len(density.means),
        "a": ends[0].tolist(),
        "b": ends[1].tolist(),
        "alpha": made.metric.alpha,
        "status": solution.status.name,
        "steps": solution.steps,
        "residual": solution.residual,
        "evaluations": {"path": solution.score_calls, "rays": sum(ray.score_calls for ray in shot)},
        "length_ratio": exp(report.log_length - reference.log_length),
        "paths": {
            "straight": _path_numbers(reference, straight_residual),
            "geodesic": _path_numbers(report, solution.residual),
        },
        "rays": {"count": len(shot), "left_the_density": sum(ray.status is Status.LEFT_SUPPORT for ray in shot)},
        "closed_form": {
            "log_density_at_a": float(at_ends[0]),
            "log_density_at_b": float(at_ends[1]),
            "highest_log_density_of_a_mean": float(density.log_prob(density.means).max()),
            "min_log_density_geodesic": float(true.min()),
            "min_log_density_straight": float((density.log_prob(made.straight.x) - at_ends[0]).min()),
            "largest_error_of_the_line_integral": float((report.log_density - true).abs().max()),
        },
    }


def _solve(
    settings: ToySettings, observer: Observer, metric: DensityMetric, straight: Curve
) -> tuple[Solution, list[Step]]:
    """The geodesic near the straight line, and the steps to it.

    The default solver takes few evaluations and wants a smooth score. A mixture has kinks where it is far from all of
    its components; where these stop the solver, relaxation on twice as many segments gets another try.
    """
    steps: list[Step] = []
    spent = 0

    def watch(step: Step) -> None:
        steps.append(replace(step, score_calls=spent + step.score_calls))
        observer.advance(
            int(step.index > 0), f"residual {step.residual:.4f}, {spent + step.score_calls} score evaluations"
        )

    def solve(nodes: int, solver: Relaxation | None) -> Solution:
        line = Curve.straight(straight.x[0], straight.x[-1], nodes)
        guess = perturb(line, FIRST_BUMP, torch.Generator().manual_seed(settings.seed))
        return solve_bvp(metric, guess, solver=solver, tol=settings.tol, max_steps=settings.max_steps, on_step=watch)

    observer.stage("Solving", settings.max_steps, "steps")
    solution = solve(settings.nodes, None)
    if solution.converged:
        return solution, steps
    observer.stage("Solving again", settings.max_steps, "steps")
    taken, steps, spent = steps, [], solution.score_calls
    again = solve(2 * settings.nodes - 1, Relaxation())
    again = replace(again, score_calls=spent + again.score_calls)
    if again.converged or again.residual < solution.residual:
        return again, steps
    return replace(solution, score_calls=again.score_calls), taken


def _moment(metric: DensityMetric, curve: Curve, score_calls: int) -> Moment:
    """The path measured anew and finely; the evaluations that this takes are not the solver's."""
    fine = Curve(curve(even_steps(DRAWN)))
    report = analyse(metric, fine)
    return Moment(fine.x, report.log_density, report.log_length, score_calls)


def _ray(metric: DensityMetric, path: Curve, turn: float, observer: Observer) -> Solution:
    """The geodesic that leaves the first node of a path, turned from it by an angle, as long as the path."""
    v = path.velocity(order=4)[0]
    v = v * (path.length / v.norm())
    cos, sin = math.cos(turn), math.sin(turn)
    turned = torch.stack([cos * v[0] - sin * v[1], sin * v[0] + cos * v[1]])
    solution = solve_ivp(metric, path.x[0], turned, steps=RAY_STEPS, max_drop=FALL)
    observer.advance(1)
    return solution


def _path_numbers(report: CurveReport, residual: float) -> dict[str, float]:
    names = ("length", "log_length", "euclidean_length", "min_log_density", "mean_log_density")
    return {name: getattr(report, name) for name in names} | {"residual": residual}
