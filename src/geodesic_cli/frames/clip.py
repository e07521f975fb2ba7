"""A clip at the size of a run: the frames that are meant, read one after the other, from files or from memory.

How its frames become points is `journey`: with the scheme `ridge` a clip runs along a ridge of the density at level
tau, sigma wide; by the probability flow it runs through typical noisy points, and its path is rougher there.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import Canvas, tell_of_cuts
from geodesic_cli.frames.journey import Journey
from geodesic_cli.media.sequences import Choice
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import ExtrapolateSettings, VideoAnalyzeSettings
from geodesic_cli.settings.shared import ground_of

ClipSource = media.Picture | Sequence[media.Picture]
"""A clip: a video, an animation, a folder of frames, several images, or frames in memory, see `media.pictures`."""
ClipCut = ExtrapolateSettings | VideoAnalyzeSettings
"""Settings that say which frames of a clip are meant, and how large."""
SLOWEST, FASTEST = 0.1, 240.0
"""Frames a second that a film is written with, at least and at most."""
IN_MEMORY = 8.0
"""Frames a second of frames that come without times."""


@dataclass(frozen=True, eq=False)
class Known:
    """The frames of a sequence (n, 3, h, w) at the size of the run, their rate, and the canvas that pads them."""

    frames: Tensor
    fps: float
    canvas: Canvas

    @cached_property
    def digest(self) -> str:
        """Tells other pictures apart."""
        return hashlib.sha256(self.frames.numpy().tobytes()).hexdigest()


def clip_parts(clip: ClipSource, word: str) -> tuple[tuple[str, ...], Tensor | None]:
    """The files of a clip and None, or a word for messages and its frames in memory, (n, 3, h, w) in [0, 1].

    Raises:
        InputError: something that is no clip.
    """
    parts = media.pictures(clip)
    frames = [part for part in parts if isinstance(part, Tensor)]
    if not frames:
        return tuple(str(part) for part in parts), None
    if len(frames) < len(parts):
        raise InputError("A clip is files or frames in memory; got both.", "Pass one of them.")
    shapes = {tuple(frame.shape[:0:-1]) for frame in frames}
    if len(shapes) > 1:
        sizes = " and ".join(f"{width}x{height}" for width, height in sorted(shapes)[:2])
        raise InputError(f"The frames of a clip have one size; got {sizes}.", "Bring them to one size.")
    return (word,), torch.stack(frames)


def _source(names: tuple[str, ...]) -> str | tuple[str, ...]:
    return names[0] if len(names) == 1 else names


def _choice(cut: ClipCut, size: tuple[int, int] | None) -> Choice:
    ground = ground_of(cut.background)
    return Choice(
        start=cut.start, stop=cut.stop, stride=cut.stride, max_frames=cut.max_frames, size=size, ground=ground
    )


def stream_clip(
    names: tuple[str, ...], given: Tensor | None, cut: ClipCut, canvas: Canvas, observer: Observer
) -> Iterator[tuple[Tensor, float]]:
    """The frames that are meant, (3, h, w) at the size of the run, each with its time in seconds.

    Args:
        names: the files.
        given: frames in memory, which take the place of the files; their times are their numbers.
        cut: which frames are meant.
        canvas: the size of the run.
        observer: warned where only the middle of a frame is used, and of what is wrong with a file.
    """
    if given is not None:
        tell_of_cuts([given[0]], names[:1], canvas, cut.size, observer)
        yield from ((media.resize(frame, canvas.height, canvas.width), float(k)) for k, frame in enumerate(given))
        return
    _tell_of_first(names, cut, canvas, observer)
    size = None if cut.size is None else (canvas.height, canvas.width)  # without a size frames must share theirs
    for frame in media.stream_sequence(_source(names), warn=observer.warn, **_choice(cut, size)):
        yield media.resize(frame.image, canvas.height, canvas.width), frame.time


def count_frames(names: tuple[str, ...], cut: ClipCut, most: int) -> int:
    """How many frames are meant, counted up to a number; a file that cannot be read is refused."""
    any_size = (8, 8)  # only their number counts
    return sum(1 for _ in islice(media.stream_sequence(_source(names), **_choice(cut, any_size)), most))


def read_clip(
    names: tuple[str, ...], given: Tensor | None, cut: ClipCut, model: LatentDiffusion, observer: Observer
) -> Known:
    """All frames that are meant, two at least; each is brought to the size of the run as it is read."""
    canvas = Canvas.of(model, cut.size)
    if given is not None:
        tell_of_cuts([given[0]], names[:1], canvas, cut.size, observer)
        return Known(canvas.fit(list(given)), IN_MEMORY, canvas)
    _tell_of_first(names, cut, canvas, observer)
    choice = _choice(cut, (canvas.height, canvas.width))
    clip = media.read_sequence(_source(names), least=2, warn=observer.warn, **choice)
    return Known(clip.frames, min(max(clip.fps, SLOWEST), FASTEST), canvas)


def _tell_of_first(names: tuple[str, ...], cut: ClipCut, canvas: Canvas, observer: Observer) -> None:
    """Warn where the first frame, and with it all, has another shape than the canvas."""
    first = next(media.stream_sequence(_source(names), start=cut.start, stop=cut.stop, max_frames=1), None)
    if first is not None:
        tell_of_cuts([first.image], names[:1], canvas, cut.size, observer)


def frames_in_memory(frames: Tensor, cut: ClipCut, least: int = 1) -> Tensor:
    """The frames (n, 3, h, w) of a clip that are meant.

    Raises:
        InputError: fewer frames than ``least``; a start or stop, which are for files.
    """
    if len(frames) < least:
        raise InputError(f"A clip of at least {least} frames is needed; got {len(frames)}.", "Pass more frames.")
    if cut.start is not None or cut.stop is not None:
        raise InputError("start and stop are for files; got frames in memory.", "Pass a slice of them.")
    return frames[:: cut.stride][: cut.max_frames]


def clip_journey(cut: ClipCut, model: LatentDiffusion, canvas: Canvas) -> Journey:
    """How the frames of a clip are carried to points and back under its settings."""
    scheme = "ridge" if cut.embedding == "ridge" else "adams"
    return Journey(model, canvas, cut.tau, cut.steps, cut.guidance, scheme)
