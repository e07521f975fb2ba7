"""`geodesic bench solver`: path solvers race on the problem zoo.

    problem -> straight line -> each solver, watched -> how many score evaluations until its path is as short as it gets

The judge knows what no solver may: after every step it measures the path under the true log density and compares it
with the shortest (`geometry.zoo`). What counts is when a path comes within 1 % and 0.1 % of it *and stays*. A length
says little about the path, as it is stationary at a geodesic; so the true residual of the final path is measured as
well, on 129 fresh points: on 33, differences do not resolve the sharpest bends of the zoo, and even an exact path would
keep a few hundredths. None of the judge's evaluations count, and none of its time.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Euclidean, Step
from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.solvers.gradient_flow import GradientFlow
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import BenchSettings
from geodesic_cli.verbs.bench.contests import Contest, contests_of
from geodesic_cli.verbs.bench.entrants import ENTRANTS, Ending, Entrant, path_solver, scipy_solver
from geodesic_cli.verbs.bench.table import Bench, BenchTable, benched

FRESH = 129
"""Points on which the residual of the final path is measured."""
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Of the tuned published solver, each with and without its test."""
CLOSELY, LOOSELY = 20, 10
"""So many steps are judged one by one, from there on every tenth."""


@dataclass(frozen=True)
class RaceRow:
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

    @property
    def spent(self) -> int:
        """Evaluations in all."""
        return self.evaluations

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as texts."""
        return (
            self.problem,
            str(self.dimension),
            f"{self.solver} ({self.note})" if self.note and self.status != "FAILED" else self.solver,
            *("-" if calls is None else str(calls) for calls in (self.within_1, self.within_01)),
            str(self.evaluations),
            f"{self.seconds:.2f}",
            f"{self.residual:.2g}",
            f"{self.true_residual:.2g}",
            f"{self.excess:.1e}",
            self.status,
        )


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


def run(job: Job[BenchSettings]) -> Bench:
    """Race every solver on every problem; a solver that does not fit a problem sits it out."""
    about = {"tol": job.settings.tol, "seed": job.settings.seed}
    measure = partial(_all_rows, job.settings, job.observer)
    return benched(job, measure, BenchTable(RACE_HEADS, (), RACE_LEGEND), about, outcome)


def outcome(rows: Sequence[RaceRow]) -> str:
    """How often each solver came near the shortest length and stayed there."""
    solvers = dict.fromkeys(row.solver for row in rows)
    told = [(name, [row.within_1 is not None for row in rows if row.solver == name]) for name in solvers]
    came = ", ".join(f"{name} in {sum(near)} of {len(near)}" for name, near in told)
    was = "race was" if len(rows) == 1 else "races were"
    return f"{len(rows)} {was} run. So often did a solver come within 1 % of the shortest length: {came or 'never'}."


def race(contest: Contest, name: str, entrant: Entrant, tol: float, note: str = "") -> RaceRow:
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
    return RaceRow(
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


def _row(contest: Contest, name: str, tol: float) -> RaceRow | None:
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
    return race(contest, name, ENTRANTS[name], tol)


def _all_rows(settings: BenchSettings, observer: Observer) -> list[RaceRow]:
    rows: list[RaceRow] = []
    for group in settings.problems:
        contests = list(contests_of(group, settings))
        observer.stage(f"Racing: {group}", len(contests) * len(settings.solvers), "races")
        for contest in contests:
            for name in settings.solvers:
                row = _row(contest, name, settings.tol)
                rows += [row] if row is not None else []
                observer.advance(1, f"{contest.name}: {name}")
    return rows


RACE_HEADS = ("problem", "d", "solver", "1 %", "0.1 %", "all", "seconds", "residual", "true", "excess", "status")
RACE_LEGEND = (
    "1 % and 0.1 %: score evaluations until the length is within that of the shortest and stays; all: score "
    "evaluations in all. residual: as the solver says; true: of its path on 129 fresh points. excess: the length over "
    "the shortest, minus 1. Low is good in every column of numbers."
)
