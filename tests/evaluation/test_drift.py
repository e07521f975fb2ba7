"""Colours that move drift nowhere, colours that change do, and what changed before goes on without being a drift."""

import pytest
import torch
from torch import Tensor

from geodesic_cli.evaluation.drift import colour_drift
from geodesic_cli.scenes import Scene, Solid, render


def ball(colour: str = "red", x: float = 0.0, size: float = 0.7, pixels: int = 64) -> Tensor:
    return render([Scene((Solid("sphere", colour, x=x, size=size),))], size=pixels)[0]


NONE = torch.empty(0, 3, 64, 64)


def test_a_thing_that_moves_keeps_its_colours_and_one_that_changes_them_does_not() -> None:
    moved, green = colour_drift(torch.stack([ball(x=0.8), ball("green")]), ball(x=-0.8), NONE).tolist()
    assert moved < 0.05 < 0.5 < green


def test_the_unit_is_that_of_the_picture_and_no_size_matters() -> None:
    reference, other = ball(), ball("green")
    whole = float(colour_drift(other[None], reference, NONE))
    gray = reference.mean(0, keepdim=True)
    pale = [0.5 * one + 0.5 * gray for one in (reference, other)]
    assert float(colour_drift(pale[1][None], pale[0], NONE)) == pytest.approx(whole, rel=0.1)
    large = float(colour_drift(ball("green", pixels=96)[None], ball(pixels=96), NONE))
    assert large == pytest.approx(whole, rel=0.05)


def test_what_the_known_frames_change_goes_on() -> None:
    u = torch.arange(8)[:, None, None, None] / 16
    fading = torch.lerp(ball("red"), ball("green"), u)
    assert colour_drift(fading[4:], fading[3], fading[:3]).max() < 0.05
    assert colour_drift(fading[4:], fading[3], NONE)[-1] > 0.25
    assert colour_drift(fading[6:7], fading[3], fading[:3], 3) == colour_drift(fading[4:7], fading[3], fading[:3])[2]


def test_gray_pictures_have_a_unit_and_no_frames_no_drift() -> None:
    gray = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1)
    assert float(colour_drift(gray.flip(1)[None], gray, NONE)) == 0
    assert 0 < float(colour_drift((gray + torch.tensor([0.002, 0, 0])[:, None, None])[None], gray, NONE)) < 0.25
    assert len(colour_drift(NONE, ball(), NONE)) == 0
