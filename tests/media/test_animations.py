"""Animations of every format: each frame with its own time, on white; what is cut off is told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geodesic_cli import media

DURATIONS = [100, 200, 50, 70, 30]
TIMES = [0, 0.1, 0.3, 0.35, 0.42]
NAMES = ["a.gif", "a.png", "a.apng", "a.webp", "a.avif"]


def shades() -> list[Image.Image]:
    return [Image.new("RGB", (32, 32), (60 * k, 100, 200 - 40 * k)) for k in range(5)]


def means(clip: media.Clip) -> list[int]:
    return [round(255 * float(frame[0].mean())) for frame in clip.frames]


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_has_its_own_time(tmp_path: Path, name: str) -> None:
    first, *more = shades()
    first.save(tmp_path / name, save_all=True, append_images=more, duration=DURATIONS, quality=95)
    clip = media.read_sequence(tmp_path / name)
    assert clip.times.tolist() == pytest.approx(TIMES) and clip.warnings == ()
    assert means(clip) == pytest.approx([0, 60, 120, 180, 240], abs=2)


def test_the_still_of_an_apng_is_no_frame_of_it(tmp_path: Path) -> None:
    first, *more = shades()
    first.save(tmp_path / "a.png", save_all=True, append_images=more, duration=DURATIONS[:4], default_image=True)
    clip = media.read_sequence(tmp_path / "a.png")
    assert means(clip) == [60, 120, 180, 240] and clip.times.tolist() == pytest.approx(TIMES[:4])
    assert clip.names[0].endswith("frame 0") and clip.warnings == ()


def transparent(count: int) -> list[Image.Image]:
    """A bar on a transparent ground that moves to the right."""
    made = []
    for k in range(count):
        array = np.zeros((32, 32, 4), np.uint8)
        array[:, 4 * k + 8 : 4 * k + 12] = (255, 0, 0, 255)
        made.append(Image.fromarray(array))
    return made


def bars(clip: media.Clip) -> list[list[int]]:
    """Which of the places of the bar are red in each frame."""
    return [[k for k in range(4) if frame[1, 5, 4 * k + 10] < 0.1] for frame in clip.frames]


@pytest.mark.parametrize(
    ("name", "disposal", "expected"),
    [
        ("a.gif", 1, [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]),
        ("a.gif", 2, [[0], [1], [2], [3]]),
        ("a.gif", 3, [[0], [1], [2], [3]]),
        ("a.png", 1, [[0], [1], [2], [3]]),
        ("a.avif", None, [[0], [1], [2], [3]]),
    ],
)
def test_frames_are_laid_on_each_other_as_the_file_says(
    tmp_path: Path, name: str, disposal: int | None, expected: list[list[int]]
) -> None:
    first, *more = transparent(4)
    how = {} if disposal is None else {"disposal": disposal}
    first.save(tmp_path / name, save_all=True, append_images=more, duration=100, **how)
    clip = media.read_sequence(tmp_path / name)
    assert bars(clip) == expected
    assert float(clip.frames[0][:, :, 28:].min()) > 0.99  # the ground is white


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
@pytest.mark.parametrize("share", [0.4, 0.55, 0.7, 0.85, 0.97])
def test_an_animation_that_was_cut_short_is_read_to_its_last_good_frame_with_a_word(
    tmp_path: Path, name: str, share: float
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    first, *more = (Image.fromarray(array) for array in noise)
    first.save(tmp_path / name, save_all=True, append_images=more, duration=100)
    whole = media.read_sequence(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(share * len(data))])
    cut = media.read_sequence(tmp_path / name)
    assert 0 < len(cut.frames) < 6 and bool((cut.frames == whole.frames[: len(cut.frames)]).all())
    assert len(cut.warnings) == 1 and "ends early" in cut.warnings[0] and str(len(cut.frames)) in cut.warnings[0]


def test_a_gif_cut_between_two_frames_is_told(tmp_path: Path) -> None:
    first, *more = shades()
    first.save(tmp_path / "a.gif", save_all=True, append_images=more, duration=100)
    data = (tmp_path / "a.gif").read_bytes()
    places = [k for k in range(len(data)) if data[k : k + 3] == b"\x21\xf9\x04"]
    (tmp_path / "a.gif").write_bytes(data[: places[3]])
    clip = media.read_sequence(tmp_path / "a.gif")
    assert len(clip.frames) == 3 and len(clip.warnings) == 1 and "3 frames" in clip.warnings[0]
