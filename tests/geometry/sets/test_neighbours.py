"""The nearest of several points, where the distances have closed forms."""

import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import DensityMetric, Status
from geodesic_cli.geometry.sets.neighbours import nearest_neighbours
from geodesic_cli.geometry.toys import HalfSpace
from helpers import CountingScore, normal, vector

HALF = HalfSpace(0.5)
HYPERBOLIC = DensityMetric(HALF, 0.5)
every_dimension = pytest.mark.parametrize("d", [2, 3, 40])


def half_space_points(n: int, d: int) -> Tensor:
    return torch.cat([normal(n, d - 1) / math.sqrt(d - 1), (0.4 * normal(n, 1, seed=1)).exp()], dim=1)


def closed_form(points: Tensor, others: Tensor) -> Tensor:
    return torch.tensor([[HALF.distance(a, b) for b in others] for a in points], dtype=points.dtype)


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


def test_the_scores_are_counted():
    counting, points = CountingScore(HALF), half_space_points(3, 2)
    found = nearest_neighbours(DensityMetric(counting, 0.5), points[0], points[1:], 1)
    assert found.score_calls == counting.points
