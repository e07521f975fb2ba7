"""Distances, means and neighbours, where all have closed forms."""

import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import DensityMetric, Sphere, Status, linalg
from geodesic_cli.geometry.sets.maps import exp_map
from geodesic_cli.geometry.sets.pointset import distance_matrix, frechet_mean, nearest_neighbours
from geodesic_cli.geometry.toys import Exponential, HalfSpace, Radial
from helpers import CountingScore, normal, vector

HALF = HalfSpace(0.5)
HYPERBOLIC = DensityMetric(HALF, 0.5)
SPHERE = Sphere(1.5)
FLAT_SPHERE = DensityMetric(Radial(1.0), 0.0, SPHERE)
every_dimension = pytest.mark.parametrize("d", [2, 3, 40])


def half_space_points(n: int, d: int) -> Tensor:
    return torch.cat([normal(n, d - 1) / math.sqrt(d - 1), (0.4 * normal(n, 1, seed=1)).exp()], dim=1)


def closed_form(points: Tensor, others: Tensor) -> Tensor:
    return torch.tensor([[HALF.distance(a, b) for b in others] for a in points], dtype=points.dtype)


@every_dimension
def test_the_distances_in_the_half_space_are_the_closed_form(d):
    points = half_space_points(5, d)
    matrix = distance_matrix(HYPERBOLIC, points)
    assert matrix.converged
    torch.testing.assert_close(matrix.distances, closed_form(points, points) * points[0, -1], rtol=1e-4, atol=0)
    torch.testing.assert_close(matrix.log_densities, 2 * (points[:, -1] / points[0, -1]).log(), rtol=0, atol=1e-3)
    assert matrix.mismatch < 1e-3


def test_the_distances_on_the_sphere_without_a_density_are_great_circles():
    points = SPHERE.project(normal(5, 3))
    matrix = distance_matrix(FLAT_SPHERE, points)
    expected = torch.stack([SPHERE.distance(points, a.expand_as(points)) for a in points])
    torch.testing.assert_close(matrix.distances, expected, rtol=1e-6, atol=0)
    assert len(matrix.statuses) == 10


def test_distances_are_symmetric_positive_and_obey_the_triangle_inequality():
    d = distance_matrix(HYPERBOLIC, half_space_points(5, 3)).distances
    assert torch.equal(d, d.T)
    assert bool((d.diagonal() == 0).all())
    assert bool((d + torch.eye(5) > 0).all())
    assert bool((d[:, None, :] <= d[:, :, None] + d[None] + 1e-6).all())


def test_another_order_of_the_points_moves_the_anchor_alone():
    points = half_space_points(4, 3)
    order = torch.tensor([2, 0, 3, 1])
    one, other = distance_matrix(HYPERBOLIC, points), distance_matrix(HYPERBOLIC, points[order])
    moved = one.log_distances[order][:, order] - 0.5 * -one.log_densities[2]
    torch.testing.assert_close(other.log_distances, moved, rtol=0, atol=1e-4)


def test_a_score_that_belongs_to_no_density_shows_in_the_mismatch_and_stays_symmetric():
    def swirl(x: Tensor, u: Tensor) -> Tensor:
        return torch.stack([-x[:, 1], x[:, 0]], dim=1)

    matrix = distance_matrix(DensityMetric(swirl, 0.2), vector(0, 0, 1, 0, 0, 1).reshape(3, 2))
    assert matrix.mismatch > 0.1
    assert torch.equal(matrix.distances, matrix.distances.T)


def test_distances_beyond_all_numbers_have_logarithms():
    points = torch.stack([vector(0, 0), vector(1, 0), vector(0.5, 0)])
    matrix = distance_matrix(DensityMetric(Exponential(vector(-2000, 0)), 1.0), points)
    assert bool(matrix.log_distances[~torch.eye(3, dtype=torch.bool)].isfinite().all())
    assert float(matrix.log_distances[0, 1]) == pytest.approx(2000 - math.log(2000), abs=5)
    assert float(matrix.distances[0, 1]) == math.inf


