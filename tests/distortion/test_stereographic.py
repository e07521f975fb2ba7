import pytest
import torch

from geodesic_cli.distortion import stereographic
from helpers import chart_metric, from_chart, normal


@pytest.mark.parametrize("radius", [1.0, 3.0])
def test_the_metric_of_the_chart_is_its_own_and_conformal(radius: float) -> None:
    z = normal(1, 6)
    j = torch.autograd.functional.jacobian(lambda c: from_chart(c[None], radius)[0], z[0])
    expected = chart_metric(z, radius) * torch.eye(6, dtype=torch.float64)
    assert torch.allclose(j.T @ j, expected, atol=1e-12)


def test_the_frame_is_the_direction_of_the_coordinate_lines() -> None:
    z = normal(1, 6)
    x = from_chart(z, 2.0)
    j = torch.autograd.functional.jacobian(lambda c: from_chart(c[None], 2.0)[0], z[0])
    unit = j.T / chart_metric(z, 2.0).sqrt()
    frame = stereographic.frame(x[0], torch.eye(6, dtype=torch.float64))
    assert torch.allclose(frame, unit, atol=1e-12)
    assert float((frame @ x[0]).abs().max()) < 1e-12


def test_at_the_pole_itself_the_frame_is_the_standard_one() -> None:
    pole = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64)
    assert torch.equal(stereographic.frame(pole, torch.eye(2, dtype=torch.float64)), torch.eye(3).double()[:2])
