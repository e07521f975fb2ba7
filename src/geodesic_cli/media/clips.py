"""Films: the frames of a video file in the order in which they are shown, decoded by FFmpeg; `showing` makes them seen.

A frame's time is its own timestamp less that of the first frame, in seconds, so a varying rate is no matter. Where the
timestamps of the frames do not increase they are those of the decoding (AVI has no others), and each frame takes the
smallest one that is left. Sound is ignored.

A search is used only in files with an index, and only where nothing counts frames: the first frame is read before it,
so that times count from the beginning, and where it lands behind what was wanted the file is read from the beginning.

A damaged frame is left out with those that follow from it, up to the next one that needs no other. A file that was cut
short is read up to its last good frame: its packets end before the length that its header promises. Both are told.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

from geodesic_cli.errors import InputError
from geodesic_cli.media.deinterlacing import deinterlaced
from geodesic_cli.media.showing import Screen
from geodesic_cli.media.stills import ON_WHITE, Ground, Still

BY_TEXT = ("tty", "bin", "adf", "idf", "xbin")  # what FFmpeg takes any text for
DONE = "Convert it with ffmpeg -i IN -c:v libx264 OUT.mp4."
INDEXED = ("mov", "matroska")
"""Containers in which a search lands where it should."""
WITH_LENGTH = (*INDEXED, "avi", "flv", "asf")
"""Containers whose header says how long the film is; of others FFmpeg only guesses it."""
FIRST_FRAMES = 8
"""Frames that are looked at before it is decided what the timestamps mean."""
BEFORE = 1.0
"""Seconds before the wanted time that are searched for."""


def film_frames(
    path: Path, begin: float, warn: Callable[[str], None], ground: Ground = ON_WHITE
) -> Iterator[tuple[Still, float, str]]:
    """Every frame, its time in seconds and its name.

    Args:
        path: a file that exists.
        begin: seconds; where the file can be searched, frames well before this time are left out.
        warn: told of a file that is read in part, and of what cannot be shown as it is meant.
        ground: what is seen through transparent frames.

    Raises:
        InputError: not a film, a film without pictures, or one without a single good frame.
    """
    for start in (begin, 0.0) if begin > 2 * BEFORE else (0.0,):
        with _opened(path) as film:
            stream = _pictures(film, path)
            reel = _Reel(film, stream, _decoder(stream, path, warn))
            if start and not reel.search(start):
                continue  # from the beginning, then
            uncoded = bool(film.format.name == "avi" and stream.codec_context.name == "rawvideo")
            screen = Screen(path, float(stream.sample_aspect_ratio or 1) or 1.0, uncoded, warn, ground)
            for frame, time in reel.timed():
                yield screen.show(frame), time, f"{path} at {time:.3f} s"
            if not reel.good:
                raise InputError(f"A clip is needed, and {path} has not one frame that can be read.", DONE)
            reel.tell(path, warn)
            return


def _opened(path: Path) -> Any:
    import av

    try:
        return av.open(str(path.resolve()), "r")
    except PermissionError as error:
        raise InputError(f"A clip is needed, and {path} may not be read.", "Change its permissions.") from error
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(
            f"A video, an animation or an image is needed, and {path} is none that can be read, or was cut short "
            "before its index.",
            DONE,
        ) from error


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


def _decoder(stream: Any, path: Path, warn: Callable[[str], None]) -> Any:
    """What decodes a stream; FFmpeg's own decoders of VP8 and VP9 know nothing of transparency."""
    import av

    codec = stream.codec_context
    # Slices, and no frames at the same time: an error then belongs to the packet that was given last.
    codec.thread_type = "SLICE"
    if codec.name == "h264":
        codec.options = {"err_detect": "explode"}  # the only decoder that would hide damage and can be kept from it
    names = {key.lower(): value for key, value in stream.metadata.items()}
    if codec.name in ("vp8", "vp9") and names.get("alpha_mode") == "1":
        try:
            return av.CodecContext.create({"vp8": "libvpx", "vp9": "libvpx-vp9"}[codec.name], "r")
        except (av.FFmpegError, ValueError):
            warn(f"The transparency of {path} cannot be read here; its frames are shown on the ground that they hide.")
    return codec


