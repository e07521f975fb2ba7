"""Sequences of points that keep their own places: the first variation of a polygon, its timing, its roughness."""

import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Curve, Euclidean, Sphere
from geodesic_cli.geometry.clips.sequence import (
    SequenceReport,
    log_density_changes,
    measure_sequence,
    moving,
    roughness,
    thirds,
)
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace
from helpers import normal, vector

FLAT = Euclidean()
HALVES = vector(0.5, 0.5)


def zero(x: Tensor) -> Tensor:
    return torch.zeros_like(x)


def unweighted(x: Tensor) -> SequenceReport:
    return measure_sequence(x, zero(x), 0.0, FLAT)


def between(density: GaussianMixture | HalfSpace, x: Tensor) -> Tensor:
    return torch.stack([density(points, points[:, 0]) for points in thirds(x, FLAT)])


def half_circle(nodes: int) -> tuple[HalfSpace, Tensor]:
    density = HalfSpace(0.5)
    u = torch.linspace(0, 1, nodes, dtype=torch.float64)
    return density, density.geodesic(vector(-1, 0.6), vector(1, 0.8), u)


def test_the_curvature_is_minus_the_gradient_of_the_length_of_the_polygon() -> None:
    x = normal(7, 3).requires_grad_()
    found = unweighted(x.detach())
    (slope,) = torch.autograd.grad((x[1:] - x[:-1]).norm(dim=1).sum(), x)
    mean = (found.steps[:-1] + found.steps[1:])[:, None] / 2
    assert torch.allclose(-slope[1:-1] / mean, found.curvature)


def test_the_density_term_is_the_gradient_of_the_weights() -> None:
    density, alpha, errors = GaussianMixture(normal(2, 3, seed=1), 3 * HALVES, HALVES), 0.3, []
    for nodes in (17, 33):
        u = torch.linspace(0, 1, nodes, dtype=torch.float64)[:, None]
        x = (torch.cat([u, u**2, 0.3 * torch.sin(3 * u)], dim=1)).requires_grad_()
        log_p = density.log_prob(x)
        weights = torch.exp(-alpha * (log_p[:-1] + log_p[1:]) / 2)
        (slope,) = torch.autograd.grad((weights * (x[1:] - x[:-1]).norm(dim=1)).sum(), x)
        point = x.detach()
        found = measure_sequence(point, density(point, u[:, 0]), alpha, FLAT)
        mean = (found.steps[:-1] + found.steps[1:])[:, None] / 2
        wanted = -slope[1:-1] / mean / torch.exp(-alpha * log_p.detach()[1:-1])[:, None]
        along = torch.nn.functional.normalize(point[2:] - point[:-2], dim=1)
        wanted = wanted - (wanted * along).sum(1, keepdim=True) * along
        errors.append(float((wanted - found.curvature - alpha * found.pull).norm(dim=1).max()))
    assert errors[1] < errors[0] / 1.8
    assert errors[1] < 0.05


def test_on_a_circle_the_curvature_points_to_the_centre_and_is_one_over_the_radius() -> None:
    phase = torch.linspace(0, 2, 41, dtype=torch.float64)
    found = unweighted(3 * torch.stack([phase.cos(), phase.sin()], dim=1))
    assert torch.allclose(found.curvature_term, torch.full((39,), 1 / 3, dtype=torch.float64), rtol=1e-3)
    inward = -torch.stack([phase.cos(), phase.sin()], dim=1)[1:-1]
    assert torch.allclose(found.curvature, inward / 3, atol=1e-3)


def test_a_great_circle_has_no_gradient_and_no_departure() -> None:
    sphere = Sphere(2.0)
    x = sphere.between(vector(2, 0, 0), vector(0, 2, 0), torch.linspace(0, 1, 9, dtype=torch.float64))
    found = measure_sequence(x, zero(x), 0.1, sphere)
    assert float(found.gradient.max()) < 1e-12
    assert float(found.departure.max()) < 1e-12
    assert found.length == pytest.approx(math.pi)


@pytest.mark.parametrize("nodes", [5, 17, 65])
def test_on_a_geodesic_the_gradient_vanishes_and_the_terms_are_opposite(nodes: int) -> None:
    density, x = half_circle(nodes)
    found = measure_sequence(x, density(x, x[:, 0]), density.alpha, FLAT)
    # A regular polygon in a circle has the circle's curvature and tangents, so nothing is left but rounding.
    assert float(found.gradient.max()) < 1e-9
    assert float(found.alignment.min()) > 1 - 1e-9
    assert float(found.angle.min()) == pytest.approx(math.pi, abs=1e-4)
    assert float(found.departure.max()) < 1e-9


