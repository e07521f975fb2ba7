import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import (
    Blend,
    Curve,
    DensityMetric,
    RadialProfile,
    Relaxation,
    Scaled,
    Sphere,
    Status,
    Step,
    bending,
    solve_bvp,
)
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace, Radial, SphereChart
from helpers import CountingScore, FailingScore, clairaut, normal, rotation, vector

ALPHA = 0.5
AT_NODES = Relaxation(between=False, minimum=False)
MIXTURE = GaussianMixture(normal(4, 3), vector(0.8, 0.9, 1.0, 1.3), vector(1, 2, 3, 4))
SPHERE = Sphere(1.5)
A, B = SPHERE.project(torch.stack([vector(1, 0, 0.3), vector(-0.2, 1, 0.5)])).unbind()


def solved(metric: DensityMetric, a, b, nodes: int = 17, tol: float = 1e-9) -> Curve:
    guess = Curve.straight(a, b, nodes, metric.space)
    solution = solve_bvp(metric, guess, solver=AT_NODES, tol=tol, max_steps=100)
    assert solution.status is Status.CONVERGED
    return solution.curve


def length_errors(density, a, b, distance: float, counts: tuple[int, ...]) -> list[float]:
    weight = float((-ALPHA * density.log_prob(a[None])).exp())
    metric = DensityMetric(density, ALPHA)
    return [abs(weight * float(metric.length(solved(metric, a, b, k))) - distance) for k in counts]


CLOSED_FORMS = {
    "half-space": (HalfSpace(ALPHA), vector(-1, 0.1, 0.5), vector(1, 0.3, 0.8), ()),
    "sphere chart": (SphereChart(ALPHA), vector(0.9, 0, 0), vector(-0.6, 0.9, 0.1), ()),
    "exponential": (Exponential(vector(0, 4.0)), vector(-0.5, 0), vector(0.5, 0.2), (ALPHA,)),
}


@pytest.mark.parametrize(("density", "a", "b", "extra"), CLOSED_FORMS.values(), ids=CLOSED_FORMS.keys())
class TestClosedForms:
    def test_the_length_converges_to_the_exact_distance_with_order_two(self, density, a, b, extra):
        errors = length_errors(density, a, b, density.distance(a, b, *extra), (33, 65, 129))
        assert errors[-1] < 1e-4 * density.distance(a, b, *extra)
        assert all(3.4 < coarse / fine < 4.6 for coarse, fine in pairwise(errors))

    def test_the_nodes_converge_to_the_exact_geodesic_with_order_two(self, density, a, b, extra):
        exact = Curve(density.geodesic(a, b, torch.linspace(0, 1, 2001, dtype=torch.float64), *extra))
        exact = exact.at_constant_speed()
        errors = []
        for k in (17, 33, 65):
            curve = solved(DensityMetric(density, ALPHA), a, b, k)
            errors.append(float((curve.x - exact(curve.u)).norm(dim=1).max()))
        assert errors[-1] < 1e-3
        assert all(3.4 < coarse / fine < 4.6 for coarse, fine in pairwise(errors))


def test_the_path_in_the_half_space_lies_on_a_circle_about_the_ground():
    x = solved(DensityMetric(HalfSpace(ALPHA), ALPHA), vector(-1, 0.6), vector(1, 0.6), 129).x
    radius = math.hypot(1, 0.6)
    assert float((x.norm(dim=1) - radius).abs().max()) < 1e-4


def test_without_density_the_path_is_the_straight_line():
    metric = DensityMetric(MIXTURE, 0.0)
    bent = Curve(torch.stack([vector(0, 0, 0), vector(1, 2, 0), vector(2, -1, 1), vector(3, 3, 3)])).at_constant_speed(
        15
    )
    solution = solve_bvp(metric, bent, tol=1e-9, max_steps=100)
    assert solution.status is Status.CONVERGED
    straight = vector(1, 1, 1) / math.sqrt(3)
    assert float((solution.curve.x - (solution.curve.x @ straight)[:, None] * straight).norm(dim=1).max()) < 1e-9


