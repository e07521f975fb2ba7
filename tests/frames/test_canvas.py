"""Images of any size come back at their own size."""

from pathlib import Path

import pytest
import torch

from geodesic_cli import media
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


class Said(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def blank(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    """Images of these widths and heights."""
    return [torch.zeros(3, height, width) for width, height in sizes]


@pytest.mark.parametrize(
    ("sizes", "width", "height"),
    [
        ([(64, 64), (64, 64)], 64, 64),
        ([(500, 503), (64, 64)], 64, 64),
        ([(200, 80), (80, 200)], 64, 64),  # a wide one and a tall one meet in the square
        ([(300, 200), (3000, 2000)], 72, 48),
        ([(200, 300), (2000, 3000)], 48, 72),
        ([(1600, 900), (1600, 900), (900, 1600)], 88, 48),  # the one that is unlike the others gives way
        ([(4000, 100), (4000, 100)], 400, 8),
    ],
)
def test_without_a_size_frames_have_the_common_shape_of_the_images_at_the_area_of_the_model(
    model: LatentDiffusion, sizes: list[tuple[int, int]], width: int, height: int
) -> None:
    said = Said()
    images, canvas = fit(blank(*sizes), [f"{k}.png" for k in range(len(sizes))], None, model, said, alike=True)
    assert (canvas.width, canvas.height) == (width, height) == canvas.padded[::-1]
    assert images.shape == (len(sizes), 3, height, width)
    if (width, height) != (64, 64):
        assert f"{width}x{height}, the images' common shape" in said.warnings[0]


def test_what_is_cut_off_is_said_of_each_size(model: LatentDiffusion) -> None:
    said = Said()
    fit(blank((200, 80), (80, 200), (80, 200), (70, 70)), ["a", "b", "c", "d"], None, model, said, alike=True)
    about = [line for line in said.warnings if "cut off" in line]
    assert [line.partition(";")[0] for line in about] == ["a is 200x80", "b (and 1 more) is 80x200", "d is 70x70"]
    shares = [float(line.partition("% of it")[0].rpartition(" ")[2]) for line in about]
    canvas = Canvas.of_shape(model, blank((200, 80), (80, 200), (80, 200), (70, 70)))
    aspect = canvas.width / canvas.height
    assert shares == pytest.approx([100 * (1 - aspect / 2.5), 100 * (1 - 0.4 / aspect), 100 * (1 - aspect)], abs=0.6)


def test_native_is_the_models_own_size_and_other_verbs_keep_it(model: LatentDiffusion) -> None:
    for size, alike in (("native", True), (None, False)):
        said = Said()
        images, _ = fit(blank((300, 200), (30, 20)), ["a", "b"], size, model, said, alike=alike)
        assert images.shape == (2, 3, 64, 64)
        assert len(said.warnings) == 2 and all("its middle is used at 64x64, and 33%" in line for line in said.warnings)


def test_a_folder_of_two_photographs_of_different_size_is_interpolated(model: LatentDiffusion, tmp_path: Path) -> None:
    media.write_png(torch.full((3, 20, 30), 0.2), tmp_path / "a.png")
    media.write_png(torch.full((3, 80, 120), 0.8), tmp_path / "b.png")
    made = interpolate(tmp_path, model=model, frames=3, nodes=7, steps=3, pacing="path", method="slerp")
    assert made.frames.shape == (3, 3, 48, 72)
