import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Curve, Euclidean, Sphere
from helpers import LargestTensor, normal, vector


def on_helix(u: Tensor) -> Tensor:
    """Radius 1, pitch 2 pi 0.3, over 1.5 turns."""
    phase = 3 * math.pi * u
    return torch.stack([phase.cos(), phase.sin(), 0.3 * phase], dim=1)


def on_spiral(u: Tensor) -> Tensor:
    """From near one pole of the sphere of radius 2 to near the other, turning about the axis."""
    height, phase = 0.4 + 2 * u, 3 * u
    return 2 * torch.stack([height.sin() * phase.cos(), height.sin() * phase.sin(), height.cos()], dim=1)


def helix(k: int, warp: float = 0.0) -> Curve:
    """`warp` makes the spacing uneven."""
    u = torch.linspace(0, 1, k, dtype=torch.float64)
    return Curve(on_helix(u + warp * u * (1 - u)))


def spiral(k: int) -> Curve:
    return Curve(on_spiral(torch.linspace(0, 1, k, dtype=torch.float64)), Sphere(2.0))


def derivative(function: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
    u = u.requires_grad_(True)
    columns = function(u).unbind(dim=1)
    return torch.stack([torch.autograd.grad(y.sum(), u, create_graph=True)[0] for y in columns], dim=1)


def orders(errors: list[float]) -> list[float]:
    return [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]


MAKERS = pytest.mark.parametrize("make", [helix, spiral])


@MAKERS
def test_a_curve_passes_through_its_nodes_bit_for_bit(make):
    for k in (2, 3, 4, 7, 24, 100):
        curve = make(k)
        assert torch.equal(curve(curve.u), curve.x)


@MAKERS
def test_the_interpolation_has_order_four(make):
    u = torch.linspace(0, 1, 997, dtype=torch.float64)
    exact = on_helix(u) if make is helix else on_spiral(u)
    errors = [float((make(k)(u) - exact).norm(dim=1).max()) for k in (17, 33, 65, 129)]
    assert min(orders(errors)) > 3.6


@MAKERS
def test_the_interpolation_has_a_continuous_derivative(make):
    curve, h = make(9), 1e-6
    joints = curve.u[1:-1]
    before = (curve(joints) - curve(joints - h)) / h
    after = (curve(joints + h) - curve(joints)) / h
    assert float((before - after).abs().max()) < 1e-3


def test_the_interpolation_stays_on_the_sphere():
    u = torch.linspace(0, 1, 101, dtype=torch.float64)
    torch.testing.assert_close(spiral(6)(u).norm(dim=1), torch.full((101,), 2.0, dtype=torch.float64))


@pytest.mark.parametrize("k", [2, 3, 4, 9])
def test_a_cubic_is_reproduced_as_far_as_the_nodes_allow(k: int):
    degree = min(k - 1, 3)
    u = torch.linspace(0, 1, k, dtype=torch.float64)[:, None]
    between = torch.linspace(0, 1, 31, dtype=torch.float64)
    curve = Curve(torch.cat([u**degree, 1 - u], dim=1))
    expected = torch.stack([between**degree, 1 - between], dim=1)
    torch.testing.assert_close(curve(between), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("make", "exact"), [(helix, on_helix), (spiral, on_spiral)], ids=["helix", "spiral"])
def test_derivatives_have_order_two_up_to_the_ends(make, exact):
    velocity, acceleration = [], []
    for k in (33, 65, 129):
        curve = make(k)
        once = derivative(exact, curve.u).detach()
        twice = derivative(lambda u: derivative(exact, u), curve.u).detach()
        velocity.append(float((curve.velocity() - once).norm(dim=1).max()))
        acceleration.append(float((curve.acceleration() - twice).norm(dim=1).max()))
    assert min(orders(velocity)) > 1.8
    assert min(orders(acceleration)) > 1.8


def test_derivatives_of_a_parabola_are_exact_at_every_node():
    u = torch.linspace(0, 1, 8, dtype=torch.float64)[:, None]
    curve = Curve(torch.cat([3 * u**2 - u, 2 - u], dim=1))
    torch.testing.assert_close(curve.velocity(), torch.cat([6 * u - 1, -torch.ones_like(u)], dim=1))
    torch.testing.assert_close(curve.acceleration(), vector(6, 0).expand(8, 2), rtol=0, atol=1e-11)


def test_velocities_on_the_sphere_are_tangent():
    curve = spiral(12)
    assert float((curve.velocity() * curve.x).sum(1).abs().max()) < 1e-13


def test_a_great_circle_accelerates_towards_the_centre_only():
    sphere = Sphere(2.0)
    curve = Curve.straight(vector(2, 0, 0), vector(0, 0, 2), 9, sphere)
    sideways = sphere.tangent(curve.x, curve.acceleration())[1:-1]
    assert float(sideways.norm(dim=1).max()) < 1e-12


@MAKERS
def test_refining_keeps_the_old_nodes_bit_for_bit(make):
    for k in (2, 3, 5, 12):
        curve = make(k)
        fine = curve.refine()
        assert fine.x.shape[0] == 2 * k - 1
        assert torch.equal(fine.x[::2], curve.x)
        torch.testing.assert_close(fine.x[1::2], curve((curve.u[:-1] + curve.u[1:]) / 2))


def test_constant_speed_means_equal_segments():
    curve = helix(33, warp=0.6)
    assert float(curve.segments.max() / curve.segments.min()) > 3
    even = curve.at_constant_speed()
    assert float(even.segments.max() / even.segments.min()) < 1.002
    assert even.x.shape == curve.x.shape


@MAKERS
def test_constant_speed_keeps_the_ends_bit_for_bit_and_the_path(make):
    curve = make(20)
    even = curve.at_constant_speed(31)
    assert torch.equal(even.x[0], curve.x[0])
    assert torch.equal(even.x[-1], curve.x[-1])
    dense = curve(torch.linspace(0, 1, 4001, dtype=torch.float64))
    assert float(torch.cdist(even.x, dense).min(dim=1).values.max()) < 2e-3
    assert even.x.shape[0] == 31


@MAKERS
def test_constant_speed_changes_nothing_that_has_it_already(make):
    even = make(40).at_constant_speed()
    assert float((even.at_constant_speed().x - even.x).abs().max()) < 1e-5


def test_a_curve_of_length_zero_stays_where_it_is():
    curve = Curve(vector(1, 2).repeat(5, 1))
    assert torch.equal(curve.at_constant_speed(3).x, vector(1, 2).repeat(3, 1))
    assert float(curve.length) == 0


def test_respacing_allocates_no_dense_sampling_in_high_dimension():
    curve = Curve(normal(20, 4000))
    with LargestTensor() as watch:
        curve.at_constant_speed()
    assert watch.elements <= 4 * curve.x.numel()


def test_lengths_of_the_helix_converge_with_order_two():
    exact = 3 * math.pi * math.hypot(1, 0.3)
    assert min(orders([abs(float(helix(k).length) - exact) for k in (17, 33, 65)])) > 1.9
    torch.testing.assert_close(helix(400).speed, torch.full((400,), exact, dtype=torch.float64), rtol=2e-4, atol=0)


def test_positions_run_from_zero_to_one():
    torch.testing.assert_close(helix(5).u, vector(0, 0.25, 0.5, 0.75, 1))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(1, 6), st.integers(0, 1000))
