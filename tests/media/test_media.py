"""What `media` promises: any readable image becomes a tensor, any other a sentence; writing is exact and repeatable."""

import errno
import math
import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import Interpolation
from PIL import Image, PngImagePlugin

from geodesic_cli import media
from geodesic_cli.errors import InputError, OutputError
from geodesic_cli.media import films
from helpers import decibels


def gradient(height=16, width=24):
    """A smooth image with every channel different."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([x, y, (x + y) / 2])


def clip(count=5, height=16, width=24):
    return torch.stack([(gradient(height, width) + i / count) % 1 for i in range(count)])


def png16(path, colour_type, array):
    """A sixteen-bit PNG, which Pillow reads but cannot write in colour."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = array.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


# --- reading


def test_all_256_levels_survive_writing_and_reading(tmp_path):
    image = (torch.arange(256).reshape(1, 16, 16).expand(3, 16, 16) / 255).clone()
    media.write_png(image, tmp_path / "a.png")
    assert torch.equal(media.read_image(tmp_path / "a.png"), image)


@pytest.mark.parametrize(
    ("mode", "colour"), [("1", 1), ("L", 51), ("P", None), ("RGB", (51, 102, 204)), ("YCbCr", None)]
)
def test_every_opaque_mode_is_read_as_its_colours(tmp_path, mode, colour):
    image = (
        Image.new("RGB", (9, 8), (51, 102, 204)).convert(mode) if colour is None else Image.new(mode, (9, 8), colour)
    )
    path = tmp_path / ("a.tif" if mode == "YCbCr" else "a.png")
    image.save(path)
    expected = torch.tensor(image.convert("RGB").getpixel((0, 0))) / 255
    read = media.read_image(path)
    assert read.shape == (3, 8, 9) and read.dtype == torch.float32
    assert torch.equal(read, expected[:, None, None].expand(3, 8, 9))


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_pngs_are_scaled_by_their_own_range(tmp_path, colour_type, channels):
    array = np.linspace(0, 65535, 9 * 9 * channels).round().reshape(9, 9, channels)
    if channels in (2, 4):
        array[..., -1] = 65535
    png16(tmp_path / "a.png", colour_type, array)
    colours = array[..., : 1 if channels < 3 else 3]
    expected = torch.from_numpy(np.broadcast_to(colours, (9, 9, 3)) / 65535).movedim(-1, 0)
    tolerance = 1e-6 if channels == 1 else 1 / 255  # Pillow has no sixteen-bit mode but gray
    assert (media.read_image(tmp_path / "a.png") - expected).abs().max() <= tolerance


def test_sixteen_bit_and_floating_point_tiffs_are_read(tmp_path):
    deep = np.full((8, 8), 32768, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    Image.fromarray(np.full((8, 8), 0.25, np.float32)).save(tmp_path / "float.tif")
    assert media.read_image(tmp_path / "deep.tif")[0, 0, 0].item() == pytest.approx(32768 / 65535)
    assert media.read_image(tmp_path / "float.tif")[2, 7, 7].item() == 0.25


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_composited_on_white(tmp_path, mode):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 8))
    if mode != "P":
        image.putpixel((7, 7), (0, 0, 0, 51))
    image.convert(mode).save(tmp_path / "a.png")
    read = media.read_image(tmp_path / "a.png")
    assert (read[:, :, :4] == 1).all() and (read[:, 0, 4:] == 0).all()
    if mode != "P":
        assert read[0, 7, 7].item() == pytest.approx(0.8)


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    assert (media.read_image(tmp_path / "red.jpg")[:, 8, 8] - torch.tensor([1.0, 0, 0])).abs().max() < 0.05


def test_a_photograph_taken_sideways_stands_upright(tmp_path):
    pixels = Image.new("RGB", (16, 8), "black")
    pixels.paste((255, 255, 255), (0, 0, 8, 8))  # white on the left as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the left becomes the top
    pixels.save(tmp_path / "a.png", exif=exif)
    read = media.read_image(tmp_path / "a.png")
    assert read.shape == (3, 16, 8)
    assert read[0, 0, 4] == 1 and read[0, -1, 4] == 0


