"""Any two photographs go together, sizes, shapes and formats mixed, with one true line for each that loses some."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pipelines import SD1, build

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.errors import InputError
from geodesic_cli.verbs.interpolate.run import interpolate
from helpers import Recorder

QUICK = {"frames": 3, "steps": 2, "nodes": 5, "pacing": "path", "method": "slerp"}
PAIRS = [
    ("a.jpg", (90, 60), "b.png", (50, 160)),
    ("a.webp", (61, 64), "b.tif", (640, 43)),
    ("sideways.jpg", (80, 50), "clear.png", (33, 33)),
    ("inks.jpg", (40, 90), "deep.png", (700, 500)),
    ("gray.jp2", (64, 64), "palette.gif", (200, 300)),
]


def photograph(path: Path, width: int, height: int) -> Path:
    """Something with edges, shades and noise, which no model of a solid on a table draws."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    noise = np.random.default_rng(width).normal(0, 0.08, (height, width, 3))
    waves = np.stack([np.sin(23 * x + 9 * y), np.sign(np.sin(31 * y - 7 * x)), np.cos(40 * x * y)], -1)
    image = Image.fromarray((255 * (0.5 + 0.4 * waves + noise).clip(0, 1)).astype(np.uint8))
    exif = Image.Exif()
    if path.stem == "sideways":
        exif[0x0112] = 6
    if path.stem == "clear":
        image.putalpha(image.convert("L"))
    if path.stem == "deep":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    mode = {"inks": "CMYK", "gray": "L", "palette": "P"}.get(path.stem)
    (image.convert(mode) if mode else image).save(path, **({"exif": exif} if path.suffix == ".jpg" else {}))
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LatentDiffusion:
    """A Stable Diffusion of a few kilobytes, with random weights."""
    return load(str(build(SD1, tmp_path_factory.mktemp("tiny"))), device="cpu")


@pytest.mark.parametrize(("first", "size", "second", "other"), PAIRS)
def test_any_two_photographs_are_interpolated(
    tmp_path: Path, tiny: LatentDiffusion, model: LatentDiffusion, first: str, size: tuple[int, int], second: str,
    other: tuple[int, int],
) -> None:  # fmt: skip
    files = photograph(tmp_path / first, *size), photograph(tmp_path / second, *other)
    for one, how in ((tiny, {}), (model, {"force": True}), (tiny, {"fit": "pad"})):
        watch = Recorder()
        made = interpolate(*files, model=one, observer=watch, **QUICK, **how)
        height, width = made.frames.shape[2:]
        assert len(made.frames) == 3 and bool(made.frames.isfinite().all())
        for path, (w, h) in zip(files, (size, other), strict=True):
            w, h = (h, w) if path.stem == "sideways" else (w, h)
            lost = 1 - min(w * height / (h * width), h * width / (w * height))
            lines = [line for line in watch.warnings if line.startswith(f"{path} is {w}x{h};")]
            if "fit" in how:
                assert len(lines) <= 1 and not any("cut off" in line for line in watch.warnings)
            else:
                assert len(lines) == (lost > 0.01)
                assert all(f"at {width}x{height}, and {100 * lost:.0f}% of it is cut off" in line for line in lines)
    with pytest.raises(InputError, match=r"is not a picture that clevr-mini can draw.*--model sd15.*--force"):
        interpolate(*files, model=model, **QUICK)


def sample_pictures() -> list[Image.Image]:
    """The photographs and drawings that come with matplotlib and scikit-learn."""
    from matplotlib import cbook
    from sklearn.datasets import load_sample_images

    files = [cbook.get_sample_data(name, asfileobj=False) for name in ("grace_hopper.jpg", "logo2.png")]
    files.append(cbook.get_sample_data("Minduka_Present_Blue_Pack.png", asfileobj=False))
    return [*(Image.open(file) for file in files), *map(Image.fromarray, load_sample_images().images)]


@pytest.mark.slow
def test_twenty_pairs_of_sample_pictures_run_with_any_model(
    tmp_path: Path, tiny: LatentDiffusion, model: LatentDiffusion
) -> None:
    chance, pictures = random.Random(20), sample_pictures()
    suffixes = ("jpg", "png", "webp", "tif", "gif", "bmp", "jp2")
    for k in range(20):
        files = []
        for name, picture in zip("ab", chance.sample(pictures, 2), strict=True):
            width, height = (max(24, round(side * chance.uniform(0.2, 1))) for side in picture.size)
            left, top = picture.width - width, picture.height - height
            part = picture.crop((left, top, left + width, top + height))
            files.append(tmp_path / f"{name}{k}.{suffixes[chance.randrange(len(suffixes))]}")
            part.convert("RGBA" if files[-1].suffix in (".png", ".webp", ".tif") else "RGB").save(files[-1])
        for one, how in ((tiny, {}), (model, {"force": True})):
            made = interpolate(*files, model=one, **QUICK, **how)
            assert len(made.frames) == 3 and bool(made.frames.isfinite().all())


def test_images_go_through_the_autoencoder_once(
    model: LatentDiffusion, pair: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    decoded: list[int] = []
    encode, decode = LatentDiffusion.encode, LatentDiffusion.decode

    def counted_in(self: LatentDiffusion, images: torch.Tensor) -> torch.Tensor:
        encoded.append(len(images))
        return encode(self, images)

    def counted_out(self: LatentDiffusion, z: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
        decoded.append(len(z))
        return decode(self, z, shape)

    monkeypatch.setattr(LatentDiffusion, "encode", counted_in)
    monkeypatch.setattr(LatentDiffusion, "decode", counted_out)
    whole = interpolate(*pair, model=model, **QUICK)
    seen = sum(encoded), sum(decoded)
    encoded.clear(), decoded.clear()
    forced = interpolate(*pair, model=model, **QUICK, force=True)  # asks for no likeness before it begins
    assert seen == (sum(encoded), sum(decoded))
    assert seen[0] == 2
    assert torch.equal(whole.frames, forced.frames)
