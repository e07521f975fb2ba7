"""The published solver as it was published: its step, its levels, its one test, and where that leaves it."""

import math

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Curve, DensityMetric, Euclidean, Sphere, Status, linalg, solve_bvp
from geodesic_cli.geometry.solvers.gradient_flow import Descending, GradientFlow, along, descent
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace, SphereChart
from helpers import CountingScore, FailingScore, normal, vector

ENDS = 2
"""Evaluations at the two ends, which the published solver does without."""

SPHERE = Sphere(1.5)


def on_sphere(polar: float, azimuth: float) -> torch.Tensor:
    return SPHERE.project(
        vector(math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar))[None]
    )[0]


MISES_FISHER = (
    DensityMetric(Exponential(vector(0, 0, 2 / 1.5)), 0.7, SPHERE),
    Curve.straight(on_sphere(1.3, 0.0), on_sphere(1.8, 2.0), 17, SPHERE),
)
HALF_PLANE = (DensityMetric(HalfSpace(0.5), 0.5), Curve.straight(vector(-1, 0.3), vector(1, 0.6), 17))


def run(metric: DensityMetric, guess: Curve, solver: GradientFlow, tol: float = 1e-9):
    steps = []
    solution = solve_bvp(metric, guess, solver=solver, tol=tol, max_steps=400, on_step=steps.append)
    return solution, steps


def levels(steps) -> list[int]:
    """How many iterations each level took."""
    sizes = [len(step.curve.x) - 2 for step in steps if step.status is None]
    return [sizes.count(n) for n in (1, 3, 7, 15)]


@pytest.mark.parametrize(("metric", "guess"), [HALF_PLANE, MISES_FISHER], ids=["plane", "sphere"])
def test_a_step_is_the_published_formula(metric, guess):
    """Three points on their level's second iteration, written out with plain loops and a dense spline system."""
    solver = GradientFlow(checked=False, lr=0.05, iterations=3, skip=False)
    step = solver.init(metric, guess)
    for _ in range(4):
        step = solver.step(metric, step)
    assert len(step.curve.x) == 5
    x, h, count = step.curve.x, 0.25, 3
    system = torch.diag(torch.full((count,), 4.0)) + torch.diag(torch.ones(2), 1) + torch.diag(torch.ones(2), -1)
    seconds = torch.linalg.solve(system.double(), 6 * (x[:-2] - 2 * x[1:-1] + x[2:]) / h**2)
    padded = torch.cat([torch.zeros_like(x[:1]), seconds, torch.zeros_like(x[:1])])
    wanted = []
    for i in (1, 2, 3):
        if isinstance(metric.space, Sphere):
            radius, sides = metric.space.radius, []
            for a, b, at_end in ((x[i - 1], x[i], True), (x[i], x[i + 1], False)):
                theta = float(torch.arccos(a @ b / radius**2))
                slope = (
                    (b * math.cos(theta) - a) * theta / math.sin(theta)
                    if at_end
                    else (b - a * math.cos(theta)) * theta / math.sin(theta)
                )
                sides.append(slope / h)
            v = (sides[0] + sides[1]) / 2
        else:
            v = (x[i + 1] - x[i]) / h - h * (2 * padded[i] + padded[i + 1]) / 6
        s, a = metric.score(x[i : i + 1], torch.zeros(1))[0], padded[i]
        if isinstance(metric.space, Sphere):
            s, a = (w - (w @ x[i]) / (x[i] @ x[i]) * x[i] for w in (s, a))
        terms = s + a / (v @ v) / metric.alpha
        uphill = terms - (terms @ v) / (v @ v) * v
        moved = x[i] + 0.05 * (1 - 4 / 12) / count * uphill
        wanted.append(moved * (metric.space.radius / moved.norm()) if isinstance(metric.space, Sphere) else moved)
    after = solver.step(metric, step).curve.x[1:-1]
    torch.testing.assert_close(after, torch.stack(wanted), rtol=1e-12, atol=1e-13)


def test_the_first_step_follows_the_score_alone():
    metric, guess = HALF_PLANE
    solver = GradientFlow(checked=False)
    step = solver.step(metric, solver.init(metric, guess))
    along_guess = linalg.unit(guess.x[-1] - guess.x[0])
    pull = linalg.reject(vector(0, 1 / (0.5 * 0.45)), along=along_guess)
    torch.testing.assert_close(step.curve.x[1], vector(0, 0.45) + 0.1 * pull)


