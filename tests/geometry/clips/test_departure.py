"""A sequence leaves its last point with the velocity that its points had, and a ray goes on from there."""

import math
from dataclasses import replace

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import (
    RK4,
    AdamsBashforth4,
    DensityMetric,
    DormandPrince,
    IsokineticLeapfrog,
    Status,
    solve_ivp,
)
from geodesic_cli.geometry.clips.departure import Arrival, Ray, depart
from helpers import normal

SIGMA = 0.1


def ridge(x, u):
    """log p = -y² / 2 sigma² in the plane: a ridge along the first axis."""
    return torch.stack([torch.zeros_like(x[:, 0]), -x[:, 1] / SIGMA**2], 1)


def ray(alpha, frames=6, score=ridge, **more):
    return Ray(score, alpha, frames, **({"stepper": IsokineticLeapfrog(), "steps": 64} | more))


def arrivals(one, x, v):
    found, now = [], Arrival(torch.tensor(x).double(), torch.tensor(v).double())
    for k in range(one.frames):
        now = one.next(now, k)
        if isinstance(now, Status):
            return found, now
        found.append(now)
    return found, Status.CONVERGED


# --- the departure


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_velocity_of_a_polynomial_motion_is_exact(degree):
    j = torch.arange(-5.0, 1.0, dtype=torch.float64)
    c = normal(degree + 1, 7)
    points = sum(c[q] * j[:, None] ** q for q in range(degree + 1))
    found = depart(points, degree)
    assert torch.equal(found.x, points[-1])
    assert torch.allclose(found.v, c[1], atol=1e-12) and found.misfit < 1e-12


def test_full_degrees_are_the_one_sided_differences():
    x = normal(3, 5)
    assert torch.allclose(depart(x[1:], 1).v, x[2] - x[1])
    assert torch.allclose(depart(x, 2).v, (3 * x[2] - 4 * x[1] + x[0]) / 2)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_velocity_of_a_smooth_motion_is_of_the_order_of_its_degree(degree):
    def error(h):
        j = h * torch.arange(-degree, 1.0, dtype=torch.float64)
        return float((depart(torch.stack([j.exp(), j.sin()], 1), degree).v / h - 1).norm())

    assert math.log2(error(0.02) / error(0.01)) == pytest.approx(degree, abs=0.1)


def test_a_low_degree_smooths_noise():
    j = torch.arange(-7.0, 1.0, dtype=torch.float64)[:, None]
    noisy = j * torch.ones(200).double() + 0.3 * normal(8, 200)
    low, full = (float((depart(noisy, degree).v - 1).norm()) for degree in (1, 5))
    assert low < full / 5


def test_points_that_do_not_move_have_no_velocity():
    found = depart(torch.ones(4, 3).double(), 2)
    assert not found.v.any() and found.misfit == 0


@pytest.mark.parametrize(("count", "degree"), [(1, 1), (3, 3), (3, 0)])
def test_too_few_points_are_refused(count, degree):
    with pytest.raises(GeometryError, match="needs at least"):
        depart(normal(count, 2), degree)


# --- the ray


def test_without_alpha_the_ray_is_straight_and_walks_one_velocity_a_frame():
    found, status = arrivals(ray(0.0), [0.0, 0.0], [0.5, 0.02])
    assert status is Status.CONVERGED and len(found) == 6
    for k, arrival in enumerate(found, 1):
        assert torch.allclose(arrival.x, k * torch.tensor([0.5, 0.02]).double(), atol=1e-12)
        assert arrival.log_density == pytest.approx(-((0.02 * k) ** 2) / (2 * SIGMA**2), rel=1e-3)


