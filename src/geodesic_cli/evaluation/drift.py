"""How far pictures have drifted from another one: in their colours, and in the shapes that they show.

Either is told by numbers of every pixel, whatever its place. Two pictures are compared as sets of such pixels, by the
sliced Wasserstein distance: along each of DIRECTIONS directions in the plane of two numbers both sets are sorted, and
the mean difference of the sorted numbers is taken. A thing that moves keeps its pixels and changes nothing. The
distance is told in units of the spread of the other picture's own numbers about their mean, so it has no dimension.

Of colours the numbers are r - g and (r + g) / 2 - b, without brightness: a red ball that turns green has drifted. Their
spread counts as LEAST_SPREAD at least, so that a gray picture has a unit.

Of shapes they are the roots of the two eigenvalues of the structure tensor, the mean of (grad c)(grad c)^T over colours
c and a Gaussian window, in pictures brought to SIDE pixels: how much of an edge there is, and how much of a corner.
They do not turn with a thing that turns. What melts, fades or falls apart loses or gains edges; a whole cube in the
place of a whole cylinder has about as many.

What changes in the known pictures already goes on without being a drift: the largest distance a frame among them, so
often as frames have passed, is taken off.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

DIRECTIONS = 8
LEAST_SPREAD, LEAST_EDGES = 4 / 255, 1e-4
"""The least spread of colours and of edges; that of a scene is 0.03 and 0.01."""
SIDE, BLUR, WINDOW = 64, 0.7, 4.0
"""The shorter side to which larger pictures are brought, and standard deviations in pixels of it: of the blur before
slopes are taken, and of the window."""
SHAPE_UNIT = 2.0
"""By this the distance of shapes is multiplied, so that one limit serves both drifts; see `settings.DRIFT`."""


def colour_drift(frames: Tensor, reference: Tensor, known: Tensor, first: int = 1) -> Tensor:
    """The drift of the colours of frames (n, 3, h, w) that follow a reference (3, h, w), (n,), at least 0.

    Args:
        frames: pictures in [0, 1].
        reference: the last known picture, best as the autoencoder draws it again, as it does the frames.
        known: those before it, (m, 3, h, w), the last one next to it; what they change goes on.
        first: by how many steps the first of the frames follows the reference.
    """
    return _drift(frames, reference, known, first, _colours, LEAST_SPREAD)


def shape_drift(frames: Tensor, reference: Tensor, known: Tensor, first: int = 1) -> Tensor:
    """The drift of the shapes in frames; everything else is as in `colour_drift`."""
    return SHAPE_UNIT * _drift(frames, reference, known, first, _edges, LEAST_EDGES)


def _drift(
    frames: Tensor, reference: Tensor, known: Tensor, first: int, numbers: Callable[[Tensor], Tensor], least: float
) -> Tensor:
    own = _sliced(numbers(reference[None]))
    spread = max(float((own - own.mean(-1, keepdim=True)).abs().mean()), least)

    def apart(others: Tensor) -> Tensor:
        parts = [(_sliced(numbers(one[None])) - own).abs().mean() for one in others]  # one at a time: they may be large
        return torch.stack(parts) / spread if parts else torch.empty(0, dtype=torch.float64)

    passed = torch.arange(first, first + len(frames), dtype=torch.float64)
    back = torch.arange(len(known), 0, -1, dtype=torch.float64)
    rate = float((apart(known) / back).max()) if len(known) else 0.0
    return (apart(frames) - rate * passed).clamp(min=0)


def _colours(frames: Tensor) -> Tensor:
    """The colours of all pixels without their brightness, (n, 2, h w)."""
    red, green, blue = frames.detach().to("cpu", torch.float64).flatten(2).unbind(1)
    return torch.stack([red - green, (red + green) / 2 - blue], 1)


def _edges(frames: Tensor) -> Tensor:
    """The roots of the eigenvalues of the structure tensor at all pixels, (n, 2, pixels)."""
    images = frames.detach().to("cpu", torch.float64)
    scale = SIDE / min(images.shape[2:])
    if scale < 1:
        images = interpolate(images, size=[round(scale * side) for side in images.shape[2:]], mode="area")
    soft = pad(_blurred(images, BLUR), (1, 1, 1, 1), mode="replicate")
    across, down = (
        (soft[:, :, 1:-1, 2:] - soft[:, :, 1:-1, :-2]) / 2,
        (soft[:, :, 2:, 1:-1] - soft[:, :, :-2, 1:-1]) / 2,
    )
    products = torch.stack([(a * b).sum(1) for a, b in ((across, across), (across, down), (down, down))], 1)
    xx, xy, yy = _blurred(products, WINDOW).flatten(2).unbind(1)
    middle, half = (xx + yy) / 2, ((xx - yy).square() / 4 + xy.square()).sqrt()
    return torch.stack([middle + half, middle - half], 1).clamp(min=0).sqrt()


def _blurred(images: Tensor, deviation: float) -> Tensor:
    """Images (n, c, h, w) under a Gaussian window; what lies outside of them is as their border."""
    reach = math.ceil(3 * deviation)
    weights = (-torch.arange(-reach, reach + 1, dtype=images.dtype).square() / (2 * deviation**2)).exp()
    weights = (weights / weights.sum()).expand(images.shape[1], 1, 1, -1)
    images = pad(images, (reach, reach, reach, reach), mode="replicate")
    for window in (weights, weights.transpose(2, 3)):
        images = conv2d(images, window, groups=images.shape[1])
    return images


def _sliced(numbers: Tensor) -> Tensor:
    """The numbers (n, 2, pixels) sorted along each direction, (n, DIRECTIONS, pixels)."""
    angle = torch.arange(DIRECTIONS, dtype=torch.float64) * (math.pi / DIRECTIONS)
    return (torch.stack([angle.cos(), angle.sin()], 1) @ numbers).sort(-1).values
