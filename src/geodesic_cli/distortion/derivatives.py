"""Directional derivatives of a map whose graph is an ordinary one, and its transposed Jacobian.

Derivatives are differences along the great circle, x cos(step) ± |x| sin(step) d for a unit vector d, or along the
straight line. (Fused attention has no derivative of second order or forward mode, and PyTorch's LayerNorm a wrong one
under forward mode.)

    central  (f(+) - f(-)) / 2 step: exact to step², 4e-4 to 2e-3 of the gradient in float32
    forward  (f(+) - f(x)) / step: half as many passes, and f(x) with its graph is what a training step computes for its
             own loss (`Visit`). The error of first order, about 1% in float32, is odd in the probe: over probes, which
             are as likely as their opposites, it vanishes, and beside the chance in one probe (10 to 17% of the two
             moments) it is not seen.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Encoder = Callable[[Tensor], Tensor]
"""f: (m, ...) -> (m, ...), row by row. m is a multiple of the number of points: a batch is repeated as a whole, so that
row i belongs to point i mod n. An encoder that holds something for each point (a timestep, a prompt) repeats it so."""


Inputs = Float[Tensor, "n *point"]
Outputs = Float[Tensor, "n *feature"]


@dataclass(frozen=True, eq=False)
class Visit:
    """f evaluated with its graph.

    Attributes:
        x: points (m, ...), a leaf that requires grad.
        h: f(x), (n, ...), at some of them.
        rows: which of the m they are, (n,); None are all.
    """

    x: Float[Tensor, "m *point"]
    h: Outputs
    rows: Int[Tensor, "n"] | None = None


def visited(f: Encoder, x: Inputs) -> Visit:
    """f at points (m, ...), with its graph."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        return Visit(leaf, f(leaf))


def pulled(visit: Visit, cotangent: Outputs) -> Inputs:
    """Jᵀ times cotangents, row by row; the graph of the visit is kept for what comes after."""
    (gradient,) = torch.autograd.grad(visit.h, visit.x, cotangent, retain_graph=True)
    return gradient.detach() if visit.rows is None else gradient.detach()[visit.rows]


def push(
    f: Encoder,
    x: Inputs,
    directions: Float[Tensor, "k *point"],
    *,
    sphere: bool,
    step: float,
    start: Outputs | None = None,
) -> Float[Tensor, "k *feature"]:
    """J d by differences, with graph if gradients are on: k n directions at n points to k n rows like h.

    They are forward differences from `start`, f(x) of n rows, and central ones without it. On the sphere the way is the
    great circle and the directions must be tangent; else it is straight.
    """
    times = len(directions) // len(x)
    x = x.repeat(times, *(1 for _ in x.shape[1:]))
    length = _column(squares(directions).sqrt(), x)
    radius = _column(squares(x).sqrt(), x)
    radius = torch.where(radius > 0, radius, torch.full_like(radius, x[0].numel() ** 0.5))
    unit = directions / torch.where(length > 0, length, torch.ones_like(length))
    angle = torch.tensor(step, dtype=torch.float64)
    along, across = (float(angle.cos()), float(angle.sin())) if sphere else (1.0, step)
    way = radius * across * unit
    rate = (length / (across * radius)).flatten()
    if start is not None:
        ahead = f(x * along + way)
        return (ahead - start.repeat(times, *(1 for _ in start.shape[1:]))) * _column(rate, ahead)
    ahead, behind = f(torch.cat([x * along + way, x * along - way])).chunk(2)
    return (ahead - behind) * _column(rate / 2, ahead)


def pull_back(f: Encoder, x: Inputs, cotangent: Outputs) -> Inputs:
    """Jᵀ times cotangents, row by row and without graph."""
    return pulled(visited(f, x), cotangent)


def default_step(dtype: torch.dtype, differences: str = "central") -> float:
    """The angle of a difference: 0.14 eps^(1/3) for a central one, eps^(1/2) for a forward one; 7e-4, 3e-4 in float32.

    Measured on four UNets, the gradient in float32 is then off by 4e-4 to 2e-3 and by 3e-3 to 1e-2; at four times that
    angle the error is truncation, which goes with the square of it or, forward, with itself.
    """
    eps = float(torch.finfo(dtype).eps)
    return 0.14 * eps ** (1 / 3) if differences == "central" else eps**0.5


def tangent(x: Float[Tensor, "m *point"], v: Float[Tensor, "m *point"]) -> Float[Tensor, "m *point"]:
    """P v = v - x (x.v) / |x|², row by row for tensors of any shape (m, ...); v itself where x is zero."""
    square = _column(squares(x), x)
    return v - x * _column(inner(x, v), x) / torch.where(square > 0, square, torch.ones_like(square))


def inner(a: Float[Tensor, "m *point"], b: Float[Tensor, "m *point"]) -> Float[Tensor, "m"]:
    """Inner products of rows of any shape."""
    return (a * b).flatten(1).sum(1)


def squares(a: Float[Tensor, "m *point"]) -> Float[Tensor, "m"]:
    """Squared norms of rows of any shape."""
    return inner(a, a)


def _column(values: Tensor, like: Tensor) -> Tensor:
    """(m,) as (m, 1, ...), to go with the rows of `like`."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))
