"""Textual inversion is AdamW on a known loss, one step a function of the last; it finds the embedding that explains."""

import math
from dataclasses import replace

import pytest
import torch
from analytic import SCALE, GaussianNetwork

from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.diffusion.tuning.textual_inversion import (
    PUBLISHED_DESCENT,
    QUICK,
    Inverted,
    TextDescent,
    denoising_errors,
    invert_text,
)
from geodesic_cli.errors import InputError, ModelError

SHAPE = (2, 3, 4)
NETWORK = GaussianNetwork()
PREDICT = NoisePredictor(NETWORK, NETWORK.schedule)


def told(value: float) -> Embedding:
    return Embedding(torch.full((1, 2, 5), value), torch.full((1, 3), 7.0))


def test_the_descent_finds_the_mean_that_explains_the_image() -> None:
    # A flat image z = m0 is best explained by the mean m0 itself.
    z = torch.full(SHAPE, 0.5)
    found = invert_text(PREDICT, z, told(0.2), TextDescent(80, 4, 0.02, falling=True, even=True))
    assert found.tokens.shape == (1, 2, 5)
    assert float(found.tokens.mean()) == pytest.approx(0.5, abs=0.05)
    assert torch.equal(found.pooled, told(0.2).pooled)


def test_more_low_levels_leave_the_expected_loss_as_it_is() -> None:
    # The loss of a step at a fixed embedding, averaged over many steps, is the same integral over the noise levels.
    z, still = torch.linspace(-1, 1, 24).reshape(SHAPE), TextDescent(400, 1, 1e-12, falling=False, even=True)
    means = []
    for low in (1.0, 1.5, 2.0):
        states: list[Inverted] = []
        invert_text(PREDICT, z, told(0.1), replace(still, low=low), on_step=states.append)
        means.append(sum(state.loss for state in states) / len(states))
    assert means[1] == pytest.approx(means[0], rel=0.05) and means[2] == pytest.approx(means[0], rel=0.05)


def test_the_published_descent_takes_the_steps_of_torchs_adamw() -> None:
    z, start = torch.linspace(-1, 1, 24).reshape(SHAPE), told(0.1)
    states: list[Inverted] = []
    ours = invert_text(PREDICT, z, start, replace(PUBLISHED_DESCENT, steps=6), on_step=states.append)
    # The same times and noise, replayed into torch's optimiser.
    from geodesic_cli.diffusion.tuning.textual_inversion import _generator

    tokens = start.tokens.clone().requires_grad_()
    optimiser = torch.optim.AdamW([tokens], lr=0.005)
    for step in range(6):
        generator = _generator(0, step)
        taus = torch.rand(2, generator=generator, dtype=torch.float64)
        noise = torch.randn(2, *SHAPE, generator=generator)
        loss = denoising_errors(PREDICT, z, replace(start, tokens=tokens), taus, noise).sum() / 48
        assert states[step].loss == pytest.approx(float(loss.detach()), rel=1e-5)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(ours.tokens, tokens.detach(), rtol=1e-5, atol=1e-6)


def test_a_descent_that_was_stopped_goes_on_bit_for_bit() -> None:
    z = torch.linspace(-1, 1, 24).reshape(SHAPE)
    for descent in (replace(PUBLISHED_DESCENT, steps=9), replace(QUICK, steps=9)):
        whole = invert_text(PREDICT, z, told(0.1), descent)
        states: list[Inverted] = []
        invert_text(PREDICT, z, told(0.1), descent, on_step=states.append)
        again = invert_text(PREDICT, z, told(0.1), descent, state=states[3])
        assert torch.equal(whole.tokens, again.tokens)
        assert [state.step for state in states] == list(range(1, 10))


def test_the_loss_is_what_gaussian_data_make_of_it() -> None:
    # eps - n = s (x - a m) / v - n with x = a z + s n; at z = m it is (s^2 / v - 1) n, so (a^2 c^2 / v)^2 |n|^2.
    z, n = torch.full(SHAPE, 0.5), torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2))
    taus = torch.tensor([0.1, 0.5, 0.9])
    for k, error in enumerate(denoising_errors(PREDICT, z, told(0.5), taus, n).tolist()):
        a, s, _ = NETWORK.schedule.level(float(taus[k]))
        v = a * a * SCALE**2 + s * s
        assert error == pytest.approx((a * a * SCALE**2 / v) ** 2 * float(n[k].square().sum()), rel=1e-4)


def test_the_rate_falls_to_zero_and_the_times_are_even_in_the_quick_descent() -> None:
    rates = [QUICK.rate_at(k) for k in range(QUICK.steps)]
    assert rates[0] == QUICK.rate and rates == sorted(rates, reverse=True) and rates[-1] < 0.01 * QUICK.rate
    assert {PUBLISHED_DESCENT.rate_at(k) for k in range(500)} == {0.005}
    assert PUBLISHED_DESCENT.evaluations == 1000 and QUICK.evaluations < 200
    seen: list[float] = []

    def ask(network, z, times, condition):
        seen.extend(times.tolist())
        return 0 * z + condition.tokens.mean()

    even = replace(QUICK, steps=20, batch=2, low=1.0)
    invert_text(replace(PREDICT, ask=ask), torch.zeros(SHAPE), told(0.0), even)
    counts = torch.histc(torch.tensor(seen), bins=10, min=0, max=1000)
    assert int(counts.min()) >= 3 and int(counts.max()) <= 5, "40 times, 4 for each tenth"
    seen.clear()
    invert_text(replace(PREDICT, ask=ask), torch.zeros(SHAPE), told(0.0), replace(even, low=2.0))
    below = sum(time < 250 for time in seen)
    assert 18 <= below <= 22, "v^2 is below a quarter for half of v"


def test_the_seed_decides_and_a_gradient_that_is_not_finite_is_an_error() -> None:
    z, descent = torch.linspace(-1, 1, 24).reshape(SHAPE), replace(QUICK, steps=3)
    one, other = (invert_text(PREDICT, z, told(0.1), descent, seed=seed).tokens for seed in (0, 1))
    assert not torch.equal(one, other)
    with pytest.raises(ModelError, match="--dtype"):
        invert_text(PREDICT, math.nan * z, told(0.1), descent)


def test_a_descent_of_no_steps_is_refused() -> None:
    for wrong in ({"steps": 0}, {"batch": 0}):
        with pytest.raises(InputError, match="at least one step"):
            replace(QUICK, **wrong)


def test_the_loss_of_the_embedded_model_falls_and_its_weights_stay(model: LatentDiffusion, pair) -> None:
    z = model.codec.encode(pair[:1])[0]
    start = model.prompts.embed("a blue cube")
    before = model.fingerprint
    found = invert_text(model.predict, z, start, replace(QUICK, steps=40))
    taus = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    noise = torch.randn(64, *z.shape, generator=torch.Generator().manual_seed(1))  # which no descent has seen
    with torch.no_grad():
        losses = [float(denoising_errors(model.predict, z, c, taus, noise).mean()) for c in (found, start)]
    assert losses[0] < 0.97 * losses[1]
    assert model.fingerprint == before
    assert all(parameter.grad is None for parameter in model.predict.unet.parameters())
    assert found.tokens.shape == start.tokens.shape and found.tokens.dtype == start.tokens.dtype
