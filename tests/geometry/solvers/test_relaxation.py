"""Laws of every path solver, and the mathematics of ours."""

import math
from types import SimpleNamespace

import pytest
import torch

from geodesic_cli.geometry import (
    Curve,
    DensityMetric,
    Relaxation,
    Sphere,
    Status,
    Step,
    bending,
    linalg,
    solve_bvp,
)
from geodesic_cli.geometry.solvers.relaxation import (
    LONGER,
    LONGEST_MOVE,
    SHORTER,
    STIFFER,
    Relaxed,
    _is_progress,
)
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace, Radial
from helpers import CountingScore, LargestTensor, normal, vector

SPHERE = Sphere(2.0)
MIXTURE = GaussianMixture(normal(3, 3), vector(0.9, 1.0, 1.2), vector(1, 2, 1))
PROBLEMS = {
    "plane": (DensityMetric(HalfSpace(0.5), 0.5), Curve.straight(vector(-1, 0.4), vector(1, 0.6), 12)),
    "sphere": (
        DensityMetric(MIXTURE, 0.5, SPHERE),
        Curve.straight(*SPHERE.project(torch.stack([vector(1, 0, 0.2), vector(-0.3, 1, 0.4)])), 12, SPHERE),
    ),
}
every_problem = pytest.mark.parametrize(("metric", "guess"), PROBLEMS.values(), ids=PROBLEMS.keys())
every_solver = pytest.mark.parametrize("solver", [Relaxation()], ids=["semi-implicit"])


@every_solver
@every_problem
class TestEverySolver:
    def test_the_first_step_is_the_guess(self, metric, guess, solver):
        step = solver.init(metric, guess)
        assert step.index == 0
        assert torch.equal(step.curve.x, guess.x)
        assert step.residual == metric.residual(guess).relative
        assert step.residuals == (step.residual,)

    def test_every_step_costs_one_batch_that_is_counted(self, metric, guess, solver):
        counting = CountingScore(metric.score)
        watched = DensityMetric(counting, metric.alpha, metric.space)
        step = solver.init(watched, guess)
        for _ in range(4):
            step = solver.step(watched, step)
        assert len(counting.batches) == 5
        assert step.score_calls == counting.points

    def test_the_ends_never_move(self, metric, guess, solver):
        step = solver.init(metric, guess)
        for _ in range(4):
            step = solver.step(metric, step)
            assert torch.equal(step.curve.x[[0, -1]], guess.x[[0, -1]])
            assert bool(metric.space.contains(step.curve.x).all())

    def test_the_residual_is_that_of_the_curve_beside_it(self, metric, guess, solver):
        step = solver.init(metric, guess)
        for _ in range(6):
            step = solver.step(metric, step)
            assert step.residual == pytest.approx(metric.residual(step.curve).relative, rel=1e-12)
            assert step.log_length == pytest.approx(float(metric.symmetric_log_length(step.curve)), rel=1e-12)
            assert step.residuals[-1] == step.residual
            assert len(step.residuals) == step.index + 1

    def test_a_step_is_a_function(self, metric, guess, solver):
        start = solver.step(metric, solver.init(metric, guess))
        kept = start.curve.x.clone()
        one, other = solver.step(metric, start), solver.step(metric, start)
        assert torch.equal(one.curve.x, other.curve.x)
        assert one.residuals == other.residuals
        assert torch.equal(start.curve.x, kept)


@every_problem
def test_the_residual_of_the_answer_never_rises(metric, guess):
    step = Relaxation().init(metric, guess)
    for _ in range(12):
        step = Relaxation().step(metric, step)
    assert list(step.residuals) == sorted(step.residuals, reverse=True)
    assert step.residuals[-1] < 1e-3


def test_the_first_step_in_flat_space_goes_half_way_to_the_frozen_force_path():
    metric, guess = DensityMetric(Exponential(vector(0, 3.0)), 0.2), Curve.straight(vector(-0.5, 0), vector(0.5, 0), 33)
    solver = Relaxation(damping=0.5)
    moved = solver.step(metric, solver.init(metric, guess)).curve
    across, height = moved.x[:, 0], moved.x[:, 1]
    parabola = 0.5 * (0.2 * 3.0) * (across + 0.5) * (0.5 - across) / 2
    torch.testing.assert_close(height, parabola, rtol=0, atol=1e-7)


