"""Sizes of images: what may be asked for, and how an image comes to have it."""

import math
import re
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.media.stills import Ground, Still, in_floats

SMALLEST = 8  # pixels on a side: the factor by which an image codec shrinks
LARGEST = 32_768


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of "768", a square, or "512x768", WIDTHxHEIGHT as in ffmpeg and ImageMagick."""
    match = re.fullmatch(r"\s*([0-9]{1,18})(?:\s*[xX×]\s*([0-9]{1,18}))?\s*", text)
    if match is None:
        raise InputError(f"A size is a number of pixels or WIDTHxHEIGHT, not {text!r}.", "Pass --size 512 or 768x512.")
    width = int(match[1])
    height = int(match[2] or width)
    if min(height, width) < SMALLEST or max(height, width) > LARGEST:
        raise InputError(
            f"A size must be between {SMALLEST} and {LARGEST} pixels on a side, not {width}x{height}.",
            "Pass --size 512 or 768x512.",
        )
    return height, width


def resize(image: Tensor | Still, height: int, width: int) -> Tensor:
    """The largest centred part of the right shape, scaled by Lanczos with antialiasing, floating-point in [0, 1].

    An image that has the size already is returned as it is.
    """
    pixels = image.pixels if isinstance(image, Still) else image
    h, w = pixels.shape[-2:]
    if (h, w) == (height, width):
        return in_floats(pixels)
    scale = max(height / h, width / w)
    part_h, part_w = min(h, height / scale), min(w, width / scale)
    left, top = (w - part_w) / 2, (h - part_h) / 2
    return stretch(pixels, height, width, (left, top, min(w, left + part_w), min(h, top + part_h)))


def placed(image: Tensor | Still, height: int, width: int, ground: Ground) -> Tensor:
    """The whole image in the middle of a ground (3, height, width), as large as it fits there, floating-point."""
    pixels = image.pixels if isinstance(image, Still) else image
    h, w = whole_within(image, height, width)
    inner = in_floats(pixels) if pixels.shape[-2:] == (h, w) else stretch(pixels, h, w)
    made = torch.tensor(ground, dtype=inner.dtype)[:, None, None].repeat(1, height, width)
    top, left = (height - h) // 2, (width - w) // 2
    made[:, top : top + h, left : left + w] = inner
    return made


def whole_within(image: Tensor | Still, height: int, width: int) -> tuple[int, int]:
    """The height and width of a whole image where it is as large as fits in these."""
    h, w = image.shape[-2:]
    scale = min(height / h, width / w)
    return min(height, max(1, round(h * scale))), min(width, max(1, round(w * scale)))


def stretch(image: Tensor, height: int, width: int, box: tuple[float, float, float, float] | None = None) -> Tensor:
    """An image, or the part of it in a box (left, top, right, bottom), scaled by Lanczos to any shape.

    Bytes become floating-point values in [0, 1]; a channel at a time, which takes a third of the memory.
    """
    # Pillow resamples the fractional box of one float channel, hence neither a whole-pixel crop nor eight bits.
    channels = [
        np.asarray(
            Image.fromarray(in_floats(channel.detach().cpu()).float().numpy()).resize(
                (width, height), Image.Resampling.LANCZOS, box
            )
        )
        for channel in image
    ]
    made = torch.from_numpy(np.stack(channels)).clamp(0, 1)
    return made if image.dtype == torch.uint8 else made.to(image)


def same_size(images: Sequence[Tensor | Still], names: Sequence[str], suggest: str) -> None:
    """Refuse images of different sizes, naming the first two that differ and the ``--size`` to ``suggest``."""
    sizes = [f"{image.shape[-1]}x{image.shape[-2]}" for image in images]
    for size, name in zip(sizes, names, strict=True):
        if size != sizes[0]:
            raise InputError(
                f"Images must share one size: {names[0]} is {sizes[0]}, {name} is {size}.",
                f"Pass --size {suggest}, and their middles are used.",
            )


def enlarge(frames: Tensor, shortest: int) -> Tensor:
    """Frames whose short side has at least `shortest` pixels, each pixel repeated a whole number of times."""
    factor = math.ceil(shortest / min(frames.shape[-2:]))
    return frames.repeat_interleave(factor, -2).repeat_interleave(factor, -1) if factor > 1 else frames