def damaged(path, kind):
    if kind == "missing":
        return
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("I am no image.")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "tiny":
        Image.new("RGB", (1, 1)).save(path)
    else:
        noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("missing", "An image file is needed, and {path} does not exist. Check the path."),
        ("folder", "An image file is needed, and {path} is a folder. There is no image in it."),
        ("text", "An image is needed, and {path} is not one in a format that can be read. Convert it to PNG or JPEG."),
        ("empty", "An image is needed, and {path} is not one in a format that can be read. Convert it to PNG or JPEG."),
        ("tiny", "Images must have at least 8 pixels on a side, and {path} is 1x1. Pass a larger image."),
        ("truncated", "A whole image is needed, and {path} is damaged ("),
    ],
)
def test_a_file_that_is_no_image_gives_one_sentence(tmp_path, kind, sentence):
    path = tmp_path / "a.png"
    damaged(path, kind)
    with pytest.raises(InputError) as caught:
        media.read_image(path)
    assert str(caught.value).startswith(sentence.format(path=path))
    assert "\n" not in str(caught.value)


def test_a_truncated_jpeg_is_refused(tmp_path):
    media.write_png(gradient(64, 64), tmp_path / "a.png")
    Image.open(tmp_path / "a.png").save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-300])
    with pytest.raises(InputError, match=r"is damaged \(.*truncated.*\)\. Copy or export it again\.$"):
        media.read_image(tmp_path / "a.jpg")


def test_a_file_that_may_not_be_read_gives_one_sentence(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)  # the tests may run as root, who may read everything
    with pytest.raises(InputError, match=r"a\.png may not be read\. Change its permissions\.$"):
        media.read_image(tmp_path / "a.png")


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    png16(tmp_path / "bomb.png", 0, np.zeros((8, 8, 1)))
    data = bytearray((tmp_path / "bomb.png").read_bytes())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(
        InputError, match=r"at most 178 million pixels is needed, and .*bomb\.png has more\. Shrink it\.$"
    ):
        media.read_image(tmp_path / "bomb.png")


def test_pillows_warnings_do_not_leak(tmp_path, monkeypatch):
    media.write_png(gradient(), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)  # 384 pixels are now worth a warning, not an error
    assert media.read_image(tmp_path / "a.png").shape == (3, 16, 24)


# --- sizes


@pytest.mark.parametrize(
    ("text", "size"), [("768", (768, 768)), ("512x768", (768, 512)), (" 512 X 8 ", (8, 512)), ("9×10", (10, 9))]
)
def test_a_size_is_read_as_width_times_height(text, size):
    assert media.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "512x", "x512", "-512", "512.0", "5e2", "512x512x3", "٥١٢", "big", "9" * 99])
def test_a_size_that_is_none_gives_one_sentence(text):
    with pytest.raises(InputError) as caught:
        media.parse_size(text)
    assert str(caught.value) == (
        f"A size is a number of pixels or WIDTHxHEIGHT, not {text!r}. Pass --size 512 or 768x512."
    )


@pytest.mark.parametrize("text", ["0", "7", "512x4", "99999"])
def test_a_size_out_of_range_gives_one_sentence(text):
    with pytest.raises(InputError, match=r"^A size must be between 8 and 32768 pixels on a side, not \d+x\d+\. Pass "):
        media.parse_size(text)


def test_resizing_to_the_same_size_changes_no_bit():
    image = gradient()
    assert media.resize(image, 16, 24) is image


@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 24), (13, 57), (16, 23), (300, 9)])
def test_resizing_keeps_constants_range_and_symmetry(height, width):
    flat = torch.full((3, 30, 41), 0.3)
    assert (media.resize(flat, height, width) - 0.3).abs().max() < 1e-6
    noise = torch.rand(3, 30, 41, generator=torch.Generator().manual_seed(0))
    resized = media.resize(noise, height, width)
    assert resized.shape == (3, height, width) and resized.dtype == noise.dtype
    assert resized.min() >= 0 and resized.max() <= 1
    assert (media.resize(noise.flip(1, 2), height, width).flip(1, 2) - resized).abs().max() < 1e-5


def test_resizing_keeps_the_aspect_ratio_and_the_centre():
    y, x = torch.meshgrid(torch.arange(100) - 49.5, torch.arange(200) - 99.5, indexing="ij")
    disc = (x**2 + y**2 < 40**2).float().expand(3, 100, 200)
    small = media.resize(disc, 50, 50)[0]
    assert small.sum().item() == pytest.approx(math.pi * 20**2, rel=0.01)
    assert (small - small.T).abs().max() < 1e-4


def test_shrinking_is_antialiased():
    stripes = (torch.arange(512) % 2).float().expand(3, 512, 512)
    assert (media.resize(stripes, 100, 100)[..., 5:-5] - 0.5).abs().max() < 0.02


