"""Scores: the only thing asked of a density is its gradient, s(x, u) = grad_x log p(x given u).

The position u along the path is an argument because the density may vary along it (a prompt that changes from one end
to the other); a density that does not vary ignores it. Scores combine as logarithms of densities do:

    Scaled    k s                        the score of p^k (a temperature 1/k)
    Sum       s_1 + s_2 + ...            the score of a product of densities
    Blend     (1 - u) s_1 + u s_2        the score of p_1^(1-u) p_2^u, a density that changes along the path
    Portion   s(x, start + u (end - start))   a part of the path seen as a whole path

Two endpoints of different norm are not rescaled to one sphere. Instead the path is x(u) = (R(u) / R0) y(u) with y on
the sphere of radius R0 and R(u) = R_start^(1-u) R_end^u, R0 = sqrt(R_start R_end) (`RadialProfile`). With k = R(u) /
R0 the chain rule gives

    grad_y log p(k y | u) = k s(k y, u).
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry.space import Positions, Rows


@runtime_checkable
class Score(Protocol):
    """The gradient of a log density, in nats per unit of x: points (n, d) and path positions (n,) -> (n, d).

    A score is a function: the same input gives the same bits, row by row, whatever else is in the batch.
    """

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """Evaluate at n points in one batch."""


@dataclass(frozen=True)
class Scaled:
    """factor * s, the score of p^factor up to normalisation."""

    score: Score
    factor: float

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """Evaluate at n points in one batch."""
        return self.factor * self.score(x, u)


@dataclass(frozen=True)
class Sum:
    """s_1 + s_2 + ..., the score of the product of the densities up to normalisation."""

    scores: tuple[Score, ...]

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """Evaluate at n points in one batch."""
        return sum((score(x, u) for score in self.scores[1:]), self.scores[0](x, u))


@dataclass(frozen=True)
class Blend:
    """(1 - u) first + u second: the density changes from the first to the second along the path."""

    first: Score
    second: Score

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """Evaluate at n points in one batch."""
        weight = u[:, None]
        return (1 - weight) * self.first(x, u) + weight * self.second(x, u)


@dataclass(frozen=True)
class Portion:
    """The score on the part of a path from position start to position end, its own positions going from 0 to 1."""

    score: Score
    start: float
    end: float

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """Evaluate at n points in one batch."""
        return self.score(x, self.start + u * (self.end - self.start))


@dataclass(frozen=True)
class RadialProfile:
    """The norm of a path between endpoints of the norms `start` and `end`: R(u) = start^(1-u) end^u.

    The geodesic is that of the directions y: lengths are |dy|, and a log density summed along y leaves out the radial
    motion. For the density along the path itself, lift the nodes and use a metric in flat space.

    Raises:
        GeometryError: a norm is not a positive finite number.
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        if not (0 < self.start < math.inf and 0 < self.end < math.inf):
            raise GeometryError(f"A radial profile needs two positive finite norms, got {self.start} and {self.end}.")

    @property
    def radius(self) -> float:
        """R0 = sqrt(start end), the radius of the sphere that the path is solved on."""
        return math.sqrt(self.start) * math.sqrt(self.end)

    def factor(self, u: Positions) -> Float[Tensor, "n 1"]:
        """R(u) / R0 = (end / start)^(u - 1/2)."""
        return ((u - 0.5) * (math.log(self.end) - math.log(self.start))).exp()[:, None]

    def lift(self, y: Rows, u: Positions) -> Rows:
        """Points of the sphere to points of the path, x = (R(u) / R0) y."""
        return self.factor(u) * y

    def lower(self, x: Rows, u: Positions) -> Rows:
        """Points of the path to points of the sphere, y = (R0 / R(u)) x: the inverse of `lift`."""
        return x / self.factor(u)

    def score(self, score: Score) -> Score:
        """The score as seen from the sphere: the gradient of log p(R(u)/R0 y | u) with respect to y."""
        return _Lowered(self, score)


@dataclass(frozen=True)
class _Lowered:
    profile: RadialProfile
    score: Score

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        return self.profile.factor(u) * self.score(self.profile.lift(x, u), u)
