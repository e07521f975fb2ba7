"""Discretisations of x'' = F on [0, 1] with both ends given: n unknown points at equal steps h, and what integrates F.

    second_difference(n)  D2 x = F with D2 = (1, -2, 1) / h², central x'. Second order; for rough fields.
    numerov(n)            D2 x = (F[i-1] + 10 F[i] + F[i+1]) / 12, x' by five-point differences. Fourth order; needs F
                          at the two ends.

Between the points a curve is the polynomial through six neighbouring ones.
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry import linalg

Nodes = Float[Tensor, "points d"]
"""All n + 2 points of a path, ends included."""

Inner = Float[Tensor, "points-2 d"]
"""Points, or vectors at them, without the ends."""

MOST_POINTS = 127
"""Inner points that a rough force may ask for."""


@dataclass(frozen=True, eq=False)
class Scheme:
    """n unknown points between two given ends; all matrices act on points in rows.

    Args:
        n: the number of unknowns.
        u: positions of all points, ends included, (n + 2,).
        forced: the points, among the n + 2, at which F is needed (m of them).
        derivative: x' at the forced points, (m, n + 2).
        integral: B, from F at the forced points to x - line at the unknowns, (n, m).
        screen: B with F between the ends alone, (n, n): what a change of the unknowns changes through F.
        green: D2^-1, (n, n): what the strong form integrates with.
        second: D2, (n, n): its inverse.
    """

    n: int
    u: Float[Tensor, "points"]
    forced: slice
    derivative: Float[Tensor, "m points"]
    integral: Float[Tensor, "n m"]
    screen: Float[Tensor, "n n"]
    green: Float[Tensor, "n n"]
    second: Float[Tensor, "n n"]

    @cached_property
    def waves(self) -> Float[Tensor, "n n"]:
        """sqrt(2 h) sin(pi i k h), orthonormal and symmetric: the eigenvectors of `screen`, longest wave first."""
        k = torch.arange(1, self.n + 1, dtype=torch.float64)
        return (math.pi / (self.n + 1) * k[:, None] * k).sin() * math.sqrt(2 / (self.n + 1))

    @cached_property
    def decay(self) -> Float[Tensor, "n"]:
        """The eigenvalues of `screen` for the waves."""
        return (self.waves * (self.screen @ self.waves)).sum(0)

    def at(self, u: Float[Tensor, "m"], order: int = 0) -> Float[Tensor, "m points"]:
        """From all points to the curve, or its derivative of order 1 or 2, at positions u (m,): (m, n + 2)."""
        return _stencils(u, self.u, width=6, order=order)


@cache
def second_difference(n: int) -> Scheme:
    """Differences of second order; one scheme of each size, so that its matrices are made once."""
    u, zero = torch.linspace(0, 1, n + 2, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    green = linalg.solve_second_difference(torch.eye(n, dtype=torch.float64), zero, zero)
    derivative = _stencils(u[1:-1], u, width=3, order=1)
    return Scheme(n, u, slice(1, -1), derivative, green, green, green, torch.linalg.inv(green))


@cache
def numerov(n: int) -> Scheme:
    """Numerov's compact scheme of fourth order; one of each size, so that its matrices are made once."""
    plain = second_difference(n)
    averages = torch.zeros(n, n + 2, dtype=torch.float64)
    for i in range(n):
        averages[i, i : i + 3] = torch.tensor([1, 10, 1], dtype=torch.float64) / 12
    integral = plain.green @ averages
    derivative = _stencils(plain.u, plain.u, width=5, order=1)
    screen = integral[:, 1:-1].contiguous()
    return Scheme(n, plain.u, slice(None), derivative, integral, screen, plain.green, plain.second)


def finer(scheme: Scheme) -> Scheme:
    """Numerov's scheme with twice the points, or the same if that would be too many."""
    return numerov(2 * scheme.n + 1) if 2 * scheme.n + 1 <= MOST_POINTS else scheme


def gauss_legendre(n: int) -> Float[Tensor, "n"]:
    """The n Gauss-Legendre points of [0, 1] in increasing order, (n,): eigenvalues of Jacobi's matrix."""
    k = torch.arange(1, n, dtype=torch.float64)
    beside = k / (4 * k * k - 1).sqrt()
    return (torch.linalg.eigvalsh(torch.diag(beside, 1) + torch.diag(beside, -1)) + 1) / 2


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
