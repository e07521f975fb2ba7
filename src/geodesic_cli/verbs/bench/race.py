"""`geodesic bench solver`: path solvers race on the problem zoo.

    problem -> straight line -> each solver, watched -> how many score evaluations until its path is as short as it gets

The judge knows what no solver may: after every step it measures the path under the true log density and compares it
with the shortest (`geometry.zoo`). What counts is when a path comes within 1 % and 0.1 % of it *and stays*. A length
says little about the path, as it is stationary at a geodesic; so the true residual of the final path is measured as
well, on 129 fresh points: on 33, differences do not resolve the sharpest bends of the zoo, and even an exact path would
keep a few hundredths. None of the judge's evaluations count, and none of its time.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Curve, DensityMetric, Euclidean, Relaxation, Status, Step, Surrogate, solve_bvp
from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.solution import PathSolver
from geodesic_cli.geometry.solvers.gradient_flow import GradientFlow
from geodesic_cli.geometry.zoo import problems as zoo
from geodesic_cli.geometry.zoo.densities import RoundMixture
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.observer import Observer, Silent
from geodesic_cli.settings import BenchSettings

NODES = 17
"""Of the straight line that every solver starts from."""
MOST_STEPS = 401
"""All the iterations of the published solver, and the step that says so."""
MOST_CALLS = 4000
"""Score evaluations after which a solver is stopped."""
MOST_SEEN = 300
"""The same for one that keeps all scores it has seen in a model, whose work grows with their cube."""
FRESH = 129
"""Points on which the residual of the final path is measured."""
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Of the tuned published solver, each with and without its test."""
CLOSELY, LOOSELY = 20, 10
"""So many steps are judged one by one, from there on every tenth."""
MANY = 1000
"""Dimensions from which on the judge takes fewer points of a path, and solvers are tuned in the span of the means."""

Watch = Callable[[Step], None]


@dataclass(frozen=True, eq=False)
class Contest:
    """A problem as the judge sees it.

    Args:
        name: of the problem.
        metric: what a solver gets.
        truth: the same without noise.
        guess: where to start.
        excess: of a curve: its length over the shortest, minus 1.
        rehearsal: the same problem without noise and in few dimensions, to tune a solver on.
    """

    name: str
    metric: DensityMetric
    truth: DensityMetric
    guess: Curve
    excess: Callable[[Curve], float]
    rehearsal: "Contest | None" = None


@dataclass(frozen=True, eq=False)
class Ending:
    """Where a solver stopped: its path, the residual it claims, and a word on why."""

    curve: Curve
    residual: float
    status: str


Entrant = Callable[[DensityMetric, Curve, float, Watch], Ending]
"""Metric, guess, tolerance and observer -> the end."""


@dataclass(frozen=True)
class Row:
    """One solver on one problem. Evaluations are of the score, at single points.

    Args:
        problem: its name.
        dimension: of its space.
        solver: its name.
        note: the settings, where they were chosen for the problem; or what went wrong.
        within_1: evaluations until the length is within 1 % of the shortest and stays; None if never.
        within_01: the same for 0.1 %.
        evaluations: in all.
        seconds: in all, with those of the score.
        overhead: seconds outside the score.
        residual: the relative residual that the solver reports.
        true_residual: that of its path on 129 fresh points, with true scores and differences of fourth order.
        excess: the length of its path over the shortest, minus 1. Negative: it found a shorter one.
        status: why it stopped.
    """

    problem: str
    dimension: int
    solver: str
    note: str
    within_1: int | None
    within_01: int | None
    evaluations: int
    seconds: float
    overhead: float
    residual: float
    true_residual: float
    excess: float
    status: str


@dataclass(frozen=True, eq=False)
class Bench:
    """All rows, and where they were written."""

    rows: tuple[Row, ...]
    metrics: dict[str, Any]
    folder: Path | None


