"""The stages of an interpolation and the network evaluations of each, from the settings alone.

Each stage is counted by the formula of the room that does it; where a solver may stop early the count is what it takes
at most.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from geodesic_cli.diffusion.densities import branches
from geodesic_cli.diffusion.noise_bank import NoiseBank
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.diffusion.tuning.likeliest import evaluations_to_choose
from geodesic_cli.diffusion.tuning.textual_inversion import DESCENTS
from geodesic_cli.frames.captioning import captions_in
from geodesic_cli.frames.keyframes import to_know_steps_down
from geodesic_cli.frames.pacing import Pacer, evaluations
from geodesic_cli.frames.paths import ATTENTION, BY_AUTHORS, FINELY_MEASURED, MEASURED, most_evaluations
from geodesic_cli.search.pool import evaluations_to_fill
from geodesic_cli.settings import STEPS, InterpolateSettings, parse_budget
from geodesic_cli.verbs.interpolate.drawing import DECODED_AT_ONCE
from geodesic_cli.verbs.interpolate.legs import AUTHORS

GRADIENT = 3.0
"""An evaluation with its gradient, in evaluations without."""


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Args:
        name: what the progress display calls it.
        evaluations: of the network; None where the stage is given in seconds.
        seconds: about.
        most: whether this is what it takes at most.
    """

    name: str
    evaluations: int | None
    seconds: float
    most: bool = False


def score_evaluations(settings: InterpolateSettings) -> int:
    """Network evaluations for one of the score."""
    s = settings
    asked = branches(s.density, s.guidance, s.negative_prompt)
    count = sum(prompt is not None or weight != 0 for prompt, weight in asked.items())
    if s.noise_bank == 1:
        return count
    return count * NoiseBank.draw(s.tau, s.noise_band, s.noise_bank, 1, torch.Generator()).evaluations(s.tau)


def text_evaluations(settings: InterpolateSettings) -> tuple[int, int]:
    """Network evaluations to read one image's caption, and to fit its text embedding."""
    s = settings
    read = 0 if s.captions is None else evaluations_to_choose(len(captions_in(s.captions, s.model)))
    return read, 0 if s.invert_text == "none" else DESCENTS[s.invert_text].evaluations


def stages(settings: InterpolateSettings, images: int, score: int, each: float) -> list[Stage]:
    """The stages of an interpolation of so many images.

    Args:
        images: keyframes.
        score: network evaluations for one of the score.
        each: seconds for a network evaluation.
    """
    s = settings
    legs, methods, transport = s.legs(images), s.methods, guided_evaluations(s.transport_guidance)
    made: list[Stage] = []

    def add(name: str, count: int, most: bool = False, weight: float = 1.0) -> None:
        if count:
            made.append(Stage(name, count, count * each * weight, most))

    read, fitted = text_evaluations(s)
    add("Reading captions", images * read, most=True)  # less where it is kept
    add("Inverting text", images * fitted, most=True, weight=GRADIENT)  # as above
    add("Encoding", (images * s.steps + to_know_steps_down(s.steps, images)) * transport)
    add("Looking at the first path", legs * s.nodes * score)
    if "geodesic" in methods:
        add("Solving", legs * most_evaluations(s.solver, s.nodes, s.max_steps) * score, most=True)
    if BY_AUTHORS in methods and not (s.solver == BY_AUTHORS and s.density == "paper" and "geodesic" in methods):
        own, looks = score_evaluations(replace(s, **AUTHORS)), s.nodes + MEASURED if s.density != "paper" else 0
        most_of_all = most_evaluations(BY_AUTHORS, s.nodes, s.max_steps)
        add("Solving as published", legs * (most_of_all + looks) * own, most=True)
    if "global" in methods:
        allowed, seconds = parse_budget(s.budget)
        add("Drawing samples of the model", evaluations_to_fill(s.pool_size, s.guidance) * min(legs, images), most=True)
        if allowed is None:
            made.append(Stage("Searching", None, legs * (seconds or 0.0), True))
        else:
            add("Searching", legs * allowed, most=True)
    asked = len(methods) - ("blend" in methods)  # which is drawn without the network
    add("Carrying the blend", legs * (s.nodes - 2) * s.steps * transport * ("blend" in methods))
    looks = MEASURED * len(methods) + (FINELY_MEASURED - MEASURED) * ("global" in methods)
    add("Measuring", legs * looks * score)
    steps = frame_steps(s, legs)
    if s.pacing != "path":
        look = Pacer(s.pacing, "", torch.diff, 1 if s.pacing in ("features", "perceptual") else 0, guide=(1.0,))
        legs_paced = [one + 1 for one in steps if one > 1]
        add("Pacing", sum(evaluations(look, n, s.steps, method, transport) for n in legs_paced for method in methods))
    parts = sum(math.ceil(one / DECODED_AT_ONCE) for one in steps) if ATTENTION in methods else 0  # ends go with each
    carried = sum(one - 1 for one in steps) * asked + 2 * parts
    add("Drawing", carried * (s.steps + 1) * transport, most=True)
    return made


def frame_steps(settings: InterpolateSettings, legs: int) -> Sequence[int]:
    """Steps from frame to frame on each leg, shared evenly; with another timing their sum is the same."""
    s = settings
    if s.frames is None:
        return [STEPS if s.between is None else s.between + 1] * legs
    total = max(legs, s.frames - (not s.loop))
    return [total * (k + 1) // legs - total * k // legs for k in range(legs)]
