"""Folders: every image that can be read is a frame, and what is left out is told once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.media import formats


def image(path: Path, level: int = 90) -> None:
    Image.new("RGB", (16, 16), (level,) * 3).save(path)


def test_a_folder_of_frames_takes_every_suffix_that_can_be_read(tmp_path: Path) -> None:
    names = ["f0.png", "f1.AVIF", "f2.JPG", "f3.jfif", "f4.jp2", "f5.gif", "f6.ppm", "f7.Tiff", "f8.webp", "f10.tga"]
    for k, name in enumerate(names):
        image(tmp_path / name, 20 * k)
    clip = media.read_sequence(tmp_path)
    assert [round(255 * float(frame.mean()) / 20) for frame in clip.frames] == list(range(10))
    assert clip.warnings == ()


def test_what_is_left_out_of_a_folder_is_counted_once(tmp_path: Path) -> None:
    for k in range(3):
        image(tmp_path / f"{k}.png")
        (tmp_path / f"._{k}.png").write_bytes(b"\0\5\x16\7junk")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    clip = media.read_sequence(tmp_path)
    assert len(clip.frames) == 3 and len(clip.warnings) == 1
    assert "3 images are read; 3 other files are left out" in clip.warnings[0]
    (tmp_path / "notes.txt").write_text("x")
    frames = [Image.new("RGB", (16, 16), (k, k, k)) for k in (0, 200)]
    frames[0].save(tmp_path / "preview.gif", save_all=True, append_images=frames[1:])
    clip = media.read_sequence(tmp_path)
    assert len(clip.frames) == 3 and len(clip.warnings) == 1 and "5 other files" in clip.warnings[0]


def test_a_folder_of_hidden_images_and_animations_holds_none(tmp_path: Path) -> None:
    image(tmp_path / ".a.png")
    with pytest.raises(InputError, match="1 other file"):
        media.read_sequence(tmp_path)


def test_alike_warnings_of_many_images_are_said_once(tmp_path: Path) -> None:
    for k in range(4):
        Image.fromarray(np.full((16, 16), 100.0 + k, np.float32)).save(tmp_path / f"{k}.tif")
    clip = media.read_sequence(tmp_path)
    assert len(clip.frames) == 4 and len(clip.warnings) == 1 and "0 to 255" in clip.warnings[0]


def test_folders_within_are_gone_through_where_that_is_wanted(tmp_path: Path) -> None:
    for folder in ("a", ".hidden", "__MACOSX"):
        (tmp_path / folder).mkdir()
        image(tmp_path / folder / "x.png")
    assert formats.image_files(tmp_path) == ([], [])
    images, others = formats.image_files(tmp_path, deep=True)
    assert images == [tmp_path / "a" / "x.png"] and len(others) == 2
