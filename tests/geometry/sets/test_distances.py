"""Distances among several points, where they have closed forms: what they cost, and that they are the shortest."""

import itertools
import math
import statistics

import pytest
import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import DensityMetric, Link, LinkSearch, Sphere, Status, Survey
from geodesic_cli.geometry.sets.distances import DistanceMatrix, distance_matrix
from geodesic_cli.geometry.sets.maps import Search, log_map
from geodesic_cli.geometry.toys import Exponential, HalfSpace, Radial, SphereChart, ring
from geodesic_cli.geometry.zoo.densities import Disk
from helpers import CountingScore, normal, rotation, vector

HALF = HalfSpace(0.5)
HYPERBOLIC = DensityMetric(HALF, 0.5)
SPHERE = Sphere(1.5)
FLAT_SPHERE = DensityMetric(Radial(1.0), 0.0, SPHERE)
every_dimension = pytest.mark.parametrize("d", [2, pytest.param(3, marks=pytest.mark.slow), 40])


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
    torch.testing.assert_close(matrix.distances, expected, rtol=1e-4, atol=0)
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
    torch.testing.assert_close(other.log_distances, moved, rtol=0, atol=1e-3)


def test_a_score_that_belongs_to_no_density_shows_in_the_mismatch_and_stays_symmetric():
    def swirl(x: Tensor, u: Tensor) -> Tensor:
        return torch.stack([-x[:, 1], x[:, 0]], dim=1)

    matrix = distance_matrix(DensityMetric(swirl, 0.2), vector(0, 0, 1, 0, 0, 1).reshape(3, 2))
    assert matrix.mismatch > 0.1
    assert torch.equal(matrix.distances, matrix.distances.T)


def test_distances_beyond_all_numbers_have_logarithms():
    points = torch.stack([vector(0, 0), vector(1, 0)])
    steep = DensityMetric(Exponential(vector(-2000, 0)), 1.0)
    matrix = distance_matrix(steep, points, search=LinkSearch(max_steps=8))
    assert bool(matrix.log_distances[~torch.eye(2, dtype=torch.bool)].isfinite().all())
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


def test_points_that_are_no_matrix_are_refused():
    with pytest.raises(GeometryError, match="at least one point"):
        distance_matrix(HYPERBOLIC, vector(0, 1))


def known_points(name: str, d: int, n: int = 5) -> tuple[HalfSpace | SphereChart | Disk, Tensor]:
    """A density with closed-form distances under alpha 0.5, and points in it that are about as far apart for any d."""
    if name == "half-space":
        return HALF, half_space_points(n, d)
    cloud = normal(n, d) / math.sqrt(d)
    return (SphereChart(0.5), cloud) if name == "sphere" else (Disk(0.5), 0.7 * cloud)


@pytest.mark.parametrize(
    ("name", "d"),
    [
        ("half-space", 32),
        ("disk", 32),
        pytest.param("sphere", 32, marks=pytest.mark.slow),
        pytest.param("half-space", 256, marks=pytest.mark.slow),
        pytest.param("sphere", 1024, marks=pytest.mark.slow),
        pytest.param("half-space", 4096, marks=pytest.mark.slow),
    ],
)
def test_five_points_share_their_scores_and_cost_a_hundredth_of_what_five_paths_did(name, d):
    # 145,000 scores were asked for five points in 32 dimensions when each path was solved by itself.
    density, points = known_points(name, d)
    counting = CountingScore(density)
    matrix = distance_matrix(DensityMetric(counting, 0.5), points)
    assert matrix.score_calls == counting.points <= 1450
    assert matrix.converged
    unit = math.exp(0.5 * float(density.log_prob(points[:1])))
    exact = torch.tensor([[density.distance(a, b) for b in points] for a in points], dtype=points.dtype) * unit
    torch.testing.assert_close(matrix.distances, exact, rtol=0.01, atol=0)
    off = (matrix.log_distances - exact.log())[~torch.eye(5, dtype=torch.bool)].abs()
    assert float(off.max()) < 0.001 + 3 * float(matrix.spreads.max())


@pytest.mark.parametrize("d", [2, 32, 256])
def test_the_distances_under_a_gaussian_are_those_in_the_plane_of_the_ends_and_the_centre(d):
    frame = rotation(d)[:, :2]
    plane = torch.stack([vector(1.2, 0), vector(-0.5, 1.0), vector(-0.9, 0)])
    matrix = distance_matrix(DensityMetric(Radial(0.8), 0.5), plane @ frame.T)
    assert matrix.converged
    flat = DensityMetric(Radial(0.8), 0.5)
    for (i, j), link in matrix.links.items():
        exact = log_map(flat, plane[i], plane[j], search=Search(tol=1e-5))
        assert link.log_distance == pytest.approx(exact.log_distance, abs=0.01)
        assert link.log_density == pytest.approx(exact.log_density, abs=0.02)


def test_through_the_centre_of_a_gaussian_the_distance_is_the_integral_of_the_weight():
    scale, alpha, d = 0.8, 0.5, 64
    axis = torch.zeros(d, dtype=torch.float64)
    axis[0] = 1.0
    r = torch.linspace(-0.9, 1.2, 20001, dtype=torch.float64)
    weight = (alpha * (r**2 - 1.2**2) / (2 * scale**2)).exp()  # 1 at the first point
    matrix = distance_matrix(DensityMetric(Radial(scale), alpha), torch.stack([1.2 * axis, -0.9 * axis]))
    assert float(matrix.distances[0, 1]) == pytest.approx(float(torch.trapezoid(weight, r)), rel=0.005)


