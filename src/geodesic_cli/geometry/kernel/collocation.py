"""Collocation: the boundary-value problem x'' = F(x, x', u), x(0) = a, x(1) = b, as a fixed point.

Twice integrated with zero ends, the equation is x = line + B F, so that r = line + B F(x) - x, the residual in the
Sobolev space H¹, says how far each point still has to go. Three schemes say what B is and how x' is found:

    SecondDifference(n)  n interior points at equal steps h, D2 x = F with D2 = (1, -2, 1) / h², central x'.
                         Second order; for rough fields.
    Numerov(n)           the same points, D2 x = (F[i-1] + 10 F[i] + F[i+1]) / 12, x' by five-point differences. Fourth
                         order; needs F at the two ends.
    Legendre(n)          n Gauss-Legendre points; F is the polynomial of degree n - 1 through its values there, B its
                         double integral. Spectral; for smooth fields.

On a sphere r must not be projected: P_x (line + B F - x) = 0 has spurious solutions, because a radial defect hides a
tangential error that its second derivative has. The strong form is zero exactly where P_x (D2 x - F) is,

    r <- P_x D2^-1 P_x D2 r.

`settle` drives r to zero. The plain fixed point x <- x + r diverges where the density is stiff (a concave log density
of curvature -k: from alpha L² k = pi² on); the steps are screened, (1 - c B)^-1 r with c = alpha L² k, and accelerated
by Anderson's method, which learns the rest from the last steps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.space import Space

LONGEST_STEP = 0.15
"""No point moves by more than this fraction of the length in one step."""

WORSE = 3.0
"""A residual that grows by this factor makes the acceleration forget all but its last step."""


PROGRESS, HOPELESS = 0.5, 40
"""A residual that has not come down by the factor within so many steps will not."""


class Scheme(Protocol):
    """n unknown points between two given ends at fixed positions; all matrices act on points in rows."""

    @property
    def u(self) -> Tensor:
        """Positions of all points, ends included, (n + 2,)."""
        ...

    @property
    def forced(self) -> slice:
        """The points, among the n + 2, at which F is needed (m of them)."""
        ...

    @property
    def derivative(self) -> Tensor:
        """x' at the forced points, (m, n + 2)."""
        ...

    @property
    def integral(self) -> Tensor:
        """B: F at the forced points to x - line at the unknowns, (n, m)."""
        ...

    @property
    def screen(self) -> Tensor:
        """B with F between the ends alone, (n, n): what a change of the unknowns changes through F."""
        ...

    @property
    def green(self) -> Tensor:
        """D2^-1, (n, n): what the strong form integrates with."""
        ...

    @property
    def second(self) -> Tensor:
        """D2, (n, n): its inverse."""
        ...

    def at(self, u: Tensor, order: int = 0) -> Tensor:
        """From all points to the curve, or its derivative of order 1 or 2, at positions u (m,): (m, n + 2)."""
        ...


@dataclass(frozen=True)
class SecondDifference:
    """n interior points at equal steps, differences of second order."""

    n: int

    @cached_property
    def u(self) -> Tensor:
        """i / (n + 1), (n + 2,)."""
        return torch.linspace(0, 1, self.n + 2, dtype=torch.float64)

    @property
    def forced(self) -> slice:
        """The interior points."""
        return slice(1, -1)

    @cached_property
    def derivative(self) -> Tensor:
        """Central differences, (n, n + 2)."""
        return _stencils(self.u[1:-1], self.u, width=3, order=1)

    @cached_property
    def green(self) -> Tensor:
        """D2^-1, (n, n)."""
        eye = torch.eye(self.n, dtype=torch.float64)
        zero = torch.zeros(self.n, dtype=torch.float64)
        return linalg.solve_second_difference(eye, zero, zero)

    @cached_property
    def second(self) -> Tensor:
        """D2, (n, n)."""
        return torch.linalg.inv(self.green)

    @property
    def integral(self) -> Tensor:
        """D2^-1, (n, n)."""
        return self.green

    @property
    def screen(self) -> Tensor:
        """D2^-1, (n, n)."""
        return self.green

    def at(self, u: Tensor, order: int = 0) -> Tensor:
        """From the polynomials through six neighbouring points, (m, n + 2)."""
        return _stencils(u, self.u, width=6, order=order)