@pytest.mark.parametrize("square", [0.5, 2.0])
def test_a_negative_exponent_swings_about_the_ridge_with_the_stated_frequency(square):
    alpha = -square * SIGMA**2 / 0.5**2
    found, status = arrivals(ray(alpha), [0.0, 1e-4], [0.5, 0.0])
    assert status is Status.CONVERGED
    for k, arrival in enumerate(found, 1):
        assert float(arrival.x[1]) == pytest.approx(1e-4 * math.cos(math.sqrt(square) * k), abs=1e-6)
        assert float(arrival.v.norm()) == pytest.approx(0.5)


def test_a_positive_exponent_leaves_the_ridge_exponentially():
    alpha = 2.0 * SIGMA**2 / 0.5**2
    found, _ = arrivals(ray(alpha, 3), [0.0, 1e-4], [0.5, 0.0])
    assert float(found[-1].x[1]) == pytest.approx(1e-4 * math.cosh(math.sqrt(2.0) * 3), rel=1e-2)


def test_the_ray_ends_before_the_frame_that_falls_too_far():
    one = ray(0.0, 10, max_drop=10.0)
    found, status = arrivals(one, [0.0, 0.0], [0.0, 0.2])
    assert status is Status.LEFT_SUPPORT and len(found) == 2  # log p = -2, -8, -18, ...
    assert found[-1].log_density == pytest.approx(-8, rel=1e-3)
    guided, status = arrivals(replace(one, alpha=-0.1), [0.0, 0.0], [0.2, 0.02])
    assert status is Status.CONVERGED and len(guided) == 10


def test_a_ray_in_parts_is_the_ray_as_a_whole():
    found, _ = arrivals(ray(-0.05, 4, stepper=RK4()), [0.0, 0.03], [0.5, 0.1])
    metric = DensityMetric(lambda x, u: -ridge(x, u), 0.05)
    whole = solve_ivp(metric, torch.tensor([0.0, 0.03]).double(), 4 * torch.tensor([0.5, 0.1]).double(), steps=256)
    assert torch.allclose(found[-1].x, whole.curve.x[-1], atol=1e-6)


def test_going_on_from_an_arrival_gives_the_same_bits():
    one = ray(-0.05, 5)
    found, _ = arrivals(one, [0.0, 0.03], [0.5, 0.1])
    again = one.next(found[2], 3)
    assert isinstance(again, Arrival)
    assert torch.equal(again.x, found[3].x) and again.log_density == found[3].log_density


@pytest.fixture(scope="module")
def fine():
    return arrivals(ray(-0.05, 3, steps=256), [0.0, 0.03], [0.5, 0.1])[0]


@pytest.mark.parametrize("stepper", [RK4(), AdamsBashforth4(), DormandPrince(1e-6)])
def test_every_method_chooses_its_own_steps(stepper, fine):
    own, status = arrivals(ray(-0.05, 3, stepper=stepper, steps=None, bend=0.1), [0.0, 0.03], [0.5, 0.1])
    assert status is Status.CONVERGED
    assert torch.allclose(own[-1].x, fine[-1].x, atol=2e-3)
    assert own[-1].log_density == pytest.approx(fine[-1].log_density, abs=0.02)


def test_the_density_may_change_along_the_ray():
    seen = []

    def score(x, u):
        seen.append(float(u[0]))
        return ridge(x, u)

    arrivals(ray(0.0, 4, score, steps=1), [0.0, 0.0], [0.5, 0.0])
    assert min(seen) == 0 and max(seen) == 1 and seen == sorted(seen)


def test_a_score_that_is_not_finite_ends_the_ray():
    def score(x, u):
        return torch.where(x > 1, math.nan, 0.0 * x)

    found, status = arrivals(ray(-0.1, 5, score), [0.0, 0.0], [0.4, 0.0])
    assert status is Status.NON_FINITE and len(found) == 2


def test_a_ray_without_velocity_stays_where_it_is():
    found, status = arrivals(ray(-0.1, 2), [0.3, 0.1], [0.0, 0.0])
    assert status is Status.CONVERGED and torch.equal(found[-1].x, torch.tensor([0.3, 0.1]).double())
