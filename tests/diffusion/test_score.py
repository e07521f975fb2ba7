"""The diffusion score equals the gradient of the log density that the network was built from."""

import pytest
import torch
from analytic import GaussianNetwork

from geodesic_cli.diffusion import Conditioning, DiffusionScore, Embedding
from geodesic_cli.diffusion.batching import Chunks, item_cost
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.errors import ModelError

SHAPE = (2, 3, 4)
KINDS = ("epsilon", "v_prediction", "sample")


def told(value: float) -> Embedding:
    return Embedding(torch.full((1, 2, 5), value))


def conditioning(start: float = -0.3, end: float = 0.5) -> Conditioning:
    return Conditioning(told(start), told(end))


def points(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(n, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x, torch.linspace(0, 1, n, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tau", [0.05, 0.6, 1.0])
def test_the_score_is_the_gradient_of_the_log_density_whatever_the_network_predicts(kind: str, tau: float) -> None:
    network = GaussianNetwork(kind)
    score = DiffusionScore(NoisePredictor(network, network.schedule, kind), SHAPE, tau, conditioning())
    x, u = points()
    truth = network.score(x, -0.3 + 0.8 * u, tau)
    # The adapter hands the network float32; dividing by a small sigma leaves 1e-4 of that rounding.
    assert torch.allclose(score(x, u), truth, atol=2e-4, rtol=1e-4)


def test_dtype_and_shape_are_the_inputs() -> None:
    network = GaussianNetwork()
    score = DiffusionScore(NoisePredictor(network, network.schedule), SHAPE, 0.6, conditioning())
    x, u = points()
    assert score(x, u).dtype == torch.float64
    assert score(x.float(), u.float()).dtype == torch.float32
    assert score(x, u).shape == x.shape


def test_chunks_and_the_order_of_a_batch_do_not_change_a_score() -> None:
    network = GaussianNetwork()
    x, u = points(7)
    whole = DiffusionScore(NoisePredictor(network, network.schedule, chunks=Chunks(64)), SHAPE, 0.6, conditioning())(
        x, u
    )
    parts = DiffusionScore(NoisePredictor(network, network.schedule, chunks=Chunks(2)), SHAPE, 0.6, conditioning())(
        x, u
    )
    assert torch.equal(whole, parts)
    cost = item_cost(network, SHAPE, network.dtype)  # half of the free memory is for a call, so two go at once
    few = NoisePredictor(network, network.schedule, chunks=Chunks(free=lambda device: 5 * cost))
    calls = network.calls
    assert torch.equal(whole, DiffusionScore(few, SHAPE, 0.6, conditioning())(x, u))
    assert network.calls == calls + 4
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    score = DiffusionScore(NoisePredictor(network, network.schedule), SHAPE, 0.6, conditioning())
    assert torch.equal(score(x[order], u[order]), whole[order])


def test_guidance_blends_the_two_scores_and_costs_nothing_at_one() -> None:
    x, u = points()
    null = told(0.9)
    network = GaussianNetwork()
    predict = NoisePredictor(network, network.schedule)
    plain = DiffusionScore(predict, SHAPE, 0.6, conditioning(), null, 1.0)(x, u)
    assert network.seen == len(x)
    guided = DiffusionScore(predict, SHAPE, 0.6, conditioning(), null, 2.5)(x, u)
    assert network.seen == 3 * len(x)
    without = network.score(x, torch.full_like(u, 0.9), 0.6)
    assert torch.allclose(guided, without + 2.5 * (plain - without), atol=1e-4)


def test_the_conditioning_goes_linearly_from_one_prompt_to_the_other() -> None:
    c = conditioning(0.0, 1.0)(torch.tensor([0.0, 0.25, 1.0]))
    assert c.tokens.shape == (3, 2, 5)
    assert torch.allclose(c.tokens[:, 0, 0], torch.tensor([0.0, 0.25, 1.0]))


def test_clean_data_have_no_score_and_an_unknown_prediction_is_refused() -> None:
    network = GaussianNetwork()
    x, u = points()
    with pytest.raises(ModelError, match="tau"):
        DiffusionScore(NoisePredictor(network, network.schedule), SHAPE, 0.0, conditioning())(x, u)
    with pytest.raises(ModelError, match="noise2noise"):
        NoisePredictor(network, network.schedule, "noise2noise")


@pytest.mark.parametrize("kind", KINDS)
def test_a_time_for_each_row_gives_what_its_own_call_would(kind: str) -> None:
    network = GaussianNetwork(kind)
    predict = NoisePredictor(network, network.schedule, kind, chunks=Chunks(2))
    z = points(5)[0].float().reshape(-1, *SHAPE)
    condition = conditioning()(points(5)[1])
    times = torch.tensor([999.0, 3.25, 500.0, 20.0, 0.0])
    rows = [predict(z[k : k + 1], float(times[k]), condition[k]) for k in range(5)]
    torch.testing.assert_close(predict(z, times, condition), torch.cat(rows), rtol=1e-6, atol=1e-6)


def test_a_prediction_that_is_not_finite_is_a_sentence_unless_the_point_is_out_of_reach() -> None:
    network = GaussianNetwork()

    def broken(z: torch.Tensor, timestep: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return torch.where((z.flatten(1)[:, :1].abs() <= 3)[:, :, None, None], torch.zeros_like(z), torch.nan)

    predict = NoisePredictor(network, network.schedule, ask=lambda unet, z, times, c: broken(z, times, c.tokens))
    score = DiffusionScore(predict, SHAPE, 0.6, conditioning())
    x, u = points()
    x = x.clamp(-2, 2)
    assert score(x, u).isfinite().all()
    x[2, 0] = 4.0
    with pytest.raises(ModelError, match=r"not finite \(NaN or infinity\) at 1 of 6 points.*--dtype fp32"):
        score(x, u)
    for away in (1e6, float("inf"), float("nan")):  # where a solver runs off to: it is told NaN, and steps back
        x[2, 0] = away
        assert score(x, u).isfinite().all(1).tolist() == [True, True, False, True, True, True]
