"""The exponential and the logarithm map, where both have closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import DensityMetric, Euclidean, Sphere, Status, linalg
from geodesic_cli.geometry.sets.maps import Search, exp_map, log_map
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace
from helpers import CountingScore, normal, rotation, vector

HALF = HalfSpace(0.5)
SPHERE = Sphere(1.5)
every_dimension = pytest.mark.parametrize("d", [2, 3, 40])


def hyperbolic(score=HALF) -> DensityMetric:
    return DensityMetric(score, 0.5)


def flat_sphere() -> DensityMetric:
    return DensityMetric(GaussianMixture(normal(1, 3), vector(1), vector(1)), 0.0, SPHERE)


def half_space_points(n: int, d: int, seed: int = 0) -> Tensor:
    heights = 0.4 * normal(n, 1, seed=seed + 1)
    return torch.cat([normal(n, d - 1, seed=seed) / math.sqrt(d - 1), heights.exp()], dim=1)


def half_space_exponential(x: Tensor, v: Tensor) -> Tensor:
    """The point at the hyperbolic distance |v| / y from x in the direction of v."""
    height, far = x[-1], v.norm() / x[-1]
    up, aside = v[-1] / v.norm(), torch.cat([v[:-1], 0 * v[-1:]]) / v.norm()
    stretch = 1 / (far.cosh() - up * far.sinh())
    lifted = torch.cat([x[:-1], (height * stretch)[None]])
    return lifted + height * far.sinh() * stretch * aside


@every_dimension
def test_the_exponential_of_the_half_space_is_the_closed_form(d):
    for seed in range(4):
        x, v = half_space_points(1, d, seed)[0], 1.5 * normal(d, seed=seed + 9) / math.sqrt(d)
        ray = exp_map(hyperbolic(), x, v)
        assert ray.converged
        torch.testing.assert_close(ray.curve.x[-1], half_space_exponential(x, v), rtol=0, atol=1e-8)


@pytest.mark.parametrize("distance", [-6.0, -1.0, 3.0])
def test_straight_up_and_down_the_half_space_the_exponential_is_one(distance):
    ray = exp_map(hyperbolic(), vector(0.3, 2), vector(0, 2 * distance))
    torch.testing.assert_close(ray.curve.x[-1], vector(0.3, 2 * math.exp(distance)), rtol=1e-8, atol=0)


def test_the_nodes_of_the_exponential_are_equally_far_in_the_metric():
    x = exp_map(hyperbolic(), vector(0.3, 2), vector(2, -1)).curve.x
    pieces = [HALF.distance(a, b) for a, b in itertools.pairwise(x)]
    assert max(pieces) / min(pieces) - 1 < 1e-6
    assert sum(pieces) == pytest.approx(math.sqrt(5) / 2, rel=1e-8)


def test_a_larger_tolerance_costs_less_and_errs_more():
    x, v = vector(0.3, 2), vector(4, -3)
    exact = half_space_exponential(x, v)
    rough, fine = (exp_map(hyperbolic(), x, v, tol=tol) for tol in (1e-5, 1e-10))
    assert rough.score_calls < fine.score_calls / 3
    assert float((fine.curve.x[-1] - exact).norm()) < 1e-9 < float((rough.curve.x[-1] - exact).norm()) < 1e-4


def test_on_the_sphere_without_a_density_the_exponential_is_the_great_circle():
    end = exp_map(flat_sphere(), vector(1.5, 0, 0), vector(0, 1.8, 2.4)).curve.x[-1]
    expected = 1.5 * vector(math.cos(2.0), 0.6 * math.sin(2.0), 0.8 * math.sin(2.0))
    torch.testing.assert_close(end, expected, rtol=0, atol=1e-8)


def test_the_exponential_of_zero_is_home():
    ray = exp_map(hyperbolic(), vector(0.3, 2), vector(0, 0))
    assert ray.converged
    torch.testing.assert_close(ray.curve.x[-1], vector(0.3, 2), rtol=0, atol=0)


def test_an_exponential_into_low_density_ends_with_a_status():
    ray = exp_map(hyperbolic(), vector(0.3, 2), vector(0.1, -20), max_drop=5)
    assert ray.status is Status.LEFT_SUPPORT
    assert float(ray.curve.x[-1, 1]) > 2 * math.exp(-0.5 * 5)


@every_dimension
def test_the_logarithm_is_as_long_as_the_distance_and_its_exponential_is_the_point(d):
    for seed in range(3):
        a, b = half_space_points(2, d, seed)
        path = log_map(hyperbolic(), a, b)
        assert path.status is Status.CONVERGED
        exact = HALF.distance(a, b) * float(a[-1])
        assert path.distance == pytest.approx(exact, rel=1e-5)
        assert path.log_distance == pytest.approx(math.log(exact), abs=1e-5)
        assert float(path.velocity.norm()) == pytest.approx(path.distance)
        assert path.log_density == pytest.approx(2 * math.log(float(b[-1] / a[-1])), abs=1e-4)
        torch.testing.assert_close(half_space_exponential(a, path.velocity), b, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("tol", "miss"), [(1e-3, 1e-3), (1e-5, 1e-5), (1e-7, 1e-7)])
def test_a_smaller_tolerance_gives_a_better_logarithm(tol, miss):
    a, b = half_space_points(2, 3)
    path = log_map(hyperbolic(), a, b, search=Search(tol=tol))
    assert float((half_space_exponential(a, path.velocity) - b).norm()) < miss


@pytest.mark.parametrize("space", [Euclidean(), SPHERE], ids=["plane", "sphere"])
def test_the_two_maps_are_inverse_for_a_mixture(space):
    metric = DensityMetric(GaussianMixture(normal(3, 3), vector(0.8, 0.9, 0.8), vector(1, 2, 1)), 0.5, space)
    x = space.project(vector(-1.2, -0.6, 0.4)[None])[0]
    v = space.tangent(x[None], vector(0.9, -0.3, 0.7)[None])[0]
    y = exp_map(metric, x, v).curve.x[-1]
    path = log_map(metric, x, y, search=Search(tol=1e-6))
    torch.testing.assert_close(path.velocity, v, rtol=0, atol=1e-5)
    assert path.distance == pytest.approx(float(v.norm()), rel=1e-6)


def test_on_the_sphere_without_a_density_the_logarithm_is_the_great_circle():
    a, b = SPHERE.project(normal(2, 3)).unbind()
    path = log_map(flat_sphere(), a, b)
    expected = linalg.unit(SPHERE.tangent(a[None], b[None] - a)) * SPHERE.distance(a[None], b[None])
    torch.testing.assert_close(path.velocity, expected[0], rtol=0, atol=1e-5)


def test_the_distances_from_both_ends_differ_by_the_weights_at_the_ends():
    a, b = half_space_points(2, 3)
    there, back = log_map(hyperbolic(), a, b), log_map(hyperbolic(), b, a)
    assert there.log_density == pytest.approx(-back.log_density, abs=1e-5)
    assert there.log_distance + 0.5 * there.log_density == pytest.approx(back.log_distance, abs=1e-5)


def test_equal_points_have_no_distance_and_cost_nothing():
    counting = CountingScore(HALF)
    a = vector(0.3, 2)
    path = log_map(hyperbolic(counting), a, a.clone())
    assert path.distance == 0.0
    assert path.log_distance == -math.inf
    assert torch.equal(path.velocity, torch.zeros_like(a))
    assert path.score_calls == counting.points == 0


def test_all_scores_of_a_logarithm_are_counted():
    counting = CountingScore(HALF)
    a, b = half_space_points(2, 3)
    assert log_map(hyperbolic(counting), a, b).score_calls == counting.points


def test_a_distance_beyond_all_numbers_has_a_logarithm():
    # Straight down a slope of 2000: log of (e^2000 - 1) / 2000.
    metric = DensityMetric(Exponential(vector(-2000, 0)), 1.0)
    path = log_map(metric, vector(0, 0), vector(1, 0))
    assert path.distance == math.inf
    assert path.log_distance == pytest.approx(2000 - math.log(2000), abs=5)


def test_a_rotation_turns_the_logarithm():
    turn, mixture = rotation(3), GaussianMixture(normal(3, 3), vector(0.6, 0.8, 1), vector(1, 1, 1))
    turned = GaussianMixture(mixture.means @ turn, mixture.scales, mixture.weights)
    a, b = normal(2, 3, seed=4)
    there = log_map(DensityMetric(mixture, 0.5), a, b).velocity
    torch.testing.assert_close(
        log_map(DensityMetric(turned, 0.5), a @ turn, b @ turn).velocity, there @ turn, rtol=0, atol=1e-4
    )


def test_a_path_that_is_not_found_says_so():
    metric = DensityMetric(Exponential(vector(0, 4.0)), 1.0)
    path = log_map(metric, vector(-1, 0), vector(1, 0))  # farther apart than pi / (alpha |c|): there is no geodesic
    assert path.status is not Status.CONVERGED


def test_a_score_without_numbers_says_so():
    path = log_map(hyperbolic(), vector(0, 1), vector(0, -1))
    assert path.status is Status.NON_FINITE


def test_too_few_nodes_are_refused():
    with pytest.raises(GeometryError, match="at least 6"):
        Search(nodes=5)


def test_antipodal_points_have_no_logarithm():
    with pytest.raises(GeometryError, match="antipodal"):
        log_map(flat_sphere(), vector(1.5, 0, 0), vector(-1.5, 0, 0))
