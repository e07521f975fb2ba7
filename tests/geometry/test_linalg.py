import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from helpers import LargestTensor, normal, vector


def test_unit_vectors_have_norm_one_and_zero_stays_zero():
    rows = torch.cat([normal(4, 5), torch.zeros(1, 5, dtype=torch.float64)])
    result = linalg.norm(linalg.unit(rows)).squeeze(-1)
    torch.testing.assert_close(result, vector(1, 1, 1, 1, 0))


def test_the_rejection_is_orthogonal_and_differs_by_a_multiple():
    v, along = normal(6, 5), 1e3 * normal(6, 5, seed=1)
    rest = linalg.reject(v, along)
    assert float(linalg.dot(rest, linalg.unit(along)).abs().max()) < 1e-14
    assert float(linalg.norm(linalg.reject(v - rest, along)).max()) < 1e-14


def test_the_rejection_from_zero_is_the_vector_itself():
    v = normal(2, 3)
    assert torch.equal(linalg.reject(v, torch.zeros_like(v)), v)


def test_the_reciprocal_of_zero_is_zero():
    assert linalg.reciprocal(vector(4.0, 0.0)).tolist() == [0.25, 0.0]


@given(st.floats(0, math.pi), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_the_angle_is_accurate_at_every_size(theta: float, first: float, second: float):
    a, b = vector(first, 0, 0), second * vector(math.cos(theta), math.sin(theta), 0)
    assert float(linalg.angle(a, b)) == pytest.approx(theta, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("theta", [1e-12, 1e-9, math.pi - 1e-9])
def test_the_angle_keeps_its_digits_where_the_arc_cosine_loses_them(theta: float):
    a, b = vector(1, 0), vector(math.cos(theta), math.sin(theta))
    assert abs(float(linalg.angle(a, b)) - theta) < 1e-15 + 1e-12 * min(theta, math.pi - theta)
    assert abs(math.acos(float(torch.dot(a, b))) - theta) > 1e-13


def test_the_angle_to_a_zero_vector_is_zero():
    assert float(linalg.angle(vector(0, 0), vector(1, 0))) == 0


def test_slerp_stays_on_the_sphere_at_constant_speed():
    a, b = vector(2, 0, 0), 2 * vector(math.cos(2.5), 0, math.sin(2.5))
    x = linalg.slerp(a, b, torch.linspace(0, 1, 11, dtype=torch.float64))
    torch.testing.assert_close(linalg.norm(x), torch.full((11, 1), 2.0, dtype=torch.float64))
    torch.testing.assert_close(linalg.angle(x[:-1], x[1:]), torch.full((10, 1), 0.25, dtype=torch.float64))


@pytest.mark.parametrize("theta", [0.0, 1e-12, 1e-9, 1e-8, 1.4e-8, 1.6e-8, 1e-7])
def test_slerp_is_continuous_where_it_becomes_linear(theta: float):
    a, b = vector(1, 0), vector(math.cos(theta), math.sin(theta))
    x = linalg.slerp(a, b, vector(0.3))
    torch.testing.assert_close(x, vector(math.cos(0.3 * theta), math.sin(0.3 * theta))[None], rtol=0, atol=1e-15)


def test_slerp_between_antipodal_points_is_refused():
    a = normal(7)
    with pytest.raises(GeometryError, match="antipodal"):
        linalg.slerp(a, -a, vector(0.5))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.floats(-2, 50))
def test_the_tridiagonal_solution_satisfies_its_equations(n: int, shift: float):
    rhs, ends = normal(n, 3), normal(2, 3, seed=1)
    x = linalg.solve_second_difference(rhs, ends[0], ends[1], shift=shift)
    full = torch.cat([ends[:1], x, ends[1:]])
    left = (full[2:] - 2 * full[1:-1] + full[:-2]) * (n + 1) ** 2 - shift * x
    torch.testing.assert_close(left, rhs, rtol=0, atol=1e-11 * (1 + abs(shift)))


def test_the_second_difference_of_a_cubic_is_solved_exactly():
    u = torch.linspace(0, 1, 12, dtype=torch.float64)[:, None]
    cubic = 2 * u**3 - u**2 + 3
    x = linalg.solve_second_difference(12 * u[1:-1] - 2, cubic[0], cubic[-1])
    torch.testing.assert_close(x, cubic[1:-1], rtol=0, atol=1e-14)


def test_the_tridiagonal_solver_uses_linear_memory():
    with LargestTensor() as watch:
        linalg.solve_second_difference(normal(400, 2), vector(0, 0), vector(0, 0))
    assert watch.elements <= 400 * 2


def test_the_tridiagonal_solver_writes_to_no_argument():
    rhs, first, last = normal(5, 2), vector(1, 2), vector(3, 4)
    kept = [value.clone() for value in (rhs, first, last)]
    linalg.solve_tridiagonal(rhs, first, last, centre=4.0, side=1.0)
    assert all(torch.equal(value, copy) for value, copy in zip((rhs, first, last), kept, strict=True))


def test_the_least_that_is_left_is_orthogonal_to_the_parts_even_where_two_are_alike():
    target, parts = normal(20), normal(4, 20, seed=1)
    weights = linalg.least_left(target, parts, ridge=1e-13)
    assert float((parts @ (target - weights @ parts)).abs().max()) < 1e-10
    alike = torch.cat([parts, parts[:1] * (1 + 1e-12)])
    weights = linalg.least_left(target, alike, ridge=1e-10)
    assert float(weights.abs().max()) < 10
    assert float((alike @ (target - weights @ alike)).abs().max()) < 1e-6
