"""Vectors in rows, and the only divisions by a norm in the package.

Points are rows of an (n, d) tensor; `dot` and `norm` keep the last axis, so that their results broadcast against the
rows again. With e = a / |a| the rejection of v from a is v - (v.e) e, the part of v orthogonal to a.

Angles come from Kahan's formula, angle(a, b) = 2 atan2(|â - b̂|, |â + b̂|), which is accurate to the last bits at 0
and at pi, where the arc cosine of a dot product loses half of them.

Boundary-value problems need one linear system, the second difference with both ends given,

    (x[i-1] - 2 x[i] + x[i+1]) / h² - c x[i] = f[i],   h = 1 / (n + 1),

which elimination without pivoting (Thomas) solves in linear time and memory; it is stable for c > -pi², where the
matrix is negative definite.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geodesic_cli.errors import GeometryError


def dot(a: Float[Tensor, "*#n d"], b: Float[Tensor, "*#n d"]) -> Float[Tensor, "... 1"]:
    """Inner products of rows."""
    return (a * b).sum(-1, keepdim=True)


def norm(a: Float[Tensor, "*n d"]) -> Float[Tensor, "*n 1"]:
    """Euclidean norms of rows."""
    return torch.linalg.vector_norm(a, dim=-1, keepdim=True)


def unit(a: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """Rows scaled to norm 1; a row of zeros stays zero."""
    return a / norm(a).clamp(min=torch.finfo(a.dtype).tiny)


def reciprocal(length: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """1 / length, and 0 where the length is 0: of any shape."""
    return torch.where(length > 0, 1 / torch.where(length > 0, length, torch.ones_like(length)), length)


def reject(v: Float[Tensor, "*#n d"], along: Float[Tensor, "*#n d"]) -> Float[Tensor, "... d"]:
    """The part of v orthogonal to `along`; v itself where `along` is zero."""
    axis = unit(along)
    return v - dot(v, axis) * axis


def angle(a: Float[Tensor, "*n d"], b: Float[Tensor, "*n d"]) -> Float[Tensor, "*n 1"]:
    """Angles between rows in radians, in [0, pi]. Zero where a row is zero."""
    first, second = unit(a), unit(b)
    between = 2 * torch.atan2(norm(first - second), norm(first + second))
    return torch.where((norm(a) > 0) & (norm(b) > 0), between, torch.zeros_like(between))


def slerp(a: Float[Tensor, "d"], b: Float[Tensor, "d"], u: Float[Tensor, "m"]) -> Float[Tensor, "m d"]:
    """The great circle from a to b at constant speed: (d,), (d,) of one norm and (m,) positions -> (m, d).

    Below an angle of sqrt(eps) it is the straight segment, equal to the arc to rounding.

    Raises:
        GeometryError: a and b are antipodal, so that every great circle through a joins them.
    """
    tiny = math.sqrt(torch.finfo(a.dtype).eps)
    theta = angle(a, b)
    if float(theta) > math.pi - tiny:
        raise GeometryError(
            "The endpoints must not be antipodal on the sphere: no great circle between them is shortest.",
            "Move one of them slightly, or give a point between them.",
        )
    weight = u[:, None]
    if float(theta) < tiny:
        return a + weight * (b - a)
    return (torch.sin((1 - weight) * theta) * a + torch.sin(weight * theta) * b) / torch.sin(theta)


def bracket(table: Float[Tensor, "k"], wanted: Float[Tensor, "m"]) -> tuple[Int[Tensor, "m"], Float[Tensor, "m"]]:
    """Where values (m,) lie in a table of k >= 2 running sums: the entry above, and the fraction of the way to it.

    Of several equal entries the last counts; beyond the ends the fraction is 0 or 1.
    """
    above = torch.searchsorted(table, wanted, right=True).clamp(1, table.shape[0] - 1)
    width = table[above] - table[above - 1]
    part = (wanted - table[above - 1]) / torch.where(width > 0, width, torch.ones_like(width))
    return above, part.clamp(0, 1)


def least_left(target: Float[Tensor, "m"], parts: Float[Tensor, "k m"], ridge: float) -> Float[Tensor, "k"]:
    """The weights (k,) with which the parts (k, m) leave least of the target (m,), as Anderson acceleration needs them.

    The ridge, a share of the mean square of the parts, keeps parts that are nearly alike from cancelling each other.
    """
    return least_left_given(parts @ parts.T, parts @ target, ridge)


def least_left_given(gram: Float[Tensor, "k k"], projected: Float[Tensor, "k"], ridge: float) -> Float[Tensor, "k"]:
    """The same from the products of the parts with each other, which get the ridge in place, and with the target."""
    gram.diagonal().add_(ridge * float(gram.diagonal().mean()) + torch.finfo(gram.dtype).tiny)
    return torch.linalg.solve(gram, projected)


def solve_tridiagonal(
    rhs: Float[Tensor, "n d"], first: Float[Tensor, "d"], last: Float[Tensor, "d"], *, centre: float, side: float
) -> Float[Tensor, "n d"]:
    """Solve side x[i-1] + centre x[i] + side x[i+1] = rhs[i] with x before the first row and after the last row given.

    No pivoting: the matrix must be definite or diagonally dominant. Time and memory are linear in n d.
    """
    ratios: list[float] = []
    rows: list[Tensor] = []
    ratio, row = 0.0, first
    for value in rhs.unbind(0):
        pivot = centre - side * ratio
        row = (value - side * row) / pivot
        ratio = side / pivot
        rows.append(row)
        ratios.append(ratio)
    row = last
    for i in reversed(range(len(rows))):
        row = rows[i] = rows[i] - ratios[i] * row
    return torch.stack(rows)


def solve_second_difference(
    rhs: Float[Tensor, "n d"], first: Float[Tensor, "d"], last: Float[Tensor, "d"], *, shift: float = 0.0
) -> Float[Tensor, "n d"]:
    """Solve D2 x - shift x = rhs at the n interior nodes i / (n + 1) of [0, 1], x at 0 and 1 being `first` and `last`.

    The shift is c above, larger than -pi²; positive values damp long waves ("screening").
    """
    inverse_square = float(rhs.shape[0] + 1) ** 2
    return solve_tridiagonal(rhs, first, last, centre=-2 * inverse_square - shift, side=inverse_square)
