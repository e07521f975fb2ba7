"""Which files are images: one list for single files, folders of frames and training data, that of what Pillow opens."""

import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from geodesic_cli.errors import InputError

NAMED_ONLY = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
"""What Pillow knows by its first bytes and cannot draw, or not without another program."""
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
OF_SYSTEMS = ("__macosx", "thumbs.db", "desktop.ini")
"""What Windows and macOS put beside files, besides hidden files."""


@cache
def readable_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that it reads; HEIF is one where its plugin is installed."""
    Image.init()
    try:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    except ImportError:
        pass
    return tuple(name for name in Image.OPEN if name not in NAMED_ONLY)


@cache
def image_suffixes() -> frozenset[str]:
    """The suffixes of files that are images, in lower case and with their dot."""
    known = readable_formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in known)


def open_image(path: Path) -> Image.Image:
    """An image file, opened and not yet decoded.

    Raises:
        UnidentifiedImageError: not an image.
        InputError: a photograph in HEIF, where its plugin is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd but readable files
        try:
            return Image.open(path, formats=readable_formats())
        except UnidentifiedImageError:
            if path.is_file() and _is_heif(path):
                raise InputError(
                    f"To read {path}, which is HEIF (HEIC), the package pillow-heif is needed.",
                    "Run pip install 'geodesic-cli[heif]', or convert it to PNG or JPEG.",
                ) from None
            raise


def image_files(folder: Path, deep: bool = False) -> tuple[list[Path], list[Path]]:
    """The images of a folder, and the other files that a user may have meant; of hidden files only images are named.

    Args:
        folder: that exists.
        deep: whether folders in it are gone through, too.
    """
    images: list[Path] = []
    others: list[Path] = []
    for path in folder.rglob("*") if deep else folder.iterdir():
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part.lower() in OF_SYSTEMS for part in parts)
        image = path.suffix.lower() in image_suffixes()
        if (hidden and not image) or not path.is_file():
            continue
        (others if hidden or not image else images).append(path)
    return images, others


def some_of(paths: Iterable[Path]) -> str:
    """The names of a few files."""
    names = sorted(path.name for path in paths)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _is_heif(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS
