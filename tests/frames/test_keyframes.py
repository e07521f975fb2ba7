"""Paths through several images: each is met exactly, without a corner, and the frames are counted exactly."""

from dataclasses import replace

import pytest
import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.frames import keyframes
from geodesic_cli.frames.keyframes import embed, steps_down, to_know_steps_down
from geodesic_cli.frames.path_report import joined
from geodesic_cli.frames.paths import MEASURED, REACH, ImagePath, Problem, clean_latents, positions
from geodesic_cli.scenes import Scene, Solid, render
from geodesic_cli.verbs.interpolate.run import interpolate

QUICK = {"nodes": 9, "steps": 4, "tau": 0.5, "bend": 1.0, "pacing": "path"}


def images(count: int) -> torch.Tensor:
    return render([Scene((Solid("sphere", "red", "rubber", 0.5 * k - 0.6, 0.0),)) for k in range(count)])


@pytest.fixture(scope="module")
def three() -> torch.Tensor:
    return images(3)


def test_every_image_is_a_frame_of_its_own(model: LatentDiffusion, three: torch.Tensor) -> None:
    made = interpolate(*three, model=model, between=3, **QUICK)
    assert made.frames.shape == (9, 3, 64, 64)
    assert made.metrics["keyframes"] == [0, 4, 8]
    own = model.decode(model.encode(three), model.latent_shape(64, 64))
    assert torch.allclose(made.frames[[0, 4, 8]], own, atol=1e-5)
    assert len(made.metrics["legs"]) == 2
    assert made.u.tolist() == pytest.approx([k / 8 for k in range(9)])


@pytest.mark.parametrize("method", ["geodesic", "slerp", "lerp"])
def test_the_path_has_no_corner_at_an_image(model: LatentDiffusion, three: torch.Tensor, method: str) -> None:
    made = interpolate(*three, model=model, between=1, method=method, **QUICK)
    before, after = made.legs
    into, out = before.end_velocities[1], after.end_velocities[0]
    assert float((into - out).norm()) < 1e-4 * float(into.norm())
    sharp = [replace(leg, corners=None) for leg in made.legs]
    assert float((sharp[0].end_velocities[1] - sharp[1].end_velocities[0]).norm()) > 0.1 * float(into.norm())
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert torch.equal(before(ends), sharp[0](ends))
    middle = torch.linspace(REACH, 1 - REACH, 5, dtype=torch.float64)
    assert torch.equal(after(middle), sharp[1](middle))


def test_a_loop_closes_and_does_not_repeat_its_first_frame(model: LatentDiffusion, three: torch.Tensor) -> None:
    made = interpolate(*three, model=model, frames=9, loop=True, **QUICK)
    assert made.frames.shape[0] == 9
    assert made.metrics["keyframes"] == [0, 3, 6]
    assert len(made.legs) == 3
    into, out = made.legs[2].end_velocities[1], made.legs[0].end_velocities[0]
    assert float((into - out).norm()) < 1e-4 * float(into.norm())


def test_timing_sets_where_the_images_lie(model: LatentDiffusion, three: torch.Tensor) -> None:
    made = interpolate(*three, model=model, frames=10, timing="2,1", **QUICK)
    assert made.metrics["keyframes"] == [0, 6, 9]
    with pytest.raises(InputError, match="each of the 2 stretches from image to image; got 3"):
        interpolate(*three, model=model, frames=10, timing="2,1,1", **QUICK)


def test_each_image_may_have_its_prompt_and_another_number_is_refused(
    model: LatentDiffusion, three: torch.Tensor
) -> None:
    prompts = ("a red rubber sphere",) * 3
    one = interpolate(*three, model=model, between=0, prompt=prompts[:1], **QUICK)
    each = interpolate(*three, model=model, between=0, prompt=prompts, **QUICK)
    assert torch.equal(one.legs[1].curve.x, each.legs[1].curve.x)
    with pytest.raises(InputError, match="3 images take no prompt, one, or 3; got 2"):
        interpolate(*three, model=model, prompt=prompts[:2], **QUICK)


def test_all_legs_share_one_alpha(model: LatentDiffusion) -> None:
    made = interpolate(*images(4), model=model, between=0, **QUICK)
    assert len({leg.alpha for leg in made.legs}) == 1
    assert len({round(leg.bend, 6) for leg in made.legs}) == 3


def test_reports_of_legs_add_up(model: LatentDiffusion, three: torch.Tensor) -> None:
    made = interpolate(*three, model=model, between=0, method="slerp", **QUICK)
    again = joined([made.report], made.path.alpha)
    assert again == made.report
    assert made.report.u == sorted(made.report.u)
    assert made.report.u[-1] == 1.0
    assert len(made.report.u) == len(made.report.log_density) == 2 * MEASURED - 1
    lengths = [leg["euclidean_length"] for leg in made.metrics["legs"]]
    assert made.report.euclidean_length == pytest.approx(sum(lengths))


def test_a_path_without_corners_is_its_curve(model: LatentDiffusion, three: torch.Tensor) -> None:
    made = interpolate(*three[:2], model=model, frames=3, method="lerp", **QUICK)
    assert isinstance(made.path, ImagePath)
    assert made.path.corners is None


def test_frames_are_drawn_in_as_few_steps_as_keep_the_images(model: LatentDiffusion, three: torch.Tensor) -> None:
    conditions = keyframes.conditions_for(model, ("a red sphere",), 3)
    found = {}
    for tau in (0.1, 0.8):
        made = keyframes.embed_all(model, three, conditions, tau, 12, 1.0)
        found[tau] = steps_down(model, made, 12, 1.0)
    assert found == {0.1: 4, 0.8: 12}, "little noise takes few steps"
    ends = embed(model, three[[0, 2]], ("a red sphere",), 0.1, 12)
    path = Problem.between(model, ends, bend=4, alpha=None, nodes=9, seed=0).geodesic("surrogate", 0.1, 20)
    quick, exact = (clean_latents(model, ends, path, positions(5), steps, 1.0)[1:-1] for steps in (found[0.1], 32))
    assert float((quick - exact).norm() / exact.norm()) < 0.02


def test_an_error_that_falls_in_proportion_to_the_steps_is_held_to_its_share(monkeypatch, model, three) -> None:
    conditions = keyframes.conditions_for(model, (), 3)
    made = keyframes.embed_all(model, three, conditions, 0.4, 4, 1.0)
    asked = []

    def drop(self, x, shape, condition, tau, steps, guidance):
        asked.append((len(x), steps))
        return made.z * (1 + share / steps)

    monkeypatch.setattr(LatentDiffusion, "drop", drop)
    for share, steps, expected in ((0.0, 12, 4), (0.044, 12, 6), (0.044, 24, 12), (1.0, 12, 12), (0.0, 1, 1)):
        asked.clear()
        assert steps_down(model, made, steps, 1.0) == expected, (share, steps)
        assert asked[0][0] * (asked[0][1] + 1) == to_know_steps_down(steps, 3)
