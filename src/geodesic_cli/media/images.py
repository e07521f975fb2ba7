"""Images: files on one side, tensors (3, h, w) in [0, 1] on the other.

An image is its pixel values divided by the largest one, in the file's own encoding (sRGB as a rule; colour profiles
are not applied). Transparency is composited on white, c = a c' + (1 - a). Writing rounds 255 c to the nearest integer
(ties to even), so writing and reading again is exact for eight-bit images.
"""

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from geodesic_cli.errors import InputError, OutputError
from geodesic_cli.media.files import replacing
from geodesic_cli.media.sizes import SMALLEST

KEY = "geodesic"  # of the text chunk in a PNG


def read_image(path: str | Path) -> Tensor:
    """An image file as (3, h, w), float32 in [0, 1], upright and composited on white.

    Sixteen-bit gray keeps its precision; of sixteen-bit colour Pillow keeps the upper eight bits. Integer gray of more
    bits is read as sixteen-bit, floating-point gray as [0, 1]. Of an animation the first frame is read.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd but readable files
            with Image.open(path) as file:
                width, height = file.size
                if min(width, height) >= SMALLEST:  # a smaller one is refused below, undecoded
                    array = decode(ImageOps.exif_transpose(file))
    except FileNotFoundError as error:
        raise InputError(f"An image file is needed, and {path} does not exist.", "Check the path.") from error
    except IsADirectoryError as error:
        raise InputError(f"An image file is needed, and {path} is a folder.", "Name one of the files in it.") from error
    except PermissionError as error:
        raise InputError(f"An image file is needed, and {path} may not be read.", "Change its permissions.") from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"An image is needed, and {path} is not one in a format that can be read.", "Convert it to PNG or JPEG."
        ) from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise InputError(
            f"An image of at most {most} million pixels is needed, and {path} has more.", "Shrink it."
        ) from error
    except Exception as error:  # each decoder has its own way to fail on a damaged file
        raise InputError(
            f"A whole image is needed, and {path} is damaged ({error}).", "Copy or export it again."
        ) from error
    if min(width, height) < SMALLEST:
        raise InputError(
            f"Images must have at least {SMALLEST} pixels on a side, and {path} is {width}x{height}.",
            "Pass a larger image.",
        )
    return torch.from_numpy(array).movedim(-1, 0).contiguous()


def decode(image: Image.Image) -> np.ndarray:
    """Pixels (h, w, 3) of any of Pillow's modes."""
    if image.mode == "F":
        return np.repeat(np.nan_to_num(np.asarray(image, np.float32)).clip(0, 1)[..., None], 3, -1)
    if image.mode.startswith("I"):  # I;16, its byte orders, and I
        return np.repeat((np.asarray(image).astype(np.float32) / 65535).clip(0, 1)[..., None], 3, -1)
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB")).astype(np.float32) / 255
    rgba = np.asarray(image.convert("RGBA")).astype(np.float32) / 255
    colour, alpha = rgba[..., :3], rgba[..., 3:]
    return alpha * colour + (1 - alpha)


def read_metadata(path: str | Path) -> dict[str, object]:
    """What `write_png` put beside the pixels."""
    path = Path(path)
    read_image(path)  # says in a sentence what is wrong with a file that is no image
    with Image.open(path) as file:
        text = getattr(file, "text", {}).get(KEY, "")
    with suppress(ValueError):
        found = json.loads(text)
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
    return images.clamp(0, 1).mul(255).round().to(torch.uint8).movedim(1, -1).contiguous().numpy()
