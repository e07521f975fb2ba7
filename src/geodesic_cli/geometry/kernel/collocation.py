"""Collocation: the boundary-value problem x'' = F(x, x', u), x(0) = a, x(1) = b, as a fixed point.

Twice integrated with zero ends, the equation is x = line + B F, so that r = line + B F(x) - x, the residual in the
Sobolev space H¹, says how far each point still has to go. `schemes` say what B is and how x' is found.

On a sphere r must not be projected: P_x (line + B F - x) = 0 has spurious solutions, because a radial defect hides a
tangential error that its second derivative has. The strong form is zero exactly where P_x (D2 x - F) is,

    r <- P_x D2^-1 P_x D2 r.

`settle` drives r to zero. The plain fixed point x <- x + r diverges where the density is stiff (a concave log density
of curvature -k: from alpha L² k = pi² on); the steps are screened, (1 - c B)^-1 r with c = alpha L² k, which is fitted
to the last two steps, and accelerated by Anderson's method, which learns the rest from the last steps. On equal steps
B between the ends has the eigenvectors sin(pi i k h), so that in such waves the screening is a factor for each of them
and costs nothing, however c changes.
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
    best, reached, c = Settled(x, math.inf, 0), math.inf, 0.0
    past, waited = Past(scheme, x.shape[1]), 0
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
            move = x[1:-1] - before[0]
            if size > WORSE * before[3]:
                past.forget()
            past.add(move, r - before[1])
            square = float((move * move).sum())
            secant = float((move * (f - before[2])).sum()) / square if square > 0 else c
            c = max(0.0, secant if count == 2 else (c + secant) / 2)
        before = (x[1:-1], r, f, size)
        x = moved(space, x, space.tangent(x[1:-1], past.step(r, c)), SETTLING_STEP * length)
    return best


class Past:
    """The last moves and the changes of r that they made, in waves along the curve; a new one replaces the oldest.

    The products of the changes are kept for each wave, so that a new screening costs one sum over the waves.
    """

    def __init__(self, scheme: Scheme, d: int) -> None:
        self.waves, self.decay = scheme.waves, scheme.decay
        self.moves, self.changes = torch.zeros(2, MEMORY, scheme.n, d, dtype=scheme.waves.dtype)
        self.products = torch.zeros(scheme.n, MEMORY, MEMORY, dtype=scheme.waves.dtype)
        self.kept = self.newest = 0

    def add(self, move: Tensor, change: Tensor) -> None:
        """Note a move (n, d) and the change of r (n, d)."""
        self.newest = (self.newest + 1) % MEMORY if self.kept else 0
        self.kept = min(self.kept + 1, MEMORY)
        at = self.newest
        self.moves[at], self.changes[at] = self.waves @ move, self.waves @ change
        products = (self.changes[: self.kept] * self.changes[at]).sum(-1).T
        self.products[:, at, : self.kept] = self.products[:, : self.kept, at] = products

    def forget(self) -> None:
        """Begin anew."""
        self.kept = 0

    def step(self, r: Tensor, c: float) -> Tensor:
        """Anderson's step (n, d) with the screening c: (1 - c B)^-1 r, corrected by what the last moves did."""
        damp = 1 / (1 - c * self.decay[:, None])
        ahead, k = self.waves @ r, self.kept
        if k:
            changes = self.changes[:k].flatten(1)
            gram = torch.tensordot(damp[:, 0] ** 2, self.products[:, :k, :k], 1)
            weights = linalg.least_left_given(gram, changes @ (damp**2 * ahead).flatten(), ridge=1e-13)
            ahead = damp * (ahead - (weights @ changes).view_as(r)) - (weights @ self.moves[:k].flatten(1)).view_as(r)
        else:
            ahead = damp * ahead
        return self.waves @ ahead


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