def test_the_defect_has_no_spurious_zero_on_the_sphere():
    step = Relaxation().init(*PROBLEMS["sphere"])
    metric, curve = PROBLEMS["sphere"][0], step.curve
    state = step.state
    assert isinstance(state, Relaxed)
    along, x = curve.velocity()[1:-1], curve.x[1:-1]
    terms = metric.residual(curve, state.scores).vectors[1:-1]
    torch.testing.assert_close(state.defect, linalg.dot(along, along) * terms)
    assert float(linalg.dot(state.defect, x).abs().max()) < 1e-12


def test_the_defect_of_a_great_circle_without_density_vanishes_however_long_it_is():
    metric = DensityMetric(MIXTURE, 0.0, SPHERE)
    curve = Curve.straight(vector(2, 0, 0), 2 * vector(math.cos(3.1), math.sin(3.1), 0), 17, SPHERE)
    scores = MIXTURE(curve.x, curve.u)
    assert float(metric.defect(curve, scores).abs().max()) < 1e-10


def test_a_stiff_density_is_met_with_a_shift_and_converges():
    density = Radial(0.25)
    guess = Curve.straight(vector(1.0, 0.05), vector(-0.6, 0.9), 17)
    alpha = 6.0 / bending(density, guess)
    metric = DensityMetric(density, alpha)
    stiffness = alpha * float(guess.length) ** 2 / 0.25**2
    assert stiffness > 2 * math.pi**2
    step = Relaxation(damping=1.0).init(metric, guess)
    for _ in range(15):
        step = Relaxation().step(metric, step)
    assert step.residual < 1e-3
    assert 0.5 * stiffness < step.state.shift < 2 * stiffness


def test_no_node_moves_further_than_a_fraction_of_the_length():
    guess = Curve.straight(vector(-1, 0), vector(1, 0), 9)
    metric = DensityMetric(Exponential(vector(0, 1e6)), 1.0)
    tried: list[torch.Tensor] = []

    def record(x, u):
        tried.append(x)
        return metric.score(x, u)

    watched = DensityMetric(record, 1.0)
    Relaxation().step(watched, Relaxation().init(watched, guess))
    assert float(tried[1][:, 1].max()) == pytest.approx(LONGEST_MOVE * 2, rel=0.02)


def after_five_steps() -> tuple[Step, DensityMetric]:
    """A solver on its way, and a metric under which its next step makes things worse."""
    metric, guess = PROBLEMS["plane"]
    step = Relaxation().init(metric, guess)
    for _ in range(5):
        step = Relaxation().step(metric, step)
    return step, DensityMetric(lambda x, u: -50 * metric.score(x, u), metric.alpha)


def test_a_move_that_makes_it_worse_is_taken_back():
    step, hostile = after_five_steps()
    after = Relaxation().step(hostile, step)
    assert torch.equal(after.curve.x, step.curve.x)
    assert torch.equal(after.state.curve.x, step.state.curve.x)
    assert after.residual == step.residual
    assert after.state.damping < step.state.damping
    assert after.state.shift > step.state.shift


def test_a_shorter_path_is_kept_although_its_residual_is_larger_and_a_longer_one_is_not():
    def standing(residual: float, log_length: float) -> SimpleNamespace:
        return SimpleNamespace(residual=residual, log_length=log_length)

    now = standing(0.5, 1.0)
    assert _is_progress(now, standing(0.9, 1.0 - 2 * SHORTER))
    assert not _is_progress(now, standing(0.9, 1.0 - SHORTER / 2))
    assert _is_progress(now, standing(0.4, 1.0 + LONGER / 2))
    assert not _is_progress(now, standing(0.4, 1.0 + 2 * LONGER))


