import itertools
import math

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import (
    Curve,
    DensityMetric,
    Euclidean,
    Relaxation,
    Scaled,
    Sphere,
    Status,
    Step,
    Sum,
    linalg,
    solve_bvp,
)
from geodesic_cli.geometry.solvers.ivp import solve_ivp
from geodesic_cli.geometry.solvers.steppers import RK4, AdamsBashforth4, DormandPrince, Euler, IsokineticLeapfrog
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace, Radial, SphereChart
from helpers import CountingScore, FailingScore, clairaut, normal, rotation, vector

PLANE = DensityMetric(HalfSpace(0.5), 0.5)
SPHERE = Sphere(1.5)
BALL = DensityMetric(Exponential(vector(0.3, 0.2, 1.4)), 0.7, SPHERE)
STARTS = {
    "plane": (PLANE, vector(-0.5, 0.7), vector(1, 0.6)),
    "sphere": (BALL, SPHERE.project(vector(1, 0, 0.3)[None])[0], vector(0.2, 2, 0.7)),
}
every_start = pytest.mark.parametrize(("metric", "x0", "v0"), STARTS.values(), ids=STARTS.keys())


every_chosen = pytest.mark.parametrize(
    "stepper", [Euler(), IsokineticLeapfrog(), RK4(), AdamsBashforth4()], ids=lambda stepper: type(stepper).__name__
)


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
        seen.append(float(clairaut(density, step.curve.x[-1:], step.state.velocity[None], alpha)))

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


@pytest.mark.parametrize("space", [Euclidean(), SPHERE], ids=["plane", "sphere"])
def test_the_ray_with_the_velocity_of_a_solved_path_lands_on_its_end(space):
    mixture = GaussianMixture(normal(3, 3), vector(0.8, 0.9, 0.8), vector(1, 2, 1))
    metric = DensityMetric(mixture, 0.5, space)
    a, b = space.project(torch.stack([vector(-1.2, -0.6, 0.4), vector(1.3, -0.7, 0.2)])).unbind()
    misses = []
    for nodes in (33, 65):
        solver = Relaxation(order=4, between=False)
        path = solve_bvp(metric, Curve.straight(a, b, nodes, space), solver=solver, tol=1e-7, max_steps=100)
        assert path.converged
        velocity = path.curve.velocity(order=4)
        forth = solve_ivp(metric, a, velocity[0], stepper=DormandPrince(1e-9)).curve.x[-1]
        back = solve_ivp(metric, b, -velocity[-1], stepper=DormandPrince(1e-9)).curve.x[-1]
        misses.append(max(float((forth - b).norm()), float((back - a).norm())))
    assert misses[1] < 1e-4
    assert misses[0] / misses[1] > 8


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


def test_a_ray_thrown_about_on_a_circle_is_no_geodesic():
    # On a circle nothing is across the path, so its residual is 0 whatever happens along it.
    mixture = GaussianMixture(normal(4, 2), vector(0.5, 0.6, 0.7, 0.8), vector(1, 1, 1, 1))
    metric = DensityMetric(Scaled(mixture, 1e8), 0.05, Sphere(1.0))
    solution = solve_ivp(metric, vector(1, 0), vector(0, 2), steps=20)
    assert solution.residual < 0.05
    assert solution.status is Status.MAX_STEPS


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


@pytest.mark.parametrize("options", [{"max_steps": 0}, {"bend": 0.0}, {"bend": math.nan}])
def test_bounds_that_allow_no_step_are_refused(options):
    with pytest.raises(GeometryError, match="at least one step"):
        solve_ivp(PLANE, vector(0, 1), vector(1, 0), **options)


# The errors at the end as fractions of the length that the prototype measured, by score evaluations: half plane from
# (-1, 0.3) to (1, 0.6).
TABLE = [
    (RK4(), 4, 17, 6e-4),
    (RK4(), 8, 33, 4e-5),
    (RK4(), 16, 65, 3e-6),
    (IsokineticLeapfrog(), 16, 17, 3e-2),
    (IsokineticLeapfrog(), 32, 33, 6e-3),
    (IsokineticLeapfrog(), 64, 65, 2e-3),
    (AdamsBashforth4(), 11, 21, 4e-4),
    (AdamsBashforth4(), 23, 33, 4e-5),
    (AdamsBashforth4(), 47, 57, 2e-6),
]


@pytest.mark.parametrize(("stepper", "steps", "calls", "error"), TABLE)
def test_the_errors_on_the_half_plane_are_those_of_the_prototype(stepper, steps, calls, error):
    a, b = vector(-1, 0.3), vector(1, 0.6)
    centre = (0.6**2 - 0.3**2) / 4
    radius, start, last = math.hypot(1 + centre, 0.3), math.atan2(0.3, -1 - centre), math.atan2(0.6, 1 - centre)
    v0 = radius * (last - start) * vector(-math.sin(start), math.cos(start))
    solution = solve_ivp(PLANE, a, v0, steps=steps, stepper=stepper)
    assert solution.score_calls == calls
    assert float((solution.curve.x[-1] - b).norm() / v0.norm()) == pytest.approx(error, rel=0.4)