@dataclass(frozen=True)
class Numerov:
    """n interior points at equal steps, Numerov's compact scheme of fourth order."""

    n: int

    @cached_property
    def u(self) -> Tensor:
        """i / (n + 1), (n + 2,)."""
        return torch.linspace(0, 1, self.n + 2, dtype=torch.float64)

    @property
    def forced(self) -> slice:
        """All points."""
        return slice(None)

    @cached_property
    def derivative(self) -> Tensor:
        """Five-point differences, (n + 2, n + 2)."""
        return _stencils(self.u, self.u, width=5, order=1)

    @cached_property
    def green(self) -> Tensor:
        """D2^-1, (n, n)."""
        return SecondDifference(self.n).green

    @cached_property
    def second(self) -> Tensor:
        """D2, (n, n)."""
        return torch.linalg.inv(self.green)

    @cached_property
    def integral(self) -> Tensor:
        """D2^-1 with the averages (1, 10, 1) / 12, (n, n + 2)."""
        weights = torch.zeros(self.n, self.n + 2, dtype=torch.float64)
        for i in range(self.n):
            weights[i, i : i + 3] = torch.tensor([1, 10, 1], dtype=torch.float64) / 12
        return self.green @ weights

    @cached_property
    def screen(self) -> Tensor:
        """The inner columns of the integral, (n, n)."""
        return self.integral[:, 1:-1].contiguous()

    def at(self, u: Tensor, order: int = 0) -> Tensor:
        """From the polynomials through six neighbouring points, (m, n + 2)."""
        return _stencils(u, self.u, width=6, order=order)


@dataclass(frozen=True)
class Legendre:
    """n Gauss-Legendre points, polynomials of degree n + 1."""

    n: int

    @cached_property
    def u(self) -> Tensor:
        """0, the Gauss-Legendre points of [0, 1], and 1, (n + 2,)."""
        return torch.cat([torch.zeros(1, dtype=torch.float64), gauss_legendre(self.n), torch.ones(1).double()])

    @property
    def forced(self) -> slice:
        """The interior points."""
        return slice(1, -1)

    @cached_property
    def integral(self) -> Tensor:
        """The double integral of the interpolating polynomial, zero at both ends, (n, n)."""
        return self._twice(self.u[1:-1])

    @property
    def screen(self) -> Tensor:
        """The integral."""
        return self.integral

    @property
    def green(self) -> Tensor:
        """The integral."""
        return self.integral

    @cached_property
    def second(self) -> Tensor:
        """The inverse of the integral, (n, n)."""
        return torch.linalg.inv(self.integral)

    @cached_property
    def derivative(self) -> Tensor:
        """Of the polynomial through all points, (n, n + 2)."""
        return self.at(self.u[1:-1], order=1)

    def at(self, u: Tensor, order: int = 0) -> Tensor:
        """From the polynomial through all points, (m, n + 2): the line, and the integrals of x'' = B^-1 (x - line)."""
        if order == 0:
            force, line = self._twice(u), _line(u)
        elif order == 1:
            force, line = self._once(u), torch.tensor([[-1.0, 1.0]], dtype=torch.float64)
        else:
            force, line = _legendre(2 * u - 1, self.n) @ self._coefficients, torch.zeros(1, 2, dtype=torch.float64)
        inner = force @ self.second
        ends = line - inner @ _line(self.u[1:-1])
        return torch.cat([ends[:, :1], inner, ends[:, 1:]], dim=1)

    @cached_property
    def _coefficients(self) -> Tensor:
        """From values at the points to Legendre coefficients, (n, n)."""
        return torch.linalg.inv(_legendre(2 * self.u[1:-1] - 1, self.n))

    def _once(self, u: Tensor) -> Tensor:
        """The integral from 0, less the mean of its own integral, (m, n)."""
        whole = _integrals(torch.ones(1, dtype=torch.float64), self.n, times=2)
        return (_integrals(u, self.n, times=1) - whole) @ self._coefficients

    def _twice(self, u: Tensor) -> Tensor:
        whole = _integrals(torch.ones(1, dtype=torch.float64), self.n, times=2)
        return (_integrals(u, self.n, times=2) - u[:, None] * whole) @ self._coefficients


def gauss_legendre(n: int) -> Tensor:
    """The n Gauss-Legendre points of [0, 1] in increasing order, (n,): eigenvalues of Jacobi's matrix."""
    k = torch.arange(1, n, dtype=torch.float64)
    beside = k / (4 * k * k - 1).sqrt()
    return (torch.linalg.eigvalsh(torch.diag(beside, 1) + torch.diag(beside, -1)) + 1) / 2