def test_a_distance_is_a_minimum_where_the_straight_line_is_a_saddle():
    # Across a ring the straight line through the hollow is a geodesic by symmetry, and either way round is shorter.
    metric = DensityMetric(ring(), 1.0)
    matrix = distance_matrix(metric, torch.stack([vector(2, 0), vector(-2, 0)]))
    link = matrix.links[0, 1]
    assert link.status is Status.CONVERGED
    assert float(link.curve.x[:, 1].abs().max()) > 1.5
    assert link.log_distance < float(metric.log_length(Survey(metric).straight(*link.curve.x[[0, -1]]).curve)) - 0.5


def arc(n: int) -> Tensor:
    phase = torch.linspace(0, 1.6 * math.pi, n, dtype=torch.float64)
    return 2 * torch.stack([phase.cos(), phase.sin()], dim=1)


def test_far_points_are_reached_along_the_near_ones_whatever_their_order():
    # Round a ring: the ends of the arc are near in space, and their geodesic goes the short way across the gap.
    points = arc(9)[:7]
    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    matrix = distance_matrix(DensityMetric(ring(), 1.5), points[order])
    assert matrix.converged
    back = order.argsort()
    along = matrix.distances[back][:, back]
    for i in range(7):
        assert along[i, i:].tolist() == sorted(along[i, i:].tolist())
        assert along[i, : i + 1].tolist() == sorted(along[i, : i + 1].tolist(), reverse=True)
    steps = sum(float(along[i, i + 1]) for i in range(6))
    assert float(along[0, 6]) == pytest.approx(steps, rel=0.05)


def test_a_path_that_did_not_converge_is_marked_and_no_longer_than_its_chain():
    search = LinkSearch(tol=1e-6, max_steps=1)
    matrix = distance_matrix(DensityMetric(ring(), 1.5), arc(6), search=search)
    assert not matrix.converged
    assert set(matrix.statuses.values()) <= set(Status)
    d = matrix.distances
    bent = itertools.permutations(range(6), 3)
    assert all(float(d[i, k]) <= 1.02 * (float(d[i, j]) + float(d[j, k])) for i, j, k in bent)


@pytest.mark.parametrize("stopped_after", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_links_of_an_earlier_call_are_taken_over_and_the_rest_is_the_same_to_the_bit(stopped_after):
    points = half_space_points(4, 8)
    links: list[Link] = []
    whole = distance_matrix(HYPERBOLIC, points, on_link=lambda i, j, link: links.append(link))
    again: list[tuple[int, int]] = []
    rest = distance_matrix(
        HYPERBOLIC, points, known=links[:stopped_after], on_link=lambda i, j, link: again.append((i, j))
    )
    assert len(again) == len(links) - stopped_after
    assert torch.equal(whole.log_distances, rest.log_distances)
    assert torch.equal(whole.spreads, rest.spreads)
    assert whole.score_calls == rest.score_calls


def test_a_path_is_the_same_from_either_end():
    matrix: DistanceMatrix = distance_matrix(HYPERBOLIC, half_space_points(3, 2))
    there, back = matrix.path(0, 2), matrix.path(2, 0)
    assert torch.equal(there.x, back.x.flip(0))


def test_the_same_point_twice_is_no_distance_apart():
    points = half_space_points(3, 4)[[0, 1, 0, 2]]
    matrix = distance_matrix(HYPERBOLIC, points)
    assert float(matrix.distances[0, 2]) == 0
    torch.testing.assert_close(matrix.distances[0], matrix.distances[2], rtol=1e-3, atol=0)


def test_the_spread_knows_how_far_the_two_anchors_are_apart():
    def swirl(x: Tensor, u: Tensor) -> Tensor:
        return torch.stack([-x[:, 1], x[:, 0]], dim=1)

    matrix = distance_matrix(DensityMetric(swirl, 0.2), vector(0, 0, 1, 0, 0, 1).reshape(3, 2))
    assert statistics.median(matrix.spreads[~torch.eye(3, dtype=torch.bool)].tolist()) > 0.005
    assert float(distance_matrix(HYPERBOLIC, half_space_points(3, 2)).spreads.max()) < 0.005


def test_only_near_pairs_are_linked_where_a_chain_is_far_shorter_than_the_straight_line():
    around = ring()
    angles = torch.linspace(0, 2.6, 6, dtype=torch.float64)
    points = 2.0 * torch.stack([angles.cos(), angles.sin()], dim=1)
    metric = DensityMetric(around, 2.0)
    linked, found = [], []
    whole = distance_matrix(metric, points, on_link=lambda i, j, link: linked.append((i, j)))
    near = distance_matrix(metric, points, on_link=lambda i, j, link: found.append((i, j)), near=True)
    assert {(i, i + 1) for i in range(5)} <= set(found) and (0, 5) not in found
    assert len(set(found)) < len(set(linked)) == 15
    assert near.score_calls < whole.score_calls
    assert near.chains[0, 5][0] == 0 and near.chains[0, 5][-1] == 5 and len(near.chains[0, 5]) > 2
    torch.testing.assert_close(near.path(0, 5).x[[0, -1]], points[[0, 5]], rtol=0, atol=0)
    assert bool((near.distances >= whole.distances * 0.99).all())
    torch.testing.assert_close(near.distances, whole.distances, rtol=0.1, atol=0)


def test_every_pair_is_linked_where_straight_lines_are_as_good_as_chains():
    points, found = half_space_points(4, 3), []
    distance_matrix(HYPERBOLIC, points, on_link=lambda i, j, link: found.append((i, j)), near=True)
    assert sorted(set(found)) == [(i, j) for i in range(4) for j in range(i + 1, 4)]
