"""The mean of points under a metric, where it has a closed form."""

import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import DensityMetric, Sphere, Status, linalg
from geodesic_cli.geometry.sets.distances import distance_matrix
from geodesic_cli.geometry.sets.links import Survey
from geodesic_cli.geometry.sets.maps import exp_map
from geodesic_cli.geometry.sets.means import MeanStep, follow_mean, frechet_mean, mean_from_links, shares_of
from geodesic_cli.geometry.toys import HalfSpace, Radial, ring
from helpers import CountingScore, normal, vector

HALF = HalfSpace(0.5)
HYPERBOLIC = DensityMetric(HALF, 0.5)
SPHERE = Sphere(1.5)
FLAT_SPHERE = DensityMetric(Radial(1.0), 0.0, SPHERE)
every_dimension = pytest.mark.parametrize("d", [2, pytest.param(3, marks=pytest.mark.slow), 40])


def half_space_points(n: int, d: int) -> Tensor:
    return torch.cat([normal(n, d - 1) / math.sqrt(d - 1), (0.4 * normal(n, 1, seed=1)).exp()], dim=1)


@every_dimension
def test_the_mean_of_two_points_is_the_hyperbolic_midpoint(d):
    a, b = half_space_points(2, d)
    mean = frechet_mean(HYPERBOLIC, torch.stack([a, b]), tol=1e-4)
    assert mean.status is Status.CONVERGED
    assert mean.residual <= 1e-4
    half = HALF.distance(a, b) / 2
    assert HALF.distance(a, mean.x) == pytest.approx(half, rel=1e-3)
    assert HALF.distance(mean.x, b) == pytest.approx(half, rel=1e-3)
    torch.testing.assert_close(
        mean.log_distances.exp(), float(half * mean.x[-1]) * torch.ones_like(mean.log_distances), rtol=1e-3, atol=0
    )


def test_weights_divide_the_geodesic_in_their_proportion():
    a, b = half_space_points(2, 3)
    mean = frechet_mean(HYPERBOLIC, torch.stack([a, b]), vector(3, 1), tol=1e-4)
    whole = HALF.distance(a, b)
    assert HALF.distance(a, mean.x) == pytest.approx(0.25 * whole, rel=1e-3)
    assert HALF.distance(mean.x, b) == pytest.approx(0.75 * whole, rel=1e-3)


@pytest.mark.slow
def test_the_mean_of_a_symmetric_set_is_its_centre():
    centre = vector(0.4, -0.3, 1.2)
    spokes = linalg.unit(normal(3, 3))
    points = torch.stack([exp_map(HYPERBOLIC, centre, sign * v).curve.x[-1] for v in spokes for sign in (1, -1)])
    mean = frechet_mean(HYPERBOLIC, points)
    assert mean.status is Status.CONVERGED
    torch.testing.assert_close(mean.x, centre, rtol=0, atol=2e-3)


def test_the_mean_on_the_sphere_without_a_density_is_the_axis_of_a_symmetric_set():
    phases = 2 * math.pi * torch.arange(3, dtype=torch.float64) / 3
    ring = torch.stack([0.9 * phases.cos(), 0.9 * phases.sin(), torch.full_like(phases, 1.2)], dim=1)
    mean = frechet_mean(FLAT_SPHERE, ring, start=SPHERE.project(vector(0.3, 0.1, 1)[None])[0])
    assert mean.status is Status.CONVERGED
    assert mean.steps > 0
    torch.testing.assert_close(mean.x, vector(0, 0, 1.5), rtol=0, atol=2e-3)


@pytest.mark.slow
def test_points_far_apart_need_smaller_steps_and_get_there():
    a, b = vector(-1, 0.2), vector(1, 0.2)
    mean = frechet_mean(HYPERBOLIC, torch.stack([a, b]), start=vector(0.1, 0.4), tol=5e-3)
    assert HALF.distance(a, b) > 4.5
    assert mean.status is Status.CONVERGED
    torch.testing.assert_close(mean.x, vector(0, math.hypot(1, 0.2)), rtol=0, atol=1e-2)


