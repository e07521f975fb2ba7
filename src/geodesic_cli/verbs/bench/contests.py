"""The problems that solvers race on: those of the zoo, and pairs of rendered scenes under a model."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch

from geodesic_cli.diffusion import load
from geodesic_cli.diffusion.densities import PAPER_RATE
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.frames.paths import Problem
from geodesic_cli.geometry import Curve, DensityMetric, Relaxation, solve_bvp
from geodesic_cli.geometry.zoo import problems as zoo
from geodesic_cli.geometry.zoo.densities import RoundMixture
from geodesic_cli.scenes import render, sample
from geodesic_cli.settings import BenchSettings

NODES = 17
"""Of the straight line that every solver starts from."""
HIGH_DIMENSION = 1000
"""Dimensions from which on the judge takes fewer points of a path, and solvers are tuned in the span of the means."""


@dataclass(frozen=True, eq=False)
class Contest:
    """A problem as the judge sees it.

    Args:
        name: of the problem.
        metric: what a solver gets.
        truth: the same without noise.
        guess: where to start.
        excess: of a curve: its length over the shortest, minus 1.
        rate: what the published learning rate is on this score; without a noise level it stays as it is.
        rehearsal: the same problem without noise and in few dimensions, to tune a solver on.
    """

    name: str
    metric: DensityMetric
    truth: DensityMetric
    guess: Curve
    excess: Callable[[Curve], float]
    rate: float = PAPER_RATE
    rehearsal: "Contest | None" = None


def contests_of(group: str, settings: BenchSettings) -> Iterator[Contest]:
    """The contests of a group of `settings.PROBLEMS`."""
    if group == "clevr":
        yield from _scenes(settings)
        return
    for case in zoo.cases(group, settings.seed):
        if case.a.shape[0] < HIGH_DIMENSION:
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
        yield Contest(f"{settings.model}-{k}", metric, metric, guess, excess, problem.rate)


def _log_length(metric: DensityMetric, curve: Curve) -> float:
    """The line integral of the score on 129 points: a network has no other log density."""
    u = torch.linspace(0, 1, 129, dtype=curve.x.dtype, device=curve.x.device)
    return float(metric.log_length(Curve(curve(u), curve.space)))


def _excess_by_score(metric: DensityMetric, shortest: float, curve: Curve) -> float:
    return zoo.over(_log_length(metric, curve), shortest)
