"""Films: frames (m, 3, h, w) in [0, 1] to an MP4, WebM, GIF, APNG or WebP. The same frames give the same bytes.

Frames are taken one by one, so that those in files are never all in memory; for a WebP they are, as bytes.

All have exactly m frames, but WebP, in which frames that are quite alike and follow each other are one that is longer.
"""

import math
import struct
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops
from PIL.GifImagePlugin import getdata

from geodesic_cli.errors import InputError
from geodesic_cli.media.files import replacing
from geodesic_cli.media.images import to_bytes
from geodesic_cli.media.sizes import enlarge
from geodesic_cli.media.sounds import Sound, packets_of
from geodesic_cli.media.stored import FrameSource

VIDEOS = {"mp4": ("libx264", "libopenh264", "mpeg4"), "webm": ("libvpx-vp9", "libvpx")}
"""Kinds of films that may have a sound, and their encoders, the first of which that there is is taken."""
SPOKEN = {"mp4": "aac", "webm": "libopus"}
"""The encoders of their sound."""
ENCODING = {
    "libx264": {"crf": "18"},
    "mpeg4": {"qmin": "2", "qmax": "4"},
    "libvpx-vp9": {"crf": "24", "b": "0", "row-mt": "0"},
}


def write_gif(frames: FrameSource, path: str | Path, fps: float, loop: bool = True) -> None:
    """Frames (m, 3, h, w) as a GIF of exactly m frames that share one adaptive palette of 256 colours.

    Small frames are enlarged by a whole factor until the short side has 256 pixels. GIF counts time in hundredths of
    a second: frame i starts at the hundredth nearest to i / fps, and above 50 frames a second viewers slow down.
    """
    _check_film(frames, fps)
    with replacing(Path(path)) as temporary, temporary.open("wb") as film:
        film.writelines(_gif_parts(frames, fps, loop))


def _gif_parts(frames: FrameSource, fps: float, loop: bool) -> Iterator[bytes]:
    """The bytes of a GIF, frame by frame."""
    palette = _palette(frames)
    colours = bytes(palette.getpalette() or ()).ljust(768, b"\0")
    before: Image.Image | None = None
    for index, array in enumerate(_arrays(frames)):
        image = Image.fromarray(array)
        if before is None:
            yield b"GIF89a" + struct.pack("<HHBBB", *image.size, 0xF7, 0, 0) + colours
            yield b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00" if loop else b""
        frame = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        # Only the part that changes is stored. Pillow's own writer would drop a frame that repeats the one before.
        box = (0, 0, *image.size)
        if before is not None:
            box = ImageChops.difference(_indices(before), _indices(frame)).getbbox() or (0, 0, 1, 1)
        hundredths = max(2, round((index + 1) * 100 / fps) - round(index * 100 / fps))
        yield from getdata(frame.crop(box), box[:2], duration=10 * hundredths)
        before = frame
    yield b";"


def _arrays(frames: FrameSource) -> Iterator[np.ndarray]:
    """The frames as a film shows them, (h, w, 3) of bytes, one after another."""
    return (to_bytes(enlarge(frame[None], 256))[0] for frame in frames)


def write_film(frames: FrameSource, path: str | Path, fps: float, sound: Sound | None = None) -> None:
    """Frames (m, 3, h, w) as a film of the kind that the suffix names: mp4, webm, gif, webp or apng.

    A sound is heard in the first two alone.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind in VIDEOS:
        _write_video(frames, Path(path), fps, kind, sound)
    else:
        {"gif": write_gif, "webp": _write_webp, "apng": _write_apng}[kind](frames, path, fps)


def write_mp4(frames: FrameSource, path: str | Path, fps: float) -> str:
    """Frames (m, 3, h, w) as an MP4 of exactly m frames; returns the name of the encoder.

    H.264 at CRF 18 in yuv420p and BT.709, which every browser plays; MPEG-4 where PyAV was built without an H.264
    encoder. Small frames are enlarged by a whole factor until the short side has 256 pixels, and an odd side gains a
    copy of its last line. One thread encodes, so the same frames give the same bytes.
    """
    return _write_video(frames, Path(path), fps, "mp4", None)


def _write_video(frames: FrameSource, path: Path, fps: float, kind: str, sound: Sound | None) -> str:
    import av

    _check_film(frames, fps)
    arrays = (
        np.pad(array, ((0, len(array) % 2), (0, array.shape[1] % 2), (0, 0)), "edge") for array in _arrays(frames)
    )
    first = next(arrays)
    encoder = video_encoder(kind)
    rate = Fraction(fps).limit_denominator(1001)
    flags = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if kind == "mp4" else {})
    with replacing(path) as temporary, av.open(temporary, "w", format=kind, options=flags) as film:
        stream = film.add_stream(encoder, rate=rate, options=ENCODING.get(encoder, {}))
        stream.height, stream.width = height, width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        if encoder not in ("libx264", "libvpx-vp9"):
            stream.bit_rate = round(0.3 * height * width * fps)
        # 1 is BT.709 in all three, and the range of television: without the tags players guess from the height.
        stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        stream.codec_context.color_range = 1
        heard = iter(()) if sound is None else packets_of(sound, film, SPOKEN[kind], len(frames) / fps)
        waiting = next(heard, None) if sound is not None else None
        for index, array in enumerate(chain([first], arrays)):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            film.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1, threads=1)))
            while waiting is not None and float(waiting.pts * waiting.time_base) <= (index + 1) / fps:
                film.mux(waiting)
                waiting = next(heard, None)
        film.mux(stream.encode())
        for packet in chain([] if waiting is None else [waiting], heard):
            film.mux(packet)
    return encoder


def _write_apng(frames: FrameSource, path: str | Path, fps: float) -> None:
    """An APNG by FFmpeg: Pillow's writer joins frames that are alike."""
    import av

    _check_film(frames, fps)
    arrays = _arrays(frames)
    first = next(arrays)
    options = {"plays": "0", "fflags": "+bitexact"}
    with replacing(Path(path)) as temporary, av.open(temporary, "w", format="apng", options=options) as film:
        stream = film.add_stream("apng", rate=Fraction(fps).limit_denominator(1001), options={"pred": "mixed"})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "rgb24"
        stream.codec_context.thread_count = 1
        for array in chain([first], arrays):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        film.mux(stream.encode())


def _write_webp(frames: FrameSource, path: str | Path, fps: float) -> None:
    """A WebP of good quality that goes round; it counts time in milliseconds."""
    _check_film(frames, fps)
    first, *more = map(Image.fromarray, _arrays(frames))  # Pillow's writer wants them all at once
    times = [round((k + 1) * 1000 / fps) - round(k * 1000 / fps) for k in range(len(frames))]
    buffer = BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=more, duration=times, loop=0, quality=90, method=4)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _check_film(frames: FrameSource, fps: float) -> None:
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


def _palette(frames: FrameSource) -> Image.Image:
    """256 colours for all the frames: one palette, because colours that change from frame to frame flicker."""
    count, _, height, width = frames.shape
    step = max(1, math.ceil(math.sqrt(count * height * width / 2**20)))  # a million pixels tell enough
    pixels = [to_bytes(frame[None])[0, ::step, ::step].reshape(-1, 3) for frame in frames]
    return Image.fromarray(np.concatenate(pixels)[None]).quantize(256, Image.Quantize.MEDIANCUT, kmeans=1)


def _indices(image: Image.Image) -> Image.Image:
    """The palette indices of an image as gray values."""
    return Image.frombytes("L", image.size, image.tobytes())
