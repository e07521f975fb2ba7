"""Images that are in memory already: tensors, numpy arrays and PIL images to tensors (3, h, w) in [0, 1], and back.

A tensor is (3, h, w) and an array is (h, w, 3), as their users have them; either is also read the other way round
where only that can be meant. Whole numbers are taken as shares of the largest of their kind, 255 or 65535. Gray becomes
three equal channels; what is transparent is composited on white.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.media.decoding import decode
from geodesic_cli.media.images import to_bytes
from geodesic_cli.media.sizes import SMALLEST

Pixels = Tensor | np.ndarray | Image.Image
"""An image in memory."""
Picture = str | Path | Pixels
"""An image: its file, or its pixels."""
CHANNEL_COUNTS = (1, 3, 4)
"""Gray, colour, and colour with transparency."""
LARGEST_OF = {torch.uint8: 255.0, torch.uint16: 65535.0}


def pictures(given: object, warn: Callable[[str], None] | None = None) -> list[str | Path | Tensor]:
    """Images as files and tensors (3, h, w), float32 in [0, 1] on the CPU.

    Args:
        given: one picture, a batch of them (n, 3, h, w) or (n, h, w, 3), or a sequence of these.
        warn: told of what had to be guessed.

    Raises:
        InputError: something else, or values out of range.
    """
    if isinstance(given, str | Path):
        return [given]
    if isinstance(given, list | tuple):
        return [one for part in given for one in pictures(part, warn)]
    if isinstance(given, Image.Image):
        _require_sides(*given.size)
        return [decode(given, "the image", warn or (lambda _: None)).floats()]
    if isinstance(given, np.ndarray | Tensor):
        return list(_batch(given))
    raise InputError(
        f"An image is the path of a file, a PIL image, a numpy array or a tensor; got {_called(given)}.",
        "Pass one of these.",
    )


def to_pil(images: Tensor) -> list[Image.Image]:
    """Images (n, 3, h, w) in [0, 1] as PIL images."""
    return [Image.fromarray(array) for array in to_bytes(images)]


def png_bytes(image: Tensor) -> bytes:
    """An image (3, h, w) in [0, 1] as the bytes of a PNG file."""
    buffer = BytesIO()
    to_pil(image[None])[0].save(buffer, "PNG")
    return buffer.getvalue()


def _called(given: object) -> str:
    return "None" if given is None else f"a value of the type {type(given).__name__}"


def _batch(given: Tensor | np.ndarray) -> Tensor:
    """One image, or a batch of them, as (n, 3, h, w)."""
    shape, kind = tuple(given.shape), str(given.dtype)
    last = isinstance(given, np.ndarray)  # where the channels are, if both could be
    if isinstance(given, np.ndarray):
        if given.dtype.kind not in "fu":
            raise _no_values(kind)
        given = torch.from_numpy(np.ascontiguousarray(given.astype(given.dtype.newbyteorder("="))))
    values = _unit(given.detach().cpu(), kind)
    if values.ndim == 2:
        values = values[None, None]
    elif values.ndim in (3, 4):
        values = values[None] if values.ndim == 3 else values
        first, also = values.shape[1] in CHANNEL_COUNTS, values.shape[3] in CHANNEL_COUNTS
        if not (first or also):
            raise _no_shape(shape)
        if also and (last or not first):
            values = values.movedim(-1, 1)
    else:
        raise _no_shape(shape)
    if not len(values):
        raise InputError(f"An image is needed, and a batch of the shape {shape} holds none.", "Pass one or more.")
    _require_sides(values.shape[3], values.shape[2])
    if values.shape[1] == 4:
        values = values[:, 3:] * values[:, :3] + (1 - values[:, 3:])
    return values.expand(-1, 3, -1, -1).contiguous()


def _unit(values: Tensor, kind: str) -> Tensor:
    """Numbers of any kind as float32 in [0, 1]."""
    if values.dtype in LARGEST_OF:
        return values.to(torch.float32) / LARGEST_OF[values.dtype]
    if not values.is_floating_point():
        raise _no_values(kind)
    values = values.to(torch.float32)
    if not bool(values.isfinite().all()):
        raise InputError("An image of finite values is needed, and this one holds NaN or infinity.")
    low, high = (float(values.min()), float(values.max())) if values.numel() else (0.0, 0.0)
    if low < 0 or high > 1:
        hint = "Divide them by 255." if low >= 0 and high <= 255 else "Bring them there."
        if -1 <= low < 0 and high <= 1:
            hint = "Pass (x + 1) / 2."
        raise InputError(
            f"The floating-point values of an image are in [0, 1]; these go from {low:g} to {high:g}.", hint
        )
    return values


def _no_values(kind: str) -> InputError:
    return InputError(
        f"The values of an image are floating-point numbers in [0, 1], uint8 or uint16; got {kind}.", "Convert them."
    )


def _no_shape(shape: tuple[int, ...]) -> InputError:
    return InputError(
        f"An image is a tensor (3, h, w) or an array (h, w, 3), and a batch has one more dimension; got {shape}.",
        "Change the order of the dimensions.",
    )


def _require_sides(width: int, height: int) -> None:
    if min(width, height) < SMALLEST:
        raise InputError(
            f"Images must have at least {SMALLEST} pixels on a side, and this one is {width}x{height}.",
            "Pass a larger image.",
        )
