import pytest
import torch
from torch import Tensor

from geodesic_cli.distortion.measures import top_directions
from geodesic_cli.distortion.roughness import ANGLE, derivative_held
from helpers import normal


def test_a_straight_map_keeps_its_derivative() -> None:
    x, matrix = normal(1, 9), normal(9, 12, seed=2)
    direction = top_directions(lambda y: y @ matrix, x, 1, torch.Generator().manual_seed(0))[1][0]
    assert derivative_held(lambda y: y @ matrix, x, direction) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("width", [1e-3, 1e-2, 1.0])
def test_what_is_left_of_a_step_is_known(width: float) -> None:
    x = torch.zeros(1, 5, dtype=torch.float64)
    x[0, 0] = 2.0
    across = torch.zeros(5, dtype=torch.float64)
    across[1] = 1.0

    def step(y: Tensor) -> Tensor:
        return torch.tanh(y[:, 1:2] / width)

    far = 2 * torch.sin(torch.tensor(ANGLE, dtype=torch.float64))
    expected = float(torch.tanh(far / width) / (far / width))
    assert derivative_held(step, x, across) == pytest.approx(expected, rel=1e-6)


def test_a_map_that_does_not_change_keeps_nothing() -> None:
    x = normal(1, 4)
    assert derivative_held(lambda y: y * 0, x, normal(4, seed=1)) == 0
