"""Collocation: the boundary-value problem x'' = F(x, x', u), x(0) = a, x(1) = b, as a fixed point.

Twice integrated with zero ends, the equation is x = line + B F, so that r = line + B F(x) - x, the residual in the
Sobolev space H¹, says how far each point still has to go. `schemes` say what B is and how x' is found.

On a sphere r must not be projected: P_x (line + B F - x) = 0 has spurious solutions, because a radial defect hides a
tangential error that its second derivative has. The strong form is zero exactly where P_x (D2 x - F) is,

    r <- P_x D2^-1 P_x D2 r.

`settle` drives r to zero. The plain fixed point x <- x + r diverges where the density is stiff (a concave log density
of curvature -k: from alpha L² k = pi² on); the steps are screened, (1 - c B)^-1 r with c = alpha L² k, which is fitted
to the last two steps, and accelerated by Anderson's method, which learns the rest from the last steps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.kernel.schemes import Inner, Nodes, Scheme
from geodesic_cli.geometry.space import Space

SETTLING_STEP = 0.15
"""No point moves by more than this fraction of the length in one step."""

WORSE = 3.0
"""A residual that grows by this factor makes the acceleration forget all but its last step."""

PROGRESS, HOPELESS = 0.5, 40
"""A residual that has not come down by the factor within so many steps will not."""

MEMORY = 20
"""How many earlier steps the acceleration looks back on."""

Force = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The acceleration of a geodesic without the centripetal term at points (m, d) with velocities (m, d) and positions
(m,), all of which belong to one curve."""


@dataclass(frozen=True, eq=False)
class Settled:
    """The points of a curve and how well they solve the equation.

    Args:
        x: all points, ends included.
        residual: the largest |r| over the points as a fraction of the length.
        steps: evaluations of the force, each at all forced points.
    """

    x: Nodes
    residual: float
    steps: int


def settle(force: Force, space: Space, scheme: Scheme, x: Nodes, *, tol: float = 1e-6, max_steps: int = 200) -> Settled:
    """Solve x'' = force + centripetal on a scheme by Anderson's method.

    It starts from all points x, ends included, float64 on the CPU, and stops at a residual (as in `Settled`) of tol, or
    after max_steps evaluations of the force.

    Returns:
        The points of least residual. Nothing that is not finite is ever returned for a finite guess.
    """
    eye = torch.eye(x.shape[0] - 2, dtype=x.dtype)
    best, reached, c = Settled(x, math.inf, 0), math.inf, 0.0
    moves, changes = torch.zeros(2, MEMORY, x.shape[0] - 2, x.shape[1], dtype=x.dtype)
    kept = newest = waited = 0
    before: tuple[Tensor, Tensor, Tensor, float] | None = None
    for count in range(1, max_steps + 1):
        r, f, length = mismatch(force, space, scheme, x)
        size = float(linalg.norm(r).max()) / length if length > 0 else 0.0
        if not math.isfinite(size):
            break
        if size < best.residual:
            best = Settled(x, size, count)
        waited += 1
        if size < PROGRESS * reached:
            reached, waited = size, 0
        if size <= tol or waited > HOPELESS:
            break
        if before is not None:
            newest = (newest + 1) % MEMORY
            moves[newest], changes[newest] = x[1:-1] - before[0], r - before[1]
            kept = min(kept + 1, MEMORY)
            if size > WORSE * before[3]:
                moves[0], changes[0] = moves[newest].clone(), changes[newest].clone()
                kept, newest = 1, 0
            move = moves[newest]
            square = float((move * move).sum())
            secant = float((move * (f - before[2])).sum()) / square if square > 0 else c
            c = max(0.0, secant if count == 2 else (c + secant) / 2)
        before = (x[1:-1], r, f, size)
        step = _accelerated(torch.linalg.inv(eye - c * scheme.screen), r, moves[:kept], changes[:kept])
        x = moved(space, x, space.tangent(x[1:-1], step), SETTLING_STEP * length)
    return best


def moved(space: Space, x: Nodes, step: Inner, longest: float) -> Nodes:
    """All points x with the inner ones moved by a tangent step, none farther than `longest`."""
    step = step * min(1.0, longest / max(float(linalg.norm(step).max()), 1e-300))
    return torch.cat([x[:1], space.project(x[1:-1] + step), x[-1:]])


def mismatch(force: Force, space: Space, scheme: Scheme, x: Nodes) -> tuple[Inner, Inner, float]:
    """r in the strong form, F at the unknowns, and the length of the curve."""
    part = scheme.forced
    at, v = x[part], space.tangent(x[part], scheme.derivative @ x)
    f = force(at, v, scheme.u[part])
    length = float(linalg.norm(v).mean())
    inner = f if f.shape[0] == x.shape[0] - 2 else f[1:-1]
    line = torch.stack([1 - scheme.u[1:-1], scheme.u[1:-1]], dim=1) @ x[[0, -1]]
    r = line + scheme.integral @ (f + space.curvature(at, v)) - x[1:-1]
    return _strong(space, scheme, x[1:-1], r), inner, length


def _strong(space: Space, scheme: Scheme, x: Tensor, r: Tensor) -> Tensor:
    """P_x D2^-1 P_x D2 r at the unknowns x, (n, d); r itself in flat space."""
    if space.tangent(x, r) is r:
        return r
    return space.tangent(x, scheme.green @ space.tangent(x, scheme.second @ r))


def _accelerated(damp: Tensor, r: Tensor, moves: Tensor, changes: Tensor) -> Tensor:
    """Anderson's step (n, d) with the damping (n, n): from r, and the last k moves and changes of r, (k, n, d) each."""
    step = damp @ r
    if not len(moves):
        return step
    damped = damp @ changes
    weights = linalg.least_left(step.flatten(), damped.flatten(1), ridge=1e-13)
    return step - torch.einsum("k,kij->ij", weights, moves + damped)