def test_without_density_the_path_on_the_sphere_is_the_great_circle():
    detour = SPHERE.project(torch.stack([A, vector(0.3, 0.2, 1.0), B]))
    bent = Curve.through(torch.cat([A[None], detour[1:2], B[None]]), SPHERE, nodes=21)
    solution = solve_bvp(DensityMetric(MIXTURE, 0.0, SPHERE), bent, solver=AT_NODES, tol=1e-9, max_steps=100)
    assert solution.status is Status.CONVERGED
    normal_to_plane = torch.linalg.cross(A, B)
    assert float((solution.curve.x @ normal_to_plane / normal_to_plane.norm()).abs().max()) < 4.5e-10


def test_a_constant_density_accepts_the_straight_line_at_once():
    guess = Curve.straight(A, B, 9, SPHERE)
    solution = solve_bvp(DensityMetric(lambda x, u: torch.zeros_like(x), 1.0, SPHERE), guess)
    assert solution.status is Status.CONVERGED
    torch.testing.assert_close(solution.curve(guess.u), guess.x, rtol=0, atol=1e-4)
    assert solution.steps == 0


def test_the_clairaut_invariant_is_conserved_along_the_path():
    density, alpha = Radial(0.8), 0.6
    spreads = []
    for nodes in (33, 65, 129):
        curve = solved(DensityMetric(density, alpha), vector(-1, 0.3, 0.2), vector(0.7, 0.9, -0.1), nodes)
        values = clairaut(density, curve.x, curve.velocity(), alpha)[1:-1]
        spreads.append(float(values.max() / values.min()) - 1)
    assert spreads[-1] < 5e-4
    assert spreads[0] / spreads[-1] > 10


@pytest.mark.parametrize("goal", [0.4, 1.0, 2.0])
@pytest.mark.parametrize("space", [SPHERE, None], ids=["sphere", "euclidean"])
def test_a_moderate_bend_takes_at_most_fifteen_steps(goal: float, space):
    guess = Curve.straight(A, B, 17, space)
    metric = DensityMetric(MIXTURE, goal / bending(MIXTURE, guess), guess.space)
    solution = solve_bvp(metric, guess, tol=0.005, max_steps=15)
    assert solution.status is Status.CONVERGED
    assert solution.residual <= 0.005


def test_the_path_is_shorter_than_the_guess_and_than_its_neighbours():
    metric = DensityMetric(MIXTURE, 0.8, SPHERE)
    curve = solved(metric, A, B, 65)
    best = float(metric.log_length(curve))
    assert best < float(metric.log_length(Curve.straight(A, B, 65, SPHERE))) - 0.01
    for seed in range(5):
        bump = 0.05 * torch.sin(math.pi * curve.u)[:, None] * normal(3, seed=seed)
        assert float(metric.log_length(Curve(SPHERE.project(curve.x + bump), SPHERE))) > best


def test_the_path_bows_out_through_high_density():
    curve = solved(DensityMetric(Exponential(vector(0, 2.0)), ALPHA), vector(-1, 0), vector(1, 0))
    assert float(curve.x[8, 1]) > 0.1


@pytest.mark.parametrize("nodes", [3, 10, 17])
def test_every_step_is_one_batch_of_the_inner_nodes(nodes: int):
    counting = CountingScore(MIXTURE)
    guess = Curve.straight(A, B, nodes, SPHERE)
    solution = solve_bvp(DensityMetric(counting, 0.8, SPHERE), guess, solver=AT_NODES, tol=1e-4)
    assert solution.status is Status.CONVERGED
    assert counting.batches == [nodes] + solution.steps * [nodes - 2]
    assert solution.score_calls == counting.points


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.floats(0.01, 0.6))
def test_the_ends_are_kept_bit_for_bit(seed: int, d: int, alpha: float):
    a, b = 3 * normal(2, d, seed=seed)
    solution = solve_bvp(DensityMetric(Radial(1.5), alpha), Curve.straight(a, b, 9), max_steps=6)
    assert torch.equal(solution.curve.x[0], a)
    assert torch.equal(solution.curve.x[-1], b)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_a_rotation_turns_the_path(seed: int):
    turn = rotation(3, seed)
    turned = GaussianMixture(MIXTURE.means @ turn, MIXTURE.scales, MIXTURE.weights)
    path = solved(DensityMetric(MIXTURE, 0.6, SPHERE), A, B)
    other = solved(DensityMetric(turned, 0.6, SPHERE), A @ turn, B @ turn)
    torch.testing.assert_close(other.x, path.x @ turn, rtol=0, atol=1e-8)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.05, 20))
