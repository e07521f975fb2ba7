"""What moves or turns drifts nowhere, what changes its colour or melts does, and a change that goes on is no drift."""

import pytest
import torch
from torch import Tensor

from geodesic_cli.evaluation.drift import colour_drift, shape_drift
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


def cube(x: float = 0.0, rotation: float = 0.3, pixels: int = 64) -> Tensor:
    return render([Scene((Solid("cube", "blue", x=x, size=0.8, rotation=rotation),))], size=pixels)[0]


def melted(picture: Tensor, pixels: int) -> Tensor:
    """The picture as an average of itself moved about."""
    return torch.stack([picture.roll((k, k // 2), (1, 2)) for k in range(-pixels, pixels + 1)]).mean(0)


def test_a_shape_that_moves_or_turns_is_itself_and_one_that_melts_is_not() -> None:
    frames = torch.stack([cube(x=0.7), cube(rotation=1.0), melted(cube(), 8), (cube(x=-0.6) + cube(x=0.6)) / 2])
    moved, turned, soft, double = shape_drift(frames, cube(), NONE).tolist()
    assert moved < 0.15 and turned < 0.25
    assert soft > 0.25 and double > 0.25
    colours = colour_drift(frames, cube(), NONE).tolist()
    assert max(colours[:3]) < 0.25  # which colours alone did not see


def test_the_size_of_a_picture_changes_nothing_in_its_shapes_and_what_melts_already_goes_on() -> None:
    small = float(shape_drift(melted(cube(), 8)[None], cube(), NONE))
    large = float(shape_drift(melted(cube(pixels=128), 16)[None], cube(pixels=128), NONE))
    assert large == pytest.approx(small, rel=0.25)
    melting = torch.stack([cube().lerp(melted(cube(), 8), k / 12) for k in range(8)])
    assert shape_drift(melting[4:], melting[3], melting[:3]).max() < 0.1
    assert float(shape_drift(melting[4:5], melting[3], NONE)) > 0
    flat = torch.full((3, 64, 64), 0.5)
    assert float(shape_drift(flat[None], flat, NONE)) == 0 and len(shape_drift(NONE, flat, NONE)) == 0