Force = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The acceleration of a geodesic without the centripetal term at points (m, d) with velocities (m, d) and positions
(m,), all of which belong to one curve."""


@dataclass(frozen=True, eq=False)
class Settled:
    """The points of a curve and how well they solve the equation.

    Args:
        x: all points, ends included, (n + 2, d).
        residual: the largest |r| over the points as a fraction of the length.
        steps: evaluations of the force, each at all forced points.
    """

    x: Tensor
    residual: float
    steps: int


def settle(
    force: Force,
    space: Space,
    scheme: Scheme,
    x: Tensor,
    *,
    stiffness: float | None = None,
    tol: float = 1e-6,
    max_steps: int = 200,
    memory: int = 20,
) -> Settled:
    """Solve x'' = force + centripetal on a scheme by Anderson's method.

    Args:
        force: see `Force`.
        space: where the points live.
        scheme: n unknowns.
        x: the first guess, ends included, (n + 2, d), float64 on the CPU.
        stiffness: c, fixed; None fits it to the last two steps, beginning with 0.
        tol: the residual (as in `Settled`) to stop at.
        max_steps: evaluations of the force at most.
        memory: how many earlier steps the acceleration looks back on.

    Returns:
        The points of least residual. Nothing that is not finite is ever returned for a finite guess.
    """
    eye = torch.eye(x.shape[0] - 2, dtype=x.dtype)
    c = 0.0 if stiffness is None else stiffness
    best, reached = Settled(x, math.inf, 0), math.inf
    moves, changes = torch.zeros(2, memory, x.shape[0] - 2, x.shape[1], dtype=x.dtype)
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
            newest = (newest + 1) % memory
            moves[newest], changes[newest] = x[1:-1] - before[0], r - before[1]
            kept = min(kept + 1, memory)
            if size > WORSE * before[3]:
                moves[0], changes[0] = moves[newest].clone(), changes[newest].clone()
                kept, newest = 1, 0
            if stiffness is None:
                move = moves[newest]
                square = float((move * move).sum())
                secant = float((move * (f - before[2])).sum()) / square if square > 0 else c
                c = max(0.0, secant if count == 2 else (c + secant) / 2)
        before = (x[1:-1], r, f, size)
        damp = torch.linalg.inv(eye - c * scheme.screen)
        step = damp @ r
        if kept:
            damped = damp @ changes[:kept]
            weights = linalg.least_left(step.flatten(), damped.flatten(1), ridge=1e-13)
            step = step - torch.einsum("k,kij->ij", weights, moves[:kept] + damped)
        step = space.tangent(x[1:-1], step)
        longest = float(linalg.norm(step).max())
        if longest > LONGEST_STEP * length:
            step = step * (LONGEST_STEP * length / longest)
        x = torch.cat([x[:1], space.project(x[1:-1] + step), x[-1:]])
    return best


def mismatch(force: Force, space: Space, scheme: Scheme, x: Tensor) -> tuple[Tensor, Tensor, float]:
    """r in the strong form (n, d), F at the unknowns (n, d), and the length of the curve."""
    part = scheme.forced
    at, v = x[part], space.tangent(x[part], scheme.derivative @ x)
    f = force(at, v, scheme.u[part])
    length = float(linalg.norm(v).mean())
    inner = f if f.shape[0] == x.shape[0] - 2 else f[1:-1]
    r = _line(scheme.u[1:-1]) @ x[[0, -1]] + scheme.integral @ (f + space.curvature(at, v)) - x[1:-1]
    return strong(space, scheme, x[1:-1], r), inner, length


def strong(space: Space, scheme: Scheme, x: Tensor, r: Tensor) -> Tensor:
    """P_x D2^-1 P_x D2 r at the unknowns x, (n, d); r itself in flat space."""
    if space.tangent(x, r) is r:
        return r
    return space.tangent(x, scheme.green @ space.tangent(x, scheme.second @ r))


def _line(u: Tensor) -> Tensor:
    """Weights of the two ends on the straight line, (m, 2)."""
    return torch.stack([1 - u, u], dim=1)


def _stencils(u: Tensor, points: Tensor, width: int, order: int) -> Tensor:
    """The derivative of the given order at u (m,) from the nearest `width` of the points, (m, points)."""
    count = points.shape[0]
    width = min(width, count)
    spacing = float(points[1] - points[0])
    first = (u / spacing - (width - 1) / 2).round().clamp(0, count - width).long()
    columns = first[:, None] + torch.arange(width)
    offsets = (points[columns] - u[:, None]) / spacing
    powers = offsets[:, None, :] ** torch.arange(width, dtype=torch.float64)[:, None]
    wanted = torch.zeros(u.shape[0], width, dtype=torch.float64)
    wanted[:, order] = math.factorial(order) / spacing**order
    weights = torch.linalg.solve(powers, wanted)
    return torch.zeros(u.shape[0], count, dtype=torch.float64).scatter(1, columns, weights)


def _legendre(z: Tensor, n: int) -> Tensor:
    """Legendre polynomials of degree 0 to n - 1 at z (m,), (m, n)."""
    rows = [torch.ones_like(z), z]
    for k in range(1, n - 1):
        rows.append(((2 * k + 1) * z * rows[-1] - k * rows[-2]) / (k + 1))
    return torch.stack(rows[:n], dim=1)


def _integrals(u: Tensor, n: int, times: int) -> Tensor:
    """The `times`-fold integral from 0 of the Legendre polynomials in z = 2 u - 1, (m, n).

    From the integral of P_k from -1, (P_{k+1} - P_{k-1}) / (2 k + 1) for k >= 1 and P_1 + P_0 for k = 0.
    """
    expansion = torch.eye(n + times, dtype=torch.float64)[:n]
    for _ in range(times):
        integrated = torch.zeros_like(expansion)
        for k in range(n + times - 1):
            if k == 0:
                integrated[:, 0] += expansion[:, 0]
                integrated[:, 1] += expansion[:, 0]
            else:
                integrated[:, k + 1] += expansion[:, k] / (2 * k + 1)
                integrated[:, k - 1] -= expansion[:, k] / (2 * k + 1)
        expansion = integrated / 2
    return _legendre(2 * u - 1, n + times) @ expansion.T
