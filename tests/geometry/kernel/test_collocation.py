"""Schemes integrate what they should exactly, converge with their order, and have no spurious solutions."""

import math

import pytest
import torch

from geodesic_cli.geometry import Curve, DensityMetric, Euclidean, Sphere, linalg
from geodesic_cli.geometry.kernel.collocation import MEMORY, Past, mismatch, settle
from geodesic_cli.geometry.kernel.schemes import gauss_legendre, numerov, second_difference
from geodesic_cli.geometry.toys import Exponential, HalfSpace, SphereChart
from helpers import normal, vector

ALPHA = 0.5
SCHEMES = [second_difference, numerov]
CLOSED_FORMS = {
    "half-space": (HalfSpace(ALPHA), vector(-1, 0.3), vector(1, 0.6), ()),
    "sphere chart": (SphereChart(ALPHA), vector(0.9, 0, 0), vector(-0.6, 0.9, 0.1), ()),
    "exponential": (Exponential(vector(0, 4.0)), vector(-0.5, 0), vector(0.5, 0.2), (ALPHA,)),
}
every_closed_form = pytest.mark.parametrize(
    ("density", "a", "b", "extra"), CLOSED_FORMS.values(), ids=CLOSED_FORMS.keys()
)


def force_of(metric: DensityMetric):
    def force(x, v, u):
        speed = float(linalg.norm(v).mean())
        pull = linalg.reject(metric.space.tangent(x, metric.scores_at(x, u)), along=v)
        return -metric.alpha * speed**2 * pull

    return force


def solved(scheme, density, a, b):
    metric = DensityMetric(density, ALPHA)
    line = (1 - scheme.u)[:, None] * a + scheme.u[:, None] * b
    return settle(force_of(metric), metric.space, scheme, line, tol=1e-12)


@every_closed_form
class TestClosedForms:
    def exact(self, density, a, b, extra):
        return Curve(
            density.geodesic(a, b, torch.linspace(0, 1, 4001, dtype=torch.float64), *extra)
        ).at_constant_speed()

    @pytest.mark.parametrize(("scheme", "order"), [(second_difference, 2), (numerov, 4)])
    def test_the_points_converge_with_the_order_of_the_scheme(self, density, a, b, extra, scheme, order):
        exact = self.exact(density, a, b, extra)
        errors = []
        for n in (15, 31, 63):
            found = solved(scheme(n), density, a, b)
            assert found.residual < 1e-11
            errors.append(float((found.x - exact(scheme(n).u)).norm(dim=1).max()))
        measured = math.log2(errors[1] / errors[2])
        assert order - 0.2 < measured < order + 0.6


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_acceleration_is_integrated_twice_with_zero_ends(scheme):
    made = scheme(16)
    u = made.u
    exact = (u**4 - u)[1:-1] / 12  # x'' = u²
    found = made.integral @ (u**2)[made.forced]
    tolerance = {second_difference: 1e-3, numerov: 1e-14}[scheme]
    assert float((found - exact).abs().max()) < tolerance