VMF = DensityMetric(Exponential(vector(0, 0, 2 / 1.5)), 0.7, SPHERE)
VMF_START = 1.5 * vector(math.sin(1.3), 0, math.cos(1.3))
VMF_VELOCITY = vector(-0.9927562719464249, 1.0096301675173054, 3.576009797413782)


@pytest.mark.parametrize(
    ("stepper", "steps", "error"),
    [
        (RK4(), 8, 3e-4),
        (RK4(), 16, 2e-5),
        (IsokineticLeapfrog(), 32, 3e-4),
        (IsokineticLeapfrog(), 64, 1e-4),
        (AdamsBashforth4(), 23, 4e-4),
        (AdamsBashforth4(), 47, 3e-5),
    ],
)
def test_the_errors_on_the_sphere_are_no_larger_than_those_of_the_prototype(stepper, steps, error):
    landing = 1.5 * vector(math.sin(1.8) * math.cos(2.0), math.sin(1.8) * math.sin(2.0), math.cos(1.8))
    x = solve_ivp(VMF, VMF_START, VMF_VELOCITY, steps=steps, stepper=stepper).curve.x[-1]
    assert float((x - landing).norm() / VMF_VELOCITY.norm()) < error


@pytest.mark.parametrize(
    ("stepper", "bound"),
    [(IsokineticLeapfrog(), 2e-4), (RK4(), 1e-7), (AdamsBashforth4(), 1e-6), (DormandPrince(), 1e-10)],
)
def test_a_ray_in_the_half_space_goes_as_far_on_its_circle_as_it_is_fast(stepper, bound):
    x = solve_ivp(PLANE, vector(0, 1), vector(1.2, 0), steps=128, stepper=stepper).curve.x
    assert float((x.norm(dim=1) - 1).abs().max()) < bound
    torch.testing.assert_close(x[-1], vector(math.sin(1.2), math.cos(1.2)), rtol=0, atol=bound)


@every_chosen
@pytest.mark.parametrize("space", [Euclidean(), SPHERE], ids=["plane", "sphere"])
def test_a_chosen_step_turns_by_no_more_than_the_bend(stepper, space):
    means = vector(1.5, 0.3, 0, 0, 0, 1).reshape(2, 3)
    metric = DensityMetric(GaussianMixture(means, vector(0.2, 1), vector(1, 1)), 0.4, space)
    x0 = space.project(vector(1, -1.1, 0)[None])[0]
    v0 = 2 * linalg.unit(space.tangent(x0[None], vector(0.4, 1, 0)[None]))[0]
    seen: list[Step] = []
    solution = solve_ivp(metric, x0, v0, stepper=stepper, bend=0.4, on_step=seen.append)
    h = torch.diff(seen[-1].state.u)
    assert float(seen[-1].state.u[-1]) == 1.0
    assert float(h.min()) < float(h.max()) <= 1 / 8
    assert torch.equal(h.log2(), h.log2().round())
    x = torch.cat([x0[None], *(step.curve.x[-1:] for step in seen[:-1])])
    turns = 2 * metric.alpha * linalg.norm(space.tangent(x, seen[-1].state.scores[:-1])).squeeze(-1) * h
    assert 0.2 < float(turns.max()) <= 0.4
    assert solution.curve.x.shape[0] == 1 + round(1 / float(h.min()))


@every_start
def test_a_smaller_bend_costs_more_and_lands_nearer(metric, x0, v0):
    exact = solve_ivp(metric, x0, v0, stepper=DormandPrince(1e-12), max_steps=10_000).curve.x[-1]
    rays = [solve_ivp(metric, x0, v0, stepper=IsokineticLeapfrog(), bend=bend) for bend in (0.2, 0.02)]
    calls = [ray.score_calls for ray in rays]
    errors = [float((ray.curve.x[-1] - exact).norm()) for ray in rays]
    assert calls[1] > 5 * calls[0]
    assert errors[1] < errors[0] / 25


def test_the_curvature_of_the_sphere_bends_a_ray_too():
    metric = DensityMetric(Radial(1.0), 0.0, Sphere(1.0))
    assert solve_ivp(metric, vector(1, 0, 0), vector(0, 20, 0), bend=0.4).steps == 64


def test_where_nothing_turns_error_control_takes_long_steps_through_any_force():
    metric = DensityMetric(Exponential(vector(1e6, 0)), 1.0)
    solution = solve_ivp(metric, vector(0, 0), vector(1, 0), stepper=DormandPrince())
    assert solution.converged
    assert solution.steps < 20
    torch.testing.assert_close(solution.curve.x[-1], vector(1, 0))


def test_a_bend_that_needs_too_many_steps_ends_the_ray():
    metric = DensityMetric(Exponential(vector(0, 1e6)), 1.0)
    solution = solve_ivp(metric, vector(0, 0), vector(1, 0.1), stepper=IsokineticLeapfrog())
    assert solution.status is Status.MAX_STEPS
    assert solution.steps == 0
    assert solution.score_calls == 1


