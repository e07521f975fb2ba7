"""The sound of a film, for another film of the same length that is made of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

RATE = 48_000
"""Samples a second of the sound that is written."""


@dataclass(frozen=True)
class Sound:
    """The sound of a film.

    Args:
        path: of the film.
        begin: when its pictures begin, in seconds of the file.
        seconds: how long its pictures last.
        fps: how many of them there are in a second, on average.
    """

    path: Path
    begin: float
    seconds: float
    fps: float


def sound_of(source: str | Path) -> Sound | None:
    """The sound beside the pictures of a file; None where there is no sound, no picture, or no film."""
    import av

    path = Path(source)
    if not path.is_file():
        return None
    try:
        with av.open(str(path.resolve()), "r") as film:
            if not film.streams.audio or not film.streams.video:
                return None
            stream = film.streams.video[0]
            base = stream.time_base
            times = [float(packet.pts * base) for packet in film.demux(stream) if packet.pts is not None and base]
    except (av.FFmpegError, ValueError, OSError):
        return None
    if len(times) < 2 or max(times) <= min(times):
        return None
    step = (max(times) - min(times)) / (len(times) - 1)
    return Sound(path, min(times), step * len(times), 1 / step)


def packets_of(sound: Sound, film: Any, codec: str, seconds: float) -> Iterator[Any]:
    """The packets of a sound, encoded anew for a film that is being written, from the first picture on.

    Args:
        sound: which.
        film: an open container of PyAV, whose stream for it is made at once.
        codec: the encoder.
        seconds: after which it ends.
    """
    import av

    # The stream stands in the film before its first packet is asked for, since with that the header is written.
    stream = film.add_stream(codec, rate=RATE, layout="stereo")
    stream.codec_context.thread_count = 1

    def packets() -> Iterator[Any]:
        resampler = av.AudioResampler(
            stream.codec_context.format, "stereo", RATE, stream.codec_context.frame_size or 1024
        )
        with av.open(str(sound.path.resolve()), "r") as source:
            try:
                for frame in source.decode(audio=0):
                    for part in resampler.resample(frame):
                        yield from _at(part, sound, seconds, stream)
                for part in resampler.resample(None):
                    yield from _at(part, sound, seconds, stream)
            except av.InvalidDataError:
                pass  # a damaged end: what came before is heard
        yield from stream.encode(None)

    return packets()


def _at(frame: Any, sound: Sound, seconds: float, stream: Any) -> Iterator[Any]:
    """The packets of a piece of sound at its time after the first picture; none where it lies outside."""
    now = float(frame.pts * frame.time_base) - sound.begin
    if 0 <= now < seconds:
        frame.pts, frame.time_base = round(now * RATE), Fraction(1, RATE)
        yield from stream.encode(frame)
