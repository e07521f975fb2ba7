"""Laws that hold for every method in every space, and what is special to each."""

import math
from dataclasses import replace

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import DensityMetric, Euclidean, Sphere, linalg
from geodesic_cli.geometry.solution import Status, Step
from geodesic_cli.geometry.solvers.ivp import solve_ivp
from geodesic_cli.geometry.solvers.steppers import (
    RK4,
    AdamsBashforth4,
    DormandPrince,
    Euler,
    IsokineticLeapfrog,
    State,
    Stepper,
)
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace
from helpers import CountingScore, FailingScore, normal, rotation, vector

SPHERE = Sphere(1.5)
PLANE = DensityMetric(HalfSpace(0.5), 0.5)
BALL = DensityMetric(Exponential(vector(0.3, 0.2, 1.4)), 0.7, SPHERE)
STARTS = {
    "plane": (PLANE, vector(-0.5, 0.7), vector(1, 0.6)),
    "sphere": (BALL, SPHERE.project(vector(1, 0, 0.3)[None])[0], vector(0.2, 2, 0.7)),
}
STEPPERS = [Euler(), IsokineticLeapfrog(), RK4(), AdamsBashforth4(), DormandPrince(), DormandPrince(weighted=True)]
every_start = pytest.mark.parametrize(("metric", "x0", "v0"), STARTS.values(), ids=STARTS.keys())
every_stepper = pytest.mark.parametrize(
    "stepper", STEPPERS, ids=["Euler", "leapfrog", "RK4", "AdamsBashforth4", "DormandPrince", "weighted"]
)


def end(metric: DensityMetric, x0, v0, steps: int, stepper: Stepper) -> torch.Tensor:
    return solve_ivp(metric, x0, v0, steps=steps, stepper=stepper).curve.x[-1]


def first_state(metric: DensityMetric, x0, v0) -> State:
    x, v = x0[None], metric.space.tangent(x0[None], v0[None])
    return State(0.0, x, v, metric.scores_at(x, torch.zeros_like(x[:, 0])))


@every_start
@every_stepper
def test_the_order_is_what_the_method_says(stepper, metric, x0, v0):
    counts = {1: (64, 128), 2: (32, 64), 4: (64, 128), 5: (32, 64)}[stepper.order]
    exact = end(metric, x0, v0, 512, DormandPrince(weighted=stepper.weighted))
    coarse, fine = (float((end(metric, x0, v0, n, stepper) - exact).norm()) for n in counts)
    # On some geodesics the leading error of a weighted ray cancels at its end.
    above = 1.1 if stepper.weighted else 0.3
    assert stepper.order - 0.3 < math.log2(coarse / fine) < stepper.order + above


@every_start
@every_stepper
def test_every_score_is_counted(stepper, metric, x0, v0):
    counting = CountingScore(metric.score)
    solution = solve_ivp(DensityMetric(counting, metric.alpha, metric.space), x0, v0, steps=7, stepper=stepper)
    scores = {RK4: 4, DormandPrince: 6}.get(type(stepper), 1)
    start_up = 3 * 3 if isinstance(stepper, AdamsBashforth4) else 0
    assert solution.score_calls == counting.points == 1 + 7 * scores + start_up
    assert set(counting.batches) == {1}


@every_start
@every_stepper
def test_a_step_ends_in_the_space_with_a_tangent_velocity_and_the_score_there(stepper, metric, x0, v0):
    now = first_state(metric, x0, v0)
    new = stepper.step(metric, now, 0.1)
    assert bool(metric.space.contains(new.x).all())
    torch.testing.assert_close(metric.space.tangent(new.x, new.v), new.v, rtol=0, atol=1e-14)
    assert torch.equal(new.score, metric.score(new.x, vector(0.1)))
    if not stepper.weighted:
        assert float(new.v.norm()) == pytest.approx(float(now.v.norm()), rel=1e-14)


@every_start
@every_stepper
def test_a_step_is_a_function_of_the_state_and_leaves_it_alone(stepper, metric, x0, v0):
    now = first_state(metric, x0, v0)
    kept = replace(now, x=now.x.clone(), v=now.v.clone(), score=now.score.clone())
    one, other = stepper.step(metric, now, 0.1), stepper.step(metric, now, 0.1)
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.v, other.v)
    assert all(torch.equal(getattr(now, name), getattr(kept, name)) for name in ("x", "v", "score"))


