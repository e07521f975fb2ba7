"""Rougher and smoother curves with the same ends: random bumps, and moving means.

A curve that starts on an axis of symmetry of the density is stationary across that axis, so a solver cannot leave it
even where it is a ridge of the length. A bump of a thousandth of the length is enough to break the tie; a larger one
makes the perturbed paths that a geodesic is compared with. The bump is

    sum_k sin(k pi u) w_k,   k = 1 .. waves,

with independent Gaussian directions w_k, scaled to a given root mean square over the path. With as many waves as the
curve has inner nodes it is white noise, independent from node to node.

The opposite of a bump is a moving mean over the nodes with Gaussian weights of a given width, continued beyond each end
by its own mirror image through that end, 2 x[0] - x[k], so that the ends stay and a straight line stays straight. A
curve with curvature kappa moves by (width step)² kappa / 2, towards the inside of its bends.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve


def perturb(curve: Curve, amplitude: float, generator: torch.Generator, waves: int = 3) -> Curve:
    """The curve with a smooth random bump, its ends kept bit for bit.

    Args:
        amplitude: root mean square of the bump over the nodes, as a fraction of the curve's length, >= 0.
        generator: a CPU generator; the same seed gives the same bump on every device.
        waves: the number of half waves, at least 1; more makes a rougher bump.

    Raises:
        GeometryError: a negative amplitude or no wave.
    """
    if not (0 <= amplitude < math.inf and waves >= 1):
        raise GeometryError(f"A bump needs an amplitude >= 0 and at least one wave, got {amplitude} and {waves}.")
    x = curve.x
    directions = torch.randn(waves, x.shape[1], generator=generator, dtype=torch.float64).to(x.device, x.dtype)
    k = torch.arange(1, waves + 1, device=x.device, dtype=x.dtype)
    bump = curve.space.tangent(x, torch.sin(math.pi * curve.u[:, None] * k) @ directions)
    size = (linalg.dot(bump, bump).mean().sqrt()).item()
    if size == 0 or amplitude == 0:
        return curve
    return curve.with_inner(curve.space.project(x + (amplitude * float(curve.length) / size) * bump)[1:-1])


def smooth(curve: Curve, width: float) -> Curve:
    """The curve with a moving mean over its nodes, its ends bit for bit; see `moving_mean`."""
    moved = curve.space.project(moving_mean(curve.x, width))
    return curve if width == 0 else curve.with_inner(moved[1:-1])


def moving_mean(values: Float[Tensor, "k d"], width: float) -> Float[Tensor, "k d"]:
    """The moving mean of rows with the first and the last fixed; the rows themselves for a width of 0.

    The width, in rows, is the standard deviation of the Gaussian weights. Raises GeometryError if it is negative.
    """
    if not 0 <= width < math.inf:
        raise GeometryError(f"A moving mean needs a width >= 0, got {width}.")
    if width == 0:
        return values
    count = values.shape[0]
    reach = min(count - 1, math.ceil(5 * width))
    before = 2 * values[:1] - values[1 : reach + 1].flip(0)
    after = 2 * values[-1:] - values[count - 1 - reach : -1].flip(0)
    extended = torch.cat([before, values, after])
    offsets = torch.arange(-reach, reach + 1, device=values.device, dtype=values.dtype)
    weights = torch.exp(-0.5 * (offsets / width) ** 2)
    weights = weights / weights.sum()
    mean = sum((w * extended[j : j + count] for j, w in enumerate(weights)), torch.zeros_like(values))
    return torch.cat([values[:1], mean[1:-1], values[-1:]])
