"""Animations that Pillow reads: GIF, APNG, animated WebP and AVIF, every frame with its own duration."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from PIL import Image

from geodesic_cli.media.decoding import decode
from geodesic_cli.media.formats import open_image, refuse_too_large
from geodesic_cli.media.stills import ON_WHITE, Ground, Still

FORMATS = ("GIF", "PNG", "WEBP", "AVIF")  # a TIFF of several pages is no animation
WITHOUT = 0.1  # seconds for which a viewer shows a frame whose duration is not given
END, TAIL = b";", 64
"""Bytes at the end of a GIF in which its end mark stands."""


def is_animation(path: Path) -> bool:
    """Whether a file is an animation of more than one frame. Anything that cannot be opened is none."""
    try:
        return _count(path)[0] > 1
    except Exception:  # each decoder has its own way to fail; whoever reads the file says what is wrong with it
        return False


def animation_frames(
    path: Path, warn: Callable[[str], None], ground: Ground = ON_WHITE, enough: int | None = None
) -> Iterator[tuple[Still, float, str]]:
    """Every frame, its time in seconds and its name; a damaged file is read up to its last good frame.

    The ground is what is seen through it, and `enough` the pixels of the shorter side that are: see `decode`.
    """
    time, said = 0.0, set[str]()

    def once(message: str) -> None:
        if message not in said:
            said.add(message)
            warn(message)

    count, whole = _count(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_image(path) as file:
            refuse_too_large(file, path)
            before = _still(file)
            for index in range(count):
                try:
                    file.seek(index + before)
                    still = decode(file, str(path), once, ground, enough)
                except Exception as error:  # as above
                    warn(f"{path} ends early: {index} of its {count} frames can be read ({error}).")
                    return
                yield still, time, f"{path} frame {index}"
                time += float(file.info.get("duration", 0)) / 1000 or WITHOUT
    if not whole:
        warn(f"{path} ends early: it was cut off after its {count} frames.")


def _count(path: Path) -> tuple[int, bool]:
    """How many frames an animation has, and whether it has its end. It may be cut off within one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_image(path) as file:
            if file.format not in FORMATS:
                return 1, True
            with suppress(Exception):
                count = getattr(file, "n_frames", 1) - _still(file)
                return count, file.format != "GIF" or count == 1 or _has_end(path)
        with open_image(path) as file:
            count = 1
            with suppress(Exception):
                while True:
                    file.seek(count)
                    count += 1
    return count, False


def _still(file: Image.Image) -> int:
    """How many pictures come before the animation: an APNG may hold one for viewers that know no animations."""
    return int(bool(getattr(file, "default_image", False)))


def _has_end(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return END in file.read()
