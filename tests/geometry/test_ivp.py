import math

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import RK4, Curve, DensityMetric, Euler, Sphere, Status, Step, Sum, solve_bvp, solve_ivp
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace, Radial, SphereChart
from helpers import CountingScore, FailingScore, normal, rotation, vector

PLANE = DensityMetric(HalfSpace(0.5), 0.5)
SPHERE = Sphere(1.5)
BALL = DensityMetric(Exponential(vector(0.3, 0.2, 1.4)), 0.7, SPHERE)
STARTS = {
    "plane": (PLANE, vector(-0.5, 0.7), vector(1, 0.6)),
    "sphere": (BALL, SPHERE.project(vector(1, 0, 0.3)[None])[0], vector(0.2, 2, 0.7)),
}
every_start = pytest.mark.parametrize(("metric", "x0", "v0"), STARTS.values(), ids=STARTS.keys())


def measured_order(stepper, metric, x0, v0, counts) -> float:
    exact = solve_ivp(metric, x0, v0, steps=8 * counts[-1]).curve.x[-1]
    errors = [float((solve_ivp(metric, x0, v0, steps=n, stepper=stepper).curve.x[-1] - exact).norm()) for n in counts]
    return math.log2(errors[-2] / errors[-1])


@every_start
def test_runge_kutta_has_order_four(metric, x0, v0):
    assert measured_order(RK4(), metric, x0, v0, (16, 32)) == pytest.approx(RK4().order, abs=0.25)


@every_start
def test_euler_has_order_one(metric, x0, v0):
    assert measured_order(Euler(), metric, x0, v0, (32, 64)) == pytest.approx(Euler().order, abs=0.15)


@pytest.mark.parametrize("stepper", [RK4(), Euler()], ids=["RK4", "Euler"])
@every_start
def test_the_scores_are_counted(metric, x0, v0, stepper):
    counting = CountingScore(metric.score)
    solution = solve_ivp(DensityMetric(counting, metric.alpha, metric.space), x0, v0, steps=6, stepper=stepper)
    assert solution.score_calls == counting.points == 6 * (1 + stepper.extra_scores) + 1
    assert solution.steps == 6


def test_without_density_rays_are_straight():
    metric = DensityMetric(HalfSpace(1.0), 0.0)
    solution = solve_ivp(metric, vector(0, 1), vector(3, 2), steps=5)
    torch.testing.assert_close(solution.curve.x, Curve.straight(vector(0, 1), vector(3, 3), 6).x, rtol=0, atol=1e-14)
    assert solution.status is Status.CONVERGED


def test_without_density_rays_on_the_sphere_are_great_circles():
    metric = DensityMetric(Radial(1.0), 0.0, SPHERE)
    solution = solve_ivp(metric, vector(1.5, 0, 0), vector(0, 0.9, 1.2), steps=64)
    expected = 1.5 * vector(math.cos(1.0), 0.6 * math.sin(1.0), 0.8 * math.sin(1.0))
    torch.testing.assert_close(solution.curve.x[-1], expected, rtol=0, atol=1e-9)


def test_rays_in_the_half_space_are_half_circles():
    x = solve_ivp(PLANE, vector(0, 1), vector(2, 0), steps=128).curve.x
    assert float((x.norm(dim=1) - 1).abs().max()) < 1e-7


def test_rays_in_the_sphere_chart_lift_to_great_circles():
    chart = SphereChart(0.5)
    start, velocity = vector(0.8, 0.1, -0.2), vector(0.3, 1.5, 0.8)
    lifted = chart.to_sphere(solve_ivp(DensityMetric(chart, 0.5), start, velocity, steps=128).curve.x)
    assert float(torch.linalg.svdvals(lifted)[2]) < 1e-7


