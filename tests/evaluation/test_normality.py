"""Noise is told from what is left of an image."""

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import normality, why_not_noise
from helpers import normal

SHAPE = (4, 32, 32)


def test_noise_lies_within_four_of_its_own_standard_deviations() -> None:
    for found in normality(normal(5, 4096), SHAPE):
        norm, mean, kurtosis, neighbours = found.chance
        assert abs(found.norm - 1) < 4 * norm
        assert abs(found.mean) < 4 * mean
        assert abs(found.kurtosis) < 4 * kurtosis
        assert abs(found.neighbours) < 4 * neighbours


def test_the_deviations_of_chance_are_what_many_draws_show() -> None:
    many = normality(normal(300, 4096), SHAPE)
    for index, name in enumerate(("norm", "mean", "kurtosis", "neighbours")):
        spread = torch.tensor([getattr(one, name) for one in many]).std()
        assert float(spread) == pytest.approx(many[0].chance[index], rel=0.2)


def test_smooth_maps_have_correlated_neighbours_and_heavy_tails_have_kurtosis() -> None:
    noise = normal(1, *SHAPE)
    smooth = (noise + noise.roll(1, -1)) / 2**0.5
    assert normality(smooth.flatten(1), SHAPE)[0].neighbours == pytest.approx(0.25, abs=0.03)  # 0.5 across, 0 down
    assert normality((noise**3).flatten(1), SHAPE)[0].kurtosis > 10
    assert normality(2 * noise.flatten(1), SHAPE)[0].norm == pytest.approx(2, abs=0.1)


def test_points_that_are_no_such_maps_are_refused() -> None:
    with pytest.raises(InputError, match="4096"):
        normality(normal(1, 100), SHAPE)


def test_what_is_plainly_no_noise_is_said_and_noise_is_left_alone() -> None:
    assert not any(why_not_noise(found) for found in normality(normal(200, 256), (4, 8, 8)))
    noise = normal(1, *SHAPE)
    smooth = (noise + noise.roll(1, -1)) / 2**0.5
    assert "neighbouring entries correlate by 0.2" in why_not_noise(normality(smooth.flatten(1), SHAPE)[0])
    assert "kurtosis is" in why_not_noise(normality((noise * (1 + noise**2)).flatten(1), SHAPE)[0])
    assert why_not_noise(normality(0.8 * noise.flatten(1), SHAPE)[0]).startswith("its norm is 0.8")
