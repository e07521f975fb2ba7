"""What `media.read_sequence` promises: frames in the right order with their own times, or one sentence."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.frame import PictureType
from PIL import Image
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError
from helpers import decibels


def moving(count: int, height: int = 48, width: int = 64) -> Tensor:
    """A white bar that moves to the right by one pixel a frame, (count, 3, h, w)."""
    frames = torch.full((count, 3, height, width), 0.2)
    for k in range(count):
        frames[k, :, :, k % width : k % width + 8] = 0.9
    return frames


def bars(frames: Tensor) -> list[int]:
    """Where the bar begins in every frame."""
    return [int((row > 0.6).float().argmax()) for row in frames[:, 1].mean(-2)]


def film(path: Path, frames: Tensor, ticks: list[int] | None = None, **more: object) -> Path:
    """An H.264 film with B-frames; `ticks` are timestamps in milliseconds. `more`: angle, pixels, sound."""
    ticks = [40 * k for k in range(len(frames))] if ticks is None else ticks
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "bf": "3", "g": "60"})
        stream.height, stream.width = frames.shape[-2:]
        stream.pix_fmt = str(more.get("pixels", "yuv420p"))
        stream.codec_context.time_base = Fraction(1, 1000)
        if "angle" in more:
            stream.set_display_rotation(int(more["angle"]))
        sound = container.add_stream("aac", rate=44100) if "sound" in more else None
        for frame, tick in zip(frames, ticks, strict=True):
            array = frame.mul(255).round().byte().movedim(0, -1).contiguous().numpy()
            picture = av.VideoFrame.from_ndarray(array, format="rgb24")
            picture.pts, picture.time_base = tick, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        if sound is not None:
            container.mux(sound.encode(silence()))
            container.mux(sound.encode())
    return path


def silence() -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 44100, 0
    return frame


def pictures(folder: Path, names: list[str], frames: Tensor) -> Path:
    folder.mkdir(exist_ok=True)
    for name, frame in zip(names, frames, strict=True):
        array = frame.mul(255).round().byte().movedim(0, -1).numpy()
        Image.fromarray(array).save(folder / name)
    return folder


# --- films


def test_a_film_with_b_frames_is_read_in_the_order_of_its_times(tmp_path):
    path = film(tmp_path / "a.mp4", moving(30), sound=True)
    with av.open(str(path)) as container:
        kinds = {int(frame.pict_type) for frame in container.decode(video=0)}
    assert int(PictureType.B) in kinds, "the test needs B-frames"
    clip = media.read_sequence(path)
    assert clip.frames.shape == (30, 3, 48, 64) and clip.frames.dtype == torch.float32
    assert bars(clip.frames) == list(range(30))
    assert clip.times.tolist() == pytest.approx([0.04 * k for k in range(30)])
    assert clip.fps == pytest.approx(25) and clip.warnings == ()


def test_the_times_of_a_film_with_a_varying_rate_are_its_own(tmp_path):
    ticks = [0, 40, 80, 500, 520, 540, 1500, 1510]
    clip = media.read_sequence(film(tmp_path / "a.mp4", moving(8), ticks))
    assert clip.times.tolist() == pytest.approx([tick / 1000 for tick in ticks], abs=1e-3)
    assert bars(clip.frames) == list(range(8))


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (None, None, list(range(20))),
        (3, 6, [3, 4, 5]),
        ("3", "6", [3, 4, 5]),
        (0.4, 0.52, [10, 11, 12]),
        ("0.4s", "0.52s", [10, 11, 12]),
        (18, None, [18, 19]),
        (0.4, 12, [10, 11]),
    ],
)
def test_a_part_is_chosen_by_frames_or_by_seconds_the_end_left_out(tmp_path, start, stop, expected):
    path = film(tmp_path / "a.mp4", moving(20))
    assert bars(media.read_sequence(path, start=start, stop=stop).frames) == expected


def test_a_late_start_in_a_long_film_gives_the_same_frames_as_reading_all_of_it(tmp_path):
    path = film(tmp_path / "a.mp4", moving(150, 32, 32))
    whole = media.read_sequence(path)
    late = media.read_sequence(path, start=4.0, stop=4.4)
    assert late.times.tolist() == pytest.approx([4 + 0.04 * k for k in range(10)])
    assert torch.equal(late.frames, whole.frames[100:110])


def test_the_stride_and_the_most_frames(tmp_path):
    clip = media.read_sequence(film(tmp_path / "a.mp4", moving(20)), start=1, stride=3, max_frames=4)
    assert bars(clip.frames) == [1, 4, 7, 10]
    assert clip.fps == pytest.approx(25 / 3)


def test_frames_are_brought_to_a_size_as_they_are_read(tmp_path):
    clip = media.read_sequence(film(tmp_path / "a.mp4", moving(3)), size=(16, 16))
    assert clip.frames.shape == (3, 3, 16, 16)


def test_a_film_of_odd_size_is_read_whole(tmp_path):
    frames = moving(4, 49, 67)
    clip = media.read_sequence(film(tmp_path / "a.mp4", frames, pixels="yuv444p"))
    assert clip.frames.shape[-2:] == (49, 67)
    assert min(decibels(a, b) for a, b in zip(clip.frames, frames, strict=True)) > 30


@pytest.mark.parametrize("angle", [90, -90, 180])
def test_a_film_taken_sideways_stands_upright(tmp_path, angle):
    frames = moving(3)
    clip = media.read_sequence(film(tmp_path / "a.mp4", frames, angle=angle))
    turned = torch.rot90(frames, angle // 90, (-2, -1))
    assert clip.frames.shape == turned.shape
    assert min(decibels(a, b) for a, b in zip(clip.frames, turned, strict=True)) > 28


def test_a_film_that_was_cut_short_is_read_to_its_last_good_frame(tmp_path):
    noisy = torch.rand(40, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    media.write_mp4(noisy, tmp_path / "whole.mp4", 25)  # with its index in front
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    whole = media.read_sequence(tmp_path / "whole.mp4")
    told: list[str] = []
    cut = media.read_sequence(tmp_path / "cut.mp4", warn=told.append)
    count = len(cut.frames)
    assert 5 < count < 35
    assert torch.equal(cut.frames, whole.frames[:count])
    assert len(told) == 1 and "40" in told[0] and str(count) in told[0] and cut.warnings == tuple(told)


def test_stopping_early_is_no_damage(tmp_path):
    path = film(tmp_path / "a.mp4", moving(20))
    assert media.read_sequence(path, max_frames=5).warnings == ()
    assert media.read_sequence(path, stop=5).warnings == ()


# --- animations, folders, files


def test_every_frame_of_a_gif_is_read_with_its_time(tmp_path):
    images = [Image.fromarray(np.full((16, 16, 3), 60 * k, np.uint8)) for k in range(4)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[100, 200, 50, 70])
    clip = media.read_sequence(tmp_path / "a.gif")
    assert clip.times.tolist() == pytest.approx([0, 0.1, 0.3, 0.35])
    assert [round(float(frame.mean() * 255)) for frame in clip.frames] == pytest.approx([0, 60, 120, 180], abs=2)


def test_our_own_films_are_read_back(tmp_path):
    frames = moving(6, 256, 256)
    media.write_mp4(frames, tmp_path / "a.mp4", 12)
    media.write_gif(frames, tmp_path / "a.gif", 10)
    for name, fps in (("a.mp4", 12), ("a.gif", 10)):
        clip = media.read_sequence(tmp_path / name)
        assert bars(clip.frames) == list(range(6)) and clip.fps == pytest.approx(fps)


def test_a_folder_is_read_in_natural_order_and_other_files_are_left_alone(tmp_path):
    names = [f"frame{k}.png" for k in range(9)] + ["frame9.jpg", "frame10.webp", "Frame11.PNG"]
    folder = pictures(tmp_path / "frames", names, moving(12))
    (folder / "notes.txt").write_text("no frame")
    (folder / ".hidden.png").write_bytes(b"no image")
    clip = media.read_sequence(folder, fps=10)
    assert bars(clip.frames) == list(range(12))
    assert clip.times.tolist() == pytest.approx([k / 10 for k in range(12)]) and clip.fps == pytest.approx(10)
    assert clip.names[10].endswith("frame10.webp")


def test_several_images_are_a_sequence_in_their_own_order(tmp_path):
    folder = pictures(tmp_path / "x", ["a.png", "b.png", "c.png"], moving(3))
    clip = media.read_sequence([folder / "c.png", folder / "a.png"])
    assert bars(clip.frames) == [2, 0]


def test_one_image_is_a_sequence_of_one(tmp_path):
    folder = pictures(tmp_path / "x", ["a.png"], moving(1))
    assert len(media.read_sequence(folder / "a.png").frames) == 1


@pytest.mark.parametrize("name", ["2", "02", "a10b2", "é3", "³"])
def test_any_name_has_a_natural_place(name):
    assert media.natural_key(name) == media.natural_key(name)
    assert sorted(["f10", "f9", name], key=media.natural_key).index("f9") < 3


def test_numbers_in_names_are_compared_as_numbers():
    assert sorted(["f10.png", "f2.png", "F1.png"], key=media.natural_key) == ["F1.png", "f2.png", "f10.png"]


# --- refusals


def refused(source: object, **more: object) -> str:
    with pytest.raises(InputError) as caught:
        media.read_sequence(source, **more)  # type: ignore[arg-type]
    return str(caught.value)


def test_what_cannot_be_read_gives_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds none" in refused(tmp_path / "empty")
    (tmp_path / "empty" / "film.mp4").write_bytes(b"x")
    assert "1 other file" in refused(tmp_path / "empty")
    assert "does not exist" in refused(tmp_path / "nowhere.mp4")
    assert "none is named" in refused([])
    for name, data in (("a.txt", b"hello, this is text\n" * 50), ("a.mp4", b"\0" * 5000), ("b.mp4", b"")):
        (tmp_path / name).write_bytes(data)
        assert "is none" in refused(tmp_path / name)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    assert "a.png" in refused(tmp_path / "a.png")


def test_a_film_cut_before_its_index_gives_one_sentence(tmp_path):
    path = film(tmp_path / "a.mp4", moving(20))  # the index at the end
    path.write_bytes(path.read_bytes()[:1500])
    assert "cut short" in refused(path)


def test_a_file_with_sound_only_gives_one_sentence(tmp_path):
    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        container.mux(stream.encode(silence()))
        container.mux(stream.encode())
    assert "holds only sound" in refused(tmp_path / "a.m4a")


def test_too_few_frames_give_one_sentence(tmp_path):
    path = film(tmp_path / "a.mp4", moving(1))
    assert "At least 2 frames are needed" in refused(path, least=2) and "gives 1" in refused(path, least=2)
    assert "from frame 7" in refused(path, start=7)
    assert "from 2 s before 3 s" in refused(path, start=2.0, stop=3.0)


def test_mixed_sizes_give_one_sentence_unless_a_size_is_given(tmp_path):
    folder = pictures(tmp_path / "x", ["a.png"], moving(1))
    pictures(folder, ["b.png"], moving(1, 48, 80))
    message = refused(folder)
    assert "64x48" in message and "80x48" in message and "--size" in message
    assert media.read_sequence(folder, size=(32, 32)).frames.shape == (2, 3, 32, 32)


def test_a_film_among_several_images_gives_one_sentence(tmp_path):
    folder = pictures(tmp_path / "x", ["a.png"], moving(1))
    assert "still images" in refused([folder / "a.png", film(tmp_path / "a.mp4", moving(3))])


@pytest.mark.parametrize("text", ["", "1.5", "-3", "s", "1m", "1e3s", "three"])
def test_a_position_is_a_frame_or_seconds(text):
    with pytest.raises(InputError, match=r"12 or 1\.5s"):
        media.parse_position(text)


@pytest.mark.parametrize("more", [{"stride": 0}, {"max_frames": 0}, {"start": -1}, {"stop": float("nan")}])
def test_bad_numbers_are_refused(tmp_path, more):
    refused(pictures(tmp_path / "x", ["a.png"], moving(1)), **more)


def test_more_frames_than_memory_should_hold_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("geodesic_cli.media.sequences.MOST_BYTES", 100_000)
    path = film(tmp_path / "a.mp4", moving(20))
    assert "--stride" in refused(path)
    assert len(media.read_sequence(path, size=(16, 16)).frames) == 20


MEASURE = """
import resource, sys
from geodesic_cli import media
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for _ in media.stream_sequence(sys.argv[1]))
clip = media.read_sequence(sys.argv[1], size=(64, 64))
assert count == len(clip.frames) == int(sys.argv[2]), (count, len(clip.frames))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("count", "height", "width", "most"),
    [(600, 90, 160, 150), pytest.param(3000, 360, 640, 500, marks=pytest.mark.slow)],
)
def test_a_long_film_is_read_in_bounded_memory(tmp_path, count, height, width, most):
    with av.open(str(tmp_path / "long.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        array = np.zeros((height, width, 3), np.uint8)
        for k in range(count):
            array[:, k % width] = k % 256
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "long.mp4"), str(count)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) / 1024 < most  # MB, where all the frames would be 100 MB (or 8 GB)