def test_a_point_outside_the_density_has_no_distances_and_spoils_no_others():
    points = torch.cat([half_space_points(3, 2), vector(0, -1)[None]])
    matrix = distance_matrix(HYPERBOLIC, points)
    assert not matrix.converged
    assert {pair for pair, status in matrix.statuses.items() if status is Status.CONVERGED} == {(0, 1), (0, 2), (1, 2)}
    expected = closed_form(points[:3], points[:3]) * points[0, -1]
    torch.testing.assert_close(matrix.distances[:3, :3], expected, rtol=1e-4, atol=0)
    assert bool(matrix.log_distances[3, :3].isnan().all())
    assert matrix.mismatch < 1e-3


def test_one_point_is_a_matrix_too():
    matrix = distance_matrix(HYPERBOLIC, vector(0, 1)[None])
    assert matrix.distances.tolist() == [[0.0]]
    assert matrix.converged
    assert matrix.score_calls == 0


def test_the_scores_are_counted():
    counting = CountingScore(HALF)
    metric, points = DensityMetric(counting, 0.5), half_space_points(3, 2)
    assert distance_matrix(metric, points).score_calls == counting.points
    before = counting.points
    assert frechet_mean(metric, points).score_calls == counting.points - before
    before = counting.points
    assert nearest_neighbours(metric, points[0], points[1:], 1).score_calls == counting.points - before


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


def test_points_far_apart_need_smaller_steps_and_get_there():
    a, b = vector(-1, 0.2), vector(1, 0.2)
    mean = frechet_mean(HYPERBOLIC, torch.stack([a, b]), start=vector(0.1, 0.4))
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


@every_dimension
def test_the_nearest_neighbours_are_those_of_the_closed_form(d):
    points, query = half_space_points(9, d)[:-1], half_space_points(9, d)[-1]
    near = nearest_neighbours(HYPERBOLIC, query, points, 3)
    exact = closed_form(query[None], points)[0]
    assert near.converged
    assert near.indices.tolist() == exact.argsort()[:3].tolist()
    torch.testing.assert_close(near.log_distances.exp(), exact.sort()[0][:3] * query[-1], rtol=1e-4, atol=0)


def test_the_nearest_by_geodesic_need_not_be_the_nearest_in_space():
    query, low, high = vector(0, 1), vector(0, 0.2), vector(0, 2)
    assert float((query - low).norm()) < float((query - high).norm())
    assert nearest_neighbours(HYPERBOLIC, query, torch.stack([low, high]), 1).indices.tolist() == [1]


def test_points_without_a_path_are_the_last_neighbours():
    near = nearest_neighbours(HYPERBOLIC, vector(0, 1), torch.stack([vector(0, -1), vector(5, 1)]), 2)
    assert near.indices.tolist() == [1, 0]
    assert near.statuses[0] is Status.NON_FINITE
    assert not near.converged


@pytest.mark.parametrize("k", [0, 3])
def test_a_number_of_neighbours_out_of_range_is_refused(k):
    with pytest.raises(GeometryError, match="from 1 to 2"):
        nearest_neighbours(HYPERBOLIC, vector(0, 1), half_space_points(2, 2), k)


@pytest.mark.parametrize("weights", [vector(1), vector(1, -1), vector(0, 0), vector(1, math.nan), vector(1, math.inf)])
def test_weights_that_cannot_be_used_are_refused(weights):
    with pytest.raises(GeometryError, match="weight for each"):
        frechet_mean(HYPERBOLIC, half_space_points(2, 2), weights)


def test_points_that_are_no_matrix_are_refused():
    for call in (distance_matrix, frechet_mean):
        with pytest.raises(GeometryError, match="at least one point"):
            call(HYPERBOLIC, vector(0, 1))


def test_a_mean_without_a_place_to_start_asks_for_one():
    with pytest.raises(GeometryError, match="must start"):
        frechet_mean(FLAT_SPHERE, torch.stack([vector(1.5, 0, 0), vector(-1.5, 0, 0)]))
