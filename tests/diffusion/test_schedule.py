"""The noise schedule between its integer steps."""

import itertools

import pytest
import torch

from geodesic_cli.diffusion import NoiseSchedule
from geodesic_cli.errors import InputError


@pytest.fixture
def schedule() -> NoiseSchedule:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2  # Stable Diffusion's
    return NoiseSchedule((1 - betas).cumprod(0))


def test_at_the_integer_steps_the_schedule_is_the_table(schedule: NoiseSchedule) -> None:
    for step in (0, 1, 250, 580, 999):
        signal, sigma, timestep = schedule.level((step + 1) / 1000)
        assert signal**2 == pytest.approx(float(schedule.alpha_bar[step]), rel=1e-12)
        assert signal**2 + sigma**2 == pytest.approx(1)
        assert timestep == pytest.approx(step, abs=1e-9)


def test_clean_data_have_no_noise_and_count_as_the_first_step(schedule: NoiseSchedule) -> None:
    assert schedule.level(0) == (1.0, 0.0, 0.0)


def test_noise_grows_with_tau_also_between_the_steps(schedule: NoiseSchedule) -> None:
    levels = [schedule.noise_to_signal(k / 4321) for k in range(4322)]
    assert all(a < b for a, b in itertools.pairwise(levels))


def test_time_and_noise_are_inverse_to_each_other(schedule: NoiseSchedule) -> None:
    for tau in (0.0013, 0.05, 0.37205, 0.6, 0.99991):
        assert schedule.timestep(schedule.noise_to_signal(tau)) == pytest.approx(tau * 1000 - 1, abs=1e-6)


@pytest.mark.parametrize("tau", [-0.1, 1.1, float("nan")])
def test_a_noise_level_outside_the_schedule_is_refused(schedule: NoiseSchedule, tau: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        schedule.level(tau)


def test_the_grid_is_uniform_in_the_cube_root_of_the_noise_where_stable_diffusion_ends(schedule: NoiseSchedule) -> None:
    for start, stop in ((0.0, 1.0), (0.3, 0.9), (1.0, 0.0)):
        roots = torch.tensor(schedule.grid(start, stop, 10), dtype=torch.float64) ** (1 / 3)
        torch.testing.assert_close(roots, torch.linspace(float(roots[0]), float(roots[-1]), 11, dtype=torch.float64))


def test_a_long_tail_of_noise_takes_a_few_steps_only() -> None:
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)  # DDPM's, which ends at s = 157
    up = NoiseSchedule((1 - betas).cumprod(0)).grid(0, 1, 24)
    assert all(a < b for a, b in itertools.pairwise(up))
    assert up[-1] > 150
    assert sum(s > 15 for s in up) == 7
    endless = NoiseSchedule(torch.linspace(1, 0, 1001, dtype=torch.float64)[1:] ** 2)  # ends without any signal
    assert sum(s > 15 for s in endless.grid(1, 0, 24)) <= 12
    # Nothing jumps where the two rules meet.
    ratios = [b / a for a, b in itertools.pairwise(NoiseSchedule((1 - betas).cumprod(0)).grid(0, 1, 1000)[100:])]
    assert max(ratios) < 1.04
