"""The zoo itself: its scores are gradients, its references are shortest lengths, its noise is a function."""

import math
from dataclasses import replace

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Curve, Relaxation, solve_bvp
from geodesic_cli.geometry.zoo import problems as zoo
from geodesic_cli.geometry.zoo.densities import BlockMixture, Disk, Kink, Noisy, RoundMixture
from helpers import normal, vector

CASES = {case.name: case for group in ("closed", "mixture") for case in zoo.cases(group)} | {"kink": zoo.kink()}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def assert_gradient(score, log_prob, x):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(log_prob(x).sum(), x)
    torch.testing.assert_close(score(x.detach(), torch.zeros(len(x))), gradient, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "density",
    [Disk(0.5), RoundMixture(normal(5, 4), 0.7), BlockMixture(normal(2, 3, 2), 0.8), Kink(3.0)],
    ids=["disk", "mixture", "blocks", "kink"],
)
def test_the_scores_are_gradients_of_the_log_densities(density):
    assert_gradient(density, density.log_prob, 0.3 * normal(6, 4, seed=1))


@every_case
def test_the_score_of_a_case_is_the_gradient_of_its_log_density(case):
    line = case.straight(9).x
    assert_gradient(case.truth.score, case.log_prob, line + 0.01 * normal(*line.shape))


@pytest.mark.parametrize("case", [zoo.latent_arc(0.002, 256), zoo.blocks(128)], ids=["latent", "blocks"])
def test_the_cases_in_many_dimensions_do_not_depend_on_the_dimension_for_being_right(case):
    assert_gradient(case.truth.score, case.log_prob, case.straight(5).x)
    assert bool(case.metric.space.contains(torch.stack([case.a, case.b])).all())


def test_outside_the_disk_there_is_nothing():
    outside = vector(1.0, 0.2)[None]
    assert bool(Disk(0.5).log_prob(outside).isnan().all())
    assert bool(Disk(0.5)(outside, torch.zeros(1)).isnan().all())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.exact is not None])
def test_the_exact_points_lie_on_a_path_of_the_reference_length(name):
    case = CASES[name]
    # The points need not be evenly spaced: through many of them the curve is the same.
    assert case.excess(Curve(case.exact), 4097) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in CASES if name != "kink"])
def test_the_reference_is_the_length_of_the_geodesic_found_with_many_nodes(name):
    case = CASES[name]
    case = case.reduced() if isinstance(case.metric.score, RoundMixture) else case
    solver = Relaxation(order=4, between=False)
    solution = solve_bvp(case.metric, case.straight(65), solver=solver, tol=1e-5, max_steps=400)
    assert solution.converged
    assert case.excess(solution.curve, 4097) == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.002, 0.0005])
def test_the_reference_in_16384_dimensions_is_that_of_the_span_of_means_and_ends(alpha):
    case = zoo.latent_arc(alpha).reduced()
    solver = Relaxation(order=4, between=False)
    solution = solve_bvp(case.metric, case.straight(129), solver=solver, tol=1e-6, max_steps=400)
    assert solution.converged
    assert case.excess(solution.curve, 4097) == pytest.approx(0, abs=2e-6)


@pytest.mark.slow
def test_the_blocks_have_a_second_geodesic_a_little_longer():
    case = zoo.blocks()
    solution = solve_bvp(case.metric, case.straight(65), solver=Relaxation(order=4), tol=1e-3, max_steps=300)
    assert case.excess(solution.curve, 2049) == pytest.approx(0.0027, abs=3e-4)


def test_the_kink_is_crossed_at_the_origin_by_a_path_of_the_reference_length():
    case = zoo.kink()
    u = torch.linspace(0, 1, 201, dtype=torch.float64)
    half = zoo.Exponential(vector(0, -4.0)).geodesic(case.a, torch.zeros(2, dtype=torch.float64), u, 0.5)
    path = Curve(torch.cat([half, -half[:-1].flip(0)]))
    assert case.excess(path, 6401) == pytest.approx(0, abs=1e-5)
    for offset in (-0.02, 0.02):  # it is a minimum: crossing elsewhere is longer
        bump = (math.pi * path.u).sin()[:, None] * vector(1, 0.3)
        assert case.excess(Curve(path.x + offset * bump), 6401) > 1e-5


def test_a_mixture_in_the_span_of_its_means_is_the_same_problem():
    case = zoo.arc(64)
    small = case.reduced()
    assert small.a.shape == (26,)
    assert small.excess(small.straight()) == pytest.approx(case.excess(case.straight()), rel=1e-10)
    residuals = [c.metric.residual(c.straight()).relative for c in (case, small)]
    assert residuals[0] == pytest.approx(residuals[1], rel=1e-9)


def test_the_fast_mixture_is_the_mixture_of_the_toys():
    means, ones = normal(4, 3), torch.ones(4, dtype=torch.float64)
    slow, x = zoo.GaussianMixture(means, 0.8 * ones, ones), normal(7, 3, seed=1)
    fast = RoundMixture(means, 0.8)
    torch.testing.assert_close(fast(x, x[:, 0]), slow(x, x[:, 0]))
    difference = fast.log_prob(x) - slow.log_prob(x)
    torch.testing.assert_close(difference, difference[:1].expand(7))


def test_noise_is_a_function_of_the_point_and_of_nothing_else():
    score = Noisy(RoundMixture(normal(3, 50), 1.0), 0.5)
    x, u = normal(8, 50, seed=1), torch.zeros(8)
    noise = score(x, u) - score.score(x, u)
    torch.testing.assert_close(score(x[3:4], u[:1]) - score.score(x[3:4], u[:1]), noise[3:4], rtol=0, atol=1e-12)
    assert torch.equal(score(x, u), score(x, u))
    other = replace(score, seed=1)(x, u) - score.score(x, u)
    nudged = score(x + 1e-12, u) - score.score(x + 1e-12, u)
    for different in (other, nudged):
        assert float((different * noise).mean()) == pytest.approx(0, abs=0.05)
    assert float(noise.std()) == pytest.approx(0.5, rel=0.1)
    assert float(noise.mean()) == pytest.approx(0, abs=0.1)


def test_a_noisy_case_has_the_noise_asked_for_and_is_judged_without_it():
    case = zoo.arc(64)
    noisy = zoo.noisy(case, 0.3)
    middle = case.straight(3)
    clean, spoilt = (c.metric.scores_at(middle.x, middle.u)[1] for c in (case, noisy))
    assert float((spoilt - clean).norm() / clean.norm()) == pytest.approx(0.3, rel=0.3)
    assert noisy.truth.score is case.metric.score
    assert noisy.excess(middle) == case.excess(middle)


def test_names_are_unique_and_a_group_that_is_not_there_is_refused():
    cases = [case for group in zoo.GROUPS for case in zoo.cases(group, seed=1)]
    assert len({case.name for case in cases}) == len(cases)
    assert all(math.isfinite(case.log_length) for case in cases)
    with pytest.raises(GeometryError, match="groups"):
        next(zoo.cases("reptiles"))


@every_case
def test_the_straight_line_is_longer_than_the_reference(case):
    assert case.excess(case.straight()) > 0.05


def test_a_path_through_a_hole_in_the_density_is_infinitely_long():
    case = zoo.half_space()
    below = Curve(case.straight(9).x - vector(0, 1) * (math.pi * case.straight(9).u).sin()[:, None])
    assert case.excess(below) == math.inf
