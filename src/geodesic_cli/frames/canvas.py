"""Images of any size on the model's canvas: resized where asked, padded to the model's step, cropped when drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.runs.observer import Observer

SAME = "same"
"""The size that means that of the images themselves."""


@dataclass(frozen=True)
class Canvas:
    """The size of the frames, and the model's step, to a multiple of which images are padded on the right and below.

    Args:
        height: of a frame, pixels.
        width: of a frame, pixels.
        step: the model takes sides that are multiples of it.
    """

    height: int
    width: int
    step: int

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of what the model sees."""
        return -(-self.height // self.step) * self.step, -(-self.width // self.step) * self.step

    def pad(self, images: Tensor) -> Tensor:
        """Frames (n, 3, h, w) to what the model sees; what is added mirrors the border."""
        height, width = self.padded
        return pad(images, (0, width - self.width, 0, height - self.height), mode="reflect")

    def crop(self, images: Tensor) -> Tensor:
        """What the model draws to frames."""
        return images[..., : self.height, : self.width]


def fit(
    images: Sequence[Tensor], names: Sequence[str], size: str | None, model: LatentDiffusion, observer: Observer
) -> tuple[Tensor, Canvas]:
    """All images at the size of the run and padded, (n, 3, h, w), and the canvas that crops them.

    Args:
        images: each (3, h, w) in [0, 1].
        names: for messages.
        size: `N` or `WIDTHxHEIGHT`, `same`, or None for the model's own size.
        model: what they are for.
        observer: warned where a middle is cut out, and of sizes far above the model's.

    Raises:
        InputError: sizes that differ where none is given; a size that cannot be read.
    """
    if size is None or size == SAME:
        media.same_size(images, names, suggest=str(model.image_size))
        height = width = model.image_size
        if size == SAME:
            height, width = images[0].shape[1:]
    else:
        height, width = media.parse_size(size)
    cut = [name for name, image in zip(names, images, strict=True) if _differs(image, height, width)]
    if cut:
        h, w = next(image.shape[1:] for name, image in zip(names, images, strict=True) if name == cut[0])
        more = f" (and {len(cut) - 1} more)" if len(cut) > 1 else ""
        hint = " Pass --size same or --size WIDTHxHEIGHT for another shape." if size is None else ""
        observer.warn(f"{cut[0]}{more} is {w}x{h}; its middle is used at {width}x{height}.{hint}")
    times = height * width / model.image_size**2
    if times > 4:
        observer.warn(
            f"{width}x{height} is {times:.0f} times the area that {model.name} was made for: expect repetition in the "
            f"pictures and a long time. Its own size is --size {model.image_size}."
        )
    canvas = Canvas(height, width, model.codec.step)
    if model.codec.tiled(*canvas.padded):
        observer.warn(
            f"At {width}x{height} the autoencoder works in tiles, which are blended: near to what it makes of the "
            "whole image, and not equal to it."
        )
    return canvas.pad(torch.stack([media.resize(image, height, width) for image in images])), canvas


def _differs(image: Tensor, height: int, width: int) -> bool:
    return abs(image.shape[1] / image.shape[2] - height / width) > 0.01