def test_the_mean_of_one_point_is_the_point():
    mean = frechet_mean(HYPERBOLIC, vector(0.3, 2)[None])
    assert mean.status is Status.CONVERGED
    assert torch.equal(mean.x, vector(0.3, 2))


def test_a_mean_with_too_few_steps_says_so():
    mean = frechet_mean(HYPERBOLIC, half_space_points(4, 3), tol=1e-12, max_steps=2)
    assert mean.status is Status.MAX_STEPS
    assert mean.steps <= 2
    assert mean.residual > 1e-12


def test_a_mean_that_cannot_be_reached_says_so():
    mean = frechet_mean(HYPERBOLIC, torch.stack([vector(0, 1), vector(0, -0.5)]))
    assert mean.status is Status.NON_FINITE
    assert mean.residual == math.inf


@pytest.mark.parametrize("weights", [vector(1), vector(1, -1), vector(0, 0), vector(1, math.nan), vector(1, math.inf)])
def test_weights_that_cannot_be_used_are_refused(weights):
    with pytest.raises(GeometryError, match="weight for each"):
        frechet_mean(HYPERBOLIC, half_space_points(2, 2), weights)


def test_points_that_are_no_matrix_have_no_mean():
    with pytest.raises(GeometryError, match="at least one point"):
        frechet_mean(HYPERBOLIC, vector(0, 1))


def test_a_mean_off_the_space_cannot_be_begun():
    with pytest.raises(GeometryError, match="must start"):
        frechet_mean(FLAT_SPHERE, SPHERE.project(normal(2, 3)), start=vector(0, 0, 3))


def test_all_scores_of_a_mean_are_counted():
    counting = CountingScore(HALF)
    assert frechet_mean(DensityMetric(counting, 0.5), half_space_points(3, 2), tol=0.05).score_calls == counting.points


@pytest.mark.parametrize(
    "d", [32, pytest.param(256, marks=pytest.mark.slow), pytest.param(1024, marks=pytest.mark.slow)]
)
def test_the_mean_of_a_symmetric_set_is_its_centre_in_any_dimension(d):
    centre = torch.cat([0.1 * normal(d - 1), vector(1.2)])
    spokes = 0.9 * linalg.unit(normal(2, d))
    points = torch.stack([exp_map(HYPERBOLIC, centre, sign * v).curve.x[-1] for v in spokes for sign in (1, -1)])
    mean = frechet_mean(HYPERBOLIC, points, tol=0.01)
    assert mean.status is Status.CONVERGED
    assert HALF.distance(mean.x, centre) < 0.02


def test_the_mean_keeps_to_the_valley_in_which_the_points_lie():
    phase = torch.linspace(0.2, 1.8, 5, dtype=torch.float64)
    points = 2 * torch.stack([phase.cos(), phase.sin()], dim=1)
    mean = frechet_mean(DensityMetric(ring(), 1.5), points, tol=0.02)
    assert mean.status is Status.CONVERGED
    assert float(points.mean(0).norm()) < 1.75 < float(mean.x.norm())
    assert math.atan2(float(mean.x[1]), float(mean.x[0])) == pytest.approx(1.0, abs=0.03)


def test_a_mean_goes_on_from_any_of_its_steps_to_the_same_bits():
    points = half_space_points(3, 6)
    shares = shares_of(points, None)

    def begun() -> tuple[Survey, MeanStep]:
        survey = Survey(HYPERBOLIC)
        matrix = distance_matrix(HYPERBOLIC, points, survey=survey)
        return survey, mean_from_links(survey, matrix, points, shares, 1e-3)

    survey, first = begun()
    steps = [first]
    whole = follow_mean(survey, first, shares, tol=1e-3, max_steps=20, on_step=steps.append)
    assert len(steps) > 2
    again, _ = begun()
    for step in steps[1:2]:
        again.learn(step.seen, points)
    rest = follow_mean(again, steps[1], shares, tol=1e-3, max_steps=20)
    assert torch.equal(rest.x, whole.x)
    assert rest.residual == whole.residual
