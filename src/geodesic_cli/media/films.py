"""Films: frames (m, 3, h, w) in [0, 1] to an MP4, WebM, GIF, APNG or WebP. The same frames give the same bytes.

All have exactly m frames, but WebP, in which frames that are quite alike and follow each other are one that is longer.
"""

import math
import struct
from fractions import Fraction
from io import BytesIO
from itertools import chain
from pathlib import Path

from PIL import Image, ImageChops
from PIL.GifImagePlugin import getdata
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli.errors import InputError
from geodesic_cli.media.files import replacing
from geodesic_cli.media.images import to_bytes
from geodesic_cli.media.sizes import enlarge
from geodesic_cli.media.sounds import Sound, packets_of

VIDEOS = {"mp4": ("libx264", "libopenh264", "mpeg4"), "webm": ("libvpx-vp9", "libvpx")}
"""Kinds of films that may have a sound, and their encoders, the first of which that there is is taken."""
SPOKEN = {"mp4": "aac", "webm": "libopus"}
"""The encoders of their sound."""
ENCODING = {
    "libx264": {"crf": "18"},
    "mpeg4": {"qmin": "2", "qmax": "4"},
    "libvpx-vp9": {"crf": "24", "b": "0", "row-mt": "0"},
}


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


def write_film(frames: Tensor, path: str | Path, fps: float, sound: Sound | None = None) -> None:
    """Frames (m, 3, h, w) as a film of the kind that the suffix names: mp4, webm, gif, webp or apng.

    A sound is heard in the first two alone.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind in VIDEOS:
        _write_video(frames, Path(path), fps, kind, sound)
    else:
        {"gif": write_gif, "webp": _write_webp, "apng": _write_apng}[kind](frames, path, fps)


def write_mp4(frames: Tensor, path: str | Path, fps: float) -> str:
    """Frames (m, 3, h, w) as an MP4 of exactly m frames; returns the name of the encoder.

    H.264 at CRF 18 in yuv420p and BT.709, which every browser plays; MPEG-4 where PyAV was built without an H.264
    encoder. Small frames are enlarged by a whole factor until the short side has 256 pixels, and an odd side gains a
    copy of its last line. One thread encodes, so the same frames give the same bytes.
    """
    return _write_video(frames, Path(path), fps, "mp4", None)


def _write_video(frames: Tensor, path: Path, fps: float, kind: str, sound: Sound | None) -> str:
    import av

    _check_film(frames, fps)
    frames = enlarge(frames, 256)
    height, width = frames.shape[-2:]
    arrays = to_bytes(pad(frames.float(), (0, width % 2, 0, height % 2), mode="replicate"))
    encoder = video_encoder(kind)
    rate = Fraction(fps).limit_denominator(1001)
    flags = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if kind == "mp4" else {})
    with replacing(path) as temporary, av.open(temporary, "w", format=kind, options=flags) as film:
        stream = film.add_stream(encoder, rate=rate, options=ENCODING.get(encoder, {}))
        stream.height, stream.width = arrays.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        if encoder not in ("libx264", "libvpx-vp9"):
            stream.bit_rate = round(0.3 * height * width * fps)
        # 1 is BT.709 in all three, and the range of television: without the tags players guess from the height.
        stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        stream.codec_context.color_range = 1
        heard = iter(()) if sound is None else packets_of(sound, film, SPOKEN[kind], len(arrays) / fps)
        waiting = next(heard, None) if sound is not None else None
        for index, array in enumerate(arrays):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            film.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1, threads=1)))
            while waiting is not None and float(waiting.pts * waiting.time_base) <= (index + 1) / fps:
                film.mux(waiting)
                waiting = next(heard, None)
        film.mux(stream.encode())
        for packet in chain([] if waiting is None else [waiting], heard):
            film.mux(packet)
    return encoder


def _write_apng(frames: Tensor, path: str | Path, fps: float) -> None:
    """An APNG by FFmpeg: Pillow's writer joins frames that are alike."""
    import av

    _check_film(frames, fps)
    arrays = to_bytes(enlarge(frames, 256))
    options = {"plays": "0", "fflags": "+bitexact"}
    with replacing(Path(path)) as temporary, av.open(temporary, "w", format="apng", options=options) as film:
        stream = film.add_stream("apng", rate=Fraction(fps).limit_denominator(1001), options={"pred": "mixed"})
        stream.height, stream.width = arrays.shape[1:3]
        stream.pix_fmt = "rgb24"
        stream.codec_context.thread_count = 1
        for array in arrays:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        film.mux(stream.encode())


def _write_webp(frames: Tensor, path: str | Path, fps: float) -> None:
    """A WebP of good quality that goes round; it counts time in milliseconds."""
    _check_film(frames, fps)
    first, *more = [Image.fromarray(array) for array in to_bytes(enlarge(frames, 256))]
    times = [round((k + 1) * 1000 / fps) - round(k * 1000 / fps) for k in range(len(frames))]
    buffer = BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=more, duration=times, loop=0, quality=90, method=4)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _check_film(frames: Tensor, fps: float) -> None:
    if not (math.isfinite(fps) and 0 < fps <= 1000):
        raise InputError(f"Frames per second must be between 0 and 1000, not {fps:g}.", "Pass --fps 24.")
    if frames.ndim != 4 or not len(frames):
        raise ValueError(f"a film takes frames (m, 3, h, w), not {tuple(frames.shape)}")


def video_encoder(kind: str = "mp4") -> str:
    """The name of the encoder that films of a kind, mp4 or webm, are written with on this machine."""
    return next(name for name in VIDEOS[kind] if _can_encode(name))


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