def test_a_straight_curve_keeps_its_ends_bit_for_bit(nodes: int, d: int, seed: int):
    a, b = 100 * normal(2, d, seed=seed)
    curve = Curve.straight(a, b, nodes)
    assert torch.equal(curve.x[0], a)
    assert torch.equal(curve.x[-1], b)
    assert curve.space == Euclidean()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_the_inputs(dtype: torch.dtype):
    sphere = Sphere(1.0)
    a, b = sphere.project(normal(2, 4).to(dtype))
    curve = Curve.straight(a, b, 6, sphere)
    results = [curve.x, curve.u, curve.velocity(), curve.acceleration(), curve(curve.u), curve.refine().x, curve.length]
    assert {value.dtype for value in [*results, curve.at_constant_speed().x]} == {dtype}


def test_a_curve_through_points_has_them_as_nodes():
    points = normal(5, 3)
    assert torch.equal(Curve.through(points).x, points)


def test_a_curve_through_points_can_be_resampled_evenly():
    curve = Curve.through(helix(9, warp=0.4).x, nodes=21)
    assert curve.x.shape[0] == 21
    assert float(curve.segments.max() / curve.segments.min()) < 1.02


@pytest.mark.parametrize("x", [torch.zeros(3), torch.zeros(1, 3), torch.zeros(4, 3, dtype=torch.int64)])
def test_a_curve_needs_two_nodes_of_floating_point_numbers(x: Tensor):
    with pytest.raises(GeometryError, match="at least two nodes"):
        Curve(x)


def test_ends_off_the_sphere_are_refused():
    with pytest.raises(GeometryError, match="must lie in its space"):
        Curve.straight(vector(1, 0), vector(0, 1.01), 5, Sphere(1.0))


def test_ends_that_are_not_finite_are_refused():
    with pytest.raises(GeometryError, match="finite"):
        Curve.straight(vector(1, math.nan), vector(0, 1), 5)


def test_ends_of_different_shape_are_refused():
    with pytest.raises(GeometryError, match="one shape"):
        Curve.straight(vector(1, 0), vector(0, 1, 0), 5)


@pytest.mark.parametrize("u", [vector(-0.01), vector(1.01), vector(math.nan)])
def test_positions_outside_the_curve_are_refused(u: Tensor):
    with pytest.raises(GeometryError, match="Positions"):
        helix(5)(u)
