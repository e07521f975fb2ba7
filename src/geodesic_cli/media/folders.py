"""Folders of frames: which files of a folder are its frames, in which order, and what is said of the others."""

import re
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from geodesic_cli.errors import InputError
from geodesic_cli.media.animations import is_animation
from geodesic_cli.media.formats import image_files, image_suffixes, open_image, some_of

USUAL = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")
"""Suffixes that are named to users, and of files that are images even where they are damaged."""
ROWS_OF_JPEG = (".mjpeg", ".mjpg")
"""Suffixes of films that look like one JPEG, the first of their frames."""


def stills_of(folder: Path, warn: Callable[[str], None]) -> list[Path]:
    """The still images of a folder in natural order; what is left out is told."""
    try:
        images, others = image_files(folder)
    except OSError as error:
        raise InputError(
            f"The folder {folder} cannot be read ({error.strerror or error}).", "Choose another."
        ) from error
    stills = [path for path in images if len(images) == 1 or not is_animation(path)]
    others += [path for path in images if path not in stills]
    if not stills:
        count = f" ({len(others)} other file{'' if len(others) == 1 else 's'})" if others else ""
        raise InputError(
            f"A folder of images is needed, and {folder} holds none{count}.",
            f"Frames end in {', '.join(sorted(image_suffixes() & set(USUAL)))} or the like.",
        )
    if others:
        files = "file is" if len(others) == 1 else "files are"
        warn(f"Of {folder} {len(stills)} images are read; {len(others)} other {files} left out: {some_of(others)}.")
    return sorted(stills, key=lambda path: (natural_key(path.name), path.name))


def is_image(path: Path) -> bool:
    """Whether Pillow knows the format; a damaged image is an image, and reading it will say what is wrong."""
    if path.suffix.lower() in ROWS_OF_JPEG:
        return False
    try:
        with open_image(path):
            return True
    except Image.DecompressionBombError:
        return True
    except OSError:  # of which an unidentified image is one
        return path.suffix.lower() in image_suffixes() & set(USUAL)


def first_of_a_kind(warn: Callable[[str], None], told: set[str], path: Path, message: str) -> None:
    """Warn of one image, unless the same was said of another, be it with other numbers."""
    kind = re.sub(r"[-+.0-9]+", "", message.replace(str(path), ""))
    if kind not in told:
        told.add(kind)
        warn(message)


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts frame2 before frame10."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)
