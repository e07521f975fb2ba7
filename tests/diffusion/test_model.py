"""The embedded model does what it was trained for. The full figures come from examples/training/evaluate.py."""

import pytest
import torch
from torch import Tensor

from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion.prompts import PromptRemark
from geodesic_cli.errors import InputError
from geodesic_cli.scenes import fit_all, render, sample
from helpers import decibels


@pytest.fixture(scope="module")
def held_out() -> tuple[list, Tensor]:
    scenes = sample(16, torch.Generator().manual_seed(90_002))
    return scenes, render(scenes)


def test_held_out_scenes_come_back_from_the_autoencoder(model: LatentDiffusion, held_out) -> None:
    _, images = held_out
    back = model.decode(model.encode(images), model.latent_shape(64, 64))
    values = [decibels(a, b) for a, b in zip(images, back, strict=True)]
    assert sum(values) / len(values) >= 36
    assert min(values) >= 30


def test_held_out_scenes_survive_the_way_to_tau_and_back(model: LatentDiffusion, held_out) -> None:
    scenes, images = held_out
    shape = model.latent_shape(64, 64)
    condition = Embedding.cat([model.prompts.embed(scene.caption) for scene in scenes])
    z = model.encode(images)
    back = model.drop(model.lift(z, shape, condition, 0.6, 12), shape, condition, 0.6, 12)
    there_and_back = model.decode(back, shape)
    values = [decibels(a, b) for a, b in zip(images, there_and_back, strict=True)]
    assert sum(values) / len(values) >= 30


@pytest.mark.slow
def test_samples_show_what_the_prompt_says(model: LatentDiffusion, held_out) -> None:
    scenes = held_out[0][:8]
    drawn = model.sample([scene.caption for scene in scenes], torch.Generator().manual_seed(0))
    found = [f.scene.solids[0] for f in fit_all(drawn)]
    wanted = [scene.solids[0] for scene in scenes]
    assert sum(a.colour == b.colour for a, b in zip(found, wanted, strict=True)) >= 7
    assert sum(a.shape == b.shape for a, b in zip(found, wanted, strict=True)) >= 6


def test_latents_have_about_unit_variance(model: LatentDiffusion, held_out) -> None:
    assert float(model.encode(held_out[1]).std()) == pytest.approx(1, abs=0.1)


def test_the_score_agrees_with_the_change_of_log_density_along_any_small_loop(model: LatentDiffusion, held_out) -> None:
    # A gradient has no circulation. A network is not exactly a gradient: the loop integral is compared with the sum of
    # the absolute work along its sides.
    shape, tau = model.latent_shape(64, 64), 0.6
    conditioning = model.prompts.along(("a red rubber sphere",))
    score = model.score(shape, tau, conditioning)
    x = model.lift(model.encode(held_out[1][:1]), shape, conditioning(torch.zeros(1)), tau, 12).double()
    generator = torch.Generator().manual_seed(0)
    sides = 0.1 * torch.randn(2, x.shape[1], dtype=torch.float64, generator=generator)
    corners = torch.stack([0 * sides[0], sides[0], sides[0] + sides[1], sides[1], 0 * sides[0]]) + x
    s = score(corners, torch.zeros(5, dtype=torch.float64))
    work = ((s[1:] + s[:-1]) / 2 * (corners[1:] - corners[:-1])).sum(1)
    assert abs(float(work.sum())) < 0.05 * float(work.abs().sum())


def test_an_unknown_word_is_read_as_its_letters_and_does_no_harm(model: LatentDiffusion) -> None:
    with pytest.warns(PromptRemark) as told:
        embedded = model.prompts.embed("ein grüner Würfel, ✓")
    assert "grüner, würfel" in str(told[1].message)
    assert bool(embedded.tokens.isfinite().all())
    own, none = embedded.tokens.shape, model.prompts.embed("").tokens.shape
    assert own[1] % none[1] == 0 and own[2] == none[2], "letters are many, and long prompts are read in parts"
    assert not model.prompts.embed("a red cube").equal(model.prompts.embed("a blue cube"))


def test_more_than_two_prompts_and_odd_sizes_are_refused(model: LatentDiffusion) -> None:
    with pytest.raises(InputError, match="at most two prompts"):
        model.prompts.along(("a", "b", "c"))
    with pytest.raises(InputError, match=r"multiples of 8.*--size 64x96"):
        model.latent_shape(100, 64)