def test_the_descent_lowers_the_length_to_first_order():
    metric = DensityMetric(GaussianMixture(normal(3, 4), vector(0.9, 1.0, 1.2), vector(1, 2, 1)), 0.5)
    guess = Curve.straight(normal(4, seed=1), normal(4, seed=2), 33)
    v, a, scores = guess.velocity(4), guess.acceleration(4), metric.scores_at(guess.x, guess.u)
    pull, bend = descent(metric, guess.x, v, a, scores)
    weight = (guess.u * (1 - guess.u))[:, None]
    for size in (1e-4, -1e-4):
        moved = Curve(guess.x + size * weight * (pull + bend))
        assert (float(metric.log_length(moved)) < float(metric.log_length(guess))) == (size > 0)


def test_the_half_plane_takes_2796_evaluations_as_published():
    metric, guess = HALF_PLANE
    solution, steps = run(metric, guess, GradientFlow(checked=False))
    assert solution.score_calls == 2796 + ENDS
    assert levels(steps) == [2, 198, 100, 100]
    assert solution.status is Status.MAX_STEPS
    exact = metric.score.distance(guess.x[0], guess.x[-1]) * 0.3
    assert float(metric.length(solution.curve.refine().refine().refine())) == pytest.approx(exact, rel=2e-3)


def test_on_the_sphere_it_stops_after_150_evaluations_far_from_the_geodesic():
    solution, steps = run(*MISES_FISHER, GradientFlow(checked=False))
    assert solution.score_calls == 150 + ENDS
    assert levels(steps) == [100, 2, 2, 2]
    assert solution.residual > 1
    assert solution.status is Status.MAX_STEPS


def test_a_constant_slope_stops_it_after_30_evaluations():
    metric = DensityMetric(Exponential(vector(0, 4.0)), 0.5)
    solution, steps = run(metric, Curve.straight(vector(-0.6, 0), vector(0.6, 0), 17), GradientFlow(checked=False))
    assert solution.score_calls == 30 + ENDS
    assert levels(steps) == [2, 2, 1, 1]


@pytest.mark.parametrize("seed", [2, 3, 5])
def test_the_chart_of_a_sphere_stops_it_up_to_two_percent_above_the_geodesic(seed):
    """At rest on level 1 the two norms are equal: rounding decides when the test fires and what follows."""
    frame = torch.linalg.qr(normal(10, 10, seed=seed))[0]
    a, b = 0.9 * frame[0], 1.08 * (math.cos(2.2) * frame[0] + math.sin(2.2) * frame[1])
    density = SphereChart(0.5)
    metric = DensityMetric(density, 0.5)
    solution, steps = run(metric, Curve.straight(a, b, 17), GradientFlow(checked=False))
    assert solution.score_calls < 600
    assert solution.residual > 0.5
    path = Curve(along(steps[-1].state.knots, Euclidean(), 1024)[0])
    relative_weight = 2 / (1 + 0.9**2)
    length = float(metric.length(path)) * relative_weight / density.distance(a, b)
    assert 1.003 < length < 1.025


def test_without_the_test_every_level_takes_all_of_its_iterations():
    counting = CountingScore(MISES_FISHER[0].score)
    metric = DensityMetric(counting, 0.7, SPHERE)
    solution, steps = run(metric, MISES_FISHER[1], GradientFlow(checked=False, lr=1.0, iterations=5, skip=False))
    assert levels(steps) == [5, 5, 5, 5]
    assert solution.score_calls == counting.points == 5 * (1 + 3 + 7 + 15) + ENDS
    assert counting.batches == [3, *[1] * 4, *[3] * 5, *[7] * 5, *[15] * 5]


def test_the_cost_announced_is_the_cost_paid():
    metric, guess = MISES_FISHER
    solver = GradientFlow(checked=False, iterations=4)
    step = solver.init(metric, guess)
    while step.status is None:
        after = solver.step(metric, step)
        assert after.score_calls - step.score_calls == solver.cost(step)
        step = after
    assert step.status is Status.MAX_STEPS


def test_of_the_guess_only_the_ends_and_the_middle_matter():
    metric, guess = HALF_PLANE
    fine, coarse = (
        run(metric, Curve.straight(guess.x[0], guess.x[-1], k), GradientFlow(checked=False))[0] for k in (33, 3)
    )
    assert torch.equal(fine.curve.x, coarse.curve.x)


def test_the_ends_never_move_and_the_guess_is_not_written_to():
    metric, guess = MISES_FISHER
    kept = guess.x.clone()
    solution, steps = run(metric, guess, GradientFlow(checked=False, iterations=5))
    for step in steps:
        assert torch.equal(step.curve.x[[0, -1]], kept[[0, -1]])
        assert bool(SPHERE.contains(step.curve.x).all())
    assert torch.equal(guess.x, kept)
    assert torch.equal(solution.curve.x[[0, -1]], kept[[0, -1]])