@pytest.mark.parametrize("scheme", SCHEMES)
def test_interpolation_passes_through_the_points_and_knows_its_derivatives(scheme):
    made = scheme(20)
    x = torch.stack([made.u**3, torch.cos(made.u)], dim=1)
    u = torch.rand(7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(made.at(made.u) @ x, x, rtol=0, atol=1e-12)
    for order, wanted in enumerate(
        [
            torch.stack([u**3, torch.cos(u)], dim=1),
            torch.stack([3 * u**2, -torch.sin(u)], dim=1),
            torch.stack([6 * u, -torch.cos(u)], dim=1),
        ]
    ):
        torch.testing.assert_close(made.at(u, order) @ x, wanted, rtol=0, atol=10.0 ** (2 * order - 9))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_screen_is_what_a_change_of_the_unknowns_does(scheme):
    made = scheme(9)
    change = normal(9)
    force = torch.zeros(11, dtype=torch.float64)
    force[1:-1] = change
    torch.testing.assert_close(made.screen @ change, made.integral @ force[made.forced])
    torch.testing.assert_close(made.second @ made.green, torch.eye(9, dtype=torch.float64), rtol=0, atol=1e-9)


def test_gauss_legendre_points_integrate_polynomials_of_degree_two_n_minus_one():
    for n in (1, 2, 5, 9):
        u = gauss_legendre(n)
        powers = u[None] ** torch.arange(n, dtype=torch.float64)[:, None]
        weights = torch.linalg.solve(powers, 1 / torch.arange(1, n + 1, dtype=torch.float64))
        assert float((weights * u ** (2 * n - 1)).sum()) == pytest.approx(1 / (2 * n), rel=1e-10)


def test_a_long_great_circle_has_no_mismatch_and_a_bent_one_has():
    """P_x (line + B F - x) has spurious zeros on long arcs; the strong form has not."""
    sphere, scheme = Sphere(1.0), numerov(63)
    phase = 5.6 * scheme.u[:, None]
    x = torch.cat([phase.cos(), phase.sin(), 0 * phase], dim=1)

    def nothing(x, v, u):
        return torch.zeros_like(x)

    r, _, length = mismatch(nothing, sphere, scheme, x)
    assert float(r.norm(dim=1).max()) / length < 1e-6
    bent = sphere.project(x + 0.05 * torch.sin(2 * math.pi * scheme.u)[:, None] * vector(0, 0, 1))
    r, _, length = mismatch(nothing, sphere, scheme, bent)
    assert float(r.norm(dim=1).max()) / length > 1e-3


def test_a_stiff_density_diverges_unscreened_and_settles_with_the_acceleration():
    stiff = 4.0
    a, b = vector(-1, 0.4), vector(1, 0.7)
    metric = DensityMetric(lambda x, u: -stiff * x * vector(1, 6), 1.0)
    scheme = numerov(31)
    line = (1 - scheme.u)[:, None] * a + scheme.u[:, None] * b
    x = line
    for _ in range(12):
        r, _, _ = mismatch(force_of(metric), Euclidean(), scheme, x)
        x = torch.cat([x[:1], x[1:-1] + r, x[-1:]])
    first, _, _ = mismatch(force_of(metric), Euclidean(), scheme, line)
    last, _, _ = mismatch(force_of(metric), Euclidean(), scheme, x)
    assert not float(last.norm()) < float(first.norm())
    assert settle(force_of(metric), Euclidean(), scheme, line).residual < 1e-6


def test_a_problem_without_solution_gives_the_best_points_found():
    metric = DensityMetric(Exponential(vector(0, 4.0)), 2.0)
    scheme = numerov(31)
    a, b = vector(-2, 0), vector(2, 0)
    line = (1 - scheme.u)[:, None] * a + scheme.u[:, None] * b
    found = settle(force_of(metric), Euclidean(), scheme, line)
    assert bool(found.x.isfinite().all())
    assert found.residual > 1e-3
    assert found.steps <= 200


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("n", [3, 16, 63])
def test_waves_are_the_eigenvectors_of_the_screen(scheme, n):
    made = scheme(n)
    torch.testing.assert_close(made.waves @ made.waves, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-13)
    screen = made.waves @ made.decay.diag() @ made.waves
    torch.testing.assert_close(screen, made.screen, rtol=0, atol=1e-15)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_step_in_waves_is_andersons_step(scheme):
    made, d, c = scheme(15), 7, 30.0
    r, moves, changes = normal(15, d), normal(25, 15, d, seed=1), normal(25, 15, d, seed=2)
    past = Past(made, d)
    for kept in range(26):
        damp = torch.linalg.inv(torch.eye(15, dtype=torch.float64) - c * made.screen)
        expected = damp @ r
        if kept:
            last = slice(max(0, kept - MEMORY), kept)
            damped = damp @ changes[last]
            weights = linalg.least_left(expected.flatten(), damped.flatten(1), ridge=1e-13)
            expected = expected - torch.einsum("k,kij->ij", weights, moves[last] + damped)
        torch.testing.assert_close(past.step(r, c), expected, rtol=0, atol=1e-9)
        if kept < 25:
            past.add(moves[kept], changes[kept])
    past.forget()
    torch.testing.assert_close(past.step(r, c), damp @ r, rtol=0, atol=1e-12)