@every_stepper
@pytest.mark.parametrize("space", [Euclidean(), SPHERE], ids=["plane", "sphere"])
def test_a_rotation_turns_the_ray(stepper, space):
    turn, mixture = rotation(3), GaussianMixture(normal(3, 3), vector(0.6, 0.8, 1), vector(1, 1, 1))
    turned = GaussianMixture(mixture.means @ turn, mixture.scales, mixture.weights)
    x0, v0 = space.project(normal(1, 3, seed=4))[0], normal(3, seed=5)
    there = solve_ivp(DensityMetric(mixture, 0.5, space), x0, v0, steps=12, stepper=stepper).curve.x
    back = solve_ivp(DensityMetric(turned, 0.5, space), x0 @ turn, v0 @ turn, steps=12, stepper=stepper).curve.x
    torch.testing.assert_close(back, there @ turn)


@every_start
@every_stepper
def test_without_a_velocity_the_ray_stays(stepper, metric, x0, v0):
    solution = solve_ivp(metric, x0, 0 * v0, stepper=stepper)
    x = solution.curve.x
    assert solution.status is Status.CONVERGED
    torch.testing.assert_close(x, x0.expand_as(x), rtol=0, atol=1e-15)


@every_start
@every_stepper
def test_a_score_that_fails_later_ends_the_ray_at_its_last_good_node(stepper, metric, x0, v0):
    failing = DensityMetric(FailingScore(metric.score, from_batch=19), metric.alpha, metric.space)
    solution = solve_ivp(failing, x0, v0, steps=32, stepper=stepper)
    assert solution.status is Status.NON_FINITE
    assert 1 <= solution.steps < 32
    assert bool(solution.curve.x.isfinite().all())