def test_a_radial_density_conserves_the_clairaut_invariant():
    density, alpha = Radial(0.8), 0.6
    seen: list[float] = []

    def watch(step: Step) -> None:
        seen.append(float(density.clairaut(step.curve.x[-1:], step.state.velocity[None], alpha)))

    solve_ivp(DensityMetric(density, alpha), vector(-1, 0.3, 0.2), vector(1.2, 0.8, 0.1), steps=200, on_step=watch)
    assert max(seen) / min(seen) - 1 < 1e-8
    assert len(seen) == 200


def test_an_axis_on_the_sphere_conserves_its_angular_momentum():
    slope, alpha = vector(0, 0, 2.0), 0.6
    seen: list[float] = []

    def watch(step: Step) -> None:
        x, v = step.curve.x[-1], step.state.velocity
        seen.append(float((-alpha * x @ slope).exp() * (x[0] * v[1] - x[1] * v[0])))

    start = SPHERE.project(vector(1, 0.2, 0.4)[None])[0]
    metric = DensityMetric(Exponential(slope), alpha, SPHERE)
    solve_ivp(metric, start, vector(0.1, 2, -0.5), steps=200, on_step=watch)
    assert max(seen) / min(seen) - 1 < 1e-7


@every_start
def test_the_speed_and_the_space_are_kept(metric, x0, v0):
    tangent = metric.space.tangent(x0[None], v0[None])[0]
    speeds: list[float] = []
    x = solve_ivp(
        metric, x0, v0, steps=20, on_step=lambda step: speeds.append(float(step.state.velocity.norm()))
    ).curve.x
    assert max(abs(speed - float(tangent.norm())) for speed in speeds) < 1e-14
    if metric.space == SPHERE:
        assert float((x.norm(dim=1) - 1.5).abs().max()) < 1e-15 * 10


@every_start
def test_the_displacement_is_about_the_initial_speed(metric, x0, v0):
    solution = solve_ivp(metric, x0, v0, steps=64)
    tangent = metric.space.tangent(x0[None], v0[None])
    assert float(solution.curve.length) == pytest.approx(float(tangent.norm()), rel=1e-3)
    assert torch.equal(solution.curve.x[0], x0)


@every_start
def test_a_ray_can_be_followed_back(metric, x0, v0):
    last: list[Step] = []
    there = solve_ivp(metric, x0, v0, steps=100, on_step=last.append).curve
    back = solve_ivp(metric, there.x[-1], -last[-1].state.velocity, steps=100).curve
    torch.testing.assert_close(back.x.flip(0), there.x, rtol=0, atol=1e-6)


def test_a_rotation_turns_the_ray():
    turn, mixture = rotation(3), GaussianMixture(normal(3, 3), vector(0.6, 0.8, 1), vector(1, 1, 1))
    turned = GaussianMixture(mixture.means @ turn, mixture.scales, mixture.weights)
    x0, v0 = normal(2, 3, seed=4)
    there = solve_ivp(DensityMetric(mixture, 0.5), x0, v0, steps=12).curve.x
    torch.testing.assert_close(
        solve_ivp(DensityMetric(turned, 0.5), x0 @ turn, v0 @ turn, steps=12).curve.x, there @ turn
    )


def test_the_normal_part_of_the_initial_velocity_is_dropped():
    _, x0, v0 = STARTS["sphere"]
    one, other = solve_ivp(BALL, x0, v0, steps=8), solve_ivp(BALL, x0, v0 + 3 * x0, steps=8)
    torch.testing.assert_close(one.curve.x, other.curve.x)


def test_the_ray_with_the_velocity_of_a_solved_path_lands_on_its_end():
    mixture = GaussianMixture(
        vector(-1, 0.2, 0.3, 1.0, 1.2, -0.3).reshape(3, 2), vector(0.8, 0.9, 0.8), vector(1, 2, 1)
    )
    metric, a, b = DensityMetric(mixture, 0.5), vector(-1.2, -0.6), vector(1.3, -0.7)
    misses = []
    for nodes in (65, 129, 257):
        path = solve_bvp(metric, Curve.straight(a, b, nodes), tol=1e-8, max_steps=100)
        assert path.converged
        landed = solve_ivp(metric, a, path.curve.velocity()[0], steps=256).curve.x[-1]
        misses.append(float((landed - b).norm()))
    assert misses[-1] < 2e-3
    assert misses[0] / misses[-1] > 10


