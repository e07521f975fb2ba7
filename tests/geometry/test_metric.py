import math
from itertools import pairwise

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Curve, DensityMetric, Euclidean, Scaled, Sphere, bending, linalg
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace, Radial
from helpers import CountingScore, normal, rotation, vector

MIXTURE = GaussianMixture(normal(4, 3), vector(0.6, 0.8, 1.0, 1.3), vector(1, 2, 3, 4))
SPHERE = Sphere(1.7)
every_space = pytest.mark.parametrize("space", [Euclidean(), SPHERE], ids=["euclidean", "sphere"])


def wavy(k: int, space=SPHERE) -> Curve:
    u = torch.linspace(0, 1, k, dtype=torch.float64)
    x = torch.stack([1 - u, u + 0.1 * torch.sin(5 * u), 0.3 + torch.sin(3 * u)], dim=1)
    return Curve(space.project(x), space)


def half_circle_at_constant_speed(k: int) -> Curve:
    phase = torch.linspace(0.4, 2.5, k, dtype=torch.float64)
    return Curve(torch.stack([phase.cos(), phase.sin()], dim=1))


def relative_log_density(density, curve: Curve) -> torch.Tensor:
    return density.log_prob(curve.x) - density.log_prob(curve.x[:1])


@every_space
def test_the_first_variation_of_the_length_is_minus_the_residual(space):
    alpha, k = 0.8, 801
    curve = wavy(k, space).at_constant_speed()
    bump = torch.sin(math.pi * curve.u)[:, None] ** 2 * space.tangent(curve.x, vector(0.3, -0.5, 0.4).expand(k, 3))

    def length(size: float) -> float:
        x = space.project(curve.x + size * bump)
        weight = (-alpha * MIXTURE.log_prob(x)).exp()
        return float(((weight[1:] + weight[:-1]) / 2 * (x[1:] - x[:-1]).norm(dim=1)).sum())

    measured = (length(1e-4) - length(-1e-4)) / 2e-4
    residual = DensityMetric(MIXTURE, alpha, space).residual(curve).vectors
    weight = (-alpha * MIXTURE.log_prob(curve.x)).exp()
    integrand = -weight * (residual * bump).sum(1) * curve.speed
    assert float(torch.trapezoid(integrand, curve.u)) == pytest.approx(measured, rel=1e-3)


@every_space
def test_the_acceleration_is_that_of_the_formula(space):
    x, u = space.project(normal(5, 3)), torch.linspace(0, 1, 5, dtype=torch.float64)
    v = space.tangent(x, normal(5, 3, seed=1))
    score = MIXTURE(x, u)
    tangential = score if space == Euclidean() else score - (score * x).sum(1, keepdim=True) * x / 1.7**2
    square = (v * v).sum(1, keepdim=True)
    expected = -0.8 * (square * tangential - (v * tangential).sum(1, keepdim=True) * v)
    expected = expected if space == Euclidean() else expected - square / 1.7**2 * x
    torch.testing.assert_close(DensityMetric(MIXTURE, 0.8, space).acceleration(x, v, u), expected)


def test_the_acceleration_turns_towards_lower_density():
    metric = DensityMetric(HalfSpace(1.0), 1.0)
    a = metric.acceleration(vector(0, 1)[None], vector(1, 0)[None], vector(0))
    torch.testing.assert_close(a, vector(0, -1)[None])


def test_a_point_at_rest_does_not_accelerate():
    x = SPHERE.project(normal(1, 3))
    a = DensityMetric(MIXTURE, 1.0, SPHERE).acceleration(x, torch.zeros_like(x), vector(0))
    assert torch.equal(a, torch.zeros_like(x))


def test_a_known_geodesic_has_a_residual_of_order_two():
    residuals = [
        DensityMetric(HalfSpace(0.5), 0.5).residual(half_circle_at_constant_speed(k)).relative for k in (17, 33, 65)
    ]
    assert residuals[-1] < 1e-3
    assert all(3.5 < coarse / fine < 4.5 for coarse, fine in pairwise(residuals))


def test_a_straight_line_has_a_residual_of_one_across_a_slope():
    metric = DensityMetric(Exponential(vector(0, 3)), 0.5)
    assert metric.residual(Curve.straight(vector(0, 0), vector(1, 0), 9)).relative == pytest.approx(1.0)