@every_start
@every_stepper
def test_single_precision_stays_single(stepper, metric, x0, v0):
    def single(x, u):
        return metric.score(x.double(), u.double()).float()

    space = metric.space
    solution = solve_ivp(DensityMetric(single, metric.alpha, space), x0.float(), v0.float(), steps=8, stepper=stepper)
    assert solution.curve.x.dtype == torch.float32
    torch.testing.assert_close(
        solution.curve.x.double(), solve_ivp(metric, x0, v0, steps=8, stepper=stepper).curve.x, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("steps", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
@every_start
def test_the_leapfrog_keeps_speed_and_radius_over_thousands_of_steps(metric, x0, v0, steps):
    state = first_state(metric, x0, v0)
    speed = float(state.v.norm())
    for i in range(steps):
        state = IsokineticLeapfrog().step(metric, replace(state, u=0.0), 0.02)
        assert abs(float(state.v.norm()) / speed - 1) < 1e-12, i
        if metric.space == SPHERE:
            assert abs(float(state.x.norm()) / 1.5 - 1) < 1e-12, i


@every_start
def test_the_leapfrog_runs_back_through_its_own_steps(metric, x0, v0):
    state = first_state(metric, x0, v0)
    there = [state.x]
    for _ in range(50):
        state = IsokineticLeapfrog().step(metric, replace(state, u=0.0), 0.02)
        there.append(state.x)
    state = replace(state, v=-state.v)
    for x in there[-2::-1]:
        state = IsokineticLeapfrog().step(metric, replace(state, u=0.0), 0.02)
        torch.testing.assert_close(state.x, x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("force", [1e-12, 1.0, 1e3, 1e12, 1e150])
@pytest.mark.parametrize("space", [Euclidean(), SPHERE], ids=["plane", "sphere"])
def test_the_leapfrog_survives_any_force(space, force):
    metric = DensityMetric(Exponential(force * vector(0.6, 0.8, 0)), 1.0, space)
    start = first_state(metric, SPHERE.project(vector(1, 0.2, 0.4)[None])[0], vector(0.1, 2, -0.5))
    new = IsokineticLeapfrog().step(metric, start, 0.1)
    assert float(new.v.norm()) == pytest.approx(float(start.v.norm()), rel=1e-14)
    if force > 1e2:
        downhill = -linalg.unit(space.tangent(new.x, metric.score(new.x, vector(0))))
        torch.testing.assert_close(linalg.unit(new.v), downhill, rtol=0, atol=1e-10)


def test_the_kick_of_a_constant_force_has_the_closed_form():
    # The same force at both ends of the drift: the two halves make one kick.
    metric = DensityMetric(Exponential(vector(-3, 0)), 0.5)
    angle = 2 * math.atan(math.tan(math.atan2(2, 1) / 2) * math.exp(-0.5 * 3 * math.sqrt(5) * 0.3))
    new = IsokineticLeapfrog().step(metric, first_state(metric, vector(0, 0), vector(1, 2)), 0.3)
    torch.testing.assert_close(new.v, math.sqrt(5) * vector(math.cos(angle), math.sin(angle))[None])


@pytest.mark.parametrize("force", [5, 5000])
def test_a_force_that_points_exactly_backwards_turns_nothing(force):
    metric = DensityMetric(Exponential(vector(force, 0)), 1.0)
    new = IsokineticLeapfrog().step(metric, first_state(metric, vector(0, 0), vector(2, 0)), 0.5)
    torch.testing.assert_close(new.x, vector(1, 0)[None])
    torch.testing.assert_close(new.v, vector(2, 0)[None])


def test_the_leapfrog_is_exact_without_a_force():
    metric = DensityMetric(Exponential(vector(1, 2, 3)), 0.0, SPHERE)
    x = end(metric, vector(1.5, 0, 0), vector(0, 0.9, 1.2), 3, IsokineticLeapfrog())
    expected = 1.5 * vector(math.cos(1.0), 0.6 * math.sin(1.0), 0.8 * math.sin(1.0))
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-15)


def test_adams_bashforth_starts_again_where_the_step_changes():
    metric, x0, v0 = STARTS["sphere"]
    state, taken = first_state(metric, x0, v0), []
    for u in (0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6):
        state = AdamsBashforth4().step(metric, state, u)
        taken.append(state.calls)
    assert taken == [4, 4, 4, 1, 4, 4, 4, 1]


def test_the_weighted_speed_of_a_weighted_ray_is_constant():
    slope, alpha = vector(0.3, 0.2, 1.4), 0.7
    metric, x0, v0 = STARTS["sphere"]
    seen: list[float] = []

    def watch(step: Step) -> None:
        seen.append(float((-alpha * step.curve.x[-1] @ slope).exp() * step.state.velocity.norm()))

    solve_ivp(metric, x0, v0, steps=64, stepper=DormandPrince(weighted=True), on_step=watch)
    assert max(seen) / min(seen) - 1 < 1e-8


@pytest.mark.parametrize("stepper", [s for s in STEPPERS if s.tol is not None], ids=["constant", "weighted"])
@every_start
def test_the_estimated_error_falls_with_the_fifth_power_of_the_step(stepper, metric, x0, v0):
    start = first_state(metric, x0, v0)
    coarse, fine = (stepper.step(metric, start, h).error for h in (0.04, 0.02))
    assert math.log2(coarse / fine) == pytest.approx(5, abs=0.4)


@pytest.mark.parametrize("space", [Euclidean(), Sphere(2.5)], ids=["euclidean", "sphere"])
def test_moving_follows_the_straight_line(space):
    a, b = space.project(normal(2, 5)).unbind()
    u = torch.linspace(0, 1, 5, dtype=torch.float64)
    line = space.between(a, b, u)
    ahead = linalg.unit(space.tangent(a[None], b[None] - a)) * space.distance(a[None], b[None])
    for h, point in zip(u.tolist(), line, strict=True):
        x, v = space.move(a[None], ahead, h)
        torch.testing.assert_close(x[0], point, rtol=0, atol=1e-14)
        torch.testing.assert_close(v.norm(), ahead.norm())
        torch.testing.assert_close(space.tangent(x, v), v, rtol=0, atol=1e-14)
        home, back = space.move(x, -v, h)
        torch.testing.assert_close(home[0], a, rtol=0, atol=1e-14)
        torch.testing.assert_close(back, -ahead, rtol=0, atol=1e-14)


@pytest.mark.parametrize("tol", [0.0, -1e-6, math.nan])
def test_a_tolerance_must_be_positive(tol):
    with pytest.raises(GeometryError, match="positive"):
        DormandPrince(tol)
