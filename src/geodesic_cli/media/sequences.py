"""Reading sequences: a film, an animation, a folder of images or several images, as frames with their times.

Times are seconds from the beginning of the file, those that the file itself gives for each frame (a film may have any
rate, and a varying one); stills have none, so the k-th one is at k / fps. A position in a sequence is the number of a
frame, counted from 0, or a time. Of the frames from `start` up to but not including `stop` every `stride`-th is read.

One frame is in memory at a time (`stream_sequence`), or all of them (`read_sequence`), which is refused above
MOST_BYTES: with a `size` each frame is brought to it as it is read.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypedDict, Unpack

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.media.animations import animation_frames, is_animation
from geodesic_cli.media.clips import film_frames
from geodesic_cli.media.images import read_image
from geodesic_cli.media.sizes import resize

FRAME_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")  # of the files of a folder that are frames
MOST_BYTES = 2 * 2**30  # bytes of frames in memory

TOGETHER = 32
"""So many pictures are moved together at a time."""

Source = str | Path | Sequence[str | Path]
Position = int | float | str


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
    """

    start: Position | None
    stop: Position | None
    stride: int
    max_frames: int | None
    size: tuple[int, int] | None
    fps: float


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
        held += frame.image.numel() * frame.image.element_size()
        if held > MOST_BYTES:
            raise InputError(
                f"At most {MOST_BYTES // 2**30} GB of frames fit in memory, and {_called(source)} has more from frame "
                f"{len(images)} on at {frame.image.shape[-1]}x{frame.image.shape[-2]}.",
                "Take fewer (--max-frames, --stride, --stop) or smaller ones (--size).",
            )
        images.append(frame.image)
        if len(images) % TOGETHER == 0:
            images[-TOGETHER:] = _moved_together(images[-TOGETHER:])
        times.append(frame.time)
        names.append(frame.name)
    if len(images) < max(1, least):
        needed = "frame is" if least <= 1 else "frames are"
        raise InputError(
            f"At least {max(1, least)} {needed} needed, and {_called(source)} gives {len(images)}"
            f"{_range(choice.get('start'), choice.get('stop'), choice.get('stride', 1))}.",
            "Pass a longer one, or take more of it (--start, --stop, --stride).",
        )
    fps = choice.get("fps", 8.0)
    if len(times) > 1 and times[-1] > times[0]:
        fps = (len(times) - 1) / (times[-1] - times[0])
    return Clip(_stacked(images), torch.tensor(times, dtype=torch.float64), tuple(names), fps, tuple(warnings))


def stream_sequence(
    source: Source,
    *,
    start: Position | None = None,
    stop: Position | None = None,
    stride: int = 1,
    max_frames: int | None = None,
    size: tuple[int, int] | None = None,
    fps: float = 8.0,
    warn: Callable[[str], None] | None = None,
) -> Iterator[Frame]:
    """The frames one after the other, of which no more than one is held; see `read_sequence` and `Choice`."""
    if stride < 1:
        raise InputError(f"--stride needs at least 1; got {stride}.", "1 takes every frame.")
    if max_frames is not None and max_frames < 1:
        raise InputError(f"--max-frames needs at least 1; got {max_frames}.", "Leave it out to take all.")
    first, last = _place(start, "start"), _place(stop, "stop")
    begin = first if isinstance(first, float) and not isinstance(last, int) else 0.0  # a search loses count
    numbered = enumerate(_frames(source, begin, size is None, fps, warn or (lambda _: None)))

    def wanted() -> Iterator[Frame]:
        for number, frame in numbered:
            if last is not None and (frame.time if isinstance(last, float) else number) >= last:
                return
            if first is None or (frame.time if isinstance(first, float) else number) >= first:
                yield frame

    one: tuple[int, ...] | None = None
    for frame in islice(wanted(), 0, None if max_frames is None else (max_frames - 1) * stride + 1, stride):
        image = frame.image if size is None else resize(frame.image, *size)
        one = one or image.shape[-2:]
        if image.shape[-2:] != one:
            raise InputError(
                f"Frames must share one size: the first is {one[1]}x{one[0]}, {frame.name} is "
                f"{image.shape[-1]}x{image.shape[-2]}.",
                f"Pass --size {min(one)}, and their middles are used.",
            )
        yield Frame(image, frame.time, frame.name)