def test_alpha_and_a_factor_of_the_score_are_the_same_thing(factor: float):
    path = solved(DensityMetric(MIXTURE, 0.6, SPHERE), A, B)
    other = solved(DensityMetric(Scaled(MIXTURE, 0.6 / factor), factor, SPHERE), A, B)
    torch.testing.assert_close(other.x, path.x, rtol=0, atol=1e-8)


def test_the_path_back_is_the_path_there():
    metric = DensityMetric(MIXTURE, 0.6, SPHERE)
    torch.testing.assert_close(solved(metric, B, A).x.flip(0), solved(metric, A, B).x, rtol=0, atol=1e-8)


def test_a_density_that_varies_along_the_path_is_reversed_with_it():
    one, other = Radial(0.9), MIXTURE
    there = solved(DensityMetric(Blend(one, other), 0.5), A, B)
    back = solved(DensityMetric(Blend(other, one), 0.5), B, A)
    torch.testing.assert_close(back.x.flip(0), there.x, rtol=0, atol=1e-8)
    assert float((there.x - solved(DensityMetric(Blend(other, one), 0.5), A, B).x).abs().max()) > 1e-2


def test_ends_of_different_norm_are_solved_on_a_sphere_between_them():
    a, b = 0.8 * A, 1.3 * B
    profile = RadialProfile(float(a.norm()), float(b.norm()))
    sphere = Sphere(profile.radius)
    ends = profile.lower(torch.stack([a, b]), vector(0, 1))
    path = solved(DensityMetric(profile.score(MIXTURE), 0.5, sphere), *ends)
    lifted = profile.lift(path.x, path.u)
    torch.testing.assert_close(lifted[[0, -1]], torch.stack([a, b]), rtol=1e-14, atol=1e-14)


def test_an_uneven_guess_is_no_hindrance():
    metric = DensityMetric(MIXTURE, 0.6, SPHERE)
    straight = Curve.straight(A, B, 33, SPHERE)
    uneven = Curve(straight.x[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 22, 28, 32]], SPHERE)
    path = solve_bvp(metric, uneven, solver=AT_NODES, tol=1e-9, max_steps=100)
    assert path.converged
    torch.testing.assert_close(path.curve.x, solved(metric, A, B).x, rtol=0, atol=1e-6)


def test_a_longer_way_round_finds_another_geodesic():
    ring = GaussianMixture(
        torch.stack([vector(math.cos(phase), math.sin(phase)) for phase in torch.arange(12) * math.pi / 6]),
        torch.full((12,), 0.3, dtype=torch.float64),
        torch.ones(12, dtype=torch.float64),
    )
    phase = torch.linspace(0.2, 2.4, 33, dtype=torch.float64)
    short = Curve(torch.stack([phase.cos(), phase.sin()], dim=1))
    phase = torch.linspace(0.2, 2.4 - 2 * math.pi, 33, dtype=torch.float64)
    around = Curve(torch.cat([short.x[:1], torch.stack([phase.cos(), phase.sin()], dim=1)[1:-1], short.x[-1:]]))
    metric = DensityMetric(ring, 0.7)
    one, other = solve_bvp(metric, short), solve_bvp(metric, around)
    assert one.converged
    assert other.converged
    assert float(other.curve.x[16, 1]) < 0 < float(one.curve.x[16, 1])


