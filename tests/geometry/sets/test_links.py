"""Links: what a survey remembers, and what it makes of it."""

import math

import pytest
import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import Curve, DensityMetric, Status
from geodesic_cli.geometry.sets.links import LinkSearch, Survey
from geodesic_cli.geometry.toys import HalfSpace
from helpers import CountingScore, normal, vector

HALF = HalfSpace(0.5)


def test_the_second_link_through_a_region_costs_less_than_the_first():
    counting = CountingScore(HALF)
    survey = Survey(DensityMetric(counting, 0.5))
    survey.link(Curve.straight(vector(-1, 0.4), vector(1, 0.6), 17))
    first = counting.points
    survey.link(Curve.straight(vector(-0.95, 0.42), vector(0.97, 0.62), 17))
    assert counting.points - first < first
    assert survey.known == counting.points


def test_a_link_measures_the_distance_from_its_first_end():
    a, b = vector(-1, 0.4), vector(1, 0.6)
    link = Survey(DensityMetric(HALF, 0.5)).link(Curve.straight(a, b, 17))
    assert link.status is Status.CONVERGED
    assert link.log_distance == pytest.approx(math.log(HALF.distance(a, b) * 0.4), abs=0.001)
    assert link.log_density == pytest.approx(2 * math.log(0.6 / 0.4), abs=0.005)
    exact = HALF.geodesic(a, b, torch.linspace(0, 1, 513, dtype=torch.float64))
    torch.testing.assert_close(link.direction, (exact[1] - exact[0]) / (exact[1] - exact[0]).norm(), atol=0.03, rtol=0)


def test_a_score_that_is_known_is_not_asked_for_again():
    one = Survey(DensityMetric(HALF, 0.5))
    guess = Curve.straight(vector(-1, 0.4), vector(1, 0.6), 17)
    link = one.link(guess)
    counting = CountingScore(HALF)
    other = Survey(DensityMetric(counting, 0.5))
    other.learn(one.since(0), guess.x)
    assert other.known == one.known
    other.metric.scores_at(link.curve.x, link.curve.u)
    assert counting.points == 0


def test_another_alpha_keeps_what_is_known():
    counting = CountingScore(HALF)
    survey = Survey(DensityMetric(counting, 1.0))
    line = survey.straight(vector(-1, 0.4), vector(1, 0.6))
    before = counting.points
    survey.take_alpha(0.0)
    assert survey.straight(vector(-1, 0.4), vector(1, 0.6)).log_distance == pytest.approx(math.log(math.hypot(2, 0.2)))
    assert counting.points == before
    assert line.status is not Status.CONVERGED


@pytest.mark.parametrize("nodes", [7, 16])
def test_a_number_of_nodes_that_cannot_be_halved_is_refused(nodes):
    with pytest.raises(GeometryError, match="odd number of nodes"):
        LinkSearch(nodes=nodes)


def test_a_single_score_is_remembered_in_the_precision_of_the_points():
    survey = Survey(DensityMetric(HALF, 0.5))
    points = torch.cat([normal(3, 1), vector(1, 2, 3)[:, None]], dim=1).float()
    assert survey.metric.scores_at(points, points[:, 0]).dtype == torch.float32
    assert survey.since(0).x.dtype == torch.float64