def parse_position(text: str) -> int | float:
    """A position in a sequence: `12` is frame 12, counted from 0, and `1.5s` is the time 1.5 s (a float)."""
    match = re.fullmatch(r"\s*(?:([0-9]{1,9})|([0-9]*\.?[0-9]+|[0-9]+\.)\s*s)\s*", text)
    if match is None:
        raise InputError(
            f"A position is the number of a frame or a time in seconds, not {text!r}.", "Write 12 or 1.5s."
        )
    return int(match[1]) if match[1] else float(match[2])


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts frame2 before frame10."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


# --- parts -----------------------------------------------------------------------------------------------------------


def _frames(source: Source, begin: float, one_size: bool, fps: float, warn: Callable[[str], None]) -> Iterator[Frame]:
    """All frames in order, from the time `begin` on if it is cheap to leave out what is before."""
    paths = [Path(source)] if isinstance(source, str | Path) else [Path(path) for path in source]
    if not paths:
        raise InputError("A sequence needs at least one file, and none is named.", "Name a clip, a folder or images.")
    if len(paths) == 1 and paths[0].is_dir():
        paths = _images_of(paths[0])
    elif len(paths) == 1:
        path = paths[0]
        if not path.exists():
            raise InputError(f"A clip, a folder or an image is needed, and {path} does not exist.", "Check the path.")
        if is_animation(path):
            for image, time, name in animation_frames(path, warn):
                yield Frame(image, time, name)
            return
        if not _is_image(path):
            for image, time, name in film_frames(path, begin, warn):
                yield Frame(image, time, name)
            return
    for number, path in enumerate(paths):
        if len(paths) > 1 and path.is_file() and (not _is_image(path) or is_animation(path)):
            raise InputError(
                f"Several files must all be still images, and {path} is none.", "Name one clip, or images only."
            )
        yield Frame(read_image(path), number / fps, str(path))


def _images_of(folder: Path) -> list[Path]:
    try:
        names = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except OSError as error:
        raise InputError(
            f"The folder {folder} cannot be read ({error.strerror or error}).", "Choose another."
        ) from error
    images = [path for path in names if path.suffix.lower() in FRAME_SUFFIXES]
    if not images:
        others = f" ({len(names)} other file{'' if len(names) == 1 else 's'})" if names else ""
        raise InputError(
            f"A folder of images is needed, and {folder} holds none{others}.",
            f"Frames end in {', '.join(FRAME_SUFFIXES)}.",
        )
    return sorted(images, key=lambda path: (natural_key(path.name), path.name))


def _is_image(path: Path) -> bool:
    """Whether Pillow knows the format; a damaged image is an image, and reading it will say what is wrong."""
    try:
        with Image.open(path):
            return True
    except UnidentifiedImageError:
        return path.suffix.lower() in FRAME_SUFFIXES
    except Image.DecompressionBombError:
        return True
    except OSError:
        return False


def _place(position: Position | None, name: str) -> int | float | None:
    value = parse_position(position) if isinstance(position, str) else position
    if value is not None and not value >= 0:
        raise InputError(f"--{name} takes positions from 0 on; got {value}.", "Write 12 or 1.5s.")
    return value


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


def _range(start: Position | None, stop: Position | None, stride: int) -> str:
    parts = [
        *([f"from {_told(start)}"] if start is not None else []),
        *([f"before {_told(stop)}"] if stop is not None else []),
        *([f"with a stride of {stride}"] if stride > 1 else []),
    ]
    return f" {' '.join(parts)}" if parts else ""


def _told(position: Position) -> str:
    value = parse_position(position) if isinstance(position, str) else position
    return f"{value:g} s" if isinstance(value, float) else f"frame {value}"
