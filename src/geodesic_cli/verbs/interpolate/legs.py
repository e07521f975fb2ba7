"""One leg of an interpolation: two neighbouring images, the paths between them by every method, what they cost.

Every step of the solver is on disk as soon as it exists, so that a resumed run takes it up there.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch

from geodesic_cli.diffusion import Conditioning, LatentDiffusion
from geodesic_cli.diffusion.densities import CombinedScore, alpha_of_paper, density_score
from geodesic_cli.diffusion.noise_bank import NoiseBank
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.frames.baselines import blended, corrected, with_mixed_attention
from geodesic_cli.frames.keyframes import Ends
from geodesic_cli.frames.path_report import PathReport, judged_by
from geodesic_cli.frames.paths import ATTENTION, BLEND, BY_AUTHORS, MEASURED, ImagePath, Problem, rounded
from geodesic_cli.geometry import Step
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.steps import pack, unpack
from geodesic_cli.search.search import usual_alpha
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.settings.methods import NO_METHODS
from geodesic_cli.verbs.interpolate.searching import Found, search

WITHOUT_A_SOLVER = {
    "lerp": Problem.lerp,
    "slerp": Problem.slerp,
    "corrected": corrected,
    ATTENTION: with_mixed_attention,
}
"""Methods whose paths need nothing but the ends."""
AUTHORS: dict[str, Any] = {"density": "paper", "guidance": 1.0, "method": BY_AUTHORS, "compare": NO_METHODS}
"""Settings of a run whose score is that of the method `published`."""


@dataclass(frozen=True, eq=False)
class Leg:
    """Two neighbouring images and the paths between them.

    Args:
        ends: the images.
        paths: by method.
        reports: of the paths, by method.
        history: (score evaluations, residual, log length) of every step of the solver.
        found: what the search of the method `global` found.
        evaluations: network evaluations of all of it.
    """

    ends: Ends
    paths: dict[str, ImagePath]
    reports: dict[str, PathReport]
    history: tuple[tuple[int, float, float], ...]
    found: Found | None
    evaluations: int


def score_of(
    settings: InterpolateSettings, model: LatentDiffusion, shape: tuple[int, int, int], conditioning: Conditioning
) -> CombinedScore:
    """The score that paths between latents (C, H, W) of a shape are measured with."""
    s, bank = settings, None
    if s.noise_bank > 1:
        generator = torch.Generator().manual_seed(s.seed)
        bank = NoiseBank.draw(s.tau, s.noise_band, s.noise_bank, torch.Size(shape).numel(), generator)
    return density_score(
        model,
        shape,
        s.tau,
        conditioning,
        density=s.density,
        guidance=s.guidance,
        negative_prompt=s.negative_prompt,
        noise_bank=bank,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class LegSolver(Job[InterpolateSettings]):
    """Finds the paths of the legs of one run, and keeps the steps of their solvers.

    Args:
        legs: how many there are; more than one are told apart by their numbers.
        methods: the paths to find, of `settings.METHODS`.
    """

    model: LatentDiffusion
    legs: int
    methods: tuple[str, ...]

    def name(self, leg: int, name: str) -> str:
        """The name of a checkpoint of a leg."""
        return f"checkpoint/{name}" if self.legs == 1 else f"checkpoint/leg-{leg:04d}-{name}"

    def stage(self, leg: int, words: str) -> str:
        """The name of a stage of a leg, for the observer."""
        return words if self.legs == 1 else f"{words}, pair {leg + 1} of {self.legs}"

    def problems(self, ends: Sequence[Ends]) -> list[Problem]:
        """The problem of every leg, all with one alpha: with a bend, the median of what it means on each leg."""
        s, alpha = self.settings, self.settings.alpha
        if alpha is None and s.density == "paper":
            alpha = alpha_of_paper(s.tau, self.model.predict.schedule)
        if s.method == "global" and s.bend is None and alpha is None:
            alpha = usual_alpha(ends[0].x.shape[1])
        if s.method == "global" and s.bend is not None and s.alpha is not None:  # a local solver always has a bend
            self.observer.warn(f"The bend of {s.bend:g} is not used: the alpha of {s.alpha:g} overrides it.")
        made = [
            Problem.between(
                self.model,
                pair,
                bend=s.bend or 0.0,  # where there is none there is an alpha
                alpha=alpha,
                nodes=s.nodes,
                seed=s.seed,
                score=score_of(s, self.model, pair.shape, pair.conditioning),
            )
            for pair in ends
        ]
        alphas = [problem.metric.alpha for problem in made if problem.metric.alpha > 0]
        return made if alpha is not None or not alphas else [problem.at(median(alphas)) for problem in made]

    def solve(self, number: int, problem: Problem) -> Leg:
        """The paths of one leg by all methods."""
        ends, history = problem.ends, list[tuple[int, float, float]]()
        made: dict[str, ImagePath] = {}
        found = None
        if "global" in self.methods:
            checkpoint = self.name(number, "global.safetensors")
            found = search(self, self.model, problem, checkpoint, draws=number == 0)
        if "geodesic" in self.methods:
            made["geodesic"] = self._geodesic(number, problem, history, self.settings.solver)
        made |= {name: way(problem) for name, way in WITHOUT_A_SOLVER.items() if name in self.methods}
        s, carried, solved = self.settings, 0, [path for path in made.values() if path.solution]
        spent = found.evaluations if found is not None else 0
        if BLEND in self.methods:
            made[BLEND] = blended(problem, self.model, s.steps, s.transport_guidance)
            carried = s.steps * (s.nodes - 2) * guided_evaluations(s.transport_guidance)
        if found is not None:
            made["global"] = found.path
        own = problem
        if BY_AUTHORS in self.methods:
            own = self._of_the_authors(problem)
            again = own is problem and s.solver == BY_AUTHORS and "geodesic" in made  # one path under two names
            once = made["geodesic"] if again else self._geodesic(number, own, [] if solved else history, BY_AUTHORS)
            made[BY_AUTHORS] = replace(once, method=BY_AUTHORS)
            solved = solved if again or own is not problem else [*solved, once]
            spent += 0 if own is problem else _evaluations(own, s.nodes + MEASURED, [once])
        spent += _evaluations(problem, s.nodes + MEASURED * len(made), solved) + carried
        reports = {name: problem.measure(made[name]) for name in self.methods}
        if own is not problem:
            reports[BY_AUTHORS] = judged_by(reports[BY_AUTHORS], own.measure(made[BY_AUTHORS]))
        return Leg(ends, made, reports, tuple(history), found, spent)

    def _of_the_authors(self, problem: Problem) -> Problem:
        """The problem with the direction and the exponent of the authors: this one, where it has them."""
        s, ends = self.settings, problem.ends
        if s.density == "paper":
            return problem
        score = score_of(replace(s, **AUTHORS), self.model, ends.shape, ends.conditioning)
        alpha = alpha_of_paper(s.tau, self.model.predict.schedule)
        return Problem.between(self.model, ends, bend=0.0, alpha=alpha, nodes=s.nodes, seed=s.seed, score=score)

    def _geodesic(
        self, number: int, problem: Problem, history: list[tuple[int, float, float]], solver: str
    ) -> ImagePath:
        s = self.settings
        name = self.name(number, "step.safetensors" if solver == s.solver else f"step-{solver}.safetensors")
        start = self._last_step(name, problem, history)
        spent = start.score_calls if start is not None else 0

        def watch(step: Step) -> None:
            nonlocal spent
            history.append((step.score_calls, step.residual, step.log_length))
            if self.directory is not None:
                tensors, tree = pack(step)
                self.directory.write_tensors(name, tensors, {"step": json.dumps(tree), "history": json.dumps(history)})
            self.observer.advance(step.score_calls - spent, f"residual {step.residual:.4f}")
            spent = step.score_calls

        self.observer.stage(self.stage(number, "Solving"), problem.most_evaluations(solver, s.max_steps))
        self.observer.advance(spent)
        return problem.geodesic(solver, s.tol, s.max_steps, watch, start)

    def _last_step(self, name: str, problem: Problem, history: list[tuple[int, float, float]]) -> Step | None:
        """The step that an earlier session reached, and into ``history`` what led to it."""
        if self.directory is None or not self.directory.has(name):
            return None
        tensors, about = self.directory.read_tensors(name)
        history += [(calls, residual, length) for calls, residual, length in json.loads(about["history"])]
        return unpack(tensors, json.loads(about["step"]), problem.guess.x.device, Step)


def _evaluations(problem: Problem, points: int, solved: Sequence[ImagePath]) -> int:
    """Network evaluations of scores at so many points, and of the solvers of these paths."""
    assert isinstance(problem.score, CombinedScore)
    return problem.score.evaluations * (points + sum(path.solution.score_calls for path in solved if path.solution))


def rounded_legs(legs: Sequence[Leg], loop: bool) -> tuple[Leg, ...]:
    """The legs with paths that meet without a corner; one leg stays as it is."""
    if len(legs) == 1:
        return tuple(legs)
    bent = {name: rounded([leg.paths[name] for leg in legs], loop) for name in legs[0].paths}
    return tuple(replace(leg, paths={name: bent[name][k] for name in bent}) for k, leg in enumerate(legs))