def test_identical_ends_give_a_constant_curve_at_no_cost():
    counting = CountingScore(MIXTURE)
    loop = Curve(torch.stack([A, B, A]), SPHERE)
    solution = solve_bvp(DensityMetric(counting, 1.0, SPHERE), loop)
    assert solution.status is Status.CONVERGED
    assert torch.equal(solution.curve.x, A.repeat(3, 1))
    assert counting.batches == []


@pytest.mark.parametrize("from_batch", [0, 1, 3])
def test_a_score_that_fails_leaves_the_last_good_path(from_batch: int):
    guess = Curve.straight(A, B, 9, SPHERE)
    metric = DensityMetric(FailingScore(MIXTURE, from_batch), 0.6, SPHERE)
    solution = solve_bvp(metric, guess, tol=1e-9)
    assert solution.status is Status.NON_FINITE
    seen: list[Step] = []
    clean = DensityMetric(MIXTURE, 0.6, SPHERE)
    solve_bvp(clean, guess, tol=1e-9, max_steps=max(0, from_batch - 1), on_step=seen.append)
    assert torch.equal(solution.curve.x, seen[-1].curve.x)
    assert solution.residual == (seen[-1].residual if from_batch else math.inf)


def test_a_score_that_fails_at_an_end_only_is_noticed():
    def score(x, u):
        return torch.where((u == 1)[:, None], torch.full_like(x, math.nan), MIXTURE(x, u))

    solution = solve_bvp(DensityMetric(score, 0.6, SPHERE), Curve.straight(A, B, 9, SPHERE))
    assert solution.status is Status.NON_FINITE


@pytest.mark.parametrize("alpha", [*(pytest.param(alpha, marks=pytest.mark.slow) for alpha in (30.0, 1e3)), 1e6])
def test_far_too_large_an_alpha_is_never_reported_as_solved(alpha: float):
    metric = DensityMetric(Exponential(vector(0, 4.0)), alpha)
    solution = solve_bvp(metric, Curve.straight(vector(-1, 0), vector(1, 0.3), 17))
    assert solution.status in (Status.STALLED, Status.SETTLED, Status.MAX_STEPS)
    assert solution.residual > 0.03
    assert metric.residual(solution.curve).relative > 0.03


@pytest.mark.parametrize("width, exists", [(0.9, True), (1.2, False)])
def test_there_is_a_path_across_a_slope_only_while_it_is_narrow(width: float, exists: bool):
    half = width * math.pi / (ALPHA * 4.0) / 2
    metric = DensityMetric(Exponential(vector(0, 4.0)), ALPHA)
    guess = Curve.straight(vector(-half, 0), vector(half, 0), 65)
    assert solve_bvp(metric, guess, max_steps=60).converged == exists


@pytest.mark.parametrize("alpha", [0.1, 0.6, 2.0, 8.0])
def test_a_converged_path_has_the_residual_it_claims(alpha: float):
    metric = DensityMetric(MIXTURE, alpha, SPHERE)
    for solver in (None, Relaxation()) if alpha < 8 else (None,):
        solution = solve_bvp(metric, Curve.straight(A, B, 21, SPHERE), solver=solver, tol=0.01)
        assert solution.converged
        assert metric.residual(solution.curve.at_constant_speed(65), order=4).relative <= 0.02


def test_the_step_limit_is_kept_and_reported():
    solution = solve_bvp(DensityMetric(MIXTURE, 0.8, SPHERE), Curve.straight(A, B, 9, SPHERE), tol=1e-9, max_steps=3)
    assert solution.status is Status.MAX_STEPS
    assert solution.steps == 3


