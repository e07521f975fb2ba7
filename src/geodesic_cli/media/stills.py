"""An image as it is kept until a canvas is cut from it: in eight bits where its file has no more, and not larger than
it has to be. What is large is read reduced, by a whole factor, in strips; a photograph of 100 megapixels would else
take 1.2 GB as floating-point numbers, of which a model looks at a two-hundredth.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Ground = tuple[float, float, float]
"""The colour in [0, 1] on which what is transparent is shown."""
ON_WHITE: Ground = (1.0, 1.0, 1.0)
STRIP = 2**19
"""Pixels that are converted at a time."""


@dataclass(frozen=True, eq=False)
class Still:
    """An image as it was read.

    Args:
        pixels: (3, h, w), uint8, or float32 in [0, 1] where eight bits are too few; of a large image reduced.
        height: of the image itself, in pixels.
        width: of the same.
    """

    pixels: Tensor
    height: int
    width: int

    @classmethod
    def of(cls, pixels: Tensor) -> "Still":
        """Pixels that are not reduced."""
        return cls(pixels, *pixels.shape[-2:])

    @property
    def shape(self) -> tuple[int, int, int]:
        """That of the image itself, (3, height, width), as a tensor has one."""
        return 3, self.height, self.width

    def floats(self) -> Tensor:
        """The pixels (3, h, w), float32 in [0, 1]."""
        return in_floats(self.pixels).contiguous()


def in_floats(pixels: Tensor) -> Tensor:
    """Values in [0, 1] of values that may be bytes."""
    if pixels.dtype != torch.uint8:
        return pixels
    values = pixels.numpy().astype(np.float32)
    values /= 255
    return torch.from_numpy(values)


def in_strips(image: Image.Image, shown: Callable[[Image.Image], np.ndarray], factor: int, deep: bool) -> np.ndarray:
    """What is shown of an image, (c, h, w), reduced by a whole factor; what is left over at the far sides is left out.

    Args:
        image: loaded.
        shown: makes (h, w, c) of a part of it, bytes or values in [0, 1].
        factor: by which each side is divided; a pixel is the mean of those that it stands for.
        deep: whether the values are kept in floating point; else they are rounded to bytes.
    """
    width, height = image.size[0] // factor, image.size[1] // factor
    rows = max(1, STRIP // (image.size[0] * factor))
    made: np.ndarray | None = None
    for top in range(0, height, rows):
        below = min(top + rows, height)
        values = shown(image.crop((0, top * factor, width * factor, below * factor)))
        if factor > 1:
            scale = 255 if values.dtype == np.uint8 else 1
            parts = values.reshape(below - top, factor, width, factor, values.shape[2])
            values = parts.mean((1, 3), dtype=np.float32) / np.float32(scale)
        if not deep and values.dtype != np.uint8:
            values = np.rint(255 * values).astype(np.uint8)
        if made is None:
            made = np.empty((values.shape[2], height, width), np.float32 if deep else np.uint8)
        made[:, top:below] = values.transpose(2, 0, 1)
    assert made is not None
    return made