def test_a_guess_in_a_ring_of_modes_relaxes_within_the_ring():
    """The score along the guess is nearly zero, so its relative residual means little."""
    phase = torch.linspace(0.2, 2.4, 33, dtype=torch.float64)
    ring = torch.arange(12, dtype=torch.float64) * math.pi / 6
    ones = torch.ones(12, dtype=torch.float64)
    density = GaussianMixture(torch.stack([ring.cos(), ring.sin()], dim=1), 0.3 * ones, ones)
    metric, guess = DensityMetric(density, 1.0), Curve(torch.stack([phase.cos(), phase.sin()], dim=1))
    step = Relaxation().init(metric, guess)
    for _ in range(8):
        step = Relaxation().step(metric, step)
    assert step.residual < 1e-5
    assert float(step.curve.x.norm(dim=1).min()) > 0.8


def test_looking_back_saves_most_of_the_steps_of_a_slow_direction():
    """A Gaussian that is narrow in some directions and a saddle in others: no one shift fits them all."""
    slopes = torch.linspace(-30, 4, 8, dtype=torch.float64)
    slopes[0] = 0
    centre = 0.2 * torch.randn(8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    metric = DensityMetric(lambda x, u: slopes * (x - centre), 0.3)
    a, b = torch.zeros(2, 8, dtype=torch.float64)
    a[0], b[0] = -1, 1

    def steps(memory: int) -> int:
        solver = Relaxation(memory=memory, between=False)
        solution = solve_bvp(metric, Curve.straight(a, b, 17), solver=solver, tol=1e-6, max_steps=200)
        assert solution.converged
        return solution.steps

    assert steps(5) < 0.4 * steps(0)


def test_what_was_kept_is_bounded_and_dropped_after_a_step_astray():
    step, hostile = after_five_steps()
    assert 1 <= len(step.state.kept) <= Relaxation().memory
    assert Relaxation().step(hostile, step).state.kept == ()


def test_a_step_that_went_astray_stiffens_the_next_one_within_bounds():
    step, hostile = after_five_steps()
    before = step.state.shift
    for _ in range(4):
        step = Relaxation().step(hostile, step)
        least = max(2 * before, STIFFER)
        assert least <= step.state.shift <= 2 * least
        before = step.state.shift


def test_the_solver_stalls_when_no_fraction_helps():
    step, hostile = after_five_steps()
    while step.status is None:
        step = Relaxation().step(hostile, step)
    assert step.status is Status.STALLED


def test_even_guesses_are_kept_bit_for_bit_and_uneven_ones_are_respaced():
    guess = PROBLEMS["plane"][1]
    assert guess.evenly_spaced() is guess
    uneven = Curve(guess.x[[0, 1, 2, 5, 11]])
    for curve in (uneven.evenly_spaced(), Relaxation().init(PROBLEMS["plane"][0], uneven).curve):
        assert float(curve.segments.max() / curve.segments.min()) < 1.001


def test_a_step_allocates_only_a_few_curves():
    sphere = Sphere(100.0)
    a, b = sphere.project(normal(2, 10_000))
    metric, guess = DensityMetric(Radial(1.0), 0.01, sphere), Curve.straight(a, b, 33, sphere)
    step = Relaxation().init(metric, guess)
    with LargestTensor() as watch:
        Relaxation().step(metric, step)
    assert watch.elements <= 4 * guess.x.numel()


class TestBetweenTheNodes:
    metric = DensityMetric(MIXTURE, 0.8, SPHERE)

    def guess(self, nodes: int) -> Curve:
        a, b = SPHERE.project(torch.stack([vector(1, 0, 0.2), vector(-0.3, 1, 0.4)]))
        return Curve.straight(a, b, nodes, SPHERE)

    def test_a_converged_curve_has_been_looked_at_half_way_between_its_nodes(self):
        counting = CountingScore(MIXTURE)
        watched = DensityMetric(counting, 0.8, SPHERE)
        solution = solve_bvp(watched, self.guess(17), solver=Relaxation(minimum=False), tol=0.02)
        assert solution.converged
        assert len(solution.curve.x) == 33
        assert counting.batches[-1] == 16
        assert solution.score_calls == counting.points
        assert solution.residual == pytest.approx(self.metric.residual(solution.curve).relative, rel=1e-10)

    def test_a_curve_that_is_too_coarse_is_refined_until_it_holds(self):
        solution = solve_bvp(self.metric, self.guess(5), solver=Relaxation(), tol=0.01)
        assert solution.converged
        assert len(solution.curve.x) > 9
        assert self.metric.residual(solution.curve.at_constant_speed(129), order=4).relative < 0.02

    def test_a_curve_that_no_refinement_mends_is_called_unresolved(self, monkeypatch):
        monkeypatch.setattr("geodesic_cli.geometry.solvers.relaxation.MOST_NODES", 20)
        solution = solve_bvp(self.metric, self.guess(5), solver=Relaxation(), tol=1e-6, max_steps=200)
        assert solution.status is Status.UNRESOLVED

    def test_a_score_that_fails_between_the_nodes_is_noticed(self):
        def holes(x, u):
            odd = ((u * 16).round() % 2 == 1) & (u * 16 - (u * 16).round() < 1e-9)
            return torch.where(odd[:, None], torch.full_like(x, math.nan), MIXTURE(x, u))

        solution = solve_bvp(DensityMetric(holes, 0.8, SPHERE), self.guess(9), solver=Relaxation(), tol=0.02)
        assert solution.status is Status.NON_FINITE


def test_differences_of_fourth_order_make_a_path_of_fourth_order():
    density = HalfSpace(0.5)
    a, b = vector(-1, 0.4), vector(1, 0.6)
    exact = Curve(density.geodesic(a, b, torch.linspace(0, 1, 4001, dtype=torch.float64))).at_constant_speed()
    errors = []
    for nodes in (33, 65):
        solver = Relaxation(order=4, between=False)
        found = solve_bvp(
            DensityMetric(density, 0.5), Curve.straight(a, b, nodes), solver=solver, tol=1e-9, max_steps=200
        )
        assert found.converged
        errors.append(float((found.curve.x - exact(found.curve.u)).norm(dim=1).max()))
    assert 12 < errors[0] / errors[1] < 24
    assert errors[1] < 2e-6


def test_a_stall_starts_a_continuation_in_alpha_from_the_guess():
    """A slope so steep that the string is thrown about at full strength, but can be led there."""
    metric, guess = DensityMetric(Exponential(vector(0, 4.0)), 0.5), Curve.straight(vector(-0.6, 0), vector(0.6, 0), 33)
    step = Relaxation(smallest=0.9).init(metric, guess)
    hostile = DensityMetric(lambda x, u: -50 * metric.score(x, u), metric.alpha)
    step = Relaxation(smallest=0.9).step(hostile, Relaxation(smallest=0.9).step(metric, step))
    while step.state.fraction == 1 and step.status is None:
        step = Relaxation(smallest=0.9).step(hostile, step)
    assert step.status is None
    assert step.state.fraction == 0.125
    assert torch.equal(step.state.curve.x, guess.x)
    solver, seen = Relaxation(), set()
    while step.residual > 0.01 and step.status is None:
        step = solver.step(metric, step)
        seen.add(step.state.fraction)
    assert step.residual <= 0.01
    assert {0.125, 0.25, 0.4} <= seen


def test_without_continuation_a_stall_is_the_end():
    metric, guess = DensityMetric(Exponential(vector(0, 4.0)), 3.0), Curve.straight(vector(-1, 0), vector(1, 0.3), 17)
    alone = solve_bvp(metric, guess, solver=Relaxation(continuation=False), max_steps=300)
    led = solve_bvp(metric, guess, solver=Relaxation(), max_steps=300)
    assert alone.status is led.status is Status.STALLED
    assert alone.steps < led.steps


@every_problem
def test_a_stiff_start_moves_less_at_first(metric, guess):
    def moved(shift: float) -> float:
        solver = Relaxation(shift=shift)
        after = solver.step(metric, solver.init(metric, guess)).state
        assert isinstance(after, Relaxed)
        return float(linalg.norm(after.curve.x - guess.x).max())

    assert 0 < moved(100.0) < moved(0.0) / 2
