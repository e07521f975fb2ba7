"""A plan counts what a run will ask of the network, and says how long and how much memory that takes."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.frames.paths import Problem, most_evaluations
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.settings.interpolate import PATH_SOLVERS
from geodesic_cli.verbs.interpolate.legs import score_of
from geodesic_cli.verbs.interpolate.plan import Plan, in_words, plan
from geodesic_cli.verbs.interpolate.run import dry_run, interpolate
from geodesic_cli.verbs.interpolate.stages import Stage, frame_steps, score_evaluations, stages

IMAGES = ("a.png", "b.png")


def counts(settings: InterpolateSettings, images: int = 2, score: int = 1) -> dict[str, int | None]:
    return {stage.name: stage.evaluations for stage in stages(settings, images, score, 0.5)}


def asked_of(model: LatentDiffusion, pair: torch.Tensor, **options: object) -> int:
    """How many latents an interpolation sends through the network."""
    seen = []
    handle = model.predict.unet.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    try:
        interpolate(*pair, model=model, **options)
    finally:
        handle.remove()
    return sum(seen)


@pytest.mark.parametrize(
    "options",
    [
        {"method": "slerp", "frames": 5, "pacing": "path"},
        {"method": "slerp", "frames": 5, "pacing": "even"},
        {"method": "slerp", "frames": 4, "pacing": "features"},
        {"method": "slerp", "frames": 4, "pacing": "features", "guidance": 2.0},
        {"method": "attention", "frames": 5, "pacing": "even", "compare": "blend"},
        {"method": "blend", "frames": 5, "pacing": "features"},
        {"method": "lerp", "frames": 3, "pacing": "path", "guidance": 2.0},
        {"method": "slerp", "frames": 3, "pacing": "path", "density": "negative", "noise_bank": 2},
    ],
)
def test_a_run_that_needs_no_solver_costs_exactly_what_the_plan_says(model, pair, options) -> None:
    options = {"nodes": 5, "steps": 3} | options
    settings = InterpolateSettings(images=IMAGES, **options)
    assert plan(settings, model, 2, 64, 64).evaluations == asked_of(model, pair, **options)


def test_a_run_with_a_solver_costs_no_more_than_the_plan_says(model, pair) -> None:
    options = {"nodes": 5, "steps": 3, "frames": 3, "pacing": "path", "max_steps": 6, "bend": 1.0}
    planned = plan(InterpolateSettings(images=IMAGES, **options), model, 2, 64, 64)
    assert asked_of(model, pair, **options) <= planned.evaluations
    (solving,) = (stage for stage in planned.stages if stage.name == "Solving")
    assert solving.most and "up to" in planned.text


def test_the_most_that_a_solver_takes_is_what_the_problem_says(model, pair) -> None:
    ends = embed(model, pair, (), 0.4, 2)
    for solver in PATH_SOLVERS:
        problem = Problem.between(model, ends, bend=1.0, alpha=None, nodes=9, seed=0)
        assert most_evaluations(solver, 9, 7) == problem.most_evaluations(solver, 7)


def test_every_stage_scales_with_what_it_depends_on() -> None:
    def local(images: tuple[str, ...] = IMAGES, **changes) -> InterpolateSettings:
        return InterpolateSettings(images=images, method="geodesic", **changes)

    plain = counts(local(frames=17))
    assert "Inverting text" not in plain
    assert counts(local(frames=17, invert_text="published")) == plain | {"Inverting text": 2000}
    both = counts(local(frames=17, compare=True))
    assert both["Measuring"] == 3 * plain["Measuring"] and both["Drawing"] == 3 * plain["Drawing"]
    assert both["Solving"] == plain["Solving"]
    guided = counts(local(frames=17, guidance=2.0), score=2)
    assert all(guided[name] == 2 * plain[name] for name in plain)
    three = counts(local((*IMAGES, "c.png"), between=15), images=3)
    assert three["Encoding"] == 3 * (12 + 4) and three["Solving"] == 2 * plain["Solving"]
    assert three["Drawing"] == 2 * plain["Drawing"]
    searched = InterpolateSettings(images=IMAGES, frames=17, method="global", budget="500")
    assert counts(searched)["Searching"] == 500 and "Solving" not in counts(searched)
    timed = stages(replace(searched, budget="60s"), 2, 1, 0.5)
    assert [(one.evaluations, one.seconds) for one in timed if one.name == "Searching"] == [(None, 60.0)]
    gradient = stages(InterpolateSettings(images=IMAGES, invert_text="published"), 2, 1, 0.5)[0]
    assert gradient.seconds == 2000 * 0.5 * 3


def test_frames_are_shared_exactly() -> None:
    for frames, loop, legs in ((17, False, 3), (10, True, 3), (4, False, 3)):
        s = InterpolateSettings(images=("a", "b", "c", "d")[: legs + (not loop)], frames=frames, loop=loop)
        assert sum(frame_steps(s, legs)) == frames - (not loop)


def test_time_and_memory_are_said_in_words(model) -> None:
    made = plan(InterpolateSettings(images=IMAGES), model, 2, 64, 64)
    assert made.per_evaluation > 0 and made.seconds == pytest.approx(made.evaluations * made.per_evaluation)
    assert 10e6 < made.weights < 100e6 and 0 < made.working < 2e9 and made.free > 2**26
    assert made.text.splitlines()[0].split() == ["stage", "evaluations", "about"]
    assert "in all" in made.text and "ms an evaluation" in made.text
    assert json.loads(json.dumps(made.metrics))["memory"]["weights"] == made.weights
    assert [in_words(t) for t in (0.34, 42.0, 300.0, 11160.0)] == ["0.3 s", "42 s", "5 min", "3.1 h"]
    timed = Plan((Stage("Searching", None, 60.0, True),), 0.1, "cpu", "float32", 1, 1, 1, 1)
    assert timed.rows[0] == ("Searching", "-", "60 s")


def test_a_size_that_the_model_cannot_take_is_refused(model) -> None:
    with pytest.raises(InputError, match="multiples of 8"):
        plan(InterpolateSettings(images=IMAGES), model, 2, 60, 64)


def test_a_large_model_is_planned_for_without_weights_and_without_timing_it(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    settings = InterpolateSettings(images=files, model="sd15", device="cpu", noise_bank=3, guidance=3.0)
    began = time.process_time()
    planned = dry_run(Job(settings, Silent()))
    assert (
        time.process_time() - began < 20
    )  # of which most is the import of the libraries, where they are not there yet
    assert not planned.timed and "nothing was loaded or timed" in planned.text
    assert planned.weights == pytest.approx(4 * 1066e6, rel=0.01)
    by_name = {stage.name: stage for stage in planned.stages}
    assert (
        by_name["Looking at the first path"].evaluations == 17 * 2 * 4
    )  # two prompts; of three levels the highest takes two
    assert planned.metrics["timed"] is False and planned.seconds > 10
    larger = dry_run(Job(replace(settings, size="2048"), Silent()))
    assert larger.working > 10 * planned.working or larger.chunk < planned.chunk
    with pytest.raises(InputError, match="takes no prompt"):
        dry_run(Job(InterpolateSettings(images=files, model="scenes-ddpm", prompt=("a",)), Silent()))


@pytest.mark.parametrize(
    "options",
    [{}, {"guidance": 3.0}, {"density": "paper"}, {"density": "unconditional"}, {"noise_bank": 4}, {"noise_bank": 3}],
)
def test_the_evaluations_of_a_score_are_known_without_the_model(model: LatentDiffusion, options: dict) -> None:
    s = InterpolateSettings(images=IMAGES, method="geodesic", **options)
    shape = model.latent_shape(64, 64)
    assert score_evaluations(s) == score_of(s, model, shape, model.prompts.along(())).evaluations
