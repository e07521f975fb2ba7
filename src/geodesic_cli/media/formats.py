"""Which files are images: one list for single files, folders of frames and training data, that of what Pillow opens."""

import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from geodesic_cli.errors import InputError

NAMED_ONLY = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
"""What Pillow knows by its first bytes and cannot draw, or not without another program."""
MOST_BYTES_OF_ONE = 2**30
"""Of memory that one image may take while it is read."""
WORKING = {"GIF": 10, "WEBP": 12, "AVIF": 12, "HEIF": 12, "JPEG2000": 20, "TIFF": 8}
"""Bytes of memory for a pixel while it is decoded, of formats whose decoders hold it more than once."""
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


def refuse_too_large(file: Image.Image, path: str | Path) -> None:
    """Refuse an opened image that would take too much memory while it is read.

    Raises:
        InputError: with the number of pixels that its format may have.
    """
    most = MOST_BYTES_OF_ONE // WORKING.get(str(file.format), 5)
    if file.size[0] * file.size[1] > most:
        raise too_large(path, most)


def too_large(path: str | Path, most: int) -> InputError:
    """The sentence for an image of more pixels than can be read."""
    return InputError(
        f"An image of at most {most // 10**6} million pixels is needed, and {path} has more.", "Shrink it."
    )


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
