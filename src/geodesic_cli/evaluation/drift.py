"""How far the colours of pictures have drifted from those of another one, wherever in the picture they are.

Each pixel has two numbers without its brightness, r - g and (r + g) / 2 - b. Two pictures are compared as sets of such
pixels, by the sliced Wasserstein distance: along each of DIRECTIONS directions in that plane both sets are sorted, and
the mean difference of the sorted numbers is taken. A thing that moves keeps its colours and changes nothing; a red ball
that turns green does. The distance is told in units of the spread of the other picture's own colours about their mean,
so it is a number without dimension; that spread counts as LEAST_SPREAD at least, so that a gray picture has a unit.

What changes in the known pictures already goes on without being a drift: the largest distance a frame among them, so
often as frames have passed, is taken off.
"""

import math

import torch
from torch import Tensor

DIRECTIONS = 8
LEAST_SPREAD = 4 / 255


def colour_drift(frames: Tensor, reference: Tensor, known: Tensor, first: int = 1) -> Tensor:
    """The drift of frames (n, 3, h, w) that follow a reference (3, h, w), (n,), at least 0.

    Args:
        frames: pictures in [0, 1].
        reference: the last known picture, best as the autoencoder draws it again, as it does the frames.
        known: those before it, (m, 3, h, w), the last one next to it; what they change goes on.
        first: by how many steps the first of the frames follows the reference.
    """
    passed = torch.arange(first, first + len(frames), dtype=torch.float64)
    rate = 0.0
    if len(known):
        back = torch.arange(len(known), 0, -1, dtype=torch.float64)
        rate = float((_apart(known, reference) / back).max())
    return (_apart(frames, reference) - rate * passed).clamp(min=0)


def _apart(frames: Tensor, reference: Tensor) -> Tensor:
    """The distance of each frame's colours from those of the reference, in units of their spread, (n,)."""
    own = _sliced(reference[None])
    spread = float((own - own.mean(-1, keepdim=True)).abs().mean())
    parts = [(_sliced(frame[None]) - own).abs().mean() for frame in frames]  # one at a time: frames may be large
    return torch.stack(parts) / max(spread, LEAST_SPREAD) if parts else torch.empty(0, dtype=torch.float64)


def _sliced(frames: Tensor) -> Tensor:
    """The sorted numbers of all pixels along each direction, (n, DIRECTIONS, h w)."""
    red, green, blue = frames.detach().to("cpu", torch.float64).flatten(2).unbind(1)
    angle = torch.arange(DIRECTIONS, dtype=torch.float64) * (math.pi / DIRECTIONS)
    plane = torch.stack([angle.cos(), angle.sin()], 1)
    return (plane @ torch.stack([red - green, (red + green) / 2 - blue], 1)).sort(-1).values
