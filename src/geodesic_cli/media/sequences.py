"""Reading sequences: a film, an animation, a folder of images or several images, as frames with their times.

Times are seconds from the beginning of the file, those that the file itself gives for each frame (a film may have any
rate, and a varying one); stills have none, so the k-th one is at k / fps. A position in a sequence is the number of a
frame, counted from 0, or a time. Of the frames from `start` up to but not including `stop` every `stride`-th is read.

One frame is in memory at a time (`stream_sequence`), or all of them (`read_sequence`), which is refused above
MOST_BYTES: with a `size` each frame is brought to it as it is read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypedDict, Unpack

import torch
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.media.animations import animation_frames, is_animation
from geodesic_cli.media.clips import film_frames
from geodesic_cli.media.folders import first_of_a_kind, is_image, stills_of
from geodesic_cli.media.images import read_still
from geodesic_cli.media.positions import Position, place_of, range_in_words
from geodesic_cli.media.sizes import resize
from geodesic_cli.media.stills import ON_WHITE, Ground, Still

MOST_BYTES = 2 * 2**30  # bytes of frames in memory

TOGETHER = 32
"""So many pictures are moved together at a time."""

Source = str | Path | Sequence[str | Path]


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: the image (3, h, w) in [0, 1], its time in seconds, and what to call it in a message."""

    image: Tensor
    time: float
    name: str


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames in memory.

    Args:
        frames: (n, 3, h, w), float32 in [0, 1].
        times: (n,), float64, seconds, increasing.
        names: what to call each frame.
        fps: mean number of these frames in a second.
        warnings: sentences on what was not as it should be, such as a file that ends early.
    """

    frames: Tensor
    times: Tensor
    names: tuple[str, ...]
    fps: float
    warnings: tuple[str, ...] = ()


class Choice(TypedDict, total=False):
    """Which frames of a sequence, and how they are read.

    Attributes:
        start: the first position, a whole number for a frame, a float for seconds, or a text (`parse_position`).
        stop: the position before which to end.
        stride: take every stride-th frame.
        max_frames: take the first so many of these.
        size: (height, width); the middle of each frame is brought to it as it is read.
        fps: of stills, which have no times of their own; 8 if it is left out.
        ground: the colour in [0, 1] that is seen through transparent frames; white if it is left out.
    """

    start: Position | None
    stop: Position | None
    stride: int
    max_frames: int | None
    size: tuple[int, int] | None
    fps: float
    ground: Ground


def read_sequence(
    source: Source, *, least: int = 1, warn: Callable[[str], None] | None = None, **choice: Unpack[Choice]
) -> Clip:
    """All the frames that were asked for, in memory.

    Args:
        source: a film, an animation (GIF, APNG, WebP), a folder of images in natural order, an image, or several.
        least: how many frames are needed.
        warn: told at once what `Clip.warnings` holds.
        choice: start, stop, stride, max_frames, size and fps, see `Choice`.

    Raises:
        InputError: nothing to read, or fewer than `least` frames; what is no image and no film; sizes that differ
            where no `size` is given; more than 2 GB of frames.
    """
    warnings: list[str] = []

    def note(message: str) -> None:
        warnings.append(message)
        if warn is not None:
            warn(message)

    images: list[Tensor] = []
    times: list[float] = []
    names: list[str] = []
    held = 0
    for frame in stream_sequence(source, warn=note, **choice):
        images.append(frame.image)
        held += _size_within_memory(frame.image, held, len(images) - 1, source)
        if len(images) % TOGETHER == 0:
            images[-TOGETHER:] = _moved_together(images[-TOGETHER:])
        times.append(frame.time)
        names.append(frame.name)
    if len(images) < max(1, least):
        needed = "frame is" if least <= 1 else "frames are"
        raise InputError(
            f"At least {max(1, least)} {needed} needed, and {_called(source)} gives {len(images)}"
            f"{range_in_words(choice.get('start'), choice.get('stop'), choice.get('stride', 1))}.",
            "Pass a longer one, or take more of it (--start, --stop, --stride).",
        )
    fps = choice.get("fps", 8.0)
    if len(times) > 1 and times[-1] > times[0]:
        fps = (len(times) - 1) / (times[-1] - times[0])
    return Clip(_stacked(images), torch.tensor(times, dtype=torch.float64), tuple(names), fps, tuple(warnings))


def read_frames(
    source: Source,
    warn: Callable[[str], None] | None = None,
    *,
    ground: Ground = ON_WHITE,
    enough: int | None = None,
) -> list[tuple[Still, str]]:
    """All the frames of a sequence and what to call each, every one at its own size; those of a folder may differ.

    Args:
        source: see `read_sequence`.
        warn: told of what is not as it should be.
        ground: the colour in [0, 1] that is seen where a frame is transparent.
        enough: pixels of the shorter side of a still that are enough, see `read_still`.

    Raises:
        InputError: nothing to read; what is no image and no film; more than 2 GB of frames.
    """
    frames: list[tuple[Still, str]] = []
    held = 0
    for still, _, name in _frames(source, 0.0, 8.0, warn or (lambda _: None), ground, enough):
        held += _size_within_memory(still.pixels, held, len(frames), source)
        frames.append((still, name))
    return frames


def stream_sequence(
    source: Source, *, warn: Callable[[str], None] | None = None, **choice: Unpack[Choice]
) -> Iterator[Frame]:
    """The frames one after the other, of which no more than one is held; see `read_sequence` and `Choice`."""
    start, stop, stride = choice.get("start"), choice.get("stop"), choice.get("stride", 1)
    max_frames, size = choice.get("max_frames"), choice.get("size")
    if stride < 1:
        raise InputError(f"--stride needs at least 1; got {stride}.", "1 takes every frame.")
    if max_frames is not None and max_frames < 1:
        raise InputError(f"--max-frames needs at least 1; got {max_frames}.", "Leave it out to take all.")
    first, last = place_of(start, "start"), place_of(stop, "stop")
    begin = first if isinstance(first, float) and not isinstance(last, int) else 0.0  # a search loses count
    enough = None if size is None else 2 * max(size)
    fps, ground = choice.get("fps", 8.0), choice.get("ground", ON_WHITE)
    numbered = enumerate(_frames(source, begin, fps, warn or (lambda _: None), ground, enough))

    def wanted() -> Iterator[_Taken]:
        for number, (still, time, name) in numbered:
            if last is not None and (time if isinstance(last, float) else number) >= last:
                return
            if first is None or (time if isinstance(first, float) else number) >= first:
                yield still, time, name

    one: tuple[int, ...] | None = None
    some = islice(wanted(), 0, None if max_frames is None else (max_frames - 1) * stride + 1, stride)
    for still, time, name in some:
        image = still.floats() if size is None else resize(still, *size)
        one = one or image.shape[-2:]
        if image.shape[-2:] != one:
            raise InputError(
                f"Frames must share one size: the first is {one[1]}x{one[0]}, {name} is "
                f"{image.shape[-1]}x{image.shape[-2]}.",
                f"Pass --size {min(one)}, and their middles are used.",
            )
        yield Frame(image, time, name)


# --- parts -----------------------------------------------------------------------------------------------------------


_Taken = tuple[Still, float, str]
"""A frame, its time in seconds, and what to call it."""


def _frames(
    source: Source, begin: float, fps: float, warn: Callable[[str], None], ground: Ground, enough: int | None
) -> Iterator[_Taken]:
    """All frames in order, from the time `begin` on if it is cheap to leave out what is before."""
    paths = [Path(source)] if isinstance(source, str | Path) else [Path(path) for path in source]
    if not paths:
        raise InputError("A sequence needs at least one file, and none is named.", "Name a clip, a folder or images.")
    if len(paths) == 1 and paths[0].is_dir():
        paths = stills_of(paths[0], warn)
    elif len(paths) == 1:
        path = paths[0]
        if not path.exists():
            raise InputError(f"A clip, a folder or an image is needed, and {path} does not exist.", "Check the path.")
        if is_animation(path):
            yield from animation_frames(path, warn, ground, enough)
            return
        if not is_image(path):
            yield from film_frames(path, begin, warn, ground)
            return
    told: set[str] = set()
    for number, path in enumerate(paths):
        if len(paths) > 1 and path.is_file() and (not is_image(path) or is_animation(path)):
            raise InputError(
                f"Several files must all be still images, and {path} is none.", "Name one clip, or images only."
            )
        said = partial(first_of_a_kind, warn, told, path)
        yield read_still(path, said, ground=ground, enough=enough), number / fps, str(path)


def _size_within_memory(frame: Tensor, held: int, number: int, source: Source) -> int:
    """The bytes of a frame beside those that are held already; the one that does not fit is refused."""
    size = frame.numel() * frame.element_size()
    if held + size > MOST_BYTES:
        raise InputError(
            f"At most {MOST_BYTES // 2**30} GB of frames fit in memory, and {_called(source)} has more from frame "
            f"{number} on at {frame.shape[-1]}x{frame.shape[-2]}.",
            "Take fewer (--max-frames, --stride, --stop) or smaller ones (--size).",
        )
    return size


def _moved_together(images: list[Tensor]) -> list[Tensor]:
    """The same pictures in one piece of memory, if they have one size.

    A small picture that stays in the middle of where a large frame was keeps the next frame from using that place, and
    3,000 of them kept 8 GB of such places from being used.
    """
    if any(image.shape != images[0].shape for image in images):
        return images
    return list(torch.stack(images).unbind())


def _stacked(images: list[Tensor]) -> Tensor:
    """The frames in one tensor, taken from the list as it grows, so that no frame is there twice for long."""
    frames = torch.empty(len(images), *images[0].shape)
    for k in range(len(images)):
        frames[k] = images[k]
        images[k] = frames[k]
    return frames


def _called(source: Source) -> str:
    return str(source) if isinstance(source, str | Path) else f"the list of {len(source)} images"
