"""A saddle point of the length is told from a minimum, and left."""

import math
from dataclasses import dataclass, replace

import pytest
import torch

from geodesic_cli.geometry import Curve, DensityMetric, GradientFlow, Relaxation, Status, Step, Surrogate, solve_bvp
from geodesic_cli.geometry.sets.maps import log_map
from geodesic_cli.geometry.solvers.minimum import shorter_nearby
from geodesic_cli.geometry.toys import GaussianMixture
from helpers import CountingScore, normal, vector

SEEN = Relaxation(order=4, minimum=False)


def ring() -> GaussianMixture:
    """Eight hills about a low middle: the straight line across it is a geodesic, and far from the shortest."""
    phase = torch.arange(8) * math.pi / 4
    means = 1.5 * torch.stack([phase.cos(), phase.sin()], dim=1).double()
    return GaussianMixture(means, torch.full((8,), 0.4).double(), torch.ones(8).double())


A, B = vector(-1.5, 0.0), vector(1.5, 0.0)


@pytest.mark.parametrize("alpha", [0.3, 0.6, 1.0])
def test_past_a_conjugate_point_the_saddle_is_left(alpha: float):
    metric, straight = DensityMetric(ring(), alpha), Curve.straight(A, B, 33)
    through = float(metric.log_length(straight.at_constant_speed(129)))
    for solver in (Relaxation(), Relaxation(order=4)):
        around = solve_bvp(metric, straight, solver=solver, tol=1e-3, max_steps=100)
        assert around.converged
        assert float(metric.log_length(around.curve.at_constant_speed(129))) < through - 0.2


def test_the_published_descent_that_cannot_leave_a_saddle_says_so():
    def valley(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """Low along the axis, and nothing there that pulls to a side."""
        return torch.cat([4 * x[:, :1] * torch.exp(-(x[:, :1] ** 2) / 2), 0 * x[:, 1:]], dim=1)

    metric, straight = DensityMetric(valley, 0.8), Curve.straight(vector(0.0, -3.0), vector(0.0, 3.0), 33)
    solver = GradientFlow(levels=2, iterations=3)
    assert solve_bvp(metric, straight, solver=solver, max_steps=7).status is Status.SADDLE
    assert solve_bvp(metric, straight, solver=replace(solver, checked=False), max_steps=7).converged


def test_a_solver_that_is_told_not_to_look_stays_on_the_saddle():
    solution = solve_bvp(DensityMetric(ring(), 0.6), Curve.straight(A, B, 33), solver=SEEN, tol=1e-3)
    assert solution.converged
    assert float(solution.curve.x[:, 1].abs().max()) < 1e-9


def test_a_distance_is_not_that_of_a_saddle():
    metric = DensityMetric(ring(), 0.6)
    straight = float(metric.log_length(Curve.straight(A, B, 257)))
    found = log_map(metric, A, B)
    assert found.status is Status.CONVERGED
    assert found.log_distance < straight - 1


def test_a_minimum_costs_a_few_scores_for_each_node_and_is_left_alone():
    mixture = GaussianMixture(normal(4, 6, seed=1), vector(0.8, 0.9, 1.0, 1.3), vector(1, 2, 3, 4))
    a, b = normal(2, 6, seed=2)
    metric = DensityMetric(mixture, 0.3)
    curve = solve_bvp(metric, Curve.straight(a, b, 65), solver=SEEN, tol=1e-4, max_steps=100).curve
    counting = CountingScore(mixture)
    beside = shorter_nearby(DensityMetric(counting, 0.3), curve)
    shorter, asked = beside.shorter, beside.asked
    assert shorter is None
    assert asked == counting.points <= 13 * 15 + 17


def test_noise_is_no_direction_to_fall_in():
    noise = torch.Generator().manual_seed(0)

    def score(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        return -x + 0.3 * torch.randn(x.shape, generator=noise, dtype=x.dtype)

    metric = DensityMetric(score, 0.05)
    curve = Curve.straight(vector(1, 0, 0), vector(-1, 0.1, 0), 17)
    shorter = shorter_nearby(metric, curve).shorter
    clean = DensityMetric(lambda x, u: -x, 0.05)
    if shorter is not None:  # what noise may do is move a path by what noise hides
        assert float(clean.log_length(shorter)) < float(clean.log_length(curve)) + 0.05


@pytest.mark.parametrize("solver", [Surrogate(), Relaxation(), GradientFlow()], ids=["surrogate", "relaxation", "flow"])
@pytest.mark.parametrize("seed", range(4))
def test_no_solver_returns_a_path_that_is_longer_than_its_guess(solver, seed: int):
    d = 2 + 3 * seed
    mixture = GaussianMixture(normal(4, d, seed=seed), torch.full((4,), 0.5).double(), torch.ones(4).double())
    a, b = normal(2, d, seed=100 + seed)
    metric = DensityMetric(mixture, (0.1, 0.4, 1.0)[seed % 3])
    guess = Curve.straight(a, b, 17)
    found = solve_bvp(metric, guess, solver=solver, max_steps=6 + 3 * seed)
    lengths = [float(metric.log_length(one.at_constant_speed(257))) for one in (guess, found.curve)]
    assert lengths[1] <= lengths[0] + 0.01


def test_a_path_that_comes_out_longer_is_given_up_for_the_guess():
    @dataclass(frozen=True)
    class Astray(Relaxation):
        def step(self, metric: DensityMetric, previous: Step) -> Step:
            """A step far to the side."""
            away = previous.curve.x[1:-1] + vector(0.0, 3.0)
            curve = previous.curve.with_inner(away)
            return replace(super().step(metric, previous), curve=curve, log_length=float(metric.log_length(curve)))

    metric = DensityMetric(GaussianMixture(normal(3, 2), torch.ones(3).double(), torch.ones(3).double()), 0.5)
    guess = Curve.straight(vector(-1, 0.2), vector(1, 0), 17)
    found = solve_bvp(metric, guess, solver=Astray(), max_steps=1, tol=1e-9)
    assert found.status is Status.MAX_STEPS
    assert torch.equal(found.curve.x, guess.x)


@pytest.mark.parametrize(("told", "asked"), [(-5.0, 0), (0.3, 17), (5.0, 34)])
def test_the_guess_of_a_geodesic_that_seems_longer_is_asked_only_until_it_is_known(told: float, asked: int):
    """The guess crosses a low place; what is told of the geodesic's length, as a model may have it, is wrong."""
    metric = DensityMetric(ring(), 0.6)
    low, high = (Curve.through(torch.stack([A, vector(0.0, y), B]), nodes=33) for y in (-0.3, 1.4))
    step = SEEN.init(metric, solve_bvp(metric, high, solver=SEEN).curve)

    @dataclass(frozen=True)
    class Arrived(Relaxation):
        def init(self, metric: DensityMetric, guess: Curve) -> Step:
            """At the geodesic, whatever the guess."""
            return replace(step, index=1, compared=True)

        def finish(self, metric: DensityMetric, step: Step, tol: float) -> Step:
            """Done, with a length that a model would tell."""
            told_of = step.log_length + told
            return replace(step, status=Status.CONVERGED, log_length=told_of, begun=step.log_length)

    score = CountingScore(ring())
    found = solve_bvp(DensityMetric(score, 0.6), low, solver=Arrived())
    assert score.points == asked == found.score_calls - step.score_calls
    assert found.converged
    assert torch.equal(found.curve.x, step.curve.x)