def test_images_of_different_sizes_are_named():
    a, b = torch.zeros(3, 512, 512), torch.zeros(3, 512, 768)
    with pytest.raises(InputError) as caught:
        media.same_size([a, a, b], ["a.png", "c.png", "b.png"], suggest="64")
    assert str(caught.value) == (
        "Images must share one size: a.png is 512x512, b.png is 768x512. Pass --size 64, and their middles are used."
    )
    media.same_size([a, a], ["a.png", "b.png"], suggest="64")
    media.same_size([], [], suggest="64")


# --- PNG


def test_metadata_is_read_back_and_the_bytes_do_not_depend_on_its_order(tmp_path):
    metadata = {"alpha": 1.5, "prompt": "ein Täßchen 🐈", "seed": 0, "negative": None, "size": [512, 768]}
    media.write_png(gradient(), tmp_path / "a.png", metadata)
    media.write_png(gradient(), tmp_path / "b.png", dict(reversed(metadata.items())))
    assert media.read_metadata(tmp_path / "a.png") == metadata
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("chunk", [None, "{", "[1]", ""])
def test_an_image_without_settings_gives_one_sentence(tmp_path, chunk):
    path = tmp_path / "a.png"
    info = PngImagePlugin.PngInfo()
    if chunk is not None:
        info.add_text("geodesic", chunk)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    with pytest.raises(InputError) as caught:
        media.read_metadata(path)
    assert str(caught.value) == (
        f"A PNG written by geodesic is needed, and {path} holds no settings of a run. "
        "Pass a frame as it was written: converting or editing an image drops its settings."
    )


def test_reading_metadata_of_a_missing_file_or_a_jpeg_gives_a_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        media.read_metadata(tmp_path / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="holds no settings"):
        media.read_metadata(tmp_path / "a.jpg")


def test_values_are_clamped_and_rounded_to_the_nearest_level(tmp_path):
    levels = torch.tensor([-1.0, 0.4 / 255, 0.6 / 255, 254.6 / 255, 2.0, 0.5, 1 / 3, 1.0])
    media.write_png(levels.double().expand(3, 8, 8), tmp_path / "a.png")
    read = (media.read_image(tmp_path / "a.png")[0, 0] * 255).round()
    assert read.tolist() == [0, 0, 1, 255, 255, 128, 85, 255]


