import math

import pytest
import torch

from geodesic_cli.geometry import Curve, DensityMetric, Sphere, analyse
from geodesic_cli.geometry.toys import GaussianMixture, HalfSpace
from helpers import CountingScore, normal, vector

MIXTURE = GaussianMixture(normal(4, 3), vector(0.6, 0.8, 1.0, 1.3), vector(1, 2, 3, 4))


def half_circle(k: int) -> Curve:
    phase = torch.linspace(0.4, 2.5, k, dtype=torch.float64)
    return Curve(torch.stack([phase.cos(), phase.sin()], dim=1))


def test_on_a_geodesic_the_two_terms_are_equal_and_opposite():
    report = analyse(DensityMetric(HalfSpace(0.5), 0.5), half_circle(129))
    inner = slice(1, -1)
    torch.testing.assert_close(report.score_term[inner], report.curvature_term[inner], rtol=1e-3, atol=0)
    assert float((report.angle[inner] - math.pi).abs().max()) < 1e-3
    assert float((report.residual / report.score_term)[inner].max()) < 1e-3
    assert report.relative_residual < 1e-3


def test_a_perturbed_geodesic_has_a_larger_residual():
    metric, curve = DensityMetric(HalfSpace(0.5), 0.5), half_circle(65)
    wave = 0.01 * torch.sin(6 * math.pi * curve.u)[:, None] * vector(0.3, 1)
    assert analyse(metric, Curve(curve.x + wave)).relative_residual > 30 * analyse(metric, curve).relative_residual


def test_a_report_costs_one_batch():
    counting = CountingScore(MIXTURE)
    analyse(DensityMetric(counting, 0.5), Curve(normal(7, 3)))
    assert counting.batches == [7]


def test_a_report_agrees_with_the_metric():
    sphere = Sphere(1.3)
    curve = Curve.through(sphere.project(normal(2, 3)), sphere, nodes=14)
    metric = DensityMetric(MIXTURE, 0.5, sphere)
    report, terms = analyse(metric, curve), metric.residual(curve)
    assert torch.equal(report.u, curve.u)
    assert torch.equal(report.speed, curve.speed)
    assert torch.equal(report.log_density, metric.log_density(curve))
    assert report.relative_residual == terms.relative
    assert report.log_length == float(metric.log_length(curve))
    assert report.length == pytest.approx(float(metric.length(curve)))
    assert report.euclidean_length == pytest.approx(float(curve.length))
    torch.testing.assert_close(report.residual, terms.vectors.norm(dim=1))
    assert report.bending == pytest.approx(report.euclidean_length * float(report.score_term.median()))


def test_the_mean_log_density_is_taken_over_arc_length():
    metric = DensityMetric(lambda x, u: vector(2.0, 0).expand_as(x), 1.0)
    uneven = Curve(torch.stack([vector(0, 0.5, 3), vector(0, 0, 0)], dim=1))
    report = analyse(metric, uneven)
    torch.testing.assert_close(report.log_density, vector(0, 1, 6))
    assert report.mean_log_density == pytest.approx(3.0)
    assert report.min_log_density == 0


def test_an_enormous_length_is_reported_as_infinite_with_its_logarithm():
    metric = DensityMetric(lambda x, u: vector(-1e4, 0).expand_as(x), 1.0)
    report = analyse(metric, Curve.straight(vector(0, 0), vector(1, 0), 5))
    assert report.length == math.inf
    assert 9_000 < report.log_length < 10_000
