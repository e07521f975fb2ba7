"""Films: the frames of a video file in the order in which they are shown, decoded by FFmpeg.

A frame's time is its own timestamp less that of the first frame, in seconds, so a varying rate is no matter. A film is
shown as its metadata say: turned by quarter turns. Pixels are taken as square, and sound is ignored.

A file that was cut short is read up to its last good frame. That it was is known from the number of frames that its
index promises, or from the packet that cannot be decoded.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geodesic_cli.errors import InputError

BY_TEXT = ("tty", "bin", "adf", "idf", "xbin")  # what FFmpeg takes any text for
DONE = "Convert it with ffmpeg -i IN -c:v libx264 OUT.mp4."


def film_frames(path: Path, begin: float, warn: Callable[[str], None]) -> Iterator[tuple[Tensor, float, str]]:
    """Every frame (3, h, w) in [0, 1], its time in seconds and its name.

    Args:
        path: a file that exists.
        begin: seconds; where the file can be searched, frames well before this time are left out.
        warn: told of a file that is read in part.

    Raises:
        InputError: not a film, a film without pictures, or one without a single good frame.
    """
    import av

    try:
        film = av.open(str(path.resolve()), "r")
    except PermissionError as error:
        raise InputError(f"A clip is needed, and {path} may not be read.", "Change its permissions.") from error
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(
            f"A video, an animation or an image is needed, and {path} is none that can be read, or was cut short "
            "before its index.",
            DONE,
        ) from error
    with film:
        stream = _pictures(film, path)
        stream.thread_type = "AUTO"
        base = float(stream.time_base or 0) or 1.0
        origin = stream.start_time
        sought = begin > 2 and stream.codec_context.name not in ("gif",)
        if sought:
            try:
                film.seek(int(begin / base) + (origin or 0), stream=stream)
            except av.FFmpegError:
                sought = False
        count, time, whole = 0, -1.0, True
        for frame in _decoded(film, stream):
            if frame is None or frame.is_corrupt:
                whole = False
                break
            if frame.pts is None:
                time += float(1 / (stream.average_rate or 25)) if count else 1.0
            else:
                origin = frame.pts if origin is None else origin
                now = (frame.pts - origin) * base
                if now <= time:
                    continue  # a frame that is never shown
                time = now
            count += 1
            yield _upright(frame), time, f"{path} at {time:.3f} s"
        if not count and not sought:
            raise InputError(f"A clip is needed, and {path} has not one frame that can be read.", DONE)
        if not whole or (count < stream.frames and not sought):
            promised = f" of its {stream.frames}" if stream.frames and not sought else ""
            warn(f"{path} ends early: {count}{promised} frames can be read, the last at {time:.3f} s.")


def _decoded(film: Any, stream: Any) -> Iterator[Any]:
    """The frames of a stream; None where it cannot be decoded any further."""
    import av

    try:
        for packet in film.demux(stream):
            yield from packet.decode()
    except (av.FFmpegError, OSError):
        with suppress(av.FFmpegError, OSError):
            yield from stream.codec_context.decode(None)  # what was decoded already and waited for its turn
        yield None


def _pictures(film: Any, path: Path) -> Any:
    """The first stream of moving pictures; the cover of a song is none."""
    from av.stream import Disposition

    videos = [one for one in film.streams.video if not Disposition.attached_pic & one.disposition]
    if videos and film.format.name not in BY_TEXT and videos[0].codec_context is not None:
        return videos[0]
    if videos and film.format.name not in BY_TEXT:
        raise InputError(f"A clip is needed, and {path} cannot be decoded: it was cut short, or of a rare kind.", DONE)
    if film.streams.audio:
        raise InputError(f"A clip with pictures is needed, and {path} holds only sound.", "Name a video file.")
    raise InputError(f"A video, an animation or an image is needed, and {path} is none.", "Name another file.")


def _upright(frame: Any) -> Tensor:
    """A frame as it is meant to be seen, (3, h, w) in [0, 1]."""
    from av.video.reformatter import Interpolation

    # By default swscale rounds down on the way to RGB, which darkens by a level.
    exact = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
    array = frame.to_ndarray(format="rgb24", interpolation=exact)
    turned = np.rot90(array, round(frame.rotation / 90))  # both count counter-clockwise
    return torch.from_numpy(turned.astype(np.float32) / 255).movedim(-1, 0).contiguous()