def test_an_image_that_is_not_finite_is_not_written_as_black(tmp_path):
    with pytest.raises(OutputError, match=r"^An image of finite values is needed, .* Pass --dtype fp32\.$"):
        media.write_png(gradient() * math.nan, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


# --- all writers

WRITERS = {
    "png": lambda path: media.write_png(gradient(), path, {"seed": 1}),
    "gif": lambda path: media.write_gif(clip(), path, 12),
    "mp4": lambda path: media.write_mp4(clip(), path, 12),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_writing_twice_gives_identical_bytes_and_leaves_nothing_else(tmp_path, kind):
    for name in ("a", "b"):
        WRITERS[kind](tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a.{kind}", f"b.{kind}"]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("call", ["write_bytes", "replace"])
def test_a_full_disk_gives_one_sentence_and_leaves_the_old_file(tmp_path, monkeypatch, kind, call):
    path = tmp_path / f"a.{kind}"
    path.write_text("old")
    if kind == "mp4" and call == "write_bytes":
        monkeypatch.setattr(av, "open", no_space)
    if kind == "gif" and call == "write_bytes":
        monkeypatch.setattr(films, "getdata", no_space)  # a GIF is written frame by frame
    monkeypatch.setattr(Path, call, no_space)
    with pytest.raises(OutputError) as caught:
        WRITERS[kind](path)
    assert str(caught.value) == (
        f"{path} cannot be written (No space left on device). Free some space or choose another place."
    )
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_that_is_missing_or_in_the_way_gives_one_sentence(tmp_path, kind):
    with pytest.raises(OutputError, match=r"cannot be written \(No such file or directory\)\. Choose another place\.$"):
        WRITERS[kind](tmp_path / "missing" / f"a.{kind}")
    (tmp_path / f"a.{kind}").mkdir()
    with pytest.raises(OutputError, match=r"cannot be written \(Is a directory\)\. Choose another place\.$"):
        WRITERS[kind](tmp_path / f"a.{kind}")


def test_a_failure_of_ours_inside_a_write_keeps_its_own_name_and_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), media.replacing(path) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_place_without_permission_says_so():
    error = media.cannot_write(Path("a.png"), PermissionError(errno.EACCES, "Permission denied"))
    assert str(error) == "a.png cannot be written (Permission denied). Choose a place that you may write to."


# --- films


def gif_frames(path):
    with Image.open(path) as film:
        frames, durations = [], []
        for index in range(film.n_frames):
            film.seek(index)
            durations.append(film.info["duration"])
            frames.append(torch.from_numpy(np.asarray(film.convert("RGB")) / 255).movedim(-1, 0))
        return torch.stack(frames), durations, film.info.get("loop")


def mp4_frames(path):
    with av.open(path) as film:
        # By default swscale rounds down on the way to RGB, which darkens by a level.
        exact = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
        arrays = [frame.to_ndarray(format="rgb24", interpolation=exact) for frame in film.decode(video=0)]
        frames = [torch.from_numpy(array / 255) for array in arrays]
        return torch.stack(frames).movedim(-1, 1), film.streams.video[0]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_film_has_exactly_as_many_frames_as_it_was_given(tmp_path, count):
    media.write_gif(clip(count), tmp_path / "a.gif", 10)
    media.write_mp4(clip(count), tmp_path / "a.mp4", 10)
    assert len(gif_frames(tmp_path / "a.gif")[0]) == len(mp4_frames(tmp_path / "a.mp4")[0]) == count


def test_frames_that_repeat_are_kept(tmp_path):
    still = gradient().expand(4, 3, 16, 24)
    media.write_gif(still, tmp_path / "a.gif", 10)
    media.write_mp4(still, tmp_path / "a.mp4", 10)
    frames = gif_frames(tmp_path / "a.gif")[0]
    assert len(frames) == 4 and torch.equal(frames[0], frames[3])
    assert len(mp4_frames(tmp_path / "a.mp4")[0]) == 4


def test_films_look_like_their_frames_and_small_ones_are_enlarged_by_a_whole_factor(tmp_path):
    frames = clip(3, 64, 80)
    large = frames.repeat_interleave(4, -1).repeat_interleave(4, -2)
    media.write_gif(frames, tmp_path / "a.gif", 10)
    media.write_mp4(frames, tmp_path / "a.mp4", 10)
    for film, least in ((gif_frames(tmp_path / "a.gif")[0], 28), (mp4_frames(tmp_path / "a.mp4")[0], 30)):
        assert film.shape == large.shape
        assert min(decibels(a, b) for a, b in zip(film, large, strict=True)) > least
        assert (film - large).mean((2, 3)).abs().max() < 0.003  # no shift of the levels


def test_an_mp4_is_h264_in_even_sizes_with_its_index_in_front(tmp_path):
    encoder = media.write_mp4(clip(2, 257, 259), tmp_path / "a.mp4", 23.976)
    frames, stream = mp4_frames(tmp_path / "a.mp4")
    assert encoder == ("libx264" if films._can_encode("libx264") else encoder)
    assert frames.shape[-2:] == (258, 260)
    assert stream.codec_context.pix_fmt == "yuv420p" and float(stream.average_rate) == pytest.approx(23.976, abs=1e-3)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_without_h264_an_mp4_falls_back_to_mpeg4(tmp_path, monkeypatch):
    monkeypatch.setattr(films, "_can_encode", lambda name: name == "mpeg4")
    assert media.write_mp4(clip(4, 64, 64), tmp_path / "a.mp4", 25) == "mpeg4"
    frames, _ = mp4_frames(tmp_path / "a.mp4")
    large = clip(4, 64, 64).repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert len(frames) == 4 and decibels(frames[3], large[3]) > 28


def test_an_encoder_that_does_not_exist_cannot_encode():
    assert not films._can_encode("no_such_encoder")


@pytest.mark.parametrize(("fps", "durations"), [(10, [100] * 5), (30, [30, 40, 30, 30, 40]), (1000, [20] * 5)])
def test_a_gif_keeps_the_pace_within_a_hundredth_of_a_second(tmp_path, fps, durations):
    media.write_gif(clip(), tmp_path / "a.gif", fps)
    assert gif_frames(tmp_path / "a.gif")[1] == durations


def test_a_gif_loops_unless_told_otherwise(tmp_path):
    media.write_gif(clip(2), tmp_path / "a.gif", 10)
    media.write_gif(clip(2), tmp_path / "b.gif", 10, loop=False)
    assert gif_frames(tmp_path / "a.gif")[2] == 0
    assert gif_frames(tmp_path / "b.gif")[2] is None


@pytest.mark.parametrize("fps", [0, -1, math.nan, math.inf, 2000])
def test_a_frame_rate_that_is_none_gives_one_sentence(tmp_path, fps):
    for write in (media.write_gif, media.write_mp4):
        with pytest.raises(InputError) as caught:
            write(clip(2), tmp_path / "a", fps)
        assert str(caught.value) == f"Frames per second must be between 0 and 1000, not {fps:g}. Pass --fps 24."


def test_a_film_without_frames_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="takes frames"):
        media.write_gif(torch.zeros(0, 3, 8, 8), tmp_path / "a.gif", 10)


# --- contact sheets


def holds(sheet, tile):
    """Whether the tile occurs in the sheet, bit for bit."""
    _, h, w = tile.shape
    corners = (sheet[:, : sheet.shape[1] - h + 1, : sheet.shape[2] - w + 1] == tile[:, :1, :1]).all(0).nonzero()
    return any(torch.equal(sheet[:, y : y + h, x : x + w], tile) for y, x in corners.tolist())


def test_a_sheet_holds_every_frame_in_rows_and_nothing_but_white_between():
    rows = [clip(3, 96, 100), clip(2, 96, 100).flip(-1)]
    sheet = media.sheet(rows)
    assert sheet.shape[0] == 3 and all(holds(sheet, frame) for row in rows for frame in row)
    assert (sheet[:, :2] == 1).all() and (sheet[:, :, :2] == 1).all()
    assert sheet.shape[2] < 3 * 100 + 40 and sheet.shape[1] < 2 * 96 + 40


def test_small_frames_are_enlarged_in_a_sheet_by_a_whole_factor():
    frames = clip(2, 64, 64)
    assert holds(media.sheet([frames]), frames[1].repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_labels_are_drawn_in_a_margin_of_their_own():
    rows = [clip(3, 96, 96), clip(3, 96, 96)]
    plain, labelled = media.sheet(rows), media.sheet(rows, ["geodesic", "straight\nline"])
    margin = labelled.shape[2] - plain.shape[2]
    assert margin > 20 and torch.equal(labelled[:, :, margin + 4 :], plain[:, :, 4:])
    assert labelled[:, :, : margin + 2].min() < 0.2
    assert torch.equal(labelled, media.sheet(rows, ["geodesic", "straight\nline"]))


@pytest.mark.parametrize(("count", "lines", "columns"), [(17, 1, 17), (18, 2, 9), (33, 2, 17), (40, 3, 14)])
def test_a_long_row_goes_on_in_further_lines(count, lines, columns):
    sheet = media.sheet([clip(1, 96, 96).expand(count, 3, 96, 96)])
    assert sheet.shape[1] // 98 == lines and sheet.shape[2] // 98 == columns


def test_a_label_taller_than_the_sheet_is_cut_and_does_not_fail():
    assert media.sheet([clip(1, 8, 96)], ["\n".join("abcdefghijklmnopqrstuvwxyz")]).shape[0] == 3


def coloured(sheet, colour):
    """How many pixels have a colour."""
    return int((sheet - torch.tensor(colour)[:, None, None]).abs().amax(0).lt(0.01).sum())


@pytest.mark.parametrize("count", [3, 40])
def test_marks_stand_around_their_frames_and_hide_nothing(count):
    rows = [clip(1, 96, 96).expand(count, 3, 96, 96) * 0.5 + 0.2, clip(1, 96, 96).expand(count, 3, 96, 96) * 0.4]
    marks = media.SheetMarks(written=(1,), given=(0, count - 1), doubtful=(1,))
    sheet = media.sheet(rows, ["one", "two"], marks)
    assert all(holds(sheet, row[k]) for row in rows for k in (0, 1, count - 1))
    given, doubtful = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0)
    around = 2 * (96 + 96) * 3  # three pixels wide
    assert coloured(sheet, given) > 4 * around  # both ends in both rows, and the legend
    assert 0.4 * around < coloured(sheet, doubtful) < 1.2 * around  # dashed, in the written row alone, and the legend
    without = media.sheet(rows, ["one", "two"])
    assert coloured(without, given) == coloured(without, doubtful) == 0


def test_marks_of_the_only_row_are_drawn_and_a_legend_names_them():
    rows = [clip(4, 96, 96) * 0.5]
    plain, marked = media.sheet(rows), media.sheet(rows, marks=media.SheetMarks(doubtful=(2,)))
    assert coloured(marked, (0.835, 0.369, 0.0)) > 200 and marked.shape[1] > plain.shape[1]
    assert [words for _, _, words in media.SheetMarks(written=(0,), given=(0,), doubtful=(1,)).legend] == [
        "an image that was given",
        "doubtful: the model hardly ever draws such a picture",
        "the row in frames/ and the films",
    ]


def test_rows_that_do_not_fit_together_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="one frame size"):
        media.sheet([clip(2, 96, 96), clip(2, 96, 97)])
    with pytest.raises(ValueError, match="as many labels"):
        media.sheet([clip(2, 96, 96)], ["a", "b"])