def test_without_density_the_residual_is_the_curvature_in_tenths_of_a_radian():
    metric = DensityMetric(HalfSpace(0.5), 0.0)
    curve = half_circle_at_constant_speed(65)
    assert metric.residual(curve).relative == pytest.approx(2.1 / 0.1, rel=1e-3)
    assert metric.residual(Curve.straight(vector(0, 1), vector(1, 2), 9)).relative < 1e-12


@every_space
def test_both_terms_are_tangent_and_normal_to_the_path(space):
    curve = wavy(30, space)
    terms = DensityMetric(MIXTURE, 0.8, space).residual(curve)
    along = linalg.unit(curve.velocity())
    for term in (terms.curvature, terms.density):
        assert float(linalg.dot(term, along).abs().max()) < 1e-12
        assert float((term - space.tangent(curve.x, term)).abs().max()) < 1e-12


def test_the_residual_does_not_depend_on_the_speed():
    u = torch.linspace(0, 1, 801, dtype=torch.float64)
    phase = 0.4 + 2.1 * (u + 0.3 * u * (1 - u))
    terms = DensityMetric(MIXTURE, 0.8).residual(Curve(torch.stack([phase.cos(), phase.sin(), 0 * phase], dim=1)))
    torch.testing.assert_close(
        linalg.norm(terms.curvature)[1:-1], torch.ones(799, 1, dtype=torch.float64), rtol=1e-4, atol=0
    )


@every_space
def test_the_log_density_converges_with_order_two(space):
    metric = DensityMetric(MIXTURE, 1.0, space)
    errors = []
    for k in (17, 33, 65):
        curve = wavy(k, space)
        errors.append(float((metric.log_density(curve) - relative_log_density(MIXTURE, curve)).abs().max()))
    assert all(3.3 < coarse / fine < 4.8 for coarse, fine in pairwise(errors))


def test_the_radial_part_of_a_score_does_not_change_the_density_along_a_sphere():
    metric = DensityMetric(lambda x, u: (1 + 10 * x[:, :1]) * x, 1.0, SPHERE)
    assert float(metric.log_density(wavy(9)).abs().max()) < 1e-13


def test_the_log_density_is_relative_to_the_first_node():
    assert float(DensityMetric(MIXTURE, 1.0).log_density(wavy(5, Euclidean()))[0]) == 0


def test_the_length_of_a_known_geodesic_converges_with_order_two():
    density = HalfSpace(0.5)
    errors = []
    for k in (17, 33, 65):
        curve = half_circle_at_constant_speed(k)
        scale = float(curve.x[0, 1])
        exact = scale * density.distance(curve.x[0], curve.x[-1])
        errors.append(abs(float(DensityMetric(density, 0.5).length(curve)) - exact))
    assert all(3.5 < coarse / fine < 4.5 for coarse, fine in pairwise(errors))


def test_without_density_the_length_is_euclidean():
    curve = wavy(20)
    torch.testing.assert_close(DensityMetric(MIXTURE, 0.0, SPHERE).length(curve), curve.length)


def test_distances_grow_from_zero_to_the_length():
    metric, curve = DensityMetric(MIXTURE, 0.7, SPHERE), wavy(20)
    profile = metric.log_distance(curve)
    assert float(profile[0]) == -math.inf
    assert bool((profile[1:] > profile[:-1]).all())
    assert torch.equal(profile[-1], metric.log_length(curve))
    part = Curve(curve.x[:8], SPHERE)
    torch.testing.assert_close(metric.log_length(part), profile[7])


def test_the_distance_from_the_other_end_differs_by_the_ratio_of_weights():
    metric, curve = DensityMetric(MIXTURE, 0.7, SPHERE), wavy(20)
    back = Curve(curve.x.flip(0), SPHERE)
    ratio = 0.7 * metric.log_density(curve)[-1]
    torch.testing.assert_close(metric.log_length(back), metric.log_length(curve) + ratio)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lengths_do_not_overflow_in_high_dimension(dtype: torch.dtype):
    d = 16384
    density = Radial(0.5)
    curve = Curve.straight(normal(d).to(dtype), normal(d, seed=1).to(dtype), 9)
    metric = DensityMetric(density, 1.0)
    drop = float((density.log_prob(curve.x[4:5]) - density.log_prob(curve.x[:1])).double())
    assert abs(drop) > 10_000
    log_density, log_length = metric.log_density(curve), metric.log_length(curve)
    assert log_length.dtype == dtype
    assert bool(log_density.isfinite().all())
    assert float(log_density[4]) == pytest.approx(drop, rel=1e-3)
    back = metric.log_length(Curve(curve.x.flip(0)))
    assert bool(log_length.isfinite()) and bool(back.isfinite())
    assert metric.length(Curve(torch.cat([curve.x[4:], 2 * curve.x[-1:]]))) == math.inf