@dataclass
class _Reel:
    """The decoding of one stream, and what went wrong in it.

    Args:
        film: the open container.
        stream: of moving pictures.
        codec: what decodes it.
        good: frames that were decoded whole.
        lost: frames that were damaged or follow from damaged ones.
        lost_at: how many good frames there were before the first and the last of these.
        whole: whether the container could be read to its end.
        packets: of the stream.
        end: of the last packet of any stream, in seconds.
        time: of the last frame, in seconds.
        origin: the first frame's time in the file, once it is known.
        stamps: times of packets in the file that no frame has taken yet.
    """

    film: Any
    stream: Any
    codec: Any
    good: int = 0
    lost: int = 0
    lost_at: tuple[int, int] = (0, 0)
    whole: bool = True
    packets: int = 0
    end: float = 0.0
    time: float = -1.0
    origin: float | None = None
    stamps: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gap = float(1 / (self.stream.average_rate or self.stream.guessed_rate or 25))
        self.frames = deinterlaced(self._decoded(), self.stream)

    def search(self, begin: float) -> bool:
        """Go to a little before a time; false where that cannot be relied on, and all has to be read."""
        import av

        first = list(islice(self.frames, FIRST_FRAMES))
        if not self.film.format.name.startswith(INDEXED) or len(first) < FIRST_FRAMES or not _increase(first):
            return False
        self.origin = origin = self._stamp(first[0]) or 0.0
        if (self._stamp(first[-1]) or 0.0) - origin > begin:
            return False
        try:
            self.film.seek(int((origin + begin - BEFORE) / self.stream.time_base), stream=self.stream)
        except (av.FFmpegError, OverflowError):
            return False
        self.stamps.clear()
        self.frames = deinterlaced(self._decoded(), self.stream)
        landed = next(self.frames, None)
        if landed is None or self._stamp(landed) is None or (self._stamp(landed) or 0.0) - origin > begin:
            return False
        self.frames = chain([landed], self.frames)
        return True

    def timed(self) -> Iterator[tuple[Any, float]]:
        """Every frame with its time in seconds from the first one of the film."""
        first = list(islice(self.frames, FIRST_FRAMES))
        ordered = _increase(first) and self.film.format.name != "avi"
        begun = False
        for frame in chain(first, self.frames):
            stamp = self._stamp(frame)
            if not ordered:
                stamp = heapq.heappop(self.stamps) if self.stamps else None
            if self.origin is None and stamp is not None:
                self.origin = stamp
            now = self.time + self.gap if stamp is None else stamp - (self.origin or 0.0)
            if not begun:
                self.time, begun = 0.0 if stamp is None else now, True
            elif now > self.time:
                self.time = now
            elif stamp is not None and now < self.time - 1:  # the clock was set back, as where two films were joined
                self.time += self.gap
                self.origin = stamp - self.time
            else:
                self.time += self.gap / 2  # what has no time of its own comes between
            yield frame, self.time

    def tell(self, path: Path, warn: Callable[[str], None]) -> None:
        """Warn of what is missing, once all has been read."""
        promised = self.stream.frames
        length = float(self.film.duration or 0) / 1e6 if self.film.format.name.startswith(WITH_LENGTH) else 0.0
        short = length - self.end
        early = short > max(0.25, 2 * self.gap) or (self.packets < promised and short > self.gap / 2)
        if not self.whole or early or (self.lost and self.lost_at[1] == self.good):
            parts = f" of its {promised}" if promised else ""
            whole = f"; it should take {length:.3f} s" if early else ""
            warn(f"{path} ends early: {self.good}{parts} frames can be read, the last at {self.time:.3f} s{whole}.")
        elif self.lost:
            warn(
                f"{path} is damaged: {self.lost} of its {self.good + self.lost} frames cannot be read and are left "
                f"out, the first of them after {self.lost_at[0]} good ones."
            )

    def _decoded(self) -> Iterator[Any]:
        """The good frames; what follows from a damaged one is left out up to the next that needs no other."""
        import av

        keyed, skipping = False, False
        for packet in self._of_stream():
            try:
                if packet is not None and packet.is_corrupt:
                    raise av.InvalidDataError(0, "a part of the packet is missing")
                frames = self.codec.decode(packet)
            except (av.FFmpegError, OSError):
                self._lose()
                skipping = keyed
                continue
            for frame in frames:
                keyed = keyed or bool(frame.key_frame)
                skipping = (skipping and not frame.key_frame) or (frame.is_corrupt and keyed)
                if skipping or frame.is_corrupt:
                    self._lose()
                else:
                    self.good += 1
                    yield frame

    def _of_stream(self) -> Iterator[Any]:
        """The packets of the stream, and None at the end; the ends of all streams are noted."""
        import av

        try:
            for packet in self.film.demux():
                stamp = packet.dts if packet.pts is None else packet.pts
                if stamp is not None and packet.time_base:
                    self.end = max(self.end, float((stamp + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index != self.stream.index or not packet.size:
                    continue
                self.packets += 1
                if stamp is not None:
                    order = packet.dts if packet.dts is not None else stamp
                    heapq.heappush(self.stamps, float(order * packet.time_base))
                yield packet
        except (av.FFmpegError, OSError):
            self.whole = False
        yield None

    def _lose(self) -> None:
        self.lost_at = (self.lost_at[0] if self.lost else self.good, self.good)
        self.lost += 1
        if self.stamps:
            heapq.heappop(self.stamps)

    def _stamp(self, frame: Any) -> float | None:
        """A frame's time in the file; frames that come out at the end bear no unit of their own."""
        base = frame.time_base or self.stream.time_base
        return None if frame.pts is None or not base else float(frame.pts * base)


def _increase(frames: list[Any]) -> bool:
    """Whether the times that frames have never go back."""
    given = [frame.pts for frame in frames if frame.pts is not None]
    return all(a <= b for a, b in pairwise(given))
