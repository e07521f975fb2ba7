"""The neighbour graph against closed forms: densities, distances, and paths that go round."""

import math
import resource
import sys
import time
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Blend, Sphere
from geodesic_cli.geometry.graph.connecting import connect
from geodesic_cli.geometry.graph.graph import Graph
from geodesic_cli.geometry.graph.routing import shortest_path
from geodesic_cli.geometry.graph.sparse import bridges, nearest, unique_pairs
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace, Radial, SphereChart, moons, ring
from helpers import CountingScore, normal, vector

ALPHA = 0.5
HALF, CHART = HalfSpace(ALPHA), SphereChart(ALPHA)


def uniform(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def half_space_points(n: int) -> Tensor:
    """Even in the hyperbolic measure along y."""
    across, up = uniform(n, 2).T
    return torch.stack([4 * across - 2, (math.log(0.3) + math.log(10) * up).exp()], dim=1)


def chart_points(n: int) -> Tensor:
    return 3 * uniform(n, 2) - 1.5


def drawn(mixture: GaussianMixture, ends: Tensor, n: int) -> Tensor:
    """The ends, then samples."""
    generator = torch.Generator().manual_seed(0)
    which = torch.randint(len(mixture.means), (n,), generator=generator)
    noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return torch.cat([ends, mixture.means[which] + mixture.scales[which, None] * noise])


def excess(density: HalfSpace | SphereChart, points: Tensor, ends: Tensor, neighbours: int) -> float:
    """How much longer the distances from the first to the other ends are over the graph than in closed form."""
    graph = connect(density, torch.cat([ends, points]), neighbours=neighbours, tol=0.05)
    found = graph.log_distances(ALPHA, [0])[0, 1 : len(ends)] - ALPHA * density.log_prob(ends[:1])
    exact = torch.tensor([density.distance(ends[0], end) for end in ends[1:]], dtype=torch.float64)
    ratio = found.exp() / exact
    assert float(ratio.min()) > 0.999  # never shorter, but for quadrature
    return float(ratio.mean()) - 1


def flat_graph(x: Tensor, **options) -> Graph:
    return connect(Radial(1.0), x, **options)


@pytest.mark.parametrize(
    ("density", "points", "ends"),
    [
        (HALF, half_space_points, [[-1.0, 0.5], [1.0, 0.5], [0.3, 1.1], [-1.5, 2.0], [1.5, 1.0]]),
        (CHART, chart_points, [[-1.0, -0.2], [1.0, 0.5], [0.3, 1.1], [0.5, -1.0], [1.2, 1.0]]),
    ],
)
def test_distances_converge_to_the_closed_form_as_points_and_neighbours_grow(density, points, ends):
    ends = torch.tensor(ends, dtype=torch.float64)
    errors = [excess(density, points(n), ends, k) for n, k in ((100, 8), (400, 16), (1600, 32))]
    assert errors[0] > 1.5 * errors[1] > 1.5 * 1.5 * errors[2]
    assert errors[2] < 0.02


def test_node_log_densities_are_those_of_the_density():
    x = half_space_points(300)
    graph = connect(HALF, x, neighbours=8, tol=0.05)
    torch.testing.assert_close(graph.log_densities, HALF.log_prob(x) - HALF.log_prob(x[:1]), rtol=0, atol=0.02)
    assert graph.mismatch < 1e-3


def test_the_mismatch_measures_how_far_a_field_is_from_a_gradient():
    def swirl(x: Tensor, u: Tensor) -> Tensor:
        return Radial(1.0)(x, u) + 0.5 * torch.stack([-x[:, 1], x[:, 0]], dim=1)

    x = normal(200, 2)
    assert connect(swirl, x, tol=0.01).mismatch > 50 * connect(Radial(1.0), x, tol=0.01).mismatch
    assert connect(swirl, x, tol=0.01).mismatch > 0.01


def test_a_path_between_the_tips_of_two_moons_goes_round():
    density = moons()
    ends = torch.tensor([[-2.25, -0.375], [2.25, 0.375]], dtype=torch.float64)
    graph, route = shortest_path(
        connect(density, drawn(density, ends, 400), neighbours=10, levels=0), density, 1.0, 0, 1, tol=0.05
    )
    path = graph.x[route.nodes]
    assert float(path[:, 1].max()) > 0.5 and float(path[:, 1].min()) < -0.5
    straight = ends[0] + torch.linspace(0, 1, 65, dtype=torch.float64)[:, None] * (ends[1] - ends[0])
    assert float(density.log_prob(path).min()) > float(density.log_prob(straight).min()) + 2


def test_a_path_across_a_ring_goes_round_it():
    density = ring()
    ends = torch.tensor([[-2.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    graph = connect(density, drawn(density, ends, 400), neighbours=10, tol=0.05)
    path = graph.x[graph.shortest(1.0, 0, 1).nodes]
    assert float(path.norm(dim=1).min()) > 1.5
    flat = graph.x[graph.shortest(0.0, 0, 1).nodes]
    assert float(flat.norm(dim=1).min()) < 1  # without density the shortest way is across


def test_on_a_sphere_edges_are_great_circles():
    sphere = Sphere(2.0)
    x = sphere.project(normal(60, 3))
    graph = connect(Radial(1.0), x, neighbours=6, space=sphere)
    first, second = graph.edges.T
    torch.testing.assert_close(graph.lengths, sphere.distance(x[first], x[second]))
    assert float(graph.increments.abs().max()) < 1e-9  # a radial density is constant there
    slope = Exponential(vector(0.3, 0.0, 1.0))
    steep = connect(slope, x, neighbours=6, space=sphere, tol=1e-3)
    torch.testing.assert_close(
        steep.increments, slope.log_prob(x[second]) - slope.log_prob(x[first]), atol=1e-3, rtol=0
    )


def test_edges_are_halved_only_where_log_p_is_not_known_well_enough():
    wall = GaussianMixture(vector(0.0, 0.0, 3.0, 0.0).reshape(2, 2), vector(0.6, 0.6), vector(1.0, 1.0))
    x = torch.tensor([[0.0, 0.0], [0.05, 0.0], [3.0, 0.0]], dtype=torch.float64)
    graph = connect(wall, x, neighbours=2, tol=0.1)
    levels = {tuple(edge): level for edge, level in zip(graph.edges.tolist(), graph.levels.tolist(), strict=True)}
    assert levels[0, 1] == 2 and levels[0, 2] > 2
    valley = graph.profile((graph.edges == torch.tensor([0, 2])).all(dim=1).nonzero()[:, 0])[0]
    exact = wall.log_prob(torch.linspace(0, 3, 17, dtype=torch.float64)[:, None] * vector(1.0, 0.0))
    torch.testing.assert_close(valley, exact - exact[0], rtol=0, atol=0.1)


def test_a_parabolic_slope_is_integrated_exactly_by_three_points():
    def cubic(x: Tensor, u: Tensor) -> Tensor:
        return 3 * x**2 - x  # of log p = x³ - x² / 2

    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    graph = connect(cubic, x, tol=1e9)
    w = torch.linspace(0, 1, 17, dtype=torch.float64)
    torch.testing.assert_close(graph.profile(torch.tensor([0]))[0], w**3 - w**2 / 2)


def test_scores_are_asked_for_once_at_the_points_and_counted():
    x = normal(50, 3)
    score = CountingScore(Radial(1.0))
    graph = connect(score, x, neighbours=5, levels=0)
    assert score.points == graph.score_calls == 50
    sharp = graph.sharpened(score, torch.tensor([0, 1, 1]), levels=1)
    assert score.points == sharp.score_calls == 52
    assert sharp.sharpened(score, torch.tensor([0, 1]), tol=9.0).score_calls == 52 + 4
    assert connect(score, x, neighbours=5, tol=9.0).sharpened(score, torch.tensor([0]), tol=9.0).score_calls == len(
        x
    ) + 3 * len(graph.edges)
    assert connect(score, x, neighbours=5, levels=0, scores=graph.scores).score_calls == 0


def test_a_shortest_path_asks_for_scores_only_where_it_runs():
    density = ring()
    ends = torch.tensor([[-2.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    x = drawn(density, ends, 300)
    lazy = connect(density, x, neighbours=10, levels=0)
    found, route = shortest_path(lazy, density, 1.0, 0, 1, tol=0.05)
    whole = connect(density, x, neighbours=10, tol=0.05)
    assert found.score_calls - lazy.score_calls < 0.1 * (whole.score_calls - lazy.score_calls)
    assert route.log_length == pytest.approx(whole.shortest(1.0, 0, 1).log_length, abs=0.1)
    assert bool((found.errors[route.edges] < 0.05).all())


def test_weights_of_any_range_are_told_apart():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [2.0, 0.0], [1.0, -1.0]], dtype=torch.float64)
    slope = Exponential(vector(0.0, 5000.0))
    route = connect(slope, x, neighbours=3).shortest(1.0, 0, 3)
    assert route.nodes.tolist() == [0, 2, 3]
    assert math.isfinite(route.log_length)


def test_parts_that_are_not_joined_have_no_path():
    x = torch.cat([normal(10, 2), 100 + normal(10, 2)])
    graph = flat_graph(x, neighbours=3)
    route = graph.shortest(1e-6, 0, 15)
    assert not route.connected and route.log_length == math.inf
    assert bool(graph.log_distances(1e-6)[0, 10:].isinf().all())


def test_a_node_is_no_distance_from_itself_and_distances_are_symmetric():
    graph = flat_graph(normal(40, 2), neighbours=6)
    distances = graph.log_distances(0.5)
    assert bool((distances.diagonal() == -math.inf).all())
    torch.testing.assert_close(distances, distances.T)
    assert graph.shortest(0.5, 3, 3).nodes.tolist() == [3]


def test_the_nearest_nodes_are_nearest_by_distance_over_the_graph():
    density = moons()
    x = drawn(density, torch.tensor([[0.75, -0.375], [0.75, 0.375]], dtype=torch.float64), 300)
    graph = connect(density, x, neighbours=8, tol=0.1)
    nearest, distances = graph.nearest(1.0, 0, 20)
    assert 0 not in nearest.tolist()
    assert distances.tolist() == sorted(distances.tolist())
    torch.testing.assert_close(distances, graph.log_distances(1.0)[0].sort().values[1:21])


def test_new_points_leave_the_old_edges_as_they_are():
    x, more = normal(40, 2), normal(10, 2, seed=1)
    graph = flat_graph(x, neighbours=5, tol=0.01)
    score = CountingScore(Radial(1.0))
    grown = graph.extended(score, more, neighbours=5)
    assert score.points == 10 and len(grown.x) == 50
    count = len(graph.edges)
    assert torch.equal(grown.edges[:count], graph.edges) and torch.equal(grown.levels[:count], graph.levels)
    assert len(grown.edges.unique(dim=0)) == len(grown.edges)
    torch.testing.assert_close(grown.increments[:count], graph.increments, rtol=0, atol=0)
    assert bool((grown.levels[count:] == 0).all())


def test_links_shorten_paths_and_are_made_once():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.2], [2.0, -0.2], [3.0, 0.0]], dtype=torch.float64)
    graph = flat_graph(x, neighbours=1)
    linked = graph.linked(torch.tensor([[0, 3], [3, 0], [0, 1], [2, 2]]))
    assert len(linked.edges) == len(graph.edges) + 1
    assert linked.shortest(0.0, 0, 3).nodes.tolist() == [0, 3]
    assert linked.score_calls == graph.score_calls


def test_along_an_edge_the_position_goes_from_one_nodes_to_the_others():
    asked = []

    def score(x: Tensor, u: Tensor) -> Tensor:
        asked.append((x, u))
        return Blend(Radial(1.0), Radial(2.0))(x, u)

    x = torch.tensor([[0.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    connect(score, x, vector(0.0, 1.0), neighbours=1, tol=1e9)
    points, u = asked[-1]
    torch.testing.assert_close(points, torch.tensor([[0.5, 0.0], [1.5, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(u, vector(0.25, 0.75))


def test_no_argument_is_written_to():
    x = normal(30, 2)
    before = x.clone()
    graph = flat_graph(x, neighbours=4, levels=0)
    slopes, levels = graph.slopes.clone(), graph.levels.clone()
    graph.sharpened(Radial(1.0), torch.arange(len(graph.edges)))
    graph.extended(Radial(1.0), normal(3, 2, seed=2))
    assert torch.equal(x, before) and torch.equal(graph.levels, levels)
    torch.testing.assert_close(graph.slopes, slopes, rtol=0, atol=0, equal_nan=True)


def test_single_precision_stays_single():
    graph = flat_graph(normal(30, 4).float(), neighbours=5)
    assert graph.log_distances(0.5).dtype == torch.float32
    assert graph.log_densities.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": vector(1.0, 2.0)}, "two points"),
        ({"x": vector(1.0, 2.0)[None]}, "two points"),
        ({"u": vector(0.0)}, "positions"),
        ({"neighbours": 0}, "one neighbour"),
        ({"space": Sphere(1.0)}, "finite points"),
        ({"x": torch.full((3, 2), math.nan, dtype=torch.float64)}, "finite points"),
    ],
)
def test_input_that_cannot_be_used_is_named(change, words):
    options = {"x": normal(5, 2), **change}
    with pytest.raises(GeometryError, match=words):
        connect(Radial(1.0), options.pop("x"), options.pop("u", None), **options)


def test_the_number_of_nearest_nodes_must_be_there():
    graph = replace(flat_graph(normal(5, 2)))
    with pytest.raises(GeometryError, match="from 1 to 4"):
        graph.nearest(1.0, 0, 5)


@pytest.mark.slow
def test_twenty_thousand_points_of_a_latent_space_are_joined_in_bounded_memory(
    capsys: pytest.CaptureFixture[str],
) -> None:
    x = torch.randn(20_000, 256, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    graph = connect(lambda x, u: -x, x, torch.zeros(len(x), dtype=x.dtype), neighbours=8, levels=0)
    joined = time.perf_counter()
    found, route = shortest_path(graph, lambda x, u: -x, 0.02, 0, 1, tol=2.0)
    done = time.perf_counter()
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(graph.edges)} edges in {joined - began:.1f} s, the path in {done - joined:.1f} s and "
            f"{found.score_calls - graph.score_calls} evaluations; {more:.2f} GB more\n"
        )
    assert route.connected
    assert more < 4


def test_what_another_graph_knows_of_edges_between_the_same_points_is_taken_over():
    density, x = HALF, half_space_points(60)
    sharp = connect(density, x[10:], neighbours=6, tol=0.05)
    counting = CountingScore(density)
    whole = connect(counting, x, neighbours=6, levels=0)
    known = whole.knowing(sharp.edges + 10, sharp.slopes, sharp.levels)
    assert counting.points == len(x)
    rows = {tuple(edge): row for row, edge in enumerate(known.edges.tolist())}
    for edge, slopes, level in zip((sharp.edges + 10).tolist(), sharp.slopes, sharp.levels, strict=True):
        row = rows[tuple(edge)]
        assert int(known.levels[row]) == int(level)
        torch.testing.assert_close(known.slopes[row], slopes, equal_nan=True)
    again = known.knowing(whole.edges, whole.slopes, whole.levels)  # what is rougher is not taken over
    assert torch.equal(again.levels, known.levels)


def test_the_edges_that_a_path_needs_are_asked_for_a_few_at_a_time():
    density = moons()
    ends = torch.tensor([[-2.25, -0.375], [2.25, 0.375]], dtype=torch.float64)
    counting = CountingScore(density)
    graph = connect(counting, drawn(density, ends, 400), neighbours=10, levels=0)
    start = counting.points
    found, route = shortest_path(graph, counting, 1.0, 0, 1, tol=0.05)
    everything = graph.sharpened(density, torch.arange(len(graph.edges)), tol=0.05)
    exact = everything.shortest(1.0, 0, 1)
    assert route.log_length == pytest.approx(exact.log_length, abs=0.1)
    assert not bool(found.rough(route.edges, 0.05).any())
    assert counting.points - start < (everything.score_calls - start) / 5


def test_the_shortest_bridges_join_the_parts_of_a_graph() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [10.0, 7.0], [-30.0, 0.0]], dtype=torch.float64)
    x = torch.cat([centre + torch.rand(8, 2, generator=generator, dtype=torch.float64) for centre in centres])
    edges = unique_pairs(nearest(x, torch.arange(32), 3), 32)
    made = bridges(x, edges)
    parts = made // 8
    assert sorted(map(tuple, parts.tolist())) == [(0, 1), (0, 3), (1, 2)]
    for a, b in made.tolist():
        apart = torch.cdist(x[a // 8 * 8 : a // 8 * 8 + 8], x[b // 8 * 8 : b // 8 * 8 + 8])
        assert float((x[a] - x[b]).norm()) == pytest.approx(float(apart.min()))
    assert len(bridges(x, torch.cat([edges, made]))) == 0
    twice = torch.cat([x[:1], x[:1]])
    assert bridges(twice, edges[:0]).tolist() == [[0, 1]], "the same point twice is one bridge of no length"
