"""The surrogate-geodesic solver: what it costs, what it claims, and what it does where its model is wrong."""

import math
from dataclasses import replace

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import (
    Blend,
    Curve,
    DensityMetric,
    Relaxation,
    Seen,
    Sphere,
    Status,
    Step,
    Surrogate,
    bending,
    solve_bvp,
)
from geodesic_cli.geometry.kernel.on_model import OnModel
from geodesic_cli.geometry.kernel.schemes import numerov
from geodesic_cli.geometry.kernel.tuning import Tuning
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace, Radial, SphereChart
from geodesic_cli.geometry.variation import UNSTABLE
from helpers import CountingScore, FailingScore, LargestTensor, normal, rotation, vector

ALPHA = 0.5
MIXTURE = GaussianMixture(normal(4, 3), vector(0.8, 0.9, 1.0, 1.3), vector(1, 2, 3, 4))
SPHERE = Sphere(1.5)
A, B = SPHERE.project(torch.stack([vector(1, 0, 0.3), vector(-0.2, 1, 0.5)])).unbind()
CLOSED_FORMS = {
    "half-space": (HalfSpace(ALPHA), vector(-1, 0.1, 0.3), vector(1, 0.3, 0.6), ()),
    "sphere chart": (SphereChart(ALPHA), vector(0.9, 0, 0), vector(-0.6, 0.9, 0.1), ()),
    "exponential": (Exponential(vector(0, 4.0)), vector(-0.5, 0), vector(0.5, 0.2), (ALPHA,)),
}
every_closed_form = pytest.mark.parametrize(
    ("density", "a", "b", "extra"), CLOSED_FORMS.values(), ids=CLOSED_FORMS.keys()
)


def exact_length(density, a, b, curve: Curve) -> float:
    """The weighted length of a curve from the true log density, Simpson's rule on 1025 points."""
    u = torch.linspace(0, 1, 1025, dtype=torch.float64)
    x = curve(u)
    weight = (-ALPHA * density.log_prob(x)).exp()
    speed = Curve(x, curve.space).velocity(order=4).norm(dim=1)
    simpson = torch.ones_like(u)
    simpson[1:-1:2], simpson[2:-1:2] = 4, 2
    return float((simpson * weight * speed).sum() / (3 * 1024))


@every_closed_form
class TestClosedForms:
    def test_the_length_is_right_to_a_hundred_thousandth_within_thirty_evaluations(self, density, a, b, extra):
        steps: list[Step] = []
        solution = solve_bvp(DensityMetric(density, ALPHA), Curve.straight(a, b, 17), on_step=steps.append)
        assert solution.converged
        distance = density.distance(a, b, *extra)
        good = [s.score_calls for s in steps if abs(exact_length(density, a, b, s.curve) / distance - 1) < 1e-5]
        assert good[0] <= 30
        assert solution.score_calls <= 45

    def test_a_tight_tolerance_is_kept(self, density, a, b, extra):
        metric = DensityMetric(density, ALPHA)
        solution = solve_bvp(metric, Curve.straight(a, b, 17), solver=Surrogate(nodes=65), tol=3e-4)
        assert solution.converged
        assert metric.residual(solution.curve, order=4).relative < 6e-4
        distance = density.distance(a, b, *extra)
        assert exact_length(density, a, b, solution.curve) == pytest.approx(distance, rel=1e-6)


def test_evaluations_are_counted_and_come_in_batches():
    counting = CountingScore(MIXTURE)
    solution = solve_bvp(DensityMetric(counting, 0.8, SPHERE), Curve.straight(A, B, 9, SPHERE))
    assert solution.converged
    assert solution.score_calls == counting.points
    assert counting.batches[0] == 8
    assert set(counting.batches[1:]) <= {4, 6}


def test_it_needs_a_fraction_of_the_evaluations_of_relaxation_for_the_same_path():
    means = torch.stack([3 * torch.tensor([math.cos(p), math.sin(p)] + 30 * [0.0]) for p in (0.0, 0.7, 1.4, 2.1)])
    density = GaussianMixture(means.double() @ rotation(32), vector(0.8, 0.8, 0.8, 0.8), vector(1, 1, 1, 1))
    a, b = density.means[0] + 0.2 * normal(32), density.means[3] + 0.2 * normal(32, seed=1)
    guess = Curve.straight(a, b, 17)
    metric = DensityMetric(density, 5 / bending(density, guess))
    ours, other = (solve_bvp(metric, guess, solver=s, tol=0.01) for s in (Surrogate(), Relaxation(order=4)))
    assert ours.converged
    assert other.converged
    assert ours.score_calls < 0.5 * other.score_calls
    u = torch.linspace(0, 1, 33, dtype=torch.float64)
    assert float((ours.curve(u) - other.curve(u)).norm(dim=1).max() / ours.curve.length) < 0.01


