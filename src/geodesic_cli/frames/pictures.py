"""Images and clips as a verb is given them: files from the command line, files or tensors from Python."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.settings import ExtrapolateSettings, VideoAnalyzeSettings


def image_names(images: Sequence[str | Path | Tensor]) -> tuple[str, ...]:
    """What messages call the images: their paths; of a tensor its number, from 1."""
    return tuple(f"image {k}" if isinstance(image, Tensor) else str(image) for k, image in enumerate(images, 1))


def read_images(images: Sequence[str | Path | Tensor]) -> list[Tensor]:
    """Files and tensors as tensors (3, h, w) in [0, 1], float32 on the CPU.

    Raises:
        InputError: a file that cannot be read, or a tensor that is no image.
    """
    return [_checked(image) if isinstance(image, Tensor) else media.read_image(image) for image in images]


def frames_in_memory(frames: Tensor, cut: ExtrapolateSettings | VideoAnalyzeSettings, least: int = 1) -> Tensor:
    """The frames (n, 3, h, w) in [0, 1] of a clip that are meant, float32 on the CPU.

    Raises:
        InputError: a tensor that is no clip of at least ``least`` frames; a start or stop, which are for files.
    """
    if frames.ndim != 4 or frames.shape[1] != 3 or len(frames) < least or not _within_unit(frames):
        some = f" of at least {least} frames" if least > 1 else ""
        raise InputError(
            f"A clip is a floating-point tensor (n, 3, h, w) in [0, 1]{some}; got {frames.dtype} of shape "
            f"{tuple(frames.shape)}."
        )
    if cut.start is not None or cut.stop is not None:
        raise InputError("start and stop are for files; got a tensor.", "Pass a slice of it.")
    return frames.detach().to("cpu", torch.float32)[:: cut.stride][: cut.max_frames]


def _within_unit(values: Tensor) -> bool:
    return values.is_floating_point() and bool(((values >= 0) & (values <= 1)).all())


def _checked(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] != 3 or not _within_unit(image):
        raise InputError(
            f"An image is a floating-point tensor (3, h, w) in [0, 1]; got {image.dtype} of shape {tuple(image.shape)}."
        )
    return image.detach().to("cpu", torch.float32)
