"""Images and films at the border of the program: files on one side, tensors (3, h, w) in [0, 1] on the other.

An image is its pixel values divided by the largest one, in the file's own encoding (sRGB as a rule; colour profiles
are not applied). Transparency is composited on white, c = a c' + (1 - a). Writing rounds 255 c to the nearest integer
(ties to even), so writing and reading again is exact for eight-bit images.

Whatever is written appears whole or not at all: a temporary file in the same folder takes the place of the old one at
the end. The same frames give the same bytes.
"""

import errno
import json
import math
import re
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from io import BytesIO
from os import getpid
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError
from PIL.GifImagePlugin import getdata
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli.errors import InputError, OutputError

SMALLEST = 8  # pixels on a side: the factor by which an image codec shrinks
LARGEST = 32_768
PER_LINE = 17  # frames in one line of a contact sheet
KEY = "geodesic"  # of the text chunk in a PNG

# --- reading ---------------------------------------------------------------------------------------------------------


def read_image(path: str | Path) -> Tensor:
    """An image file as (3, h, w), float32 in [0, 1], upright and composited on white.

    Sixteen-bit gray keeps its precision; of sixteen-bit colour Pillow keeps the upper eight bits. Integer gray of more
    bits is read as sixteen-bit, floating-point gray as [0, 1]. Of an animation the first frame is read.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd but readable files
            with Image.open(path) as file:
                width, height = file.size
                if min(width, height) >= SMALLEST:  # a smaller one is refused below, undecoded
                    array = _decode(ImageOps.exif_transpose(file))
    except FileNotFoundError as error:
        raise InputError(f"An image file is needed, and {path} does not exist.", "Check the path.") from error
    except IsADirectoryError as error:
        raise InputError(f"An image file is needed, and {path} is a folder.", "Name one of the files in it.") from error
    except PermissionError as error:
        raise InputError(f"An image file is needed, and {path} may not be read.", "Change its permissions.") from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"An image is needed, and {path} is not one in a format that can be read.", "Convert it to PNG or JPEG."
        ) from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise InputError(
            f"An image of at most {most} million pixels is needed, and {path} has more.", "Shrink it."
        ) from error
    except Exception as error:  # each decoder has its own way to fail on a damaged file
        raise InputError(
            f"A whole image is needed, and {path} is damaged ({error}).", "Copy or export it again."
        ) from error
    if min(width, height) < SMALLEST:
        raise InputError(
            f"Images must have at least {SMALLEST} pixels on a side, and {path} is {width}x{height}.",
            "Pass a larger image.",
        )
    return torch.from_numpy(array).movedim(-1, 0).contiguous()


def _decode(image: Image.Image) -> np.ndarray:
    """Pixels (h, w, 3) of any of Pillow's modes."""
    if image.mode == "F":
        return np.repeat(np.nan_to_num(np.asarray(image, np.float32)).clip(0, 1)[..., None], 3, -1)
    if image.mode.startswith("I"):  # I;16, its byte orders, and I
        return np.repeat((np.asarray(image).astype(np.float32) / 65535).clip(0, 1)[..., None], 3, -1)
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB")).astype(np.float32) / 255
    rgba = np.asarray(image.convert("RGBA")).astype(np.float32) / 255
    colour, alpha = rgba[..., :3], rgba[..., 3:]
    return alpha * colour + (1 - alpha)


def read_metadata(path: str | Path) -> dict[str, object]:
    """What `write_png` put beside the pixels."""
    path = Path(path)
    read_image(path)  # says in a sentence what is wrong with a file that is no image
    with Image.open(path) as file:
        text = getattr(file, "text", {}).get(KEY, "")
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    raise InputError(
        f"A PNG written by geodesic is needed, and {path} holds no settings of a run.",
        "Pass a frame as it was written: converting or editing an image drops its settings.",
    )


