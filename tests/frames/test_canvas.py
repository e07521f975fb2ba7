"""Images of any size come back at their own size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import Canvas, fit, read_images
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.settings.shared import ground_of
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
    quick = {"model": model, "method": "slerp", "frames": 3, "steps": 3, "pacing": "path", "force": True}
    made = interpolate(rows, rows.flip(1), size="same", **quick)
    assert made.frames.shape == (3, 3, 50, 76)
    asked = interpolate(rows, rows.flip(1), size="61x45", **quick)
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


@pytest.mark.parametrize(
    ("sizes", "size", "frame", "seen"),
    [
        ([(300, 200), (150, 100)], "64", (64, 43), (64, 64)),  # no bars: the images' own area comes back
        ([(200, 300), (200, 300)], "64", (43, 64), (64, 64)),
        ([(300, 200), (200, 300)], "64", (64, 64), (64, 64)),  # each has bars where the other has none
        ([(300, 200), (64, 64)], "80x40", (60, 40), (80, 40)),
        ([(300, 200), (3000, 2000)], None, (72, 48), (72, 48)),
        ([(40, 20), (40, 20)], "61x61", (61, 30), (64, 64)),  # the model's step is added, and cropped again
    ],
)
def test_whole_images_come_back_without_the_ground_around_them(
    model: LatentDiffusion, sizes: list[tuple[int, int]], size: str | None, frame: tuple[int, int],
    seen: tuple[int, int],
) -> None:  # fmt: skip
    said, green = Said(), (0.0, 1.0, 0.0)
    given = [torch.full((3, height, width), 0.25) for width, height in sizes]
    names = [f"{k}.png" for k in range(len(sizes))]
    images, canvas = fit(given, names, size, model, said, alike=True, whole_on=green)
    assert (canvas.width, canvas.height) == frame and canvas.padded[::-1] == seen
    assert images.shape == (len(sizes), 3, frame[1], frame[0])
    assert not any("cut off" in line for line in said.warnings)
    shown = canvas.pad(images)
    assert shown.shape[2:] == canvas.padded and torch.equal(canvas.crop(shown), images)
    ground = torch.tensor(green)[:, None, None]
    for (w, h), image, whole in zip(sizes, images, shown, strict=True):
        at = [max(1, round(side * min(canvas.around[0] / h, canvas.around[1] / w))) for side in (h, w)]
        count = ((image - 0.25).abs() < 1e-4).all(0).sum()
        assert count == at[0] * at[1]
        assert bool((((whole - 0.25).abs() < 1e-4).all(0) | ((whole - ground).abs() < 1e-4).all(0)).all())
    bars = [name for name in names if any(line.startswith(f"{name} is ") for line in said.warnings)]
    assert len(bars) == sum((round(w * canvas.around[0] / h) < frame[0]) or (round(h * canvas.around[1] / w) < frame[1])
                            for w, h in sizes if (w * frame[1] != h * frame[0]))  # fmt: skip


def test_frames_of_whole_images_have_their_shape(model: LatentDiffusion) -> None:
    rows = torch.linspace(0.2, 0.9, 40)[None, :, None].expand(3, 40, 60)
    quick = {"frames": 3, "nodes": 7, "steps": 3, "pacing": "path", "method": "slerp", "force": True}
    made = interpolate(rows, rows.flip(1), model=model, size="64", fit="pad", background="#808080", **quick)
    assert made.frames.shape == (3, 3, 43, 64)
    assert bool((made.frames[0, 0, 2] < made.frames[0, 0, -3]).all())  # the picture, not the ground


@pytest.mark.parametrize(("text", "colour"), [("white", (1, 1, 1)), ("Black", (0, 0, 0)), ("#20a0ff", (32, 160, 255)),
                                              ("20A0FF", (32, 160, 255)), ("#0f0", (0, 255, 0))])  # fmt: skip
def test_a_background_is_a_word_or_digits(text: str, colour: tuple[int, ...]) -> None:
    assert ground_of(text) == pytest.approx([part / max(1, max(colour)) for part in colour])


@pytest.mark.parametrize("text", ["", "red", "#20a0f", "#20a0ff80", "rgb(1,2,3)", "#gggggg"])
def test_a_background_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--background takes white, black or a colour such as #20a0ff; got"):
        InterpolateSettings(images=("a", "b"), background=text)


def test_what_is_transparent_is_seen_on_the_background(model: LatentDiffusion, tmp_path: Path) -> None:
    for name, level in (("a.png", 60), ("b.png", 90)):
        image = Image.new("RGBA", (64, 64), (level, level, level, 255))
        image.paste((0, 0, 0, 0), (0, 0, 64, 32))
        image.save(tmp_path / name)
    files = (tmp_path / "a.png", tmp_path / "b.png")
    quick = {"frames": 2, "nodes": 7, "steps": 3, "pacing": "path", "method": "slerp", "force": True}
    for background, bright in (("white", True), ("black", False)):
        made = interpolate(*files, model=model, background=background, **quick)
        assert (float(made.frames[:, :, :20].mean()) > 0.6) is bright


@pytest.mark.slow
def test_a_large_file_is_kept_reduced_and_spoken_of_by_its_own_size(model: LatentDiffusion, tmp_path: Path) -> None:
    wide = np.linspace(0, 255, 6200).astype(np.uint8)[None].repeat(4200, 0)
    for name, more in (("a.jpg", {"quality": 95}), ("b.png", {"compress_level": 1}), ("c.tif", {})):
        Image.fromarray(wide).save(tmp_path / name, **more)
        exact = media.resize(media.read_image(tmp_path / name), 64, 64)
        (still,) = read_images([tmp_path / name], Silent())
        assert still.shape == (3, 4200, 6200) and still.pixels.shape == (3, 2100, 3100)
        assert still.pixels.dtype == torch.uint8
        said = Said()
        images, _ = fit([still], [name], None, model, said)
        assert (images[0] - exact).abs().max() < 1.5 / 255
        assert f"{name} is 6200x4200; its middle is used at 64x64, and 32% of it is cut off." in said.warnings[0]
        (whole,) = read_images([tmp_path / name], Silent(), "same")
        assert whole.pixels.shape == (3, 4200, 6200)
    (large,) = read_images([tmp_path / "b.png"], Silent(), "2000")
    assert large.pixels.shape == (3, 4200, 6200)


def test_a_folder_of_two_photographs_of_different_size_is_interpolated(model: LatentDiffusion, tmp_path: Path) -> None:
    media.write_png(torch.full((3, 20, 30), 0.2), tmp_path / "a.png")
    media.write_png(torch.full((3, 80, 120), 0.8), tmp_path / "b.png")
    made = interpolate(tmp_path, model=model, frames=3, nodes=7, steps=3, pacing="path", method="slerp")
    assert made.frames.shape == (3, 3, 48, 72)
