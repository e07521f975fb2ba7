"""Frames that lie in files and are read when they are asked for, so that a long film takes the memory of a few."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli.media.images import read_image


@dataclass(frozen=True)
class StoredFrames:
    """Frames of one size in image files.

    Args:
        files: one for each frame, in the order of time; at least one.
        shape: (m, 3, h, w), as that of a tensor of them.
    """

    files: tuple[Path, ...]
    shape: tuple[int, int, int, int]

    @classmethod
    def of(cls, files: Sequence[Path]) -> "StoredFrames":
        """The frames of files that are of one size."""
        channels, height, width = read_image(files[0]).shape
        return cls(tuple(files), (len(files), channels, height, width))

    @property
    def ndim(self) -> int:
        """4, as of a tensor of frames."""
        return len(self.shape)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.files)

    def __iter__(self) -> Iterator[Tensor]:
        """One after another, each (3, h, w), float32 in [0, 1]."""
        return map(read_image, self.files)

    def chosen(self, numbers: Sequence[int]) -> Tensor:
        """The frames of these numbers, (k, 3, h, w)."""
        return torch.stack([read_image(self.files[number]) for number in numbers])


FrameSource = Tensor | StoredFrames
"""Frames (m, 3, h, w): in memory, or in files."""


def chosen_of(frames: FrameSource, numbers: Sequence[int]) -> Tensor:
    """The frames of these numbers, (k, 3, h, w); a tensor itself where they are all of it."""
    if isinstance(frames, StoredFrames):
        return frames.chosen(numbers)
    return frames if list(numbers) == list(range(len(frames))) else frames[list(numbers)]
