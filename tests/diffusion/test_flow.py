"""Flow matching: the score from a velocity, and the straight transport, against their closed forms."""

import itertools

import pytest
import torch
from analytic import GaussianNetwork

from geodesic_cli.diffusion import Conditioning, DiffusionScore, Embedding, FlowSchedule
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.diffusion.transport import to_clean, to_noise
from geodesic_cli.errors import InputError

SHAPE = (2, 3, 4)
MEAN = 0.4


def network(shift: float = 3.0) -> GaussianNetwork:
    return GaussianNetwork("flow_prediction", FlowSchedule(shift))


def told(value: float) -> Embedding:
    return Embedding(torch.full((1, 2, 5), value))


def predictor(of: GaussianNetwork):
    predict = NoisePredictor(of, of.schedule, of.kind)
    condition = Embedding(torch.full((3, 1, 1), MEAN, dtype=torch.float64))
    return lambda x, timestep: predict(x, timestep, condition)


def latents() -> torch.Tensor:
    return torch.randn(3, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("tau", [0.02, 0.4, 0.9, 1.0])
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_score_from_a_velocity_is_the_gradient_of_the_log_density(tau: float, shift: float) -> None:
    of = network(shift)
    score = DiffusionScore(NoisePredictor(of, of.schedule, of.kind), SHAPE, tau, Conditioning(told(-0.3), told(0.5)))
    x = torch.randn(6, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    u = torch.linspace(0, 1, 6, dtype=torch.float64)
    assert torch.allclose(score(x, u), of.score(x, -0.3 + 0.8 * u, tau), atol=2e-4, rtol=1e-4)


def test_transport_lands_where_the_flow_of_gaussian_data_does() -> None:
    of, z = network(), latents()
    assert torch.allclose(to_noise(predictor(of), z, 0.6, of.schedule, 400), of.carried(z, MEAN, 0.6), atol=2e-5)


def test_transport_is_of_second_order_in_both_directions() -> None:
    of, z = network(), latents()
    for carry, start, exact in (
        (to_noise, z, of.carried(z, MEAN, 0.6)),
        (to_clean, of.carried(z, MEAN, 0.6), z),
    ):
        errors = [float((carry(predictor(of), start, 0.6, of.schedule, n) - exact).abs().max()) for n in (20, 40, 80)]
        for coarse, halved in itertools.pairwise(errors):
            assert 3 < coarse / halved < 6, errors


def test_noise_becomes_data_of_the_right_mean_and_spread() -> None:
    of = network()
    noise = torch.randn(3, 2, 40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z = to_clean(predictor(of), noise, 1.0, of.schedule, 40)
    assert float(z.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(z.std()) == pytest.approx(0.7, abs=0.02)


def test_the_shift_moves_the_levels_and_keeps_the_ends() -> None:
    plain, shifted = FlowSchedule(), FlowSchedule(3.0)
    assert shifted.level(0.0) == (1.0, 0.0, 0.0)
    assert plain.level(0.4) == pytest.approx((0.6, 0.4, 400.0))
    assert shifted.position(0.4) == pytest.approx(3 * 0.4 / (1 + 2 * 0.4))
    assert shifted.position(1.0) == plain.position(1.0) == 0.999
    assert shifted.at(shifted.level(0.37)[2]) == pytest.approx(shifted.level(0.37)[:2])
    assert plain.content != shifted.content
    with pytest.raises(InputError, match="between 0 and 1"):
        plain.level(1.5)


def test_the_score_of_pure_noise_is_minus_the_point() -> None:
    of = network()
    x = torch.randn(2, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    predict = NoisePredictor(of, of.schedule, of.kind)
    score = DiffusionScore(predict, SHAPE, 1.0, Conditioning(told(0.0), told(0.0)))(x, torch.zeros(2))
    assert torch.allclose(score, -x, rtol=5e-3, atol=1e-3)
