"""Images: files on one side, tensors (3, h, w) in [0, 1] on the other.

An image is what a screen shows of it, in sRGB (`decoding`). Transparency is composited on a ground g, white unless
another one is chosen, c = a c' + (1 - a) g. A `Still` is the image in eight bits, and reduced where it is large.
Writing rounds 255 c to the nearest integer (ties to even), so writing and reading again is exact for eight-bit images.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from geodesic_cli.errors import InputError, OutputError
from geodesic_cli.filing import parsed_json
from geodesic_cli.media.decoding import decode
from geodesic_cli.media.files import replacing
from geodesic_cli.media.formats import MOST_BYTES_OF_ONE, image_files, open_image, refuse_too_large, too_large
from geodesic_cli.media.sizes import SMALLEST, resize
from geodesic_cli.media.stills import ON_WHITE, Ground, Still

KEY = "geodesic"  # of the text chunk in a PNG
IN_FLOATS = 12
"""Bytes of a pixel of three floating-point colours."""
ONE_PICTURE = ("MPO", "ICNS", "ICO", "CUR")
"""Formats whose further pictures are the same one, at other sizes or for other screens."""


def read_image(
    path: str | Path,
    warn: Callable[[str], None] | None = None,
    *,
    ground: Ground = ON_WHITE,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """An image file as (3, h, w), float32 in [0, 1], upright and composited on the ground.

    Sixteen-bit gray keeps its precision; of sixteen-bit colour Pillow keeps the upper eight bits. Of an animation and
    of a file of several pages the first is read.

    Args:
        path: of the file.
        warn: told of what had to be guessed or is left out.
        ground: the colour in [0, 1] that is seen where the image is transparent.
        size: (height, width) to which its middle is brought; a large image then takes far less memory.

    Raises:
        InputError: no image that can be read; too large a one.
    """
    if size is not None:
        return resize(read_still(path, warn, ground=ground, enough=2 * max(size)), *size)
    still = read_still(path, warn, ground=ground)
    if IN_FLOATS * still.height * still.width > MOST_BYTES_OF_ONE:
        raise too_large(path, MOST_BYTES_OF_ONE // IN_FLOATS)
    return still.floats()


def read_still(
    path: str | Path,
    warn: Callable[[str], None] | None = None,
    *,
    ground: Ground = ON_WHITE,
    enough: int | None = None,
) -> Still:
    """An image file in eight bits where it has no more, and reduced where it is large; else see `read_image`.

    Args:
        path: of the file.
        warn: told of what had to be guessed or is left out.
        ground: the colour in [0, 1] that is seen where the image is transparent.
        enough: pixels of the shorter side that are enough: of a larger image each pixel is the mean of several.
    """
    path, warn = Path(path), warn or (lambda _: None)
    with _opened(path) as file:
        count = getattr(file, "n_frames", 1)
        if count > 1 and file.format not in ONE_PICTURE:
            warn(f"{path} holds {count} pictures, of which the first is read.")
            file.seek(0)
        return decode(file, str(path), warn, ground, enough)


def require_image(path: str | Path) -> None:
    """Refuse a file that is no image, too small or too large, as far as its first bytes tell: it is not decoded."""
    with _opened(Path(path)):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An image file, open; whatever is wrong with it, here or in the block, is told in a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd but readable files
            with open_image(path) as file:
                width, height = file.size
                refuse_too_large(file, path)
                if min(width, height) < SMALLEST:
                    raise InputError(
                        f"Images must have at least {SMALLEST} pixels on a side, and {path} is {width}x{height}.",
                        "Pass a larger image.",
                    )
                yield file
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"An image file is needed, and {path} does not exist.", "Check the path.") from error
    except IsADirectoryError as error:
        found = sorted(image_files(path)[0])
        hint = f"Name one of the images in it, such as {found[0]}." if found else "There is no image in it."
        raise InputError(f"An image file is needed, and {path} is a folder.", hint) from error
    except PermissionError as error:
        raise InputError(f"An image file is needed, and {path} may not be read.", "Change its permissions.") from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"An image is needed, and {path} is not one in a format that can be read.", "Convert it to PNG or JPEG."
        ) from error
    except Image.DecompressionBombError as error:
        raise too_large(path, 2 * (Image.MAX_IMAGE_PIXELS or 0)) from error
    except Exception as error:  # each decoder has its own way to fail on a damaged file
        raise InputError(
            f"A whole image is needed, and {path} is damaged ({error}).", "Copy or export it again."
        ) from error


def read_metadata(path: str | Path) -> dict[str, object]:
    """What `write_png` put beside the pixels."""
    path = Path(path)
    read_image(path)  # says in a sentence what is wrong with a file that is no image
    with Image.open(path) as file:
        text = getattr(file, "text", {}).get(KEY, "")
    with suppress(ValueError):
        found = parsed_json(text)
        if isinstance(found, dict):
            return found
    raise InputError(
        f"A PNG written by geodesic is needed, and {path} holds no settings of a run.",
        "Pass a frame as it was written: converting or editing an image drops its settings.",
    )


def write_png(image: Tensor, path: str | Path, metadata: Mapping[str, object] | None = None) -> None:
    """An image (3, h, w) as an eight-bit PNG with `metadata` as JSON in the text chunk "geodesic"."""
    chunks = PngInfo()
    if metadata is not None:
        chunks.add_text(KEY, json.dumps(metadata, sort_keys=True, default=str))
    buffer = BytesIO()
    Image.fromarray(to_bytes(image[None])[0]).save(buffer, "PNG", pnginfo=chunks)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(buffer.getvalue())


def to_bytes(images: Tensor) -> np.ndarray:
    """(m, 3, h, w) in [0, 1] as (m, h, w, 3) of bytes."""
    images = images.detach().cpu().float()
    if not images.isfinite().all():
        raise OutputError("An image of finite values is needed, and this one holds NaN.", "Pass --dtype fp32.")
    return images.clamp(0, 1).mul_(255).round_().to(torch.uint8).movedim(1, -1).contiguous().numpy()
