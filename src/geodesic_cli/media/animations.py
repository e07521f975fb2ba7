"""Animations that Pillow reads: GIF, APNG and animated WebP, every frame with its own duration."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from geodesic_cli.media.images import decode

FORMATS = ("GIF", "PNG", "WEBP")  # a TIFF of several pages is no animation
WITHOUT = 0.1  # seconds for which a viewer shows a frame whose duration is not given


def is_animation(path: Path) -> bool:
    """Whether a file is an animation of more than one frame. Anything that cannot be opened is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as file:
                return file.format in FORMATS and getattr(file, "n_frames", 1) > 1
    except Exception:  # each decoder has its own way to fail; whoever reads the file says what is wrong with it
        return False


def animation_frames(path: Path, warn: Callable[[str], None]) -> Iterator[tuple[Tensor, float, str]]:
    """Every frame, its time in seconds and its name; a damaged file is read up to its last good frame."""
    time = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as file:
            for index in range(getattr(file, "n_frames", 1)):
                try:
                    file.seek(index)
                    array = decode(file)
                except Exception as error:  # as above
                    warn(f"{path} is damaged and was read up to its frame {index - 1} ({error}).")
                    return
                yield torch.from_numpy(array).movedim(-1, 0).contiguous(), time, f"{path} frame {index}"
                time += float(file.info.get("duration", 0)) / 1000 or WITHOUT
