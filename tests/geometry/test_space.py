"""Laws that hold in every space, and what is special to each."""

import math

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Euclidean, Space, Sphere, linalg
from helpers import normal, vector

SPACES = [Euclidean(), Sphere(2.5)]
U = torch.linspace(0, 1, 9, dtype=torch.float64)
every_space = pytest.mark.parametrize("space", SPACES, ids=["euclidean", "sphere"])


@every_space
def test_projection_gives_points_of_the_space_and_is_idempotent(space: Space):
    x = space.project(normal(6, 4))
    assert bool(space.contains(x).all())
    torch.testing.assert_close(space.project(x), x, rtol=1e-15, atol=1e-15)


@every_space
def test_tangent_projection_is_idempotent_and_symmetric(space: Space):
    x, v, w = space.project(normal(6, 4)), normal(6, 4, seed=1), normal(6, 4, seed=2)
    once = space.tangent(x, v)
    torch.testing.assert_close(space.tangent(x, once), once)
    torch.testing.assert_close(linalg.dot(once, w), linalg.dot(v, space.tangent(x, w)))


@every_space
def test_a_straight_line_starts_and_ends_bit_for_bit(space: Space):
    a, b = space.project(normal(2, 5)).unbind()
    line = space.between(a, b, U)
    assert torch.equal(line[0], a)
    assert torch.equal(line[-1], b)


@every_space
def test_a_straight_line_lies_in_the_space_and_is_as_long_as_the_distance(space: Space):
    a, b = space.project(normal(2, 5)).unbind()
    line = space.between(a, b, U)
    assert bool(space.contains(line).all())
    pieces = space.distance(line[:-1], line[1:])
    torch.testing.assert_close(pieces, space.distance(a[None], b[None]).expand(8) / 8)


@every_space
def test_distance_is_symmetric_and_zero_only_at_home(space: Space):
    a, b = space.project(normal(3, 4)), space.project(normal(3, 4, seed=1))
    torch.testing.assert_close(space.distance(a, b), space.distance(b, a))
    assert bool((space.distance(a, a) == 0).all())
    assert bool((space.distance(a, b) > 0).all())


@every_space
def test_the_curvature_is_the_acceleration_of_straight_lines(space: Space):
    a, b = space.project(normal(2, 5)).unbind()
    h = 1e-3
    x = space.between(a, b, vector(0.4 - h, 0.4, 0.4 + h))
    v = (x[2:] - x[:1]) / (2 * h)
    measured = (x[2:] - 2 * x[1:2] + x[:1]) / h**2
    torch.testing.assert_close(space.curvature(x[1:2], v), measured, rtol=1e-4, atol=1e-6)


def test_the_distance_on_a_sphere_is_the_great_circle_arc():
    sphere = Sphere(3.0)
    a, b = vector(3, 0, 0)[None], 3 * vector(math.cos(2.0), math.sin(2.0), 0)[None]
    assert float(sphere.distance(a, b)) == pytest.approx(6.0, rel=1e-15)


def test_the_distance_on_a_sphere_resolves_neighbours_in_single_precision():
    sphere = Sphere(128.0)
    a = sphere.project(normal(1, 16384).float())
    b = sphere.project(a + 1e-3 * normal(1, 16384, seed=1).float())
    chord = float(linalg.norm((a - b).double()))
    assert float(sphere.distance(a, b)) == pytest.approx(chord, rel=1e-4)


def test_points_off_the_sphere_do_not_count_as_on_it():
    x = torch.stack([vector(1, 0), vector(1.001, 0), vector(0, 0), vector(math.nan, 0)])
    assert Sphere(1.0).contains(x).tolist() == [True, False, False, False]
    assert Euclidean().contains(x).tolist() == [True, True, True, False]


@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, math.nan])
def test_a_sphere_needs_a_positive_radius(radius: float):
    with pytest.raises(GeometryError, match="positive"):
        Sphere(radius)


def test_antipodal_points_have_no_straight_line():
    a = vector(0, 0, 2.5)
    with pytest.raises(GeometryError, match="antipodal"):
        Sphere(2.5).between(a, -a, U)
