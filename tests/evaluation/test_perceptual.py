"""The substitute distance: a distance at all, locally quadratic, blind to nothing that SSIM sees."""

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import Pyramid
from geodesic_cli.scenes import Scene, Solid, render
from helpers import normal


def scenes(x: float) -> torch.Tensor:
    return render([Scene((Solid("cube", "red", x=x, size=0.7),))], 64).double()


def test_it_is_zero_only_for_equal_images_symmetric_and_at_most_one() -> None:
    a, b = scenes(-0.8), scenes(0.8)
    d = Pyramid()
    assert float(d(a, a)) == pytest.approx(0, abs=1e-12)
    assert float(d(a, b)) == pytest.approx(float(d(b, a)))
    assert 0 < float(d(a, b)) <= 1
    assert float(d(torch.zeros_like(a), torch.ones_like(a))) <= 1


def test_it_grows_as_the_square_of_a_small_change() -> None:
    a, step = scenes(0.0), normal(1, 3, 64, 64)
    d = Pyramid()
    values = [float(d(a, a + eps * step)) / eps**2 for eps in (1e-4, 1e-5)]
    assert values[0] == pytest.approx(values[1], rel=1e-2)
    assert values[0] > 0


def test_a_solid_that_moves_farther_is_farther_away() -> None:
    d = Pyramid()
    apart = [float(d(scenes(0.0), scenes(x))) for x in (0.05, 0.2, 0.6)]
    assert apart == sorted(apart)


def test_scales_end_where_the_window_of_ssim_does() -> None:
    a, b = (images[:, :, ::4, ::4].contiguous() for images in (scenes(-0.5), scenes(0.5)))  # 16 pixels: one scale
    assert float(Pyramid(4)(a, b)) == float(Pyramid(1)(a, b))


def test_it_has_a_gradient() -> None:
    a = scenes(-0.5).requires_grad_()
    Pyramid()(a, scenes(0.5)).sum().backward()
    assert a.grad is not None
    assert float(a.grad.abs().sum()) > 0


def test_no_scale_is_refused() -> None:
    with pytest.raises(InputError, match="one scale"):
        Pyramid(0)