@pytest.mark.parametrize("weighted", [False, True], ids=["constant", "weighted"])
@every_start
def test_the_tolerance_controls_the_error(metric, x0, v0, weighted):
    exact = solve_ivp(metric, x0, v0, steps=400, stepper=DormandPrince(weighted=weighted)).curve.x[-1]
    tolerances = (1e-6, 1e-8, 1e-10)
    rays = [
        solve_ivp(metric, x0, v0, stepper=DormandPrince(tol, weighted=weighted), max_steps=10_000) for tol in tolerances
    ]
    errors = [float((ray.curve.x[-1] - exact).norm() / v0.norm()) for ray in rays]
    assert all(error < 3 * tol for error, tol in zip(errors, tolerances, strict=True))
    assert all(20 < coarse / fine < 1000 for coarse, fine in itertools.pairwise(errors))
    assert all(ray.converged for ray in rays)


def test_steps_taken_back_are_counted_too():
    counting = CountingScore(GaussianMixture(vector(0, 0.4, 0, -3).reshape(2, 2), vector(0.05, 1), vector(1, 1)))
    kept: list[Step] = []
    metric = DensityMetric(counting, 0.3)
    solution = solve_ivp(metric, vector(-2, 0), vector(4, 0.1), stepper=DormandPrince(1e-8), on_step=kept.append)
    assert solution.converged
    assert solution.steps == len(kept)
    assert solution.score_calls == counting.points > 1 + 6 * len(kept)


@pytest.mark.parametrize("weighted", [False, True], ids=["constant", "weighted"])
@every_start
def test_uneven_steps_give_uniform_nodes_as_exact_as_the_steps(metric, x0, v0, weighted):
    stepper = DormandPrince(1e-9, weighted=weighted)
    curve = solve_ivp(metric, x0, v0, stepper=stepper).curve
    k = curve.x.shape[0]
    exact = solve_ivp(metric, x0, v0, steps=8 * (k - 1), stepper=stepper).curve.x[::8]
    torch.testing.assert_close(curve.x, exact, rtol=0, atol=1e-8)
    assert torch.equal(curve.x[0], x0)
    assert bool(metric.space.contains(curve.x).all())


@every_start
def test_the_residual_of_the_steps_agrees_with_that_of_the_curve(metric, x0, v0):
    for stepper in (Euler(), IsokineticLeapfrog()):
        ray = solve_ivp(metric, x0, v0, steps=24, stepper=stepper)
        assert ray.residual == pytest.approx(metric.residual(ray.curve, order=4).relative, rel=0.1)
    uneven = solve_ivp(metric, x0, v0, stepper=DormandPrince(1e-7, weighted=True))
    assert metric.residual(uneven.curve, order=4).relative < uneven.residual < 1e-3


@every_start
def test_a_single_step_has_a_residual_too(metric, x0, v0):
    assert solve_ivp(metric, x0, v0, steps=1, stepper=Euler()).residual > 0.1
    assert solve_ivp(metric, x0, 1e-3 * v0, steps=1).residual < 1e-2


def test_a_ray_with_error_control_into_the_edge_of_the_density_ends_before_it():
    solution = solve_ivp(PLANE, vector(0, 1), vector(0, -2), stepper=DormandPrince())
    assert solution.status in (Status.NON_FINITE, Status.MAX_STEPS)
    assert bool((solution.curve.x[:, 1] > 0).all())
    assert float(solution.curve.x[-1, 1]) < 0.01


def test_falling_density_ends_a_ray_of_chosen_steps():
    metric = DensityMetric(Exponential(vector(-10, 0)), 0.01)
    for stepper in (IsokineticLeapfrog(), DormandPrince()):
        solution = solve_ivp(metric, vector(0, 0), vector(1, 0), stepper=stepper, max_drop=4.5)
        assert solution.status is Status.LEFT_SUPPORT
        assert 0.2 < float(solution.curve.x[-1, 0]) <= 0.45


def test_a_radial_density_conserves_the_clairaut_invariant_under_error_control():
    density, alpha = Radial(0.8), 0.6
    seen: list[float] = []

    def watch(step: Step) -> None:
        seen.append(float(clairaut(density, step.curve.x[-1:], step.state.velocity[None], alpha)))

    metric = DensityMetric(density, alpha)
    solve_ivp(metric, vector(-1, 0.3, 0.2), vector(1.2, 0.8, 0.1), stepper=DormandPrince(1e-10), on_step=watch)
    assert max(seen) / min(seen) - 1 < 1e-8


def test_the_leapfrog_conserves_the_clairaut_invariant_to_second_order():
    density, alpha = Radial(0.8), 0.6

    def spread(steps: int) -> float:
        seen: list[float] = []
        solve_ivp(
            DensityMetric(density, alpha),
            vector(-1, 0.3, 0.2),
            vector(1.2, 0.8, 0.1),
            steps=steps,
            stepper=IsokineticLeapfrog(),
            on_step=lambda step: seen.append(
                float(clairaut(density, step.curve.x[-1:], step.state.velocity[None], alpha))
            ),
        )
        return max(seen) / min(seen) - 1

    assert spread(100) < 1e-3
    assert spread(50) / spread(100) == pytest.approx(4, rel=0.1)
