"""Images of any size come back at their own size."""

import pytest
import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import Canvas, fit
from geodesic_cli.runs.observer import Silent
from geodesic_cli.verbs.interpolate.run import interpolate


@pytest.mark.parametrize("size", [(64, 64), (57, 70), (8, 9)])
def test_what_is_padded_is_cropped_again(size: tuple[int, int]) -> None:
    canvas = Canvas(*size, step=8)
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    padded = canvas.pad(image)
    assert padded.shape[2] % 8 == 0
    assert padded.shape[3] % 8 == 0
    assert torch.equal(canvas.crop(padded), image)


def test_frames_have_the_images_own_size_whatever_it_is(model: LatentDiffusion) -> None:
    rows = torch.linspace(0.2, 0.9, 50)[None, :, None].expand(3, 50, 76)
    made = interpolate(rows, rows.flip(1), model=model, frames=3, nodes=7, steps=3, pacing="path", size="same")
    assert made.frames.shape == (3, 3, 50, 76)
    asked = interpolate(rows, rows.flip(1), model=model, frames=3, nodes=7, steps=3, pacing="path", size="61x45")
    assert asked.frames.shape == (3, 3, 45, 61)


def test_images_of_two_sizes_are_refused_by_same(model: LatentDiffusion) -> None:
    with pytest.raises(InputError, match="64x64"):
        fit([torch.zeros(3, 64, 64), torch.zeros(3, 64, 80)], ["a", "b"], "same", model, Silent(), alike=True)