def test_the_residual_and_the_length_are_those_of_the_curve_beside_them():
    metric, guess = HALF_PLANE
    for step in run(metric, guess, GradientFlow(checked=False, iterations=3, skip=False))[1]:
        assert step.residual == pytest.approx(metric.residual(step.curve).relative, rel=1e-12)
        assert step.log_length == pytest.approx(float(metric.symmetric_log_length(step.curve)), rel=1e-12, abs=1e-12)
        assert len(step.residuals) == step.index + 1


def test_it_converges_only_where_the_path_holds_between_its_points():
    metric, guess = HALF_PLANE
    solution, steps = run(metric, guess, GradientFlow(checked=False, skip=False), tol=0.1)
    assert solution.status is Status.CONVERGED
    assert len(solution.curve.x) == 33
    assert solution.residual <= 0.2
    assert metric.residual(solution.curve).relative == pytest.approx(solution.residual, rel=1e-12)
    assert solution.score_calls == steps[-1].score_calls + 16


def test_a_path_that_does_not_hold_between_its_points_goes_on_and_is_not_looked_at_again_at_once():
    metric, guess = HALF_PLANE
    solver = GradientFlow(checked=False, iterations=2, skip=False)
    step = solver.init(metric, guess)
    assert solver.finish(metric, step, 1e9) is step
    while len(step.curve.x) < 17:
        step = solver.step(metric, step)
    looked = solver.finish(metric, step, 1e-9)
    assert looked.status is None
    assert looked.score_calls == step.score_calls + 16
    assert solver.finish(metric, looked, 1e-9) is looked


def test_a_score_that_is_not_finite_ends_it_with_the_last_good_path():
    metric, guess = HALF_PLANE
    for batch in (0, 3):
        solution, _ = run(DensityMetric(FailingScore(metric.score, batch), 0.5), guess, GradientFlow(checked=False))
        assert solution.status is Status.NON_FINITE
        assert bool(solution.curve.x.isfinite().all())
        assert math.isfinite(solution.residual) == (batch > 0)


def test_the_path_between_knots_is_the_natural_spline_in_flat_space():
    knots = normal(5, 3)
    x, v, a = along(knots, Euclidean(), 16)
    assert torch.equal(x[::4], knots)
    assert float(a[[0, -1]].abs().max()) == 0
    fine, _, _ = along(knots, Euclidean(), 4 * 4096)
    torch.testing.assert_close(v[1:-1], ((fine[2:] - fine[:-2]) * 8192)[1023::1024], rtol=1e-6, atol=1e-6)
    bends = (fine[2:] - 2 * fine[1:-1] + fine[:-2]) * 16384.0**2
    torch.testing.assert_close(a[1:-1], bends[1023::1024], rtol=1e-4, atol=2e-2)


def test_the_path_between_knots_is_a_great_circle_on_the_sphere():
    a, b, c = SPHERE.project(normal(3, 3))
    x, v, _ = along(torch.stack([a, b, c]), SPHERE, 8)
    torch.testing.assert_close(x[:5], Curve.straight(a, b, 5, SPHERE).x)
    arcs = SPHERE.distance(torch.stack([a, b]), torch.stack([b, c]))
    torch.testing.assert_close(v[1:4].norm(dim=1), (2 * arcs[0]).expand(3))
    torch.testing.assert_close(v[5:8].norm(dim=1), (2 * arcs[1]).expand(3))
    assert float(linalg.dot(x, v).abs().max()) < 1e-14
    torch.testing.assert_close(x[2] - x[1], v[1] / 8, rtol=0.2, atol=0.1)


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"lr": math.inf}, {"iterations": 0}, {"levels": 0}])
def test_options_without_meaning_are_refused(options):
    with pytest.raises(GeometryError, match="GradientFlow needs"):
        GradientFlow(**options)


def test_without_density_there_is_no_step():
    guess = HALF_PLANE[1]
    with pytest.raises(GeometryError, match="divides by alpha"):
        GradientFlow(checked=False).init(DensityMetric(HalfSpace(0.5), 0.0), guess)


def test_a_resumed_run_is_the_run_bit_for_bit():
    metric, guess = MISES_FISHER
    whole, steps = run(metric, guess, GradientFlow(checked=False))
    assert isinstance(steps[50].state, Descending)
    again = solve_bvp(metric, guess, solver=GradientFlow(checked=False), tol=1e-9, max_steps=400, start=steps[50])
    assert torch.equal(again.curve.x, whole.curve.x)
    assert again.score_calls == whole.score_calls
