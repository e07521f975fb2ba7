"""Films: frames (m, 3, h, w) in [0, 1] to a GIF or an MP4 of exactly m frames. The same frames give the same bytes."""

import math
import struct
from fractions import Fraction
from pathlib import Path

from PIL import Image, ImageChops
from PIL.GifImagePlugin import getdata
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli.errors import InputError
from geodesic_cli.media.files import replacing
from geodesic_cli.media.images import to_bytes
from geodesic_cli.media.sizes import enlarge


def write_gif(frames: Tensor, path: str | Path, fps: float, loop: bool = True) -> None:
    """Frames (m, 3, h, w) as a GIF of exactly m frames that share one adaptive palette of 256 colours.

    Small frames are enlarged by a whole factor until the short side has 256 pixels. GIF counts time in hundredths of
    a second: frame i starts at the hundredth nearest to i / fps, and above 50 frames a second viewers slow down.
    """
    _check_film(frames, fps)
    images = [Image.fromarray(array) for array in to_bytes(enlarge(frames, 256))]
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
    frames = enlarge(frames, 256)
    height, width = frames.shape[-2:]
    arrays = to_bytes(pad(frames.float(), (0, width % 2, 0, height % 2), mode="replicate"))
    encoder = video_encoder()
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


def _check_film(frames: Tensor, fps: float) -> None:
    if not (math.isfinite(fps) and 0 < fps <= 1000):
        raise InputError(f"Frames per second must be between 0 and 1000, not {fps:g}.", "Pass --fps 24.")
    if frames.ndim != 4 or not len(frames):
        raise ValueError(f"a film takes frames (m, 3, h, w), not {tuple(frames.shape)}")


def video_encoder() -> str:
    """The name of the encoder that films are written with on this machine."""
    return next(name for name in ("libx264", "libopenh264", "mpeg4") if _can_encode(name))


def _can_encode(name: str) -> bool:
    import av

    try:
        av.Codec(name, "w")
    except ValueError:
        return False
    return True


def _palette(frames: Tensor) -> Image.Image:
    """256 colours for all the frames: one palette, because colours that change from frame to frame flicker."""
    arrays = to_bytes(frames)
    step = max(1, math.ceil(math.sqrt(arrays[..., 0].size / 2**20)))  # a million pixels tell enough
    pixels = arrays[:, ::step, ::step].reshape(1, -1, 3)
    return Image.fromarray(pixels).quantize(256, Image.Quantize.MEDIANCUT, kmeans=1)


def _indices(image: Image.Image) -> Image.Image:
    """The palette indices of an image as gray values."""
    return Image.frombytes("L", image.size, image.tobytes())