def test_falling_density_ends_the_ray():
    metric = DensityMetric(Exponential(vector(-10, 0)), 0.1)
    solution = solve_ivp(metric, vector(0, 0), vector(1, 0), steps=10, max_drop=4.5)
    assert solution.status is Status.LEFT_SUPPORT
    assert solution.steps == 4
    torch.testing.assert_close(solution.curve.x[-1], vector(0.4, 0))
    assert solve_ivp(metric, vector(0, 0), vector(1, 0), steps=10).status is Status.CONVERGED


def test_a_ray_that_ends_at_once_is_a_curve_of_two_equal_nodes():
    metric = DensityMetric(Exponential(vector(-10, 0)), 0.1)
    solution = solve_ivp(metric, vector(0, 0), vector(1, 0), steps=10, max_drop=0.5)
    assert solution.status is Status.LEFT_SUPPORT
    assert torch.equal(solution.curve.x, torch.zeros(2, 2, dtype=torch.float64))


def test_a_score_that_fails_leaves_the_last_good_path():
    counting = CountingScore(PLANE.score)
    metric = DensityMetric(FailingScore(counting, from_batch=10), 0.5)
    solution = solve_ivp(metric, vector(0, 1), vector(1, 0), steps=8)
    assert solution.status is Status.NON_FINITE
    assert bool(solution.curve.x.isfinite().all())
    assert solution.steps == 2
    assert solution.score_calls == counting.points


def test_a_score_that_fails_at_the_start_leaves_the_start():
    solution = solve_ivp(DensityMetric(FailingScore(PLANE.score, 0), 0.5), vector(0, 1), vector(1, 0), steps=8)
    assert solution.status is Status.NON_FINITE
    assert solution.residual == math.inf
    assert torch.equal(solution.curve.x, vector(0, 1).repeat(2, 1))


def test_too_few_steps_for_a_sharp_turn_are_admitted():
    metric = DensityMetric(Exponential(vector(0, 6.0)), 1.0)
    coarse = solve_ivp(metric, vector(0, 0), vector(1, 1), steps=4)
    fine = solve_ivp(metric, vector(0, 0), vector(1, 1), steps=64)
    assert coarse.status is Status.MAX_STEPS
    assert fine.status is Status.CONVERGED
    assert fine.residual < 0.01 < coarse.residual


def test_the_position_given_to_the_score_runs_from_zero_to_one():
    asked: list[float] = []

    def record(x, u):
        asked.append(float(u))
        return torch.zeros_like(x)

    solve_ivp(DensityMetric(record, 1.0), vector(0, 0), vector(1, 0), steps=2)
    assert asked == [0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0, 1.0]


def test_single_precision_stays_single():
    score = Sum((Radial(1.0), Radial(2.0)))
    solution = solve_ivp(DensityMetric(score, 0.1), torch.ones(3), torch.ones(3), steps=4)
    assert solution.curve.x.dtype == torch.float32


@pytest.mark.parametrize(
    ("x0", "v0", "steps"),
    [
        (vector(0, 1), vector(1, 0, 0), 4),
        (vector(0, 1)[None], vector(1, 0)[None], 4),
        (vector(0, 1), vector(1, 0), 0),
        (vector(0, math.nan), vector(1, 0), 4),
        (vector(0, 1), vector(1, math.inf), 4),
    ],
)
def test_starts_that_cannot_be_followed_are_refused(x0, v0, steps):
    with pytest.raises(GeometryError):
        solve_ivp(PLANE, x0, v0, steps=steps)


def test_a_start_off_the_sphere_is_refused():
    with pytest.raises(GeometryError, match="lie in"):
        solve_ivp(BALL, vector(1, 0, 0), vector(0, 1, 0), steps=4)
