"""Where points live: the flat space R^d, or the sphere |x| = R in it.

A curve g on the sphere at constant speed accelerates towards the centre even when it is straight there,

    g'' = (tangential part) - (|g'|² / R²) g,

because differentiating g.g = R² twice gives g.g'' = -|g'|². The tangent space at x is {v : v.x = 0}, the projection
onto it P_x = I - x xᵀ / |x|², and the straight lines are great circles,

    x(h) = cos(w h) x + sin(w h) v / w,   v(h) = cos(w h) v - w sin(w h) x,   w = |v| / R.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg

Point = Float[Tensor, "d"]
Rows = Float[Tensor, "n d"]
"""Points or vectors as rows, in ambient coordinates."""

Positions = Float[Tensor, "n"]
"""Where on a path points are, from 0 to 1."""

OFF_SPHERE = 1e-4
"""How far off the sphere a point may lie and still count as on it, as a fraction of the radius."""


@runtime_checkable
class Space(Protocol):
    """A space of points with straight lines."""

    def project(self, x: Rows) -> Rows:
        """The points of the space nearest to x."""

    def contains(self, x: Rows) -> Bool[Tensor, "n"]:
        """Which rows lie in the space, up to rounding."""

    def tangent(self, x: Rows, v: Rows) -> Rows:
        """The part of v that is tangent to the space at x."""

    def curvature(self, x: Rows, v: Rows) -> Rows:
        """The acceleration that keeps a straight line through x with velocity v in the space."""

    def between(self, a: Point, b: Point, u: Float[Tensor, "m"]) -> Float[Tensor, "m d"]:
        """The straight line from a (d,) to b (d,) at the positions u; exactly a at 0 and b at 1."""

    def distance(self, a: Rows, b: Rows) -> Float[Tensor, "n"]:
        """Lengths of the straight lines between rows."""

    def move(self, x: Rows, v: Rows, h: float) -> tuple[Rows, Rows]:
        """Follow the straight lines from x with the tangent velocities v for the time h: points and velocities there.

        The point is the exponential map of h v, the velocity is v transported in parallel; |v| is kept to rounding.
        """


@dataclass(frozen=True)
class Euclidean:
    """Flat space of any dimension."""

    def project(self, x: Rows) -> Rows:
        """Every point is in the space."""
        return x

    def contains(self, x: Rows) -> Bool[Tensor, "n"]:
        """Every finite point is in the space."""
        return x.isfinite().all(dim=-1)

    def tangent(self, x: Rows, v: Rows) -> Rows:
        """Every vector is tangent."""
        return v

    def curvature(self, x: Rows, v: Rows) -> Rows:
        """Straight lines do not accelerate."""
        return torch.zeros_like(v)

    def between(self, a: Point, b: Point, u: Float[Tensor, "m"]) -> Float[Tensor, "m d"]:
        """The segment from a to b."""
        return _with_exact_ends(a + u[:, None] * (b - a), a, b, u)

    def distance(self, a: Rows, b: Rows) -> Float[Tensor, "n"]:
        """|a - b|."""
        return linalg.norm(a - b).squeeze(-1)

    def move(self, x: Rows, v: Rows, h: float) -> tuple[Rows, Rows]:
        """x + h v, and v itself."""
        return x + h * v, v


@dataclass(frozen=True)
class Sphere:
    """The sphere |x| = radius about the origin.

    Raises:
        GeometryError: the radius is not a positive finite number.
    """

    radius: float

    def __post_init__(self) -> None:
        if not 0 < self.radius < float("inf"):
            raise GeometryError(f"A sphere needs a positive finite radius, got {self.radius}.")

    def project(self, x: Rows) -> Rows:
        """R x / |x|. The centre has no nearest point and stays where it is, off the sphere."""
        return self.radius * linalg.unit(x)

    def contains(self, x: Rows) -> Bool[Tensor, "n"]:
        """Whether | |x| - R | <= 1e-4 R: wide enough for norms taken in single precision."""
        return (linalg.norm(x).squeeze(-1) - self.radius).abs() <= OFF_SPHERE * self.radius

    def tangent(self, x: Rows, v: Rows) -> Rows:
        """P_x v = v - (v.x) x / |x|²."""
        return linalg.reject(v, along=x)

    def curvature(self, x: Rows, v: Rows) -> Rows:
        """The centripetal acceleration -(|v|² / R²) x."""
        return -linalg.dot(v, v) / self.radius**2 * x

    def between(self, a: Point, b: Point, u: Float[Tensor, "m"]) -> Float[Tensor, "m d"]:
        """The shorter great-circle arc at constant speed. Raises GeometryError for antipodal ends."""
        return _with_exact_ends(self.project(linalg.slerp(a, b, u)), a, b, u)

    def distance(self, a: Rows, b: Rows) -> Float[Tensor, "n"]:
        """Lengths of the shorter great-circle arcs."""
        return self.radius * linalg.angle(a, b).squeeze(-1)

    def move(self, x: Rows, v: Rows, h: float) -> tuple[Rows, Rows]:
        """Along the great circle by the angle h |v| / R, then put back on the sphere: rounding does not add up."""
        speed, ahead = linalg.norm(v), linalg.unit(v)
        turn = h / self.radius * speed
        moved = self.project(torch.cos(turn) * x + self.radius * torch.sin(turn) * ahead)
        along = self.tangent(moved, torch.cos(turn) * ahead - torch.sin(turn) / self.radius * x)
        return moved, speed * linalg.unit(along)


def across(space: Space, x: Rows, v: Rows, rows: Rows) -> Rows:
    """P_v P_x: the part of rows that is tangent to the space at x and orthogonal to the tangent vectors v."""
    return linalg.reject(space.tangent(x, rows), along=v)


def kappa(space: Space, x: Rows, v: Rows, second: Rows) -> Rows:
    """kappa = P_v P_x g'' / |g'|², the curvature of a path with first derivatives v and second ones; 0 where v is 0."""
    per_length = linalg.reciprocal(linalg.norm(v))
    return across(space, x, v, second) * per_length * per_length


def _with_exact_ends(x: Tensor, a: Tensor, b: Tensor, u: Tensor) -> Tensor:
    weight = u[:, None]
    return torch.where(weight == 0, a, torch.where(weight == 1, b, x))
