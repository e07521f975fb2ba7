"""`geodesic toy`: a density in the plane, the straight line and the geodesic between two places, and pictures of both.

    density (by name, or fitted to points) -> alpha from the bend -> solve -> shoot rays -> measure -> draw

In the plane all that the method does can be seen, and with a closed form it can be checked: whatever is measured here
is measured from the score alone, as for a diffusion model, and then compared with the true log p.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError
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
from geodesic_cli.geometry.toys import GaussianMixture, banana, moons, ring
from geodesic_cli.runs.folder import RunDirectory, first_free
from geodesic_cli.runs.observer import Observer, Silent
from geodesic_cli.settings import ToySettings, from_options, parse_point
from geodesic_cli.verbs.toy.points import fit_mixture, read_points
from geodesic_cli.verbs.toy.result import DRAWN, FINE, FPS, Moment, Toy, exp, positions

Place = tuple[float, float]

NAMED = {
    "ring": (ring, (-1.9, 0.6), (1.9, 0.6)),
    "banana": (banana, (-1.9, 0.6), (1.9, 0.6)),
    "moons": (moons, (-2.2, 0.0), (1.9, -0.6)),
}
"""Name -> how to make the density, A and B."""

BUMP = 0.01
"""Of the first path, as a fraction of its length: keeps a straight line along an axis of symmetry off a saddle."""
ACROSS = 0.25
"""Least share of the score that counts as lying across the straight line; see `bend_per_alpha`."""
DENSE = 2.0
"""Nats. A and B are chosen where the density is at most this far below its highest."""
FAN = math.radians(60)
"""Rays leave within this angle of the geodesic."""
RAY_STEPS = 120
FALL = 7.0
"""Nats. A ray ends where the density has fallen by more."""


def toy(density: str = "ring", *, observer: Observer | None = None, **options: Any) -> Toy:
    """The geodesic between two places of a density in the plane, in memory; nothing is written.

    Args:
        density: ring, banana or moons; `points`, a file of points, takes its place.
        observer: told of the progress.
        options: any setting of `settings.ToySettings` but out and overwrite; a and b may be pairs of numbers.

    Raises:
        GeodesicError: an input that cannot be used, with what to do about it.
    """
    for name in ("a", "b"):
        if isinstance(options.get(name), Sequence) and not isinstance(options[name], str):
            options[name] = ",".join(repr(float(value)) for value in options[name])
    if options.get("points") is not None:
        options["points"] = str(options["points"])
    settings = from_options(ToySettings, "toy", options, {"density": density})
    return _compute(settings, observer or Silent(), *_density(settings))


def run(settings: ToySettings, observer: Observer, command: str) -> Toy:
    """Compute and write the run directory. See the module's text and `ToySettings`."""
    density, points, places = _density(settings)  # all that may be refused comes before the folder is touched
    folder = settings.out or free_folder(settings)
    stored = asdict(settings) | {"out": folder}
    with RunDirectory.open(folder, stored, command=command, overwrite=settings.overwrite) as directory:
        result = _compute(settings, observer, density, points, places)
        observer.stage("Drawing", 3 if settings.gif else 2, "pictures")
        result.draw(directory.path("toy.png"))
        observer.advance(1)
        result.draw_evolution(directory.path("evolution.png"))
        observer.advance(1)
        if settings.gif:
            media.write_gif(result.film(), directory.path("evolution.gif"), FPS)
            observer.advance(1)
        nodes = result.solution.curve
        directory.write_tensors(
            "path.safetensors",
            {"x": nodes.x, "u": nodes.u, "history": torch.stack([moment.x for moment in result.history])}
            | {f"ray.{k}": ray.x for k, ray in enumerate(result.rays)}
            | {name: getattr(density, name) for name in ("means", "scales", "weights")},
            {"density": result.name, "alpha": repr(result.metric.alpha)},
        )
        directory.finish(result.status, result.metrics, evaluations=result.metrics["evaluations"]["path"])
    return replace(result, folder=directory.folder)


def free_folder(settings: ToySettings) -> str:
    """The first of runs/toy-NAME, runs/toy-NAME-2, ... that does not exist."""
    return first_free(f"runs/toy-{_name(settings)}")


def _name(settings: ToySettings) -> str:
    return settings.density if settings.points is None else Path(settings.points).stem


# --- the density and its ends ----------------------------------------------------------------------------------------


def _density(settings: ToySettings) -> tuple[GaussianMixture, Tensor | None, tuple[Tensor, Tensor]]:
    """The density, the points that it was fitted to, and A and B."""
    points = None
    if settings.points is None:
        make, *usual = NAMED[settings.density]
        density = make()
    else:
        points = read_points(settings.points)
        fit = fit_mixture(points, settings.components, settings.seed)
        density = GaussianMixture(fit.means, fit.scales, fit.weights)
        usual = _far_apart(density)
    a, b = (
        torch.tensor(parse_point(name, text) if text is not None else place, dtype=torch.float64)
        for name, text, place in (("a", settings.a, usual[0]), ("b", settings.b, usual[1]))
    )
    if torch.equal(a, b):
        raise InputError(
            f"A path needs two places; A and B are both {a[0]:g},{a[1]:g}.", "Pass another --a X,Y or --b X,Y."
        )
    return density, points, (a, b)


