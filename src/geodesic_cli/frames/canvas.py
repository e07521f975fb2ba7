"""Images of any size on the model's canvas: read, cut and resized, padded to the model's step, cropped when drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli import media
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.runs.observer import Observer

Picture = str | Path | Tensor
"""An image: its file, or a tensor (3, h, w) in [0, 1]."""
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

    @classmethod
    def of(cls, model: LatentDiffusion, size: str | None) -> "Canvas":
        """The canvas of a size `N` or `WIDTHxHEIGHT`, or of None: the model's own size.

        Raises:
            InputError: a size that cannot be read.
        """
        side = model.image_size
        height, width = (side, side) if size is None else media.parse_size(size)
        return cls(height, width, model.codec.step)

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

    def cuts(self, image: Tensor) -> bool:
        """Whether an image has another shape, so that only its middle is used."""
        return abs(image.shape[1] / image.shape[2] - self.height / self.width) > 0.01


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
        size: `N` or `WIDTHxHEIGHT`, `same`, or None for the model's own size.
        model: what they are for.
        observer: warned where a middle is cut out, and of sizes far above the model's.
        alike: whether the images must share one size where none is given, and `same` is a size.

    Raises:
        InputError: sizes that differ where they must not; a size that cannot be read.
    """
    if alike and size in (None, SAME):
        media.same_size(images, names, suggest=str(model.image_size))
    own = alike and size == SAME
    canvas = Canvas(images[0].shape[1], images[0].shape[2], model.codec.step) if own else Canvas.of(model, size)
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
    """Warn, once, where images have another shape than the canvas, so that only their middles are used."""
    cut = [(name, image.shape[1:]) for name, image in zip(names, images, strict=True) if canvas.cuts(image)]
    if cut:
        name, (h, w) = cut[0]
        more = f" (and {len(cut) - 1} more)" if len(cut) > 1 else ""
        ways = "--size same or --size WIDTHxHEIGHT" if same else "--size WIDTHxHEIGHT"
        hint = f" Pass {ways} for another shape." if size is None else ""
        observer.warn(f"{name}{more} is {w}x{h}; its middle is used at {canvas.width}x{canvas.height}.{hint}")


def image_names(images: Sequence[str | Path | Tensor]) -> tuple[str, ...]:
    """What messages call the images: their paths; of a tensor its number, from 1."""
    return tuple(f"image {k}" if isinstance(image, Tensor) else str(image) for k, image in enumerate(images, 1))


def read_images(images: Sequence[str | Path | Tensor]) -> list[Tensor]:
    """Files and tensors as tensors (3, h, w) in [0, 1], float32 on the CPU.

    Raises:
        InputError: a file that cannot be read, or a tensor that is no image.
    """
    return [_checked(image) if isinstance(image, Tensor) else media.read_image(image) for image in images]


def within_unit(values: Tensor) -> bool:
    """Whether these are floating-point values in [0, 1]."""
    return values.is_floating_point() and bool(((values >= 0) & (values <= 1)).all())


def _checked(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] != 3 or not within_unit(image):
        raise InputError(
            f"An image is a floating-point tensor (3, h, w) in [0, 1]; got {image.dtype} of shape {tuple(image.shape)}."
        )
    return image.detach().to("cpu", torch.float32)
