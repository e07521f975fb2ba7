"""The five paths of a clip on densities with known geodesics."""

import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.geometry import Curve, DensityMetric, Sphere, Status, linalg, solve_bvp
from geodesic_cli.geometry.clips.rivals import RivalChoice, Rivals, compare
from geodesic_cli.geometry.toys import GaussianMixture
from helpers import CountingScore, normal

ONES = torch.ones(2, dtype=torch.float64)
DENSITY = GaussianMixture(torch.cat([normal(1, 6, seed=1), normal(1, 6, seed=2)]), ONES, ONES)
SPHERE = Sphere(3.0)
CHOICE = RivalChoice(alpha=0.4, draws=3, orders=49)


def ends() -> Tensor:
    return SPHERE.project(normal(2, 6, seed=3))


def solved(nodes: int = 17) -> Tensor:
    a, b = ends()
    found = solve_bvp(DensityMetric(DENSITY, 0.4, SPHERE), Curve.straight(a, b, nodes, SPHERE), tol=0.003)
    assert found.status is Status.CONVERGED
    return found.curve.at_constant_speed(nodes).x


def compared(x: Tensor, choice: RivalChoice = CHOICE) -> Rivals:
    return compare(DENSITY, x, torch.linspace(0, 1, len(x), dtype=x.dtype), choice)


@pytest.fixture(scope="module")
def geodesic() -> Rivals:
    return compared(solved())


def test_a_geodesic_passes_the_three_tests(geodesic: Rivals) -> None:
    own = geodesic.clip.mean_gradient
    assert geodesic.optimised is not None
    assert geodesic.straight is not None
    assert own < 0.1 * min(one.mean_gradient for one in geodesic.perturbed)
    assert own < 3 * geodesic.optimised.mean_gradient + 1e-3
    assert own < 0.5 * geodesic.smoothed.mean_gradient
    assert own < 0.5 * geodesic.straight.mean_gradient
    assert float(geodesic.clip.alignment.mean()) > 0.95
    assert geodesic.shuffled.p_value == 0.02


def test_a_walk_is_steeper_than_its_geodesic_and_not_aligned() -> None:
    a, b = ends()
    line = Curve.straight(a, b, 17, SPHERE).x
    walk = SPHERE.project(line + 0.3 * torch.cat([line[:1] * 0, normal(15, 6, seed=4), line[:1] * 0]))
    found = compared(walk)
    assert found.optimised is not None
    assert found.clip.mean_gradient > 5 * found.optimised.mean_gradient
    assert abs(float(found.clip.alignment.mean())) < 0.7


def test_all_paths_share_their_ends_and_their_number_of_points(geodesic: Rivals) -> None:
    assert geodesic.optimised is not None
    assert geodesic.straight is not None
    paths = [geodesic.clip, geodesic.optimised, geodesic.smoothed, geodesic.straight, *geodesic.perturbed]
    assert {len(path.steps) for path in paths} == {16}
    assert geodesic.straight.length == pytest.approx(float(SPHERE.distance(*ends()[:, None])))
    ends_of_density = [float(path.log_density[-1]) for path in paths]
    assert max(ends_of_density) - min(ends_of_density) < 0.05


def test_two_ends_of_different_norm_follow_the_convention_of_an_interpolation() -> None:
    x = solved() * torch.linspace(0.8, 1.3, 17, dtype=torch.float64)[:, None]
    found = compared(x)
    radius = math.sqrt(float(linalg.norm(x[0]) * linalg.norm(x[-1])))
    assert found.straight is not None
    assert found.straight.length == pytest.approx(radius * float(linalg.angle(x[0], x[-1])))
    true = DENSITY.log_prob(x) - DENSITY.log_prob(x[:1])
    assert torch.allclose(found.clip.log_density, true, atol=0.02)


def test_a_loop_has_no_optimised_path_but_everything_else() -> None:
    x = solved(9)
    found = compared(torch.cat([x, x[:-1].flip(0)]))
    assert found.optimised is None
    assert found.straight is None
    assert found.solution is None
    assert float(found.clip.turn.max()) == pytest.approx(math.pi)


def test_every_evaluation_is_counted_and_the_same_seed_gives_the_same_bits(geodesic: Rivals) -> None:
    score, told = CountingScore(DENSITY), []
    x = solved()
    again = compare(score, x, torch.linspace(0, 1, 17, dtype=x.dtype), CHOICE, told.append)
    assert again.score_calls == score.points == sum(told)
    assert torch.equal(again.perturbed[0].gradient, geodesic.perturbed[0].gradient)
    assert again.shuffled == geodesic.shuffled
    other = compared(x, RivalChoice(alpha=0.4, draws=3, orders=49, seed=1))
    assert not torch.equal(other.perturbed[0].gradient, geodesic.perturbed[0].gradient)
