"""Films are read as they are meant to be seen, whatever their container, and no frame is lost without a word."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.sidedata.sidedata import Type
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError

LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593), "smpte240m": (0.212, 0.087)}
TAG = {"bt601": 5, "bt709": 1, "bt2020": 9, "smpte240m": 7}
RED = (200, 50, 30)


def coded(rgb: tuple[float, float, float], matrix: str, full: bool, bits: int) -> list[int]:
    """Luma and chroma of a colour, by the definitions of BT.601, BT.709 and BT.2020."""
    kr, kb = LUMA[matrix]
    r, g, b = (value / 255 for value in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    u, v = (b - y) / 2 / (1 - kb), (r - y) / 2 / (1 - kr)
    if full:
        most = 2**bits - 1
        return [round(y * most), round(u * most + 2 ** (bits - 1)), round(v * most + 2 ** (bits - 1))]
    unit = 2 ** (bits - 8)
    return [round((16 + 219 * y) * unit), round((128 + 224 * u) * unit), round((128 + 224 * v) * unit)]


def plain(values: list[int], width: int, height: int, layout: str) -> av.VideoFrame:
    """A frame of one value a plane."""
    frame = av.VideoFrame(width, height, layout)
    for plane, value in zip(frame.planes, values, strict=True):
        kind = np.dtype("<u2" if layout.endswith("le") else "u1")
        plane.update(np.full(plane.buffer_size // kind.itemsize, value, kind).tobytes())
    return frame


def write(path: Path, frames: list[av.VideoFrame], codec: str = "ffv1", rate: int = 10, **more: object) -> Path:
    """A film of frames, frame k at k / rate. `more`: options, tags of the codec, aspect, matrix, metadata, ticks."""
    with av.open(str(path), "w", options=dict(more.get("container", {}))) as film:
        stream = film.add_stream(codec, rate=rate, options=dict(more.get("options", {})))
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        for name, value in dict(more.get("tags", {})).items():
            setattr(stream.codec_context, name, value)
        stream.metadata.update(dict(more.get("metadata", {})))
        if "matrix" in more:
            stream.set_display_matrix(more["matrix"])
        for k, frame in enumerate(frames):
            frame.pts, frame.time_base = (more["ticks"][k] if "ticks" in more else k), Fraction(1, rate)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return path


def drawn(array: np.ndarray, layout: str = "rgb24") -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=layout)


def counting(count: int, width: int = 96, height: int = 64) -> list[av.VideoFrame]:
    """Frames with a white bar whose place tells their number."""
    made = []
    for k in range(count):
        array = np.full((height, width, 3), 40, np.uint8)
        array[:, k % width : k % width + 8] = 230
        made.append(drawn(array).reformat(format="yuv420p"))
    return made


def noisy(count: int) -> list[av.VideoFrame]:
    random = np.random.default_rng(0).integers(0, 256, (64, 96 + count, 3)).astype(np.uint8)
    return [drawn(random[:, k : k + 96]).reformat(format="yuv420p") for k in range(count)]


def numbers(frames: Tensor) -> list[int]:
    return [int((row > 0.5).float().argmax()) for row in frames[:, 1].mean(-2)]


def levels(image: Tensor) -> list[int]:
    return [round(255 * float(value)) for value in image.mean((1, 2))]


def near(found: list[int], expected: tuple[float, ...], by: float = 2) -> bool:
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= by


# --- colours


@pytest.mark.parametrize("full", [False, True], ids=["narrow", "full"])
@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p10le"])
def test_the_tags_of_a_film_say_what_its_colours_are(tmp_path: Path, matrix: str, full: bool, layout: str) -> None:
    values = coded(RED, matrix, full, 10 if "10" in layout else 8)
    tags = {"colorspace": TAG[matrix], "color_range": 2 if full else 1}
    clip = media.read_sequence(write(tmp_path / "a.mkv", [plain(values, 64, 48, layout)] * 2, tags=tags))
    assert near(levels(clip.frames[0]), RED) and clip.warnings == ()


@pytest.mark.parametrize(
    ("width", "height", "matrix"),
    [(720, 480, "bt601"), (720, 576, "bt601"), (1280, 720, "bt709"), (720, 1280, "bt709"), (1440, 540, "bt709")],
)
def test_without_tags_the_size_says_what_the_colours_are(tmp_path: Path, width: int, height: int, matrix: str) -> None:
    frame = plain(coded(RED, matrix, False, 8), width, height, "yuv420p")
    clip = media.read_sequence(write(tmp_path / "a.mp4", [frame], "libx264", options={"crf": "1"}))
    assert near(levels(clip.frames[0]), RED, 3)


def test_wide_primaries_are_brought_to_those_of_the_screen(tmp_path: Path) -> None:
    frame = plain(coded((255, 255, 255), "bt2020", False, 10), 64, 48, "yuv420p10le")
    tags = {"colorspace": 9, "color_primaries": 9, "color_range": 1}
    assert near(levels(media.read_sequence(write(tmp_path / "a.mkv", [frame], tags=tags)).frames[0]), (255, 255, 255))
    # (200, 50, 30) of sRGB, worked out by hand in the primaries of BT.2020 with the same transfer.
    light = np.array([((c / 255 + 0.055) / 1.055) ** 2.4 for c in RED])
    wide = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]) @ light
    frame = plain(coded(tuple(255 * (1.055 * wide ** (1 / 2.4) - 0.055)), "bt2020", False, 10), 64, 48, "yuv420p10le")
    assert near(levels(media.read_sequence(write(tmp_path / "b.mkv", [frame], tags=tags)).frames[0]), RED)


def pq(nits: float) -> float:
    y = (nits / 10000) ** 0.1593017578125
    return 255 * ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


@pytest.mark.parametrize(
    ("name", "transfer", "signal", "least", "most"),
    [
        ("PQ", 16, pq(203), 235, 250),
        ("PQ", 16, pq(1000), 250, 255),
        ("PQ", 16, pq(203 * 0.2140), 126, 129),  # half of the way to white, as sRGB counts
        ("PQ", 16, 0, 0, 1),
        ("HLG", 18, 0.75 * 255, 235, 250),
        ("HLG", 18, 255, 250, 255),
    ],
)
def test_hdr_is_brought_to_the_range_of_a_screen_with_a_word(
    tmp_path: Path, name: str, transfer: int, signal: float, least: int, most: int
) -> None:
    frame = plain(coded((signal,) * 3, "bt2020", False, 10), 64, 48, "yuv420p10le")
    tags = {"colorspace": 9, "color_primaries": 9, "color_range": 1, "color_trc": transfer}
    clip = media.read_sequence(write(tmp_path / "a.mkv", [frame] * 3, tags=tags))
    assert all(least <= level <= most for level in levels(clip.frames[0]))
    assert len(clip.warnings) == 1 and f"HDR, {name}" in clip.warnings[0]


def test_a_matrix_that_cannot_be_undone_is_refused_by_name(tmp_path: Path) -> None:
    frame = plain([120, 128, 128], 64, 48, "yuv444p")
    with pytest.raises(InputError, match="ICtCp"):
        media.read_sequence(write(tmp_path / "a.mkv", [frame], tags={"colorspace": 14, "color_range": 1}))


# --- ground


@pytest.mark.parametrize(
    ("name", "codec", "layout", "more"),
    [
        ("a.mov", "qtrle", "argb", {}),
        ("a.mov", "png", "rgba", {}),
        ("a.mkv", "ffv1", "yuva420p", {}),
        ("a.mkv", "ffv1", "bgra", {}),
        ("a.mov", "prores_ks", "yuva444p10le", {"options": {"profile": "4444"}}),
        ("a.webm", "libvpx-vp9", "yuva420p", {"options": {"crf": "4", "b": "0"}, "metadata": {"alpha_mode": "1"}}),
        ("a.webm", "libvpx", "yuva420p",
         {"options": {"auto-alt-ref": "0", "crf": "4", "b": "4M"}, "metadata": {"alpha_mode": "1"}}),
    ],
)  # fmt: skip
def test_a_transparent_film_is_composited_on_white(
    tmp_path: Path, name: str, codec: str, layout: str, more: dict[str, object]
) -> None:
    array = np.zeros((64, 64, 4), np.uint8)
    array[:, :32] = (255, 0, 0, 255)
    frames = [drawn(array, "rgba").reformat(format=layout, dst_colorspace=5, dst_color_range=1) for _ in range(3)]
    clip = media.read_sequence(write(tmp_path / name, frames, codec, **more))
    assert len(clip.frames) == 3
    for frame in clip.frames:
        assert near(levels(frame[:, 8:56, 4:28]), (255, 0, 0), 6)
        assert near(levels(frame[:, 8:56, 36:60]), (255, 255, 255), 3)
    assert clip.warnings == ()


# --- shape and direction


CORNERS = np.array([[10, 90], [170, 250]])  # of the coded picture
MATRICES = {
    (1, 0, 0, 1): CORNERS,
    (-1, 0, 0, 1): CORNERS[:, ::-1],
    (1, 0, 0, -1): CORNERS[::-1],
    (-1, 0, 0, -1): CORNERS[::-1, ::-1],
    (0, 1, -1, 0): np.rot90(CORNERS, -1),  # p' = a p + c q, q' = b p + d q, with q down: clockwise
    (0, -1, 1, 0): np.rot90(CORNERS),
    (0, 1, 1, 0): CORNERS.T,
    (0, -1, -1, 0): np.rot90(CORNERS, 2).T,
}


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(3, 2), Fraction(3, 4)])
def test_a_film_is_turned_mirrored_and_widened_as_its_header_says(
    tmp_path: Path, matrix: tuple[int, int, int, int], aspect: Fraction
) -> None:
    a, b, c, d = matrix
    array = np.repeat(np.repeat(CORNERS, 32, 0), 48, 1).astype(np.uint8)[..., None].repeat(3, -1)
    frames = [drawn(array).reformat(format="yuv420p") for _ in range(2)]
    nine = [65536 * a, 65536 * b, 0, 65536 * c, 65536 * d, 0, 0, 0, 1 << 30]
    tags = {"sample_aspect_ratio": aspect} if aspect != 1 else {}
    path = write(tmp_path / "a.mp4", frames, "libx264", options={"crf": "4"}, matrix=nine, tags=tags)
    if matrix != (1, 0, 0, 1):
        with av.open(str(path)) as film:
            assert next(film.decode(video=0)).side_data.get(Type.DISPLAYMATRIX) is not None, "the test needs a matrix"
    frame = media.read_sequence(path).frames[0]
    wide = round(96 * aspect)
    assert frame.shape == ((3, 64, wide) if a else (3, wide, 64))
    height, width = (side // 2 for side in frame.shape[1:])
    found = [[levels(frame[:, i * height : (i + 1) * height, j * width : (j + 1) * width])[1] for j in (0, 1)]
             for i in (0, 1)]  # fmt: skip
    assert np.abs(np.array(found) - MATRICES[matrix]).max() < 6


@pytest.mark.parametrize(("codec", "name"), [("libx264", "a.mp4"), ("mpeg2video", "a.mpg")])
def test_an_interlaced_film_has_no_combs(tmp_path: Path, codec: str, name: str) -> None:
    frames = []
    for k in range(8):
        array = np.full((96, 128, 3), 40, np.uint8)
        array[0::2, 10 + 8 * k : 30 + 8 * k] = 220
        array[1::2, 14 + 8 * k : 34 + 8 * k] = 220
        frames.append(drawn(array).reformat(format="yuv420p"))
    options = (
        {"x264-params": "tff=1:crf=5"} if codec == "libx264" else {"flags": "+ildct+ilme", "qmin": "1", "qmax": "2"}
    )
    path = write(tmp_path / name, frames, codec, rate=25, options=options)
    with av.open(str(path)) as film:
        assert next(film.decode(video=0)).interlaced_frame, "the test needs an interlaced film"
    clip = media.read_sequence(path)
    assert len(clip.frames) == 8
    assert clip.times.tolist() == pytest.approx([k / 25 for k in range(8)])
    assert float(clip.frames.diff(dim=-2).abs().max()) < 0.1


# --- times and numbers


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts", "a.avi", "a.flv", "a.h264", "a.nut"])
@pytest.mark.parametrize("bframes", ["0", "2"])
def test_times_and_numbers_count_from_the_beginning_of_any_container(tmp_path: Path, name: str, bframes: str) -> None:
    path = write(tmp_path / name, counting(80), "libx264", rate=10, options={"g": "12", "bf": bframes, "crf": "10"})
    rate = 25 if name == "a.h264" else 10  # a raw stream has no times
    whole = media.read_sequence(path)
    assert numbers(whole.frames) == list(range(80)) and whole.warnings == ()
    if name != "a.h264":
        assert whole.times.tolist() == pytest.approx([k / rate for k in range(80)], abs=2e-3)
    gap = float(whole.times[1] - whole.times[0])
    late = media.read_sequence(path, start=30.5 * gap, stop=40.5 * gap)
    assert numbers(late.frames) == list(range(31, 41))
    assert torch.equal(late.times, whole.times[31:41])
    assert numbers(media.read_sequence(path, start=30.5 * gap, stop=40).frames) == list(range(31, 40))
    assert numbers(media.read_sequence(path, start=31, stop=40.5 * gap).frames) == list(range(31, 41))


def test_frames_that_share_a_time_are_all_kept_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", counting(8), "ffv1", rate=1000, ticks=[0, 40, 40, 80, 120, 120, 121, 200])
    clip = media.read_sequence(path)
    assert numbers(clip.frames) == list(range(8))
    assert bool((clip.times.diff() > 0).all()) and float(clip.times[-1]) == pytest.approx(0.2)


@pytest.mark.parametrize("begin", [-300, 700])
def test_a_film_that_does_not_begin_at_nought_begins_at_nought(tmp_path: Path, begin: int) -> None:
    ticks = [begin + 100 * k for k in range(50)]
    path = write(tmp_path / "a.mkv", counting(50), "libx264", rate=1000, ticks=ticks, options={"g": "10"})
    clip = media.read_sequence(path)
    assert numbers(clip.frames) == list(range(50))
    assert clip.times.tolist() == pytest.approx([k / 10 for k in range(50)])
    assert numbers(media.read_sequence(path, start=4.0).frames) == list(range(40, 50))


# --- what is missing is told


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi", "a.flv"])
@pytest.mark.parametrize("share", [0.35, 0.8])
def test_a_film_that_was_cut_short_says_so(tmp_path: Path, name: str, share: float) -> None:
    more = {"container": {"movflags": "faststart"}} if name == "a.mp4" else {}
    path = write(tmp_path / name, noisy(50), "libx264", options={"g": "10"}, **more)
    whole = media.read_sequence(path)
    assert len(whole.frames) == 50 and whole.warnings == ()
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    cut = media.read_sequence(path)
    count = len(cut.frames)
    assert 5 < count < 50
    assert len(cut.warnings) == 1 and "ends early" in cut.warnings[0] and str(count) in cut.warnings[0]
    same_at_their_times(cut, whole)


def same_at_their_times(part: media.Clip, whole: media.Clip) -> None:
    times = [round(float(time), 2) for time in whole.times]
    for frame, time in zip(part.frames, part.times, strict=True):
        assert torch.equal(frame, whole.frames[times.index(round(float(time), 2))])


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.mpg", "mpeg2video"), ("a.mkv", "mpeg4")]
)
def test_a_damaged_film_goes_on_after_the_damage_with_a_word(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, noisy(60), codec, rate=25, options={"g": "10", "b": "4M", "bf": "0"})
    whole = media.read_sequence(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)
    clip = media.read_sequence(path)
    assert 40 < len(clip.frames) < 60
    assert len(clip.warnings) == 1 and "damaged" in clip.warnings[0]
    same_at_their_times(clip, whole)


def test_a_film_whose_sound_is_longer_does_not_end_early(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as film:
        stream = film.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        sound = film.add_stream("aac", rate=44100)
        for k, frame in enumerate(counting(10)):
            frame.pts, frame.time_base = k, Fraction(1, 10)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
        for k in range(200):
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            quiet.sample_rate, quiet.pts = 44100, 1024 * k
            film.mux(sound.encode(quiet))
        film.mux(sound.encode())
    clip = media.read_sequence(tmp_path / "a.mkv")
    assert len(clip.frames) == 10 and clip.warnings == ()


def test_a_stream_that_begins_in_the_middle_is_read_from_its_first_whole_picture(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ts", noisy(60), "libx264", rate=25, options={"g": "10", "bf": "0"})
    data = path.read_bytes()
    path.write_bytes(data[188 * (len(data) // 188 // 3) :])
    clip = media.read_sequence(path)
    assert 30 < len(clip.frames) < 45 and float(clip.times[0]) == 0