@pytest.mark.parametrize("stop", [0, 1, 4, 9])
def test_a_solve_that_was_interrupted_goes_on_bit_for_bit(stop: int):
    metric, guess = DensityMetric(MIXTURE, 3.0, SPHERE), Curve.straight(A, B, 13, SPHERE)
    seen: list[Step] = []
    whole = solve_bvp(metric, guess, tol=1e-8, max_steps=60, on_step=seen.append)
    assert whole.steps > 9
    rest: list[Step] = []
    resumed = solve_bvp(metric, guess, tol=1e-8, max_steps=60, start=seen[stop], on_step=rest.append)
    assert torch.equal(resumed.curve.x, whole.curve.x)
    assert (resumed.status, resumed.residual, resumed.steps, resumed.score_calls) == (
        whole.status,
        whole.residual,
        whole.steps,
        whole.score_calls,
    )
    assert [step.index for step in rest] == list(range(stop + 1, whole.steps + 1))


def test_the_observer_sees_every_step_and_changes_nothing():
    metric, guess = DensityMetric(MIXTURE, 0.8, SPHERE), Curve.straight(A, B, 13, SPHERE)
    seen: list[Step] = []
    watched, alone = solve_bvp(metric, guess, on_step=seen.append), solve_bvp(metric, guess)
    assert [step.index for step in seen] == list(range(watched.steps + 1))
    assert torch.equal(watched.curve.x, alone.curve.x)
    assert torch.equal(seen[-1].curve.x, watched.curve.x)
    assert seen[-1].residuals == tuple(step.residual for step in seen)


def test_no_argument_is_written_to():
    guess = Curve.straight(A, B, 13, SPHERE)
    kept = guess.x.clone()
    solve_bvp(DensityMetric(MIXTURE, 0.8, SPHERE), guess)
    assert torch.equal(guess.x, kept)


def test_a_latent_of_sixteen_thousand_dimensions_is_solved_in_single_precision():
    d = 16384
    modes = normal(5, d, seed=3)
    density = GaussianMixture(modes, torch.full((5,), 1.0, dtype=torch.float64), torch.ones(5, dtype=torch.float64))
    single = GaussianMixture(modes.float(), torch.ones(5), torch.ones(5))
    sphere = Sphere(math.sqrt(d))
    a, b = sphere.project(normal(2, d, seed=4) + modes[:2])
    guess = Curve.straight(a, b, 15, sphere)
    alpha = 2.0 / bending(density, guess)
    double = solve_bvp(DensityMetric(density, alpha, sphere), guess)
    halved = solve_bvp(DensityMetric(single, alpha, sphere), Curve.straight(a.float(), b.float(), 15, sphere))
    assert double.converged
    assert halved.converged
    assert halved.curve.x.dtype == torch.float32
    apart = (halved.curve.x.double() - double.curve.x).norm(dim=1).max() / double.curve.length
    assert float(apart) < 1e-3


def test_the_length_of_the_largest_alpha_does_not_overflow_in_high_dimension():
    d = 16384
    a, b = normal(2, d)
    seen: list[Step] = []
    solution = solve_bvp(DensityMetric(Radial(1.0), 1.0), Curve.straight(a, b, 9), max_steps=3, on_step=seen.append)
    assert all(math.isfinite(step.log_length) for step in seen)
    assert bool(solution.curve.x.isfinite().all())
    assert solution.status is not Status.NON_FINITE


def test_a_guess_of_two_nodes_is_refused():
    with pytest.raises(GeometryError, match="three nodes"):
        solve_bvp(DensityMetric(MIXTURE, 1.0), Curve.straight(A, B, 2))


def test_a_guess_in_another_space_is_refused():
    with pytest.raises(GeometryError, match="one space"):
        solve_bvp(DensityMetric(MIXTURE, 1.0), Curve.straight(A, B, 5, SPHERE))


def test_a_guess_off_the_sphere_is_refused():
    with pytest.raises(GeometryError, match="lie in"):
        solve_bvp(DensityMetric(MIXTURE, 1.0, SPHERE), Curve(normal(5, 3), SPHERE))


def test_a_step_with_other_ends_is_not_gone_on_from():
    metric = DensityMetric(MIXTURE, 1.0, SPHERE)
    other = Relaxation().init(metric, Curve.straight(B, A, 5, SPHERE))
    with pytest.raises(GeometryError, match="other endpoints"):
        solve_bvp(metric, Curve.straight(A, B, 5, SPHERE), start=other)