# --- sizes -----------------------------------------------------------------------------------------------------------


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of "768", a square, or "512x768", WIDTHxHEIGHT as in ffmpeg and ImageMagick."""
    match = re.fullmatch(r"\s*([0-9]{1,5})(?:\s*[xX×]\s*([0-9]{1,5}))?\s*", text)
    if match is None:
        raise InputError(f"A size is a number of pixels or WIDTHxHEIGHT, not {text!r}.", "Pass --size 512 or 768x512.")
    width = int(match[1])
    height = int(match[2] or width)
    if min(height, width) < SMALLEST or max(height, width) > LARGEST:
        raise InputError(
            f"A size must be between {SMALLEST} and {LARGEST} pixels on a side, not {width}x{height}.",
            "Pass --size 512 or 768x512.",
        )
    return height, width


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """The largest centred part of the right shape, scaled by Lanczos with antialiasing.

    An image that has the size already is returned as it is.
    """
    h, w = image.shape[-2:]
    if (h, w) == (height, width):
        return image
    scale = max(height / h, width / w)
    part_h, part_w = min(h, height / scale), min(w, width / scale)
    left, top = (w - part_w) / 2, (h - part_h) / 2
    box = (left, top, min(w, left + part_w), min(h, top + part_h))
    # Pillow resamples the fractional box of one float channel, hence neither a whole-pixel crop nor eight bits.
    channels = [
        np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.LANCZOS, box))
        for channel in image.detach().cpu().float().numpy()
    ]
    return torch.from_numpy(np.stack(channels)).clamp(0, 1).to(image)


def same_size(images: Sequence[Tensor], names: Sequence[str], suggest: str) -> None:
    """Refuse images of different sizes, naming the first two that differ and the ``--size`` to ``suggest``."""
    sizes = [f"{image.shape[-1]}x{image.shape[-2]}" for image in images]
    for size, name in zip(sizes, names, strict=True):
        if size != sizes[0]:
            raise InputError(
                f"Images must share one size: {names[0]} is {sizes[0]}, {name} is {size}.",
                f"Pass --size {suggest}, and their middles are used.",
            )


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of two images, 10 log10(1 / mean (a - b)²) in dB; infinite where they are equal."""
    if a.shape != b.shape:
        raise ValueError(f"psnr compares images of one shape, not {tuple(a.shape)} and {tuple(b.shape)}")
    error = (a.double() - b.double()).square().mean().item()
    return 10 * math.log10(1 / error) if error > 0 else (math.nan if math.isnan(error) else math.inf)


# --- writing ---------------------------------------------------------------------------------------------------------


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary place beside `path` whose file takes the place of `path` if the block ends well."""
    temporary = path.with_name(f".{path.name}.{getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The sentence for a place that the system does not let us write to."""
    hint = {
        errno.ENOSPC: "Free some space or choose another place.",
        errno.EDQUOT: "Free some space or choose another place.",
        errno.EACCES: "Choose a place that you may write to.",
        errno.EPERM: "Choose a place that you may write to.",
        errno.EROFS: "Choose a place that you may write to.",
    }.get(error.errno or 0, "Choose another place.")
    return OutputError(f"{path} cannot be written ({error.strerror or error}).", hint)


def write_png(image: Tensor, path: str | Path, metadata: Mapping[str, object] | None = None) -> None:
    """An image (3, h, w) as an eight-bit PNG with `metadata` as JSON in the text chunk "geodesic"."""
    chunks = PngInfo()
    if metadata is not None:
        chunks.add_text(KEY, json.dumps(metadata, sort_keys=True, default=str))
    buffer = BytesIO()
    Image.fromarray(_to_bytes(image[None])[0]).save(buffer, "PNG", pnginfo=chunks)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(buffer.getvalue())


