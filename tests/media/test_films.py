"""Films of every kind: all their frames, colours and times, the same bytes, and the sound of a clip."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from geodesic_cli import media

KINDS = ("mp4", "webm", "gif", "webp", "apng")


def colours(count: int = 6) -> Tensor:
    """Frames of one colour each, (n, 3, 32, 48)."""
    made = torch.zeros(count, 3, 32, 48)
    for k in range(count):
        made[k] = torch.tensor([k / 8, 0.5, 1 - k / 8])[:, None, None]
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fps", [8.0, 12.5])
def test_a_film_of_every_kind_has_its_frames_at_their_times(tmp_path: Path, kind: str, fps: float) -> None:
    path = tmp_path / f"a.{kind}"
    media.write_film(colours(), path, fps)
    clip = media.read_sequence(path)
    assert len(clip.frames) == 6 and clip.warnings == ()
    assert clip.times.tolist() == pytest.approx([k / fps for k in range(6)], abs=0.011)
    assert (clip.frames.mean((2, 3)) - colours().mean((2, 3))).abs().max() < 3 / 255
    assert min(clip.frames.shape[2:]) == 256
    again = tmp_path / f"b.{kind}"
    media.write_film(colours(), again, fps)
    assert path.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "apng"])
def test_frames_that_are_alike_are_all_there(tmp_path: Path, kind: str) -> None:
    media.write_film(colours()[:1].expand(5, -1, -1, -1), tmp_path / f"a.{kind}", 8)
    assert len(media.read_sequence(tmp_path / f"a.{kind}").frames) == 5


def sounding(path: Path, seconds: float, late: float = 0.0) -> Path:
    """A film at 10 pictures a second and a tone in its second half, which is `late` after the pictures begin."""
    with av.open(str(path), "w") as film:
        pictures, tone = film.add_stream("libx264", rate=10), film.add_stream("aac", rate=44_100, layout="mono")
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        for k in range(round(10 * seconds)):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 20 * k % 256, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 10)
            film.mux(pictures.encode(frame))
        film.mux(pictures.encode())
        time = np.arange(round(44_100 * (seconds - late))) / 44_100
        wave = np.where(time + late >= seconds / 2, 0.5 * np.sin(2 * np.pi * 440 * time), 0).astype(np.float32)
        for first in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44_100, first + round(44_100 * late), Fraction(1, 44_100)
            film.mux(tone.encode(frame))
        film.mux(tone.encode())
    return path


def heard(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and loudness of the pieces of a film's sound."""
    with av.open(str(path)) as film:
        pieces = [(frame.time, float(np.abs(frame.to_ndarray()).mean())) for frame in film.decode(audio=0)]
    times, loudness = zip(*pieces, strict=True)
    return np.array(times), np.array(loudness)


@pytest.mark.parametrize("kind", ["mp4", "webm"])
@pytest.mark.parametrize(("name", "late"), [("a.mp4", 0.0), ("a.mkv", 0.0), ("a.mp4", 0.5)])
def test_the_sound_of_a_clip_is_heard_at_its_time(tmp_path: Path, kind: str, name: str, late: float) -> None:
    sound = media.sound_of(sounding(tmp_path / name, 4.0, late))
    assert sound is not None and sound.seconds == pytest.approx(4.0, abs=0.01) and sound.fps == pytest.approx(10, 0.01)
    made = colours(40 if kind == "mp4" else 20)
    for out in ("b", "c"):
        media.write_film(made, tmp_path / f"{out}.{kind}", len(made) / 4, sound)
    assert (tmp_path / f"b.{kind}").read_bytes() == (tmp_path / f"c.{kind}").read_bytes()
    assert len(media.read_sequence(tmp_path / f"b.{kind}").frames) == len(made)
    times, loudness = heard(tmp_path / f"b.{kind}")
    assert abs(float(times[loudness > 0.1].min()) - 2.0) < 0.1 and 3.8 < float(times.max()) <= 4.05
    assert bool((loudness[(times > 2.15) & (times < 3.8)] > 0.2).all())


def test_a_film_that_is_shorter_than_the_sound_ends_with_its_pictures(tmp_path: Path) -> None:
    sound = media.sound_of(sounding(tmp_path / "a.mp4", 4.0))
    media.write_film(colours(20), tmp_path / "b.mp4", 10, sound)
    assert float(heard(tmp_path / "b.mp4")[0].max()) < 2.1


def test_what_has_no_sound_has_none(tmp_path: Path) -> None:
    media.write_film(colours(), tmp_path / "a.mp4", 8)
    media.write_png(colours()[0], tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("x")
    for name in ("a.mp4", "a.png", "a.txt", "none.mp4", "."):
        assert media.sound_of(tmp_path / name) is None


@pytest.mark.parametrize("kind", KINDS)
def test_frames_in_files_make_the_same_film_as_the_same_frames_in_memory(tmp_path: Path, kind: str) -> None:
    frames = torch.rand(5, 3, 33, 47, generator=torch.Generator().manual_seed(0))
    files = [tmp_path / f"{k}.png" for k in range(len(frames))]
    for file, frame in zip(files, frames, strict=True):
        media.write_png(frame, file)
    stored = media.StoredFrames.of(files)
    assert stored.shape == tuple(frames.shape) and stored.ndim == 4 and len(stored) == 5
    media.write_film(frames, tmp_path / f"memory.{kind}", 8)
    media.write_film(stored, tmp_path / f"files.{kind}", 8)
    assert (tmp_path / f"memory.{kind}").read_bytes() == (tmp_path / f"files.{kind}").read_bytes()
    assert (media.chosen_of(stored, [4, 1]) - media.chosen_of(frames, [4, 1])).abs().max() <= 0.5 / 255 + 1e-6


def test_a_sheet_shows_all_frames_of_a_short_film_and_evenly_chosen_ones_of_a_long_one() -> None:
    assert media.numbers_shown(17, 4, 1024, 1024) == list(range(17))  # a line is always shown
    assert media.numbers_shown(200, 4, 64, 64) == list(range(200))
    few = media.numbers_shown(1000, 4, 512, 512, keep=[0, 500, 999])
    assert few[0] == 0 and few[-1] == 999 and 500 in few and len(few) <= 20
    assert max(b - a for a, b in pairwise(few)) <= 63
