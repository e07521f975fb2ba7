"""The averaged score against closed forms for Gaussian data, x_tau ~ N(a m, v) with v = a^2 c^2 + s^2."""

import pytest
import torch
from analytic import SCALE, schedule
from torch import Tensor

from geodesic_cli.diffusion.noise_bank import Levels, NoiseBank
from geodesic_cli.diffusion.schedule import FlowSchedule
from geodesic_cli.errors import InputError
from helpers import normal

SCHEDULE = schedule()
MEAN, TAU, D = 0.4, 0.5, 6


def variance(tau: float) -> float:
    a, s, _ = SCHEDULE.level(tau)
    return a * a * SCALE**2 + s * s


def gaussian(levels: Levels) -> list[Tensor]:
    """The exact scores."""
    return [-(x - SCHEDULE.level(tau)[0] * MEAN) / variance(tau) for x, tau in levels]


class Counted:
    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, levels: Levels) -> list[Tensor]:
        self.calls.append(len(levels))
        return gaussian(levels)


def bank(levels: int, width: float = 0.1, seed: int = 0) -> NoiseBank:
    return NoiseBank.draw(TAU, width, levels, D, torch.Generator().manual_seed(seed))


def test_one_level_is_the_plain_score_and_costs_one() -> None:
    x = normal(3, D)
    assert torch.equal(bank(1).average(gaussian, x, TAU, SCHEDULE), gaussian([(x, TAU)])[0])
    assert bank(1).evaluations(TAU) == 1


def test_a_level_above_gives_the_gradient_of_the_expected_log_density_there() -> None:
    # E over n of log p_high(f x + sqrt(1 - f^2) n) has the gradient f s_high(f x), the odd part in n being gone.
    x, tau = normal(3, D), 0.6
    one = NoiseBank((tau,), normal(1, D, seed=5))
    a, high = SCHEDULE.level(TAU)[0], SCHEDULE.level(tau)[0]
    f = high / a
    closed = -(f**2) * (x - a * MEAN) / variance(tau)
    torch.testing.assert_close(one.average(gaussian, x, TAU, SCHEDULE), closed, rtol=1e-12, atol=1e-12)


def test_a_level_below_gives_the_score_itself() -> None:
    # f E[s_low(x_low) | x] = s(x) for any density; at the posterior's mean instead of in expectation, for Gaussians.
    x = normal(3, D)
    one = NoiseBank((0.42,), normal(1, D))
    torch.testing.assert_close(one.average(gaussian, x, TAU, SCHEDULE), gaussian([(x, TAU)])[0], rtol=1e-12, atol=1e-12)


def test_renoised_points_have_the_distribution_of_their_level() -> None:
    # The published code re-noises to a standard deviation of 0.292 where 0.686 is due.
    d, high = 40_000, 0.7
    x = SCHEDULE.level(TAU)[0] * MEAN + variance(TAU) ** 0.5 * normal(1, d)
    seen: list[Tensor] = []

    def spy(levels: Levels) -> list[Tensor]:
        seen.extend(points for points, _ in levels)
        return gaussian(levels)

    NoiseBank((high,), normal(1, d, seed=1)).average(spy, x, TAU, SCHEDULE)
    assert len(seen) == 2
    for points in seen:
        assert float(points.mean()) == pytest.approx(SCHEDULE.level(high)[0] * MEAN, abs=0.02)
        assert float(points.var()) == pytest.approx(variance(high), rel=0.02)


def test_the_chain_factor_is_the_derivative_of_the_renoised_log_density() -> None:
    # A density that is not Gaussian: log p = -sum x^4 / 4 at every level, so that autograd can be asked.
    x = normal(2, D).requires_grad_()
    up = NoiseBank((0.55, 0.58), normal(2, D, seed=3))
    total = torch.zeros(())
    for tau, n in zip(up.taus, up.noise, strict=True):
        f = SCHEDULE.level(tau)[0] / SCHEDULE.level(TAU)[0]
        for sign in (1, -1):
            moved = f * x + sign * (1 - f * f) ** 0.5 * n
            total = total - (moved**4).sum() / 16  # mean over 2 levels and 2 signs
    (truth,) = torch.autograd.grad(total, x)
    averaged = up.average(lambda levels: [-(y**3) for y, _ in levels], x.detach(), TAU, SCHEDULE)
    torch.testing.assert_close(averaged, truth, rtol=1e-12, atol=1e-12)


def test_on_a_straight_schedule_the_same_two_laws_hold() -> None:
    flow = FlowSchedule(shift=3.0)

    def exact(levels: Levels) -> list[Tensor]:
        made = []
        for x, tau in levels:
            a, s, _ = flow.level(tau)
            made.append(-(x - a * MEAN) / (a * a * SCALE**2 + s * s))
        return made

    x = normal(3, D)
    a = flow.level(TAU)[0]
    up, low = NoiseBank((0.6,), normal(1, D)), NoiseBank((0.4,), normal(1, D))
    torch.testing.assert_close(low.average(exact, x, TAU, flow), exact([(x, TAU)])[0], rtol=1e-12, atol=1e-12)
    high, s_high, _ = flow.level(0.6)
    closed = -((high / a) ** 2) * (x - a * MEAN) / (high**2 * SCALE**2 + s_high**2)
    torch.testing.assert_close(up.average(exact, x, TAU, flow), closed, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("levels", "calls"), [(1, [1]), (2, [1, 3]), (3, [1, 3]), (4, [1, 6])])
def test_a_band_costs_two_calls_whatever_the_number_of_levels(levels: int, calls: list[int]) -> None:
    counted = Counted()
    one = bank(levels)
    one.average(counted, normal(3, D), TAU, SCHEDULE)
    assert counted.calls == calls
    assert one.evaluations(TAU) == sum(calls)


def test_the_band_is_symmetric_and_its_noise_comes_from_the_generator_alone() -> None:
    one = bank(4, width=0.1)
    assert one.taus == pytest.approx((0.425, 0.475, 0.525, 0.575))
    assert torch.equal(one.noise, bank(4, width=0.2).noise)
    assert not torch.equal(one.noise, bank(4, seed=1).noise)
    x = normal(5, D)
    whole = one.average(gaussian, x, TAU, SCHEDULE)
    assert torch.equal(whole, one.average(gaussian, x, TAU, SCHEDULE))
    rows = torch.cat([one.average(gaussian, row[None], TAU, SCHEDULE) for row in x])
    torch.testing.assert_close(whole, rows, rtol=1e-14, atol=1e-14)


def test_a_band_that_leaves_the_schedule_is_refused() -> None:
    for tau, width, levels, word in ((0.05, 0.1, 4, "0.05"), (0.95, 0.1, 4, "0.95"), (0.5, 0.1, 0, "at least one")):
        with pytest.raises(InputError, match=word):
            NoiseBank.draw(tau, width, levels, D, torch.Generator())