@pytest.mark.parametrize("alpha", [-1e-9, -1.0, math.nan, math.inf])
def test_a_negative_alpha_is_refused(alpha: float):
    with pytest.raises(GeometryError, match="alpha"):
        DensityMetric(MIXTURE, alpha)


def test_a_score_of_the_wrong_shape_is_refused():
    metric = DensityMetric(lambda x, u: x[:, :2], 1.0)
    with pytest.raises(GeometryError, match="a row for each point"):
        metric.log_density(wavy(5))


def test_a_score_of_another_dtype_is_refused():
    metric = DensityMetric(lambda x, u: x.float(), 1.0)
    with pytest.raises(GeometryError, match="a row for each point"):
        metric.residual(wavy(5))


def test_known_scores_are_not_asked_for_again():
    counting, curve = CountingScore(MIXTURE), wavy(12)
    metric = DensityMetric(counting, 0.5, SPHERE)
    scores = MIXTURE(curve.x, curve.u)
    known = [
        metric.log_density(curve, scores),
        metric.log_length(curve, scores),
        metric.residual(curve, scores).vectors,
    ]
    assert counting.batches == []
    fresh = [metric.log_density(curve), metric.log_length(curve), metric.residual(curve).vectors]
    assert counting.batches == [12, 12, 12]
    assert all(torch.equal(one, other) for one, other in zip(known, fresh, strict=True))


def test_alpha_and_a_factor_of_the_score_are_the_same_thing():
    curve = wavy(15)
    one, other = DensityMetric(MIXTURE, 0.3, SPHERE), DensityMetric(Scaled(MIXTURE, 0.3), 1.0, SPHERE)
    torch.testing.assert_close(one.residual(curve).vectors, other.residual(curve).vectors)
    torch.testing.assert_close(one.log_length(curve), other.log_length(curve))


def test_a_rotation_turns_the_residual_and_keeps_the_length():
    turn, curve = rotation(3), wavy(15)
    turned = DensityMetric(GaussianMixture(MIXTURE.means @ turn, MIXTURE.scales, MIXTURE.weights), 0.6, SPHERE)
    metric, turned_curve = DensityMetric(MIXTURE, 0.6, SPHERE), Curve(curve.x @ turn, SPHERE)
    torch.testing.assert_close(turned.residual(turned_curve).vectors, metric.residual(curve).vectors @ turn)
    torch.testing.assert_close(turned.log_length(turned_curve), metric.log_length(curve))


def test_the_bending_number_of_a_slope_is_its_steepness_times_the_length():
    counting = CountingScore(Exponential(vector(0, 3, 4)))
    assert bending(counting, Curve.straight(vector(0, 0, 0), vector(2, 0, 0), 9)) == pytest.approx(10.0)
    assert counting.batches == [9]


def test_the_bending_number_leaves_out_what_is_along_the_path_or_off_the_sphere():
    assert bending(Exponential(vector(5, 0)), Curve.straight(vector(0, 0), vector(2, 0), 9)) == 0
    circle = Curve.straight(vector(1, 0, 0), vector(0, 1, 0), 9, Sphere(1.0))
    assert bending(Radial(0.1), circle) < 1e-12


def test_a_symmetric_length_is_the_same_from_either_end_also_where_the_score_is_no_gradient():
    generator = torch.Generator().manual_seed(4)
    turning = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    metric = DensityMetric(lambda x, u: x @ turning - x, 0.3)
    curve = Curve(torch.randn(9, 3, generator=generator, dtype=torch.float64).cumsum(0), Euclidean())
    there, back = metric.log_length(curve), metric.log_length(curve.reversed())
    assert abs(float(there - back)) > 0.1
    assert float(metric.symmetric_log_length(curve)) == pytest.approx(float(there + back) / 2, rel=1e-12)
    assert float(metric.symmetric_log_length(curve.reversed())) == pytest.approx(float(there + back) / 2, rel=1e-12)
