"""How much memory an image takes: strips, whole factors, bounds; what is shown does not depend on them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.media import decoding, formats, stills

PEAK = """
import sys
from pathlib import Path
from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import Canvas, read_images
from geodesic_cli.runs.observer import Silent
status = Path("/proc/self/status")
def most():
    return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
Canvas(64, 64, 8).fit(read_images([sys.argv[1]], Silent()))
Path("/proc/self/clear_refs").write_text("5")
before = most()
try:
    Canvas(512, 512, 8).fit(read_images([sys.argv[2]], Silent()))
except InputError as error:
    print("refused:", error)
else:
    print(most() - before)
"""


def peak(small: Path, path: Path) -> str:
    """Megabytes that an image takes over those of a small one, or why it is refused."""
    done = subprocess.run([sys.executable, "-c", PEAK, small, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def photograph(width: int, height: int, path: Path, **how: object) -> None:
    array = np.empty((height, width, 3), np.uint8)
    array[..., 0], array[..., 1] = np.arange(width) % 256, (np.arange(height) % 256)[:, None]
    array[..., 2] = array[..., 0] // 2 + array[..., 1] // 2
    Image.fromarray(array).save(path, **how)


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of memory from /proc")


@linux
@pytest.mark.parametrize(("name", "how"), [("a.jpg", {}), ("a.png", {"compress_level": 1})])
def test_a_photograph_of_sixteen_megapixels_takes_less_than_400_megabytes(
    tmp_path: Path, name: str, how: dict[str, object]
) -> None:
    media.write_png(torch.zeros(3, 16, 16), tmp_path / "small.png")
    photograph(4608, 3456, tmp_path / name, **how)
    assert float(peak(tmp_path / "small.png", tmp_path / name)) < 400


@pytest.mark.slow
@linux
@pytest.mark.parametrize("name", ["a.jpg", "p.jpg", "a.png", "a.tif", "a.bmp", "deep.png", "clear.png", "a.webp"])
def test_a_photograph_of_a_hundred_megapixels_takes_less_than_a_gigabyte_or_is_refused(
    tmp_path: Path, name: str
) -> None:
    media.write_png(torch.zeros(3, 16, 16), tmp_path / "small.png")
    path = tmp_path / name
    if name == "deep.png":
        Image.fromarray(np.broadcast_to(np.arange(11_600, dtype=np.uint16), (8640, 11_600)).copy()).save(path)
    elif name == "clear.png":
        Image.new("RGBA", (11_600, 8640), (1, 2, 3, 99)).save(path, compress_level=1)
    else:
        photograph(11_600, 8640, path, **({"progressive": True} if name == "p.jpg" else {}))
    found = peak(tmp_path / "small.png", path)
    assert "million pixels" in found if name == "a.webp" else float(found) < 1000


@linux
def test_a_small_file_does_not_become_gigabytes(tmp_path: Path) -> None:
    media.write_png(torch.zeros(3, 16, 16), tmp_path / "small.png")
    Image.new("1", (13_000, 13_600)).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < 30_000
    assert float(peak(tmp_path / "small.png", tmp_path / "a.png")) < 400


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "LA", "P", "L", "1", "CMYK", "I;16", "F"])
def test_strips_show_what_the_whole_image_shows(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 37, 4), np.uint8)
    path = tmp_path / ("a.tif" if kind in ("CMYK", "F") else "a.png")
    image = {
        "I;16": lambda: Image.fromarray(noise[..., 0].astype(np.uint16) * 257),
        "F": lambda: Image.fromarray(noise[..., 0].astype(np.float32) / 255),
        "CMYK": lambda: Image.fromarray(noise, "CMYK"),
    }.get(kind, lambda: Image.fromarray(noise).convert(kind))()
    image.save(path)
    whole = media.read_still(path)
    monkeypatch.setattr(stills, "STRIP", 37 * 3)
    parts = media.read_still(path)
    assert torch.equal(whole.pixels, parts.pixels)
    assert whole.pixels.dtype == (torch.float32 if kind in ("I;16", "F") else torch.uint8)
    monkeypatch.setattr(decoding, "LARGE", 0)
    reduced = media.read_still(path, enough=12)
    assert reduced.pixels.shape == (3, 16, 12) and reduced.shape == (3, 50, 37)
    exact = whole.floats()[:, :48, :36].reshape(3, 16, 3, 12, 3).mean((2, 4))
    most = 1.02 if kind in ("RGBA", "LA", "P") else 0.51  # what is composited is rounded twice here
    assert (reduced.floats() - exact).abs().max() <= most / 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_photograph_is_upright(tmp_path: Path, orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    y, x = np.mgrid[:240, :320]
    Image.fromarray(np.stack([x // 2, y, x * 0], -1).astype(np.uint8)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    whole = media.read_image(tmp_path / "a.jpg")
    monkeypatch.setattr(decoding, "LARGE", 0)
    still = media.read_still(tmp_path / "a.jpg", enough=60)
    assert still.shape == tuple(whole.shape)
    assert still.pixels.shape[1:] == tuple(side // 4 for side in whole.shape[1:])
    small = media.resize(whole, *still.pixels.shape[1:])
    assert (still.floats() - small)[:, 2:-2, 2:-2].abs().max() < 4 / 255


@pytest.mark.parametrize(("name", "write"), [("a.webp", 89), ("a.tif", 134), ("a.gif", 107)])
def test_formats_whose_decoders_need_more_memory_have_a_lower_bound(
    tmp_path: Path, name: str, write: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Image.new("RGB", (64, 64))
    first.save(tmp_path / name, save_all=True, append_images=[Image.new("RGB", (64, 64), "red")])
    monkeypatch.setattr(formats, "MOST_BYTES_OF_ONE", 64 * 64 * 7)
    readers: tuple[Callable[[Path], object], ...] = (media.read_image, media.read_sequence)
    for reader in readers:
        with pytest.raises(InputError, match="million pixels is needed"):
            reader(tmp_path / name)
    monkeypatch.undo()
    assert formats.MOST_BYTES_OF_ONE // formats.WORKING[{"a.webp": "WEBP", "a.tif": "TIFF", "a.gif": "GIF"}[name]] == (
        pytest.approx(write * 10**6, rel=0.01)
    )


def test_a_deep_image_is_kept_deep(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 4096, 256).astype(np.uint16).reshape(16, 16)).save(tmp_path / "a.png")
    assert len(media.read_image(tmp_path / "a.png").unique()) == 256
