"""The probability flow against its closed form for Gaussian data, and its measured order."""

import itertools

import torch
from analytic import GaussianNetwork, schedule

from geodesic_cli.diffusion.holding import Hold
from geodesic_cli.diffusion.transport import to_clean, to_held, to_noise

MEAN = 0.4


def predictor(network: GaussianNetwork):
    condition = torch.full((3, 1, 1), MEAN, dtype=torch.float64)
    return lambda x, timestep: network(x, torch.full((len(x),), timestep), condition).sample


def latents() -> torch.Tensor:
    return torch.randn(3, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_inversion_lands_where_the_flow_of_gaussian_data_does() -> None:
    network, z = GaussianNetwork(), latents()
    x = to_noise(predictor(network), z, 0.6, schedule(), 400)
    # What is left is the schedule's own: no network is trained below its first step, s0 = 0.029, where clean data are
    # taken to be; that moves a point by about s0^2 / 2 relative to its size.
    assert torch.allclose(x, network.carried(z, MEAN, 0.6), atol=6e-3)


def test_transport_is_of_second_order_in_both_directions() -> None:
    network, z = GaussianNetwork(), latents()
    for carry, start in ((to_noise, z), (to_clean, network.carried(z, MEAN, 0.6))):
        fine = carry(predictor(network), start, 0.6, schedule(), 4000)
        errors = [
            float((carry(predictor(network), start, 0.6, schedule(), n) - fine).abs().max()) for n in (20, 40, 80, 160)
        ]
        for coarse, halved in itertools.pairwise(errors):
            assert 3 < coarse / halved < 6, errors


def test_twelve_steps_there_and_back_beat_fifty_uniform_euler_steps() -> None:
    network, z = GaussianNetwork(), latents()
    there_and_back = to_clean(
        predictor(network), to_noise(predictor(network), z, 0.6, schedule(), 12), 0.6, schedule(), 12
    )
    ours = float((there_and_back - z).abs().max())
    table = [schedule().noise_to_signal(0.6 * k / 50) for k in range(51)]

    def euler(y: torch.Tensor, grid: list[float]) -> torch.Tensor:
        for s, following in itertools.pairwise(grid):
            y = y + (following - s) * predictor(network)(y * (1 + s * s) ** -0.5, schedule().timestep(s))
        return y

    ddim = euler(euler(z, table), table[::-1])
    assert ours < 0.5 * float((ddim - z).abs().max())


def test_the_number_of_network_evaluations_is_what_the_docstrings_say() -> None:
    network = GaussianNetwork()
    to_noise(predictor(network), latents(), 0.6, schedule(), 7)
    assert network.calls == 7
    to_clean(predictor(network), latents(), 0.6, schedule(), 7)
    assert network.calls == 7 + 8


def test_no_noise_is_no_transport_and_no_argument_is_written_to() -> None:
    z = latents()
    before = z.clone()
    assert to_noise(predictor(GaussianNetwork()), z, 0.0, schedule(), 5) is z
    to_noise(predictor(GaussianNetwork()), z, 0.8, schedule(), 5)
    assert torch.equal(z, before)


def test_a_grid_finer_than_the_schedule_is_no_trouble() -> None:
    x = to_noise(predictor(GaussianNetwork()), latents(), 0.01, schedule(), 200)
    assert bool(x.isfinite().all())


def test_drawing_with_clean_data_held_is_the_flow_where_nothing_is_beyond_the_range() -> None:
    """And of second order: the last step but one ends at 1 / steps of the schedule's first level."""
    network = GaussianNetwork()
    start = network.carried(latents(), MEAN, 0.6)
    fine = to_clean(predictor(network), start, 0.6, schedule(), 4000)
    errors = [
        float((to_held(predictor(network), start, 0.6, schedule(), n, Hold(1e6)) - fine).abs().max())
        for n in (20, 40, 80)
    ]
    for coarse, halved in itertools.pairwise(errors):
        assert 2.5 < coarse / halved < 8, errors
    near = to_held(predictor(network), start, 0.6, schedule(), 20, Hold(0.1))
    assert float(near.abs().max()) <= 0.1
