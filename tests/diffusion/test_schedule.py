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
