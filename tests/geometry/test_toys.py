"""Every toy is the gradient of its own log density, and its closed forms agree with numerical integration."""

import math

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace, Radial, SphereChart, banana, moons, ring
from helpers import normal, rotation, vector

ALPHA = 0.7
MIXTURE = GaussianMixture(normal(4, 3), vector(0.4, 0.8, 1.0, 1.3), vector(1, 2, 3, 4))
TOYS = {
    "half-space": HalfSpace(ALPHA),
    "sphere chart": SphereChart(ALPHA),
    "exponential": Exponential(vector(0.5, -1, 2)),
    "radial": Radial(0.6),
    "mixture": MIXTURE,
}
every_toy = pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS.keys())
POINTS = normal(7, 3, seed=1).abs() + 0.1
U = torch.linspace(0, 1, 7, dtype=torch.float64)


def weighted_length(toy, points: torch.Tensor) -> float:
    """Simpson's rule for the length of a fine polygon, with the true log density."""
    steps = points[1:] - points[:-1]
    middles = (points[1:] + points[:-1]) / 2
    weight = [(-ALPHA * toy.log_prob(x)).exp() for x in (points[:-1], middles, points[1:])]
    return float(((weight[0] + 4 * weight[1] + weight[2]) / 6 * steps.norm(dim=1)).sum())


@every_toy
def test_a_score_is_the_gradient_of_its_log_density(toy):
    x = POINTS.clone().requires_grad_(True)
    toy.log_prob(x).sum().backward()
    torch.testing.assert_close(toy(POINTS, U), x.grad, rtol=1e-12, atol=1e-12)


@every_toy
def test_a_score_does_not_depend_on_the_batch(toy):
    order = [4, 0, 6, 2, 5, 1, 3]
    torch.testing.assert_close(toy(POINTS, U)[order], toy(POINTS[order], U[order]), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(toy(POINTS, U)[2:3], toy(POINTS[2:3], U[2:3]), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    ("toy", "a", "b", "extra"),
    [
        (HalfSpace(ALPHA), vector(-1, 0.4, 0.3), vector(1, 0.1, 0.8), ()),
        (HalfSpace(ALPHA), vector(1, 0.4, 0.3), vector(1, 0.4, 0.8), ()),
        (SphereChart(ALPHA), vector(0.9, 0, 0), vector(-0.7, 0.8, 0.2), ()),
        (Exponential(vector(0.5, -1, 2)), vector(0.3, 0.2, 0), vector(0.1, -0.9, 0.6), (ALPHA,)),
    ],
    ids=["half-space", "half-space, vertical", "sphere chart", "exponential"],
)
class TestClosedForms:
    def test_the_exact_geodesic_joins_its_ends(self, toy, a, b, extra):
        ends = toy.geodesic(a, b, vector(0, 1), *extra)
        torch.testing.assert_close(ends, torch.stack([a, b]), rtol=1e-12, atol=1e-12)

    def test_the_exact_geodesic_is_as_long_as_the_exact_distance(self, toy, a, b, extra):
        points = toy.geodesic(a, b, torch.linspace(0, 1, 4001, dtype=torch.float64), *extra)
        assert weighted_length(toy, points) == pytest.approx(toy.distance(a, b, *extra), rel=1e-6)

    def test_a_bent_geodesic_is_longer(self, toy, a, b, extra):
        u = torch.linspace(0, 1, 4001, dtype=torch.float64)
        points = toy.geodesic(a, b, u, *extra)
        for seed in range(3):
            bent = points + 0.02 * torch.sin(math.pi * u)[:, None] * normal(3, seed=seed)
            assert weighted_length(toy, bent) > toy.distance(a, b, *extra) * (1 + 1e-6)

    def test_the_exact_distance_is_symmetric(self, toy, a, b, extra):
        assert toy.distance(a, b, *extra) == pytest.approx(toy.distance(b, a, *extra), rel=1e-14)


def test_the_half_space_has_no_density_below_the_ground():
    x = torch.stack([vector(0, -1), vector(0, 0)])
    assert bool(HalfSpace(1.0)(x, U[:2])[:, -1].isnan().all())


def test_the_sphere_chart_lifts_to_the_unit_sphere():
    lifted = SphereChart(1.0).to_sphere(POINTS)
    torch.testing.assert_close(lifted.norm(dim=1), torch.ones(7, dtype=torch.float64))


def test_points_too_far_apart_across_a_slope_have_no_geodesic():
    toy = Exponential(vector(0, 2.0))
    with pytest.raises(GeometryError, match="apart"):
        toy.distance(vector(0, 0), vector(math.pi / 2 + 1e-6, 0), 1.0)
    assert toy.distance(vector(0, 0), vector(math.pi / 2 - 1e-6, 0), 1.0) == pytest.approx(1.0, abs=1e-5)


def test_the_mixture_is_normalised():
    mixture = GaussianMixture(vector(-1, 0.5)[:, None], vector(0.4, 0.8), vector(1, 3))
    x = torch.linspace(-12, 12, 20001, dtype=torch.float64)[:, None]
    assert float(torch.trapezoid(mixture.log_prob(x).exp(), x[:, 0])) == pytest.approx(1.0, abs=1e-10)


def test_the_mixture_turns_with_its_means():
    turn = rotation(3)
    turned = GaussianMixture(MIXTURE.means @ turn, MIXTURE.scales, MIXTURE.weights)
    torch.testing.assert_close(turned(POINTS @ turn, U), MIXTURE(POINTS, U) @ turn)


def test_the_mixture_is_finite_far_away():
    far = torch.full((1, 3), 1e4, dtype=torch.float64)
    assert bool(MIXTURE(far, U[:1]).isfinite().all())


@pytest.mark.parametrize("scales, weights", [((1, 0), (1, 1)), ((1, 1), (1, -1)), ((1, 1, 1), (1, 1))])
def test_the_mixture_refuses_parameters_that_do_not_fit(scales, weights):
    with pytest.raises(GeometryError, match="mixture"):
        GaussianMixture(normal(2, 3), vector(*scales), vector(*weights))


@pytest.mark.parametrize("make", [ring, banana, moons])
def test_a_density_of_the_plane_is_normalised_and_its_score_is_its_gradient(make):
    density = make()
    axis = torch.linspace(-6, 6, 481, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    assert float(density.log_prob(x).exp().sum()) * (12 / 480) ** 2 == pytest.approx(1.0, abs=1e-9)
    points = (2 * normal(9, 2)).requires_grad_(True)
    density.log_prob(points).sum().backward()
    torch.testing.assert_close(density(points, torch.zeros(9)), points.grad, rtol=1e-12, atol=1e-12)


def test_the_ring_is_high_all_round_and_hollow_in_the_middle():
    phase = torch.linspace(0, 2 * math.pi, 200, dtype=torch.float64)
    heights = ring().log_prob(2 * torch.stack([phase.cos(), phase.sin()], dim=1))
    assert float(heights.max() - heights.min()) < 0.01
    assert float(heights.min() - ring().log_prob(torch.zeros(1, 2, dtype=torch.float64))) > 5


def test_the_banana_is_its_own_mirror_image_and_the_moons_turn_into_each_other():
    x = 2 * normal(20, 2)
    torch.testing.assert_close(banana().log_prob(x * vector(-1, 1)), banana().log_prob(x))
    torch.testing.assert_close(moons().log_prob(-x), moons().log_prob(x))