def test_a_density_that_varies_is_noticed_and_solved():
    metric = DensityMetric(Blend(Radial(0.9), MIXTURE), 0.5)
    solution = solve_bvp(metric, Curve.straight(A, B, 17), tol=0.01)
    assert solution.converged
    fine = solve_bvp(metric, Curve.straight(A, B, 33), solver=Relaxation(order=4), tol=1e-4)
    assert float((solution.curve.x - fine.curve(solution.curve.u)).norm(dim=1).max()) < 0.01
    varying = Surrogate().init(metric, Curve.straight(A, B, 17)).state.varying
    constant = Surrogate().init(DensityMetric(MIXTURE, 0.5), Curve.straight(A, B, 17)).state.varying
    assert (varying, constant) == (True, False)


def test_the_ends_and_the_dtype_are_the_guess_s():
    guess = Curve.straight(A.float(), B.float(), 9, SPHERE)
    single = GaussianMixture(MIXTURE.means.float(), MIXTURE.scales.float(), MIXTURE.weights.float())
    solution = solve_bvp(DensityMetric(single, 0.8, SPHERE), guess)
    assert solution.converged
    assert solution.curve.x.dtype == torch.float32
    assert torch.equal(solution.curve.x[[0, -1]], guess.x[[0, -1]])


@pytest.mark.parametrize("stop", [0, 1, 3])
def test_a_solve_that_was_interrupted_goes_on_bit_for_bit(stop: int):
    metric, guess = DensityMetric(MIXTURE, 3.0, SPHERE), Curve.straight(A, B, 13, SPHERE)
    seen: list[Step] = []
    whole = solve_bvp(metric, guess, tol=1e-3, on_step=seen.append)
    assert whole.steps > 3
    resumed = solve_bvp(metric, guess, tol=1e-3, start=seen[stop])
    assert torch.equal(resumed.curve.x, whole.curve.x)
    assert (resumed.status, resumed.residual, resumed.steps, resumed.score_calls) == (
        whole.status,
        whole.residual,
        whole.steps,
        whole.score_calls,
    )


def test_a_budget_is_kept_and_reported():
    solution = solve_bvp(DensityMetric(MIXTURE, 3.0, SPHERE), Curve.straight(A, B, 13, SPHERE), tol=1e-6, max_calls=17)
    assert solution.status is Status.BUDGET
    assert solution.score_calls <= 17


@pytest.mark.parametrize("from_batch", [0, 1, 2])
def test_a_score_that_fails_leaves_the_last_good_path(from_batch: int):
    metric = DensityMetric(FailingScore(MIXTURE, from_batch), 3.0, SPHERE)
    solution = solve_bvp(metric, Curve.straight(A, B, 13, SPHERE), tol=1e-6)
    assert solution.status is Status.NON_FINITE
    good = solve_bvp(
        DensityMetric(MIXTURE, 3.0, SPHERE),
        Curve.straight(A, B, 13, SPHERE),
        tol=1e-6,
        max_steps=max(0, from_batch - 1),
    )
    assert torch.equal(solution.curve.x, good.curve.x)


def test_a_score_that_fails_while_the_path_is_confirmed_is_noticed():
    guess = Curve.straight(A, B, 13, SPHERE)
    steps: list[Step] = []
    good = solve_bvp(DensityMetric(MIXTURE, 0.8, SPHERE), guess, tol=0.03, on_step=steps.append)
    assert good.score_calls == steps[-1].score_calls + 6  # it was confirmed
    metric = DensityMetric(FailingScore(MIXTURE, len(steps)), 0.8, SPHERE)
    assert solve_bvp(metric, guess, tol=0.03).status is Status.NON_FINITE


def test_a_path_that_falls_short_of_its_confirmation_goes_on():
    metric, guess = DensityMetric(MIXTURE, 3.0, SPHERE), Curve.straight(A, B, 13, SPHERE)
    solver = Surrogate()
    step = solver.step(metric, solver.init(metric, guess))
    assert step.residual > 0.05
    whole_move = replace(step.state, taken=1.0)
    pretended = replace(step, residual=0.02, residuals=(*step.residuals[:-1], 0.02), state=whole_move)
    after = solver.finish(metric, pretended, tol=0.03)
    assert after.status is None
    assert after.residual > 0.03
    assert after.score_calls == step.score_calls + solver.confirm
    assert len(after.state.seen.x) == len(step.state.seen.x) + solver.confirm


def test_scores_seen_elsewhere_save_evaluations_and_change_nothing_else():
    metric, guess = DensityMetric(MIXTURE, 2.0, SPHERE), Curve.straight(A, B, 17, SPHERE)
    plain = solve_bvp(metric, guess, tol=0.01)
    known = Seen(plain.curve.x, plain.curve.u, metric.scores_at(plain.curve.x, plain.curve.u))
    warm = solve_bvp(metric, guess, solver=Surrogate(seen=known), tol=0.01)
    assert warm.converged
    assert warm.score_calls < plain.score_calls
    u = torch.linspace(0, 1, 17, dtype=torch.float64)
    torch.testing.assert_close(warm.curve(u), plain.curve(u), rtol=0, atol=0.02)