class Meter:
    """A score that counts its points and its time. It lives for one race."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self.points = 0
        self.seconds = 0.0

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        """Evaluate at (n, d), (n,) -> (n, d)."""
        began = time.perf_counter()
        value = self.score(x, u)
        self.seconds += time.perf_counter() - began
        self.points += x.shape[0]
        return value


def run(settings: BenchSettings, observer: Observer | None = None, command: str = "") -> Bench:
    """Race every solver on every problem; a solver that does not fit a problem sits it out."""
    observer = Silent() if observer is None else observer
    if settings.out is None:
        rows = _all_rows(settings, observer)
        return Bench(rows, _metrics(settings, rows), None)
    with RunDirectory.open(settings.out, asdict(settings), command=command, overwrite=settings.overwrite) as folder:
        rows = _all_rows(settings, observer)
        metrics = _metrics(settings, rows)
        folder.write_text("table.md", markdown(rows))
        folder.write_json("bench.json", metrics)
        status = f"{len(rows)} races were run."
        folder.finish(status, metrics, evaluations=sum(row.evaluations for row in rows))
        return Bench(rows, metrics, folder.folder)


def race(contest: Contest, name: str, entrant: Entrant, tol: float, note: str = "") -> Row:
    """One solver on one problem, watched."""
    meter = Meter(contest.metric.score)
    marks: list[tuple[int, float]] = []
    judging = 0.0

    def watch(step: Step) -> None:
        nonlocal judging
        began = time.perf_counter()
        if step.index <= CLOSELY or step.index % LOOSELY == 0:
            marks.append((meter.points, contest.excess(step.curve)))
        judging += time.perf_counter() - began

    began = time.perf_counter()
    try:
        ending = entrant(replace(contest.metric, score=meter), contest.guess, tol, watch)
    except GeometryError as error:
        ending, note = Ending(contest.guess, float("inf"), "FAILED"), error.message
    seconds = time.perf_counter() - began - judging
    fresh = contest.truth.residual(ending.curve.at_constant_speed(FRESH), order=4)
    excess = contest.excess(ending.curve)
    marks.append((meter.points, excess))
    return Row(
        problem=contest.name,
        dimension=contest.guess.x.shape[1],
        solver=name,
        note=note,
        within_1=came_to_stay(marks, 0.01),
        within_01=came_to_stay(marks, 0.001),
        evaluations=meter.points,
        seconds=seconds,
        overhead=seconds - meter.seconds,
        residual=ending.residual,
        true_residual=fresh.relative,
        excess=excess,
        status=ending.status,
    )


def came_to_stay(marks: list[tuple[int, float]], bound: float) -> int | None:
    """The first number of evaluations from which on no excess is above the bound, or None."""
    first = None
    for calls, excess in marks:
        if not excess <= bound:
            first = None
        elif first is None:
            first = calls
    return first


# --- solvers ---------------------------------------------------------------------------------------------------------


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it fails it says so by its status
        found = collocate(slope, ends, guess.u.numpy(), start, tol=tol, max_nodes=1000)
    inner = torch.from_numpy(found.sol(torch.linspace(0, 1, 129, dtype=guess.x.dtype)[1:-1].numpy())[:d].T.copy())
    curve = Curve(torch.cat([guess.x[:1], inner, guess.x[-1:]]), guess.space)
    status = {0: Status.CONVERGED, 1: Status.MAX_STEPS}.get(found.status, Status.STALLED)
    return Ending(curve, float(found.rms_residuals.max()), status.name)


PATH_SOLVERS: dict[str, Entrant] = {
    "surrogate": path_solver(Surrogate(), MOST_SEEN),
    "relaxation": path_solver(Relaxation()),
    "gradient-flow": path_solver(GradientFlow()),
}


def _row(contest: Contest, name: str, tol: float) -> Row | None:
    """One race, or the best of the tuned ones; None where the solver does not fit the problem."""
    if name == "scipy":
        fits = contest.guess.x.shape[1] == 2 and contest.guess.space == Euclidean()
        return race(contest, name, scipy_solver, tol) if fits else None
    if name == "gradient-flow-tuned":
        stage = contest if contest.rehearsal is None else contest.rehearsal
        solvers = [GradientFlow(lr=lr, skip=skip) for lr in RATES for skip in (True, False)]
        notes = [f"lr {solver.lr:g}, {'skip' if solver.skip else 'no skip'}" for solver in solvers]
        rows = [race(stage, name, path_solver(s), tol, note) for s, note in zip(solvers, notes, strict=True)]
        best = min(range(len(rows)), key=lambda k: rows[k].excess)
        if stage is contest:
            return rows[best]
        return race(contest, name, path_solver(solvers[best]), tol, notes[best])
    return race(contest, name, PATH_SOLVERS[name], tol)


# --- problems --------------------------------------------------------------------------------------------------------


def _contests(group: str, settings: BenchSettings) -> Iterator[Contest]:
    if group == "clevr":
        yield from _scenes(settings)
        return
    for case in zoo.cases(group, settings.seed):
        if case.a.shape[0] < MANY:
            yield _contest(case, 2049)
        elif isinstance(case.truth.score, RoundMixture):
            clean = replace(case, metric=case.truth, clean=None)
            yield replace(_contest(case, 129), rehearsal=_contest(clean.reduced(), 2049))
        else:
            yield _contest(case, 129)


def _contest(case: zoo.Case, samples: int) -> Contest:
    return Contest(case.name, case.metric, case.truth, case.straight(NODES), partial(case.excess, samples=samples))


def _scenes(settings: BenchSettings) -> Iterator[Contest]:
    """Pairs of rendered scenes under the model; the shortest is what `Relaxation` finds with 65 nodes."""
    from geodesic_cli.diffusion import load
    from geodesic_cli.frames.keyframes import embed
    from geodesic_cli.frames.paths import Problem
    from geodesic_cli.scenes import render, sample

    model = load(settings.model)
    scenes = sample(2 * settings.pairs, torch.Generator().manual_seed(settings.seed))
    for k in range(settings.pairs):
        pair = scenes[2 * k : 2 * k + 2]
        ends = embed(model, render(list(pair)), tuple(scene.caption for scene in pair), 0.4, 12)
        problem = Problem.between(model, ends, bend=4.0, alpha=None, nodes=NODES, guidance=1.0, seed=settings.seed)
        metric, guess = problem.metric, problem.guess
        fine = guess.at_constant_speed(65)
        best = solve_bvp(metric, fine, solver=Relaxation(order=4, between=False), tol=1e-3, max_steps=60).curve

        excess = partial(_excess_by_score, metric, _log_length(metric, best))
        yield Contest(f"{settings.model}-{k}", metric, metric, guess, excess)


def _log_length(metric: DensityMetric, curve: Curve) -> float:
    """The line integral of the score on 129 points: a network has no other log density."""
    u = torch.linspace(0, 1, 129, dtype=curve.x.dtype, device=curve.x.device)
    return float(metric.log_length(Curve(curve(u), curve.space)))


def _excess_by_score(metric: DensityMetric, shortest: float, curve: Curve) -> float:
    return zoo.over(_log_length(metric, curve), shortest)


# --- the result ------------------------------------------------------------------------------------------------------


def _all_rows(settings: BenchSettings, observer: Observer) -> tuple[Row, ...]:
    rows: list[Row] = []
    for group in settings.problems:
        contests = list(_contests(group, settings))
        observer.stage(f"Racing: {group}", len(contests) * len(settings.solvers), "races")
        for contest in contests:
            for name in settings.solvers:
                row = _row(contest, name, settings.tol)
                rows += [row] if row is not None else []
                observer.advance(1, f"{contest.name}: {name}")
    return tuple(rows)


def _metrics(settings: BenchSettings, rows: tuple[Row, ...]) -> dict[str, Any]:
    return {"tol": settings.tol, "seed": settings.seed, "rows": [asdict(row) for row in rows]}


HEADS = ("problem", "d", "solver", "1 %", "0.1 %", "all", "seconds", "residual", "true", "excess", "status")


def cells(row: Row) -> tuple[str, ...]:
    """A row as texts, in the order of `HEADS`."""
    solver = f"{row.solver} ({row.note})" if row.note and row.status != "FAILED" else row.solver
    return (
        row.problem,
        str(row.dimension),
        solver,
        *("-" if calls is None else str(calls) for calls in (row.within_1, row.within_01)),
        str(row.evaluations),
        f"{row.seconds:.2f}",
        f"{row.residual:.2g}",
        f"{row.true_residual:.2g}",
        f"{row.excess:.1e}",
        row.status,
    )


def markdown(rows: tuple[Row, ...]) -> str:
    """The table, and what its columns mean."""
    lines = [HEADS, ("---",) * len(HEADS), *(cells(row) for row in rows)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", LEGEND, ""])


LEGEND = (
    "1 % and 0.1 %: score evaluations until the length is within that of the shortest and stays; all: score "
    "evaluations in all. residual: as the solver says; true: of its path on 129 fresh points."
)
