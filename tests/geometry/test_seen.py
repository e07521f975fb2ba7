"""A score that remembers: the same values, and every point paid for once."""

import torch

from geodesic_cli.geometry import Blend
from geodesic_cli.geometry.seen import Remembered
from geodesic_cli.geometry.toys import Radial
from helpers import CountingScore, normal


def test_the_values_are_those_of_the_score_in_the_order_asked_for():
    x = normal(6, 3)
    u = torch.zeros(6, dtype=torch.float64)
    score = Remembered(Radial(1.0))
    score(x[[1, 4]], u[[1, 4]])
    assert torch.equal(score(x, u), Radial(1.0)(x, u))
    assert torch.equal(score(x.flip(0), u), Radial(1.0)(x.flip(0), u))


def test_a_point_is_asked_for_once_even_within_a_batch():
    counting = CountingScore(Radial(1.0))
    score, x = Remembered(counting), normal(4, 3)
    u = torch.zeros(4, dtype=torch.float64)
    score(torch.cat([x, x[:2]]), torch.zeros(6, dtype=torch.float64))
    score(x, u)
    assert score.calls == counting.points == 4


def test_the_position_tells_points_apart_only_where_the_density_varies():
    x = normal(3, 2)
    start, end = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    varying, still = (Remembered(Blend(Radial(1.0), Radial(2.0)), varying=varying) for varying in (True, False))
    assert not torch.equal(varying(x, start), varying(x, end))
    assert varying.calls == 6
    still(x, start)
    still(x, end)
    assert still.calls == 3


def test_what_is_known_from_elsewhere_is_not_asked_for():
    x, u = normal(3, 2), torch.zeros(3, dtype=torch.float64)
    score = Remembered(Radial(1.0))
    score.learn(x, u, Radial(1.0)(x, u))
    assert torch.equal(score.seen(x, u).scores, Radial(1.0)(x, u))
    assert score.calls == 0


def test_no_points_have_no_scores():
    nothing = normal(3, 2)[:0]
    assert Remembered(Radial(1.0))(nothing, nothing[:, 0]).shape == (0, 2)