def test_noise_does_not_count_as_convergence_and_more_evaluations_lower_the_error():
    generator = torch.Generator().manual_seed(0)
    density, d = Radial(1.0), 64
    a, b = 2 * normal(2, d) / math.sqrt(d)
    guess = Curve.straight(a, b, 17)
    alpha = 3 / bending(density, guess)

    def noisy(x, u):
        return density(x, u) + 0.3 * torch.randn(x.shape, generator=generator, dtype=x.dtype)

    steps: list[Step] = []
    solution = solve_bvp(DensityMetric(noisy, alpha), guess, max_steps=60, on_step=steps.append)
    assert not solution.converged
    exact = solve_bvp(DensityMetric(density, alpha), guess, tol=1e-3).curve

    def error(step: Step) -> float:
        return float((step.curve.x - exact(step.curve.u)).norm(dim=1).max())

    assert error(steps[-1]) < 0.5 * error(steps[1])


def test_a_path_that_comes_to_rest_under_noise_says_so():
    generator = torch.Generator().manual_seed(0)

    def noisy(x, u):
        return Radial(1.0)(x, u) + 0.2 * torch.randn(x.shape, generator=generator, dtype=x.dtype)

    solution = solve_bvp(DensityMetric(noisy, 0.3), Curve.straight(vector(-1, 0.5), vector(1, 0.5), 17), max_steps=200)
    assert solution.status is Status.SETTLED


def test_where_there_is_no_geodesic_the_solver_gives_up_soon():
    counting = CountingScore(Exponential(vector(0, 4.0)))
    solution = solve_bvp(DensityMetric(counting, 2.0), Curve.straight(vector(-2, 0), vector(2, 0), 17), max_steps=100)
    assert solution.status is Status.STALLED
    assert solution.steps <= 2 * Tuning().patience


def ridge(x, u):
    """log p = 2 x² - x⁴ / 4 across, nothing along: a valley of low density between two ridges at x = 2."""
    across = 4 * x[:, :1] - x[:, :1] ** 3
    return torch.cat([across, torch.zeros_like(x[:, 1:])], dim=1)


def test_a_path_along_the_bottom_of_a_valley_is_left_for_a_ridge():
    """The straight line is stationary, and a saddle: both ridges are shorter."""
    a, b = vector(0, -3), vector(0, 3)
    metric = DensityMetric(ridge, 0.8)
    wiggle = 1e-3 * torch.sin(math.pi * torch.linspace(0, 1, 33, dtype=torch.float64))
    guess = Curve.straight(a, b, 33)
    off = Curve(guess.x + wiggle[:, None] * vector(1, 0))
    solution = solve_bvp(metric, off, tol=0.02)
    assert solution.converged
    assert float(solution.curve.x[16, 0].abs()) > 1


def test_the_second_variation_tells_a_saddle_from_a_minimum():
    scheme = numerov(31)
    u = scheme.u[:, None]
    line = torch.cat([0 * u, 6 * u - 3], dim=1)
    free = OnModel(lambda x, u: torch.zeros_like(x), 0.8, DensityMetric(ridge, 0.8).space, 0.0, 1e-8)
    assert free.steepest(line)[0] == pytest.approx(1.0, abs=1e-3)
    saddle = OnModel(ridge, 0.8, free.space, 0.0, 1e-8)
    value, direction = saddle.steepest(line)
    # Across the valley the second variation is -d²/dy² - alpha 4: its lowest wave has pi²/36 - 3.2 in these units.
    assert value < UNSTABLE
    assert float(direction[15, 0].abs()) == pytest.approx(1.0, abs=0.05)
    assert float(direction[:, 1].abs().max()) < 1e-6


@pytest.mark.parametrize("d", [2, 3, 40])
def test_a_rotation_turns_the_path(d: int):
    turn = rotation(d, 1)
    density = GaussianMixture(normal(3, d), vector(0.9, 1.0, 1.2), vector(1, 2, 1))
    turned = GaussianMixture(density.means @ turn, density.scales, density.weights)
    a, b = normal(2, d, seed=4)
    one = solve_bvp(DensityMetric(density, 0.4), Curve.straight(a, b, 17), tol=0.01)
    other = solve_bvp(DensityMetric(turned, 0.4), Curve.straight(a @ turn, b @ turn, 17), tol=0.01)
    torch.testing.assert_close(other.curve.x, one.curve.x @ turn, rtol=0, atol=2e-3)


def test_memory_is_linear_in_the_dimension():
    d = 65536
    sphere = Sphere(math.sqrt(d))
    a, b = sphere.project(normal(2, d))
    solver = Surrogate(nodes=65)
    metric = DensityMetric(Radial(1.0), 1e-4, sphere)
    with LargestTensor() as watch:
        step = solver.step(metric, solver.init(metric, Curve.straight(a, b, 65, sphere)))
    assert watch.elements <= 3 * 65 * d
    assert bool(sphere.contains(step.curve.x).all())


@pytest.mark.parametrize("wrong", [{"first": 1}, {"batch": 0}, {"nodes": 8}, {"confirm": 2}])
def test_too_few_points_are_refused(wrong: dict):
    with pytest.raises(GeometryError, match="at least"):
        Surrogate(**wrong)
