"""The baselines beside the great circle: what they are between the ends, and that the ends stay as they are."""

import pytest
import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.frames.baselines import EXTREME, blended, corrected, with_mixed_attention
from geodesic_cli.frames.keyframes import Ends, embed
from geodesic_cli.frames.paths import Problem, clean_latents
from geodesic_cli.scenes import render, sample

STEPS = 2


@pytest.fixture(scope="module")
def ends(model: LatentDiffusion) -> Ends:
    return embed(model, render(sample(2, torch.Generator().manual_seed(5))), (), 0.4, STEPS)


@pytest.fixture(scope="module")
def problem(model: LatentDiffusion, ends: Ends) -> Problem:
    return Problem.between(model, ends, bend=1.0, alpha=None, nodes=5, seed=0)


def test_a_blend_is_drawn_as_the_line_between_clean_latents_and_measured_at_tau(
    model: LatentDiffusion, ends: Ends, problem: Problem
) -> None:
    path = blended(problem, model, STEPS, 1.0)
    u = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    z = clean_latents(model, ends, path, u, STEPS, 1.0)
    assert torch.allclose(z[1], 0.75 * ends.z[0] + 0.25 * ends.z[1], atol=1e-6)
    assert torch.equal(path(u)[[0, 2]], ends.x)
    lifted = model.lift(z[1:2], ends.shape, ends.conditioning(u[1:2]), ends.tau, STEPS)
    assert torch.allclose(path(u[1:2]).to(lifted), lifted, atol=1e-4)


def test_the_corrected_great_circle_has_fewer_extreme_entries_the_same_norms_and_the_same_ends(
    problem: Problem,
) -> None:
    path, circle = corrected(problem), problem.slerp()
    u = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    ours, theirs = path(u), circle(u)
    assert torch.allclose(ours[[0, 2]], theirs[[0, 2]], rtol=0, atol=1e-9)
    assert torch.allclose(ours.norm(dim=1), theirs.norm(dim=1))
    size = theirs[1].square().mean().sqrt()
    assert float(theirs[1].abs().max()) > EXTREME * float(size)
    assert float(ours[1].abs().max()) < float(theirs[1].abs().max())


def test_mixed_attention_goes_along_the_great_circle_and_is_drawn_otherwise(
    model: LatentDiffusion, ends: Ends, problem: Problem
) -> None:
    path, circle = with_mixed_attention(problem), problem.slerp()
    u = torch.tensor([0.0, 0.3, 0.6, 1.0], dtype=torch.float64)
    assert torch.equal(path(u), circle(u))
    ours, theirs = (clean_latents(model, ends, each, u, STEPS, 1.0) for each in (path, circle))
    assert torch.equal(ours[[0, 3]], theirs[[0, 3]]) and not torch.allclose(ours[1:3], theirs[1:3], atol=1e-2)
    single = torch.cat([clean_latents(model, ends, path, u[k : k + 1], STEPS, 1.0) for k in range(4)])
    assert torch.allclose(ours, single, atol=1e-4)