def test_a_geodesic_that_is_no_circle_is_left_at_second_order() -> None:
    density, alpha, largest = Exponential(vector(0, 2.0)), 0.5, []
    fine = torch.linspace(0, 1, 2001, dtype=torch.float64)
    dense = Curve(density.geodesic(vector(-1, 0), vector(1, 0.3), fine, alpha)).at_constant_speed()
    for every in (250, 125):
        x = dense.x[::every]
        largest.append(measure_sequence(x, density(x, x[:, 0]), alpha, FLAT).mean_gradient)
    assert largest[0] / largest[1] == pytest.approx(4, rel=0.15)


def test_the_length_under_the_metric_is_the_closed_form() -> None:
    density, x = half_circle(65)
    found = measure_sequence(x, density(x, x[:, 0]), density.alpha, FLAT, between(density, x))
    # weight 1 at the first point, which is at height 0.6 where the weight of the half-space is 1 / 0.6
    assert math.exp(found.log_length) == pytest.approx(0.6 * density.distance(x[0], x[-1]), rel=1e-3)


def test_turning_back_is_the_largest_bend_though_central_differences_see_none() -> None:
    x = vector(0, 1, 2, 3, 2, 1, 0)[:, None] * vector(1, 2)
    found = unweighted(x)
    assert float(found.turn[2]) == pytest.approx(math.pi)
    assert float(found.departure[2]) == pytest.approx(2)
    assert float(found.curvature_term[2]) == pytest.approx(2 / math.sqrt(5))
    assert float(found.departure[[0, 1, 3, 4]].max()) < 1e-12


@pytest.mark.parametrize("jump", [1, 4, 7])
def test_a_jump_departs_by_the_ratio_of_its_step(jump: int) -> None:
    steps = torch.ones(9, dtype=torch.float64)
    steps[jump] = 6
    x = torch.cat([steps.new_zeros(1), steps.cumsum(0)])[:, None] * vector(0, 1)
    departure = unweighted(x).departure
    assert departure.nonzero()[:, 0].tolist() == [jump - 1, jump]
    assert departure[[jump - 1, jump]].tolist() == pytest.approx([5, 5])


def test_the_valley_between_two_ridges_is_seen_from_the_thirds_and_from_nowhere_else() -> None:
    density = GaussianMixture(torch.stack([vector(-2, 0), vector(2, 0)]), 1.6 * HALVES, HALVES)
    x = torch.stack([vector(-2, 0), vector(2, 0), vector(2.5, 0)])
    half = (x[:-1] + x[1:]) / 2
    wanted = torch.stack([density.log_prob(half), density.log_prob(x[1:])], dim=1) - density.log_prob(x[:-1])[:, None]
    fine = log_density_changes(x, density(x, x[:, 0]), FLAT, between(density, x))
    coarse = log_density_changes(x, density(x, x[:, 0]), FLAT)
    assert torch.allclose(fine[1], wanted[1], atol=1e-3)
    assert float(fine[0, 0]) == pytest.approx(float(wanted[0, 0]), abs=1)
    assert float(fine[0, 1]) == pytest.approx(0, abs=1e-9)
    assert float(wanted[0, 0]) < -2
    assert float(coarse[0].abs().max()) < 0.1


def test_repeated_points_are_dropped_and_everything_else_is_kept() -> None:
    x = vector(0, 0, 1, 2, 2, 2, 1, 1 + 1e-9, 0)[:, None] * vector(1, 1)
    assert moving(x, FLAT).tolist() == [0, 2, 3, 6, 8]
    assert moving(torch.ones(5, 2), FLAT).tolist() == [0]


@pytest.mark.parametrize("held", [1, 2, 3])
def test_held_frames_with_a_codecs_noise_are_joined_also_where_most_are_held(held: int) -> None:
    way = torch.cat([torch.arange(9), torch.arange(7, -1, -1)]).double().repeat_interleave(held)
    x = way[:, None] * vector(1, 1) + 0.02 * normal(len(way), 2)
    assert moving(x, FLAT).tolist() == list(range(0, len(way), held))
    eased = torch.sin(torch.linspace(-1, 1, 17, dtype=torch.float64) * torch.pi / 2)[:, None] * vector(1, 1)
    assert moving(eased, FLAT).tolist() == list(range(17)), "the slow ends of an eased motion are steps"


def test_roughness_is_1_for_a_line_a_half_for_a_walk_and_0_for_noise() -> None:
    steps = normal(400, 60)
    assert roughness(torch.linspace(0, 1, 50)[:, None] * vector(1, 3)) == pytest.approx(1)
    assert roughness(steps.cumsum(0)) == pytest.approx(0.5, abs=0.02)
    assert roughness(steps) == pytest.approx(0, abs=0.02)
    assert roughness(torch.ones(4, 2)) == 1


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(GeometryError, match="three points"):
        unweighted(normal(2, 3))
    with pytest.raises(GeometryError, match="must differ"):
        unweighted(torch.ones(4, 2, dtype=torch.float64))