def sheet(rows: Sequence[Tensor], labels: Sequence[str] | None = None) -> Tensor:
    """A contact sheet (3, H, W): one row per method, each row (m, 3, h, w), with its label in the left margin.

    Frames below 96 pixels are enlarged by a whole factor. A row of more than 17 frames goes on in further lines of
    about equal length.
    """
    if not rows or any(row.ndim != 4 or not len(row) or row.shape[1:] != rows[0].shape[1:] for row in rows):
        raise ValueError(f"a sheet takes rows (m, 3, h, w) of one frame size, not {[tuple(row.shape) for row in rows]}")
    tiles = [_enlarge(row, 96) for row in rows]
    h, w = tiles[0].shape[-2:]
    gap = max(2, min(h, w) // 48)  # between frames and lines; three times as much between methods and around
    lines = [tile.split(math.ceil(len(tile) / math.ceil(len(tile) / PER_LINE))) for tile in tiles]
    columns = max(len(row[0]) for row in lines)
    texts = [_text(label, max(12, h // 7)) for label in labels or []]
    if labels is not None and len(texts) != len(rows):
        raise ValueError(f"a sheet of {len(rows)} rows takes as many labels, not {len(texts)}")
    left = 3 * gap + max((text.shape[1] + 3 * gap for text in texts), default=0)
    height = 3 * gap + sum(len(row) * (h + gap) + 2 * gap for row in lines)
    canvas = torch.ones(3, height, left + columns * (w + gap) + 2 * gap)
    top = 3 * gap
    for index, row in enumerate(lines):
        block = len(row) * (h + gap) - gap
        if texts:
            text = texts[index]
            y = max(0, min(top + (block - text.shape[0]) // 2, height - text.shape[0]))
            canvas[:, y : y + text.shape[0], 3 * gap : 3 * gap + text.shape[1]] *= 1 - text[:height]
        for line in row:
            for column, frame in enumerate(line):
                x = left + column * (w + gap)
                canvas[:, top : top + h, x : x + w] = frame
            top += h + gap
        top += 2 * gap
    return canvas.clamp(0, 1)


def write_gif(frames: Tensor, path: str | Path, fps: float, loop: bool = True) -> None:
    """Frames (m, 3, h, w) as a GIF of exactly m frames that share one adaptive palette of 256 colours.

    Small frames are enlarged by a whole factor until the short side has 256 pixels. GIF counts time in hundredths of
    a second: frame i starts at the hundredth nearest to i / fps, and above 50 frames a second viewers slow down.
    """
    _check_film(frames, fps)
    images = [Image.fromarray(array) for array in _to_bytes(_enlarge(frames, 256))]
    palette = _palette(frames)
    width, height = images[0].size
    colours = bytes(palette.getpalette() or ()).ljust(768, b"\0")
    data = [b"GIF89a", struct.pack("<HHBBB", width, height, 0xF7, 0, 0), colours]
    if loop:
        data.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
    before: Image.Image | None = None
    for index, image in enumerate(images):
        frame = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        # Only the part that changes is stored. Pillow's own writer would drop a frame that repeats the one before.
        box = (0, 0, width, height)
        if before is not None:
            box = ImageChops.difference(_indices(before), _indices(frame)).getbbox() or (0, 0, 1, 1)
        hundredths = max(2, round((index + 1) * 100 / fps) - round(index * 100 / fps))
        data += getdata(frame.crop(box), box[:2], duration=10 * hundredths)
        before = frame
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(b"".join(data) + b";")


def write_mp4(frames: Tensor, path: str | Path, fps: float) -> str:
    """Frames (m, 3, h, w) as an MP4 of exactly m frames; returns the name of the encoder.

    H.264 at CRF 18 in yuv420p and BT.709, which every browser plays; MPEG-4 where PyAV was built without an H.264
    encoder. Small frames are enlarged by a whole factor until the short side has 256 pixels, and an odd side gains a
    copy of its last line. One thread encodes, so the same frames give the same bytes.
    """
    import av

    _check_film(frames, fps)
    frames = _enlarge(frames, 256)
    height, width = frames.shape[-2:]
    arrays = _to_bytes(pad(frames.float(), (0, width % 2, 0, height % 2), mode="replicate"))
    encoder = next(name for name in ("libx264", "libopenh264", "mpeg4") if _can_encode(name))
    options = {"libx264": {"crf": "18"}, "mpeg4": {"qmin": "2", "qmax": "4"}}.get(encoder, {})
    with (
        replacing(Path(path)) as temporary,
        av.open(temporary, "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as film,
    ):
        stream = film.add_stream(encoder, rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.height, stream.width = arrays.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        if encoder != "libx264":
            stream.bit_rate = round(0.3 * height * width * fps)
        # 1 is BT.709 in all three, and the range of television: without the tags players guess from the height.
        stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        stream.codec_context.color_range = 1
        for array in arrays:
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            film.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1, threads=1)))
        film.mux(stream.encode())
    return encoder


# --- parts of writing ------------------------------------------------------------------------------------------------


def _to_bytes(images: Tensor) -> np.ndarray:
    """(m, 3, h, w) in [0, 1] as (m, h, w, 3) of bytes."""
    images = images.detach().cpu().float()
    if not images.isfinite().all():
        raise OutputError("An image of finite values is needed, and this one holds NaN.", "Pass --dtype fp32.")
    return images.clamp(0, 1).mul(255).round().to(torch.uint8).movedim(1, -1).contiguous().numpy()


def _enlarge(frames: Tensor, shortest: int) -> Tensor:
    """Frames whose short side has at least `shortest` pixels, each pixel repeated a whole number of times."""
    factor = math.ceil(shortest / min(frames.shape[-2:]))
    return frames.repeat_interleave(factor, -2).repeat_interleave(factor, -1) if factor > 1 else frames


def _check_film(frames: Tensor, fps: float) -> None:
    if not (math.isfinite(fps) and 0 < fps <= 1000):
        raise InputError(f"Frames per second must be between 0 and 1000, not {fps:g}.", "Pass --fps 24.")
    if frames.ndim != 4 or not len(frames):
        raise ValueError(f"a film takes frames (m, 3, h, w), not {tuple(frames.shape)}")


def _can_encode(name: str) -> bool:
    import av

    try:
        av.Codec(name, "w")
    except ValueError:
        return False
    return True


def _palette(frames: Tensor) -> Image.Image:
    """256 colours for all the frames: one palette, because colours that change from frame to frame flicker."""
    arrays = _to_bytes(frames)
    step = max(1, math.ceil(math.sqrt(arrays[..., 0].size / 2**20)))  # a million pixels tell enough
    pixels = arrays[:, ::step, ::step].reshape(1, -1, 3)
    return Image.fromarray(pixels).quantize(256, Image.Quantize.MEDIANCUT, kmeans=1)


def _indices(image: Image.Image) -> Image.Image:
    """The palette indices of an image as gray values."""
    return Image.frombytes("L", image.size, image.tobytes())


def _text(text: str, size: int) -> Tensor:
    """How much ink (h, w) in [0, 1] covers each pixel of a label."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font=font)
    image = Image.new("L", (math.ceil(right - left) + 1, math.ceil(bottom - top) + 1))
    ImageDraw.Draw(image).multiline_text((-left, -top), text, fill=255, font=font)
    return torch.from_numpy(np.asarray(image).astype(np.float32) / 255)
