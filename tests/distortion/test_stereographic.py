import pytest
import torch

from geodesic_cli.distortion import stereographic
from geodesic_cli.geometry import linalg
from helpers import normal


@pytest.mark.parametrize("radius", [1.0, 3.0])
def test_the_chart_and_its_inverse_undo_each_other_on_the_sphere(radius: float) -> None:
    z = normal(5, 6)
    x = stereographic.from_chart(z, radius)
    assert torch.allclose(linalg.norm(x), torch.full((5, 1), radius, dtype=torch.float64))
    assert torch.allclose(stereographic.to_chart(x, radius), z)


@pytest.mark.parametrize("radius", [1.0, 3.0])
def test_the_metric_of_the_chart_is_its_own_and_conformal(radius: float) -> None:
    z = normal(1, 6)
    j = torch.autograd.functional.jacobian(lambda c: stereographic.from_chart(c[None], radius)[0], z[0])
    expected = stereographic.metric(z, radius) * torch.eye(6, dtype=torch.float64)
    assert torch.allclose(j.T @ j, expected, atol=1e-12)


def test_the_frame_is_the_direction_of_the_coordinate_lines() -> None:
    z = normal(1, 6)
    x = stereographic.from_chart(z, 2.0)
    j = torch.autograd.functional.jacobian(lambda c: stereographic.from_chart(c[None], 2.0)[0], z[0])
    unit = j.T / stereographic.metric(z, 2.0).sqrt()
    frame = stereographic.frame(x[0], torch.eye(6, dtype=torch.float64))
    assert torch.allclose(frame, unit, atol=1e-12)
    assert float((frame @ x[0]).abs().max()) < 1e-12


def test_at_the_pole_itself_the_frame_is_the_standard_one() -> None:
    pole = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64)
    assert torch.equal(stereographic.frame(pole, torch.eye(2, dtype=torch.float64)), torch.eye(3).double()[:2])
