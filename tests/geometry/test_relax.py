"""Laws of every path solver, and the mathematics of ours."""

import math
from types import SimpleNamespace

import pytest
import torch

from geodesic_cli.geometry import (
    Curve,
    DensityMetric,
    Relaxation,
    SemiImplicit,
    Sphere,
    Status,
    Step,
    bending,
    linalg,
    solve_bvp,
)
from geodesic_cli.geometry.relax import LONGER, LONGEST_MOVE, SHORTER, STIFFER, _is_progress, defect, evenly_spaced
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
every_solver = pytest.mark.parametrize("solver", [SemiImplicit()], ids=["semi-implicit"])


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
            assert step.log_length == pytest.approx(float(metric.log_length(step.curve)), rel=1e-12)
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
    step = SemiImplicit().init(metric, guess)
    for _ in range(12):
        step = SemiImplicit().step(metric, step)
    assert list(step.residuals) == sorted(step.residuals, reverse=True)
    assert step.residuals[-1] < 1e-3


def test_the_first_step_in_flat_space_goes_half_way_to_the_frozen_force_path():
    metric, guess = DensityMetric(Exponential(vector(0, 3.0)), 0.2), Curve.straight(vector(-0.5, 0), vector(0.5, 0), 33)
    solver = SemiImplicit(damping=0.5)
    moved = solver.step(metric, solver.init(metric, guess)).curve
    across, height = moved.x[:, 0], moved.x[:, 1]
    parabola = 0.5 * (0.2 * 3.0) * (across + 0.5) * (0.5 - across) / 2
    torch.testing.assert_close(height, parabola, rtol=0, atol=1e-7)


def test_the_defect_has_no_spurious_zero_on_the_sphere():
    step = SemiImplicit().init(*PROBLEMS["sphere"])
    metric, curve = PROBLEMS["sphere"][0], step.curve
    state = step.state
    assert isinstance(state, Relaxation)
    along, x = curve.velocity()[1:-1], curve.x[1:-1]
    terms = metric.residual(curve, state.scores).vectors[1:-1]
    torch.testing.assert_close(state.defect, linalg.dot(along, along) * terms)
    assert float(linalg.dot(state.defect, x).abs().max()) < 1e-12


def test_the_defect_of_a_great_circle_without_density_vanishes_however_long_it_is():
    metric = DensityMetric(MIXTURE, 0.0, SPHERE)
    curve = Curve.straight(vector(2, 0, 0), 2 * vector(math.cos(3.1), math.sin(3.1), 0), 17, SPHERE)
    scores = MIXTURE(curve.x, curve.u)
    assert float(defect(metric, curve, scores).abs().max()) < 1e-10


def test_a_stiff_density_is_met_with_a_shift_and_converges():
    density = Radial(0.25)
    guess = Curve.straight(vector(1.0, 0.05), vector(-0.6, 0.9), 17)
    alpha = 6.0 / bending(density, guess)
    metric = DensityMetric(density, alpha)
    stiffness = alpha * float(guess.length) ** 2 / 0.25**2
    assert stiffness > 2 * math.pi**2
    step = SemiImplicit(damping=1.0).init(metric, guess)
    for _ in range(15):
        step = SemiImplicit().step(metric, step)
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
    SemiImplicit().step(watched, SemiImplicit().init(watched, guess))
    assert float(tried[1][:, 1].max()) == pytest.approx(LONGEST_MOVE * 2, rel=0.02)


def after_five_steps() -> tuple[Step, DensityMetric]:
    """A solver on its way, and a metric under which its next step makes things worse."""
    metric, guess = PROBLEMS["plane"]
    step = SemiImplicit().init(metric, guess)
    for _ in range(5):
        step = SemiImplicit().step(metric, step)
    return step, DensityMetric(lambda x, u: -50 * metric.score(x, u), metric.alpha)


def test_a_move_that_makes_it_worse_is_taken_back():
    step, hostile = after_five_steps()
    after = SemiImplicit().step(hostile, step)
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
    step = SemiImplicit().init(metric, guess)
    for _ in range(8):
        step = SemiImplicit().step(metric, step)
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
        solver = SemiImplicit(memory=memory)
        solution = solve_bvp(metric, Curve.straight(a, b, 17), solver=solver, tol=1e-6, max_steps=200)
        assert solution.converged
        return solution.steps

    assert steps(5) < 0.4 * steps(0)


def test_what_was_kept_is_bounded_and_dropped_after_a_step_astray():
    step, hostile = after_five_steps()
    assert 1 <= len(step.state.kept) <= SemiImplicit().memory
    assert SemiImplicit().step(hostile, step).state.kept == ()


def test_a_step_that_went_astray_stiffens_the_next_one_within_bounds():
    step, hostile = after_five_steps()
    before = step.state.shift
    for _ in range(4):
        step = SemiImplicit().step(hostile, step)
        least = max(2 * before, STIFFER)
        assert least <= step.state.shift <= 2 * least
        before = step.state.shift


def test_the_solver_stalls_when_no_fraction_helps():
    step, hostile = after_five_steps()
    while step.status is None:
        step = SemiImplicit().step(hostile, step)
    assert step.status is Status.STALLED


def test_even_guesses_are_kept_bit_for_bit_and_uneven_ones_are_respaced():
    guess = PROBLEMS["plane"][1]
    assert evenly_spaced(guess) is guess
    uneven = Curve(guess.x[[0, 1, 2, 5, 11]])
    for curve in (evenly_spaced(uneven), SemiImplicit().init(PROBLEMS["plane"][0], uneven).curve):
        assert float(curve.segments.max() / curve.segments.min()) < 1.001


def test_a_step_allocates_only_a_few_curves():
    sphere = Sphere(100.0)
    a, b = sphere.project(normal(2, 10_000))
    metric, guess = DensityMetric(Radial(1.0), 0.01, sphere), Curve.straight(a, b, 33, sphere)
    step = SemiImplicit().init(metric, guess)
    with LargestTensor() as watch:
        SemiImplicit().step(metric, step)
    assert watch.elements <= 4 * guess.x.numel()