def _far_apart(density: GaussianMixture) -> list[Place]:
    """The two means that are furthest apart, of those where it is dense; of one, two places on its opposite sides."""
    heights = density.log_prob(density.means)
    means = density.means[heights >= heights.max() - DENSE]
    if len(means) == 1:
        x, y = means[0].tolist()
        reach = 1.5 * float(density.scales[heights.argmax()])
        return [(x - reach, y), (x + reach, y)]
    one, other = divmod(int(torch.cdist(means, means).argmax()), len(means))
    left, right = sorted([means[one].tolist(), means[other].tolist()])  # A on the left, as one reads
    return [(left[0], left[1]), (right[0], right[1])]


def bend_per_alpha(density: GaussianMixture, straight: Curve) -> float:
    """The bending number of the straight line per unit of alpha, by which a bend becomes an alpha.

    Along an axis of symmetry the score has no part across the line, and the bending number would be zero whatever alpha
    is; the line would not stay on the axis, though. So at least a part of the score's whole norm counts.
    """
    scores = density(straight.x, straight.u)
    return max(bending(density, straight), ACROSS * float(straight.length * scores.norm(dim=1).median()))


# --- computing -------------------------------------------------------------------------------------------------------


def _compute(
    settings: ToySettings,
    observer: Observer,
    density: GaussianMixture,
    points: Tensor | None,
    places: tuple[Tensor, Tensor],
) -> Toy:
    began = time.monotonic()
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
    shot = [_ray(metric, solution.curve, turn, observer) for turn in _fan(settings.rays)]
    rays = tuple(ray.curve for ray in shot)
    straight, geodesic = (Curve(line(positions(FINE))) for line in (first, solution.curve))
    report, reference = analyse(metric, geodesic), analyse(metric, straight)
    true = density.log_prob(geodesic.x) - density.log_prob(geodesic.x[:1])
    at_ends = density.log_prob(torch.stack(places))
    metrics = {
        "density": _name(settings),
        "components": len(density.means),
        "a": places[0].tolist(),
        "b": places[1].tolist(),
        "alpha": alpha,
        "bend": alpha * per_alpha,
        "status": solution.status.name,
        "steps": solution.steps,
        "residual": solution.residual,
        "evaluations": {
            "path": solution.score_calls,
            "rays": sum(ray.score_calls for ray in shot),
        },
        "length_ratio": exp(report.log_length - reference.log_length),
        "paths": {
            "straight": _summary(reference, analyse(metric, first).relative_residual),
            "geodesic": _summary(report, solution.residual),
        },
        "rays": {
            "count": len(rays),
            "left_the_density": sum(ray.status is Status.LEFT_SUPPORT for ray in shot),
        },
        "closed_form": {
            "log_density_at_a": float(at_ends[0]),
            "log_density_at_b": float(at_ends[1]),
            "highest_log_density_of_a_mean": float(density.log_prob(density.means).max()),
            "min_log_density_geodesic": float(true.min()),
            "min_log_density_straight": float((density.log_prob(straight.x) - at_ends[0]).min()),
            "largest_error_of_the_line_integral": float((report.log_density - true).abs().max()),
        },
        "seconds": round(time.monotonic() - began, 3),
    }
    return Toy(
        name=_name(settings),
        density=density,
        points=points,
        metric=metric,
        straight=straight,
        solution=solution,
        geodesic=geodesic,
        straight_report=reference,
        geodesic_report=report,
        history=history,
        rays=rays,
        metrics=metrics,
        status=solution.status.value,
        folder=None,
    )


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
        guess = perturb(line, BUMP, torch.Generator().manual_seed(settings.seed))
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
    fine = Curve(curve(positions(DRAWN)))
    report = analyse(metric, fine)
    return Moment(fine.x, report.log_density, report.log_length, score_calls)


def _fan(rays: int) -> list[float]:
    """Angles to the direction of the geodesic, radians."""
    return [0.0] if rays == 1 else torch.linspace(-FAN, FAN, rays, dtype=torch.float64).tolist()


def _ray(metric: DensityMetric, path: Curve, turn: float, observer: Observer) -> Solution:
    """The geodesic that leaves the first node of a path, turned from it by an angle, as long as the path."""
    v = path.velocity(order=4)[0]
    v = v * (path.length / v.norm())
    cos, sin = math.cos(turn), math.sin(turn)
    turned = torch.stack([cos * v[0] - sin * v[1], sin * v[0] + cos * v[1]])
    solution = solve_ivp(metric, path.x[0], turned, steps=RAY_STEPS, max_drop=FALL)
    observer.advance(1)
    return solution


def _summary(report: CurveReport, residual: float) -> dict[str, float]:
    return {
        "length": report.length,
        "log_length": report.log_length,
        "euclidean_length": report.euclidean_length,
        "min_log_density": report.min_log_density,
        "mean_log_density": report.mean_log_density,
        "residual": residual,
    }
