"""Images of any size on the model's canvas: read, cut and resized, padded to the model's step, cropped when drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.room import require_size
from geodesic_cli.errors import InputError
from geodesic_cli.runs.observer import Observer

Picture = str | Path | Tensor
"""An image: its file, or a tensor (3, h, w) in [0, 1]."""
SAME, NATIVE = "same", "native"
"""The sizes that mean that of the images themselves, and the model's own."""
SQUARE = 0.01
"""The logarithm of a shape below which it is a square."""
TOLD = 0.01
"""The share of an image that may be cut off without a word."""


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

    @classmethod
    def of(cls, model: LatentDiffusion, size: str | None) -> "Canvas":
        """The canvas of a size `N` or `WIDTHxHEIGHT`, or of None: the model's own size.

        Raises:
            InputError: a size that cannot be read, or of which not even one picture fits into memory.
        """
        side = model.image_size
        height, width = (side, side) if size is None else media.parse_size(size)
        if size is not None:
            require_size(model.codec, model.predict, height, width)
        return cls(height, width, model.codec.step)

    @classmethod
    def of_shape(cls, model: LatentDiffusion, images: Sequence[Tensor]) -> "Canvas":
        """The canvas of images of any shapes: nearest to their common shape, at the area of the model's own size.

        The common shape is the median of theirs, width by height on a logarithmic scale: no other is cut out of them
        with less loss. Sides are multiples of the model's step.
        """
        side, step = model.image_size, model.codec.step
        common = median(math.log(image.shape[-1] / image.shape[-2]) for image in images)

        def multiples(length: float) -> list[int]:
            return [max(1, nearest(length / step)) * step for nearest in (math.floor, math.ceil)]

        def loss(height: int, width: int) -> float:
            return abs(math.log(width / height) - common) + abs(math.log(width * height / side**2)) / 2

        widths, heights = multiples(side * math.exp(common / 2)), multiples(side / math.exp(common / 2))
        own = [(side, side)] if abs(common) < SQUARE else []
        height, width = min([*own, *product(heights, widths)], key=lambda one: loss(*one))
        return cls(height, width, step)

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

    def fit(self, images: Sequence[Tensor]) -> Tensor:
        """The middle of each image (3, h, w) at the size of a frame, (n, 3, h, w)."""
        return torch.stack([media.resize(image, self.height, self.width) for image in images])

    def lost(self, image: Tensor) -> float:
        """The share of an image that is cut off, because it has another shape."""
        ratio = image.shape[1] * self.width / (image.shape[2] * self.height)
        return 1 - min(ratio, 1 / ratio)


def fit(
    images: Sequence[Tensor],
    names: Sequence[str],
    size: str | None,
    model: LatentDiffusion,
    observer: Observer,
    alike: bool = False,
) -> tuple[Tensor, Canvas]:
    """All images at the size of the run, (n, 3, h, w), and the canvas that pads and crops them.

    Args:
        images: each (3, h, w) in [0, 1].
        names: for messages.
        size: `N` or `WIDTHxHEIGHT`, `same`, `native`, or None.
        model: what they are for.
        observer: warned where a middle is cut out, and of sizes far above the model's.
        alike: whether the frames take the shape of the images where no size is given, and `same` and `native` are
            sizes.

    Raises:
        InputError: sizes that differ where they must not; a size that cannot be read.
    """
    if alike and size == SAME:
        media.same_size(images, names, suggest=str(model.image_size))
        canvas = Canvas(images[0].shape[1], images[0].shape[2], model.codec.step)
    elif alike and size is None:
        canvas = Canvas.of_shape(model, images)
        if (canvas.height, canvas.width) != (model.image_size, model.image_size):
            observer.warn(
                f"The frames are {canvas.width}x{canvas.height}, the images' common shape at the area that "
                f"{model.name} was made for; --size native takes its own, {model.image_size}x{model.image_size}."
            )
    else:
        canvas = Canvas.of(model, None if alike and size == NATIVE else size)
    tell_of_cuts(images, names, canvas, size, observer, same=alike)
    times = canvas.height * canvas.width / model.image_size**2
    if times > 4:
        observer.warn(
            f"{canvas.width}x{canvas.height} is {times:.0f} times the area that {model.name} was made for: expect "
            f"repetition in the pictures and a long time. Its own size is --size {model.image_size}."
        )
    if model.codec.tiled(*canvas.padded):
        observer.warn(
            f"At {canvas.width}x{canvas.height} the autoencoder works in tiles, which are blended: near to what it "
            "makes of the whole image, and not equal to it."
        )
    return canvas.fit(images), canvas


def tell_of_cuts(
    images: Sequence[Tensor],
    names: Sequence[str],
    canvas: Canvas,
    size: str | None,
    observer: Observer,
    same: bool = False,
) -> None:
    """Warn where images have another shape than the canvas, so that only their middles are used; once for a size."""
    cut: dict[tuple[int, ...], list[str]] = {}
    for name, image in zip(names, images, strict=True):
        if canvas.lost(image) > TOLD:
            cut.setdefault((image.shape[2], image.shape[1]), []).append(name)
    for number, ((w, h), (name, *others)) in enumerate(cut.items()):
        more = f" (and {len(others)} more)" if others else ""
        ways = "--size WIDTHxHEIGHT, native or same" if same else "--size WIDTHxHEIGHT"
        hint = f" Pass {ways} for another shape." if size is None and number == 0 else ""
        share = 100 * canvas.lost(torch.empty(0, h, w))
        observer.warn(
            f"{name}{more} is {w}x{h}; its middle is used at {canvas.width}x{canvas.height}, and {share:.0f}% of it is "
            f"cut off.{hint}"
        )


def image_names(images: Sequence[str | Path | Tensor]) -> tuple[str, ...]:
    """What messages call the images: their paths; of a tensor its number, from 1."""
    return tuple(f"image {k}" if isinstance(image, Tensor) else str(image) for k, image in enumerate(images, 1))


def read_images(images: Sequence[str | Path | Tensor], observer: Observer) -> list[Tensor]:
    """Files and tensors as tensors (3, h, w) in [0, 1], float32 on the CPU; what is guessed in a file is told.

    Raises:
        InputError: a file that cannot be read, or a tensor that is no image.
    """
    return [
        _checked(image) if isinstance(image, Tensor) else media.read_image(image, observer.warn) for image in images
    ]


def within_unit(values: Tensor) -> bool:
    """Whether these are floating-point values in [0, 1]."""
    return values.is_floating_point() and bool(((values >= 0) & (values <= 1)).all())


def _checked(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] != 3 or not within_unit(image):
        raise InputError(
            f"An image is a floating-point tensor (3, h, w) in [0, 1]; got {image.dtype} of shape {tuple(image.shape)}."
        )
    return image.detach().to("cpu", torch.float32)
