"""How far a derivative of f can be trusted: what is left of the strongest one over a step of the size that paths take.

A network with saturated attention is nearly a step function in some directions: its derivative is a hundred times what
the same direction does over a hundredth of a radian. All that is made of J there (L, MCN, VoR) tells of smaller steps
than anybody takes. With the unit vector v along which f changes most on the sphere at x,

    held = |f(x cos a + |x| v sin a) - f(x cos a - |x| v sin a)| / (2 |x| sin a |J v|)

is 1 for a straight map, and falls with the angle a as far as f bends.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.distortion.derivatives import Encoder, default_step, push

ANGLE = 0.1
"""Radians: a sixteenth of the way between two noises, which are at right angles. The segments of mRTL are that long."""


@torch.no_grad()
def derivative_held(
    f: Encoder, x: Float[Tensor, "1 *point"], direction: Float[Tensor, "n"], angle: float = ANGLE
) -> float:
    """The share of |J v| that is left over an angle, for a tangent direction v (n,) at x (1, ...); 0 where J v is 0."""
    v = direction.reshape(x.shape)
    at_once = float(push(f, x, v, sphere=True, step=default_step(x.dtype)).norm())
    over_the_angle = float(push(f, x, v, sphere=True, step=angle).norm())
    return over_the_angle / at_once if at_once else 0.0
