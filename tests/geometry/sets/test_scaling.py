"""Classical multidimensional scaling."""

import math

import torch

from geodesic_cli.geometry.sets.scaling import classical_scaling
from helpers import normal


def test_points_in_the_plane_are_found_again_up_to_a_motion():
    points = normal(9, 2) @ normal(2, 7, seed=1)
    found, share = classical_scaling(torch.cdist(points, points))
    torch.testing.assert_close(torch.cdist(found, found), torch.cdist(points, points), rtol=1e-8, atol=1e-8)
    assert abs(share - 1) < 1e-9


def test_the_share_is_what_two_of_three_dimensions_hold():
    corners = torch.tensor([[x, y, z] for x in (-3, 3) for y in (-2, 2) for z in (-1, 1)], dtype=torch.float64)
    found, share = classical_scaling(torch.cdist(corners, corners))
    assert abs(share - 13 / 14) < 1e-9
    assert found.shape == (8, 2)


def test_distances_along_a_line_need_one_axis_and_keep_their_order():
    place = torch.arange(6, dtype=torch.float64)
    found, share = classical_scaling((place[:, None] - place).abs())
    assert abs(share - 1) < 1e-9
    assert float(found[:, 1].abs().max()) < 1e-6
    assert bool((found[:, 0].diff() > 0).all() | (found[:, 0].diff() < 0).all())


def test_one_place_for_all_is_no_distance_lost():
    found, share = classical_scaling(torch.zeros(3, 3))
    assert found.tolist() == [[0, 0]] * 3
    assert share == 1
    assert math.isfinite(share)
    assert classical_scaling(torch.zeros(1, 1))[0].shape == (1, 2)
