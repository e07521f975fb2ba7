"""Smooth random bumps of a curve with its ends fixed.

A curve that starts on an axis of symmetry of the density is stationary across that axis, so a solver cannot leave it
even where it is a ridge of the length. A bump of a thousandth of the length is enough to break the tie; a larger one
makes the perturbed paths that a geodesic is compared with. The bump is

    sum_k sin(k pi u) w_k,   k = 1 .. waves,

with independent Gaussian directions w_k, scaled to a given root mean square over the path.
"""

import math

import torch

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.curve import Curve


def perturb(curve: Curve, amplitude: float, generator: torch.Generator, waves: int = 3) -> Curve:
    """The curve with a smooth random bump, its ends kept bit for bit.

    Args:
        curve: k nodes.
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
    moved = curve.space.project(x + (amplitude * float(curve.length) / size) * bump)
    return Curve(torch.cat([x[:1], moved[1:-1], x[-1:]]), curve.space)
