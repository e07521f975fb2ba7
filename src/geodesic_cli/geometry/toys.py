"""Densities with a closed form, to test against and to look at. None is normalised unless it says so.

Each is a `Score`, has `log_prob`, and where it has them an exact `distance` and exact points of its `geodesic`. Under
ds = p^(-alpha) |dx| some of them are famous surfaces in disguise; those with a field `alpha` are to be used with that
alpha:

    HalfSpace    p = y^(1/alpha)                 ds = |dx| / y, the Poincaré half-space: half circles centred on y = 0
    SphereChart  p = ((1 + |x|²) / 2)^(1/alpha)  ds = 2 |dx| / (1 + |x|²), the unit sphere in stereographic projection
    Exponential  p = exp(c.x)                    flat in disguise: with beta = alpha |c| and z = across + i along c, the
                                                 map exp(i beta z) / beta turns geodesics into straight lines
    Radial       p = exp(-|x|² / 2 scale²)       Clairaut: p^(-alpha) |x| sin(angle(x, v)) is constant on a geodesic

`ring`, `banana` and `moons` are Gaussian mixtures in the plane, normalised: equal round Gaussians strung along a curve,
closer together than they are wide, so that they melt into one ridge.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.space import Euclidean, Point, Positions, Rows


@dataclass(frozen=True)
class HalfSpace:
    """p(x) = y^(1/alpha) where y > 0 is the last coordinate of x: the Poincaré half-space of any dimension.

    Outside y > 0 the log density and the score are nan.
    """

    alpha: float

    def log_prob(self, x: Rows) -> Float[Tensor, "n"]:
        """log(y) / alpha."""
        return x[:, -1].log() / self.alpha

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """The score, 1 / (alpha y) along the last axis."""
        height = x[:, -1:]
        pull = torch.where(height > 0, 1 / (self.alpha * height), torch.full_like(height, math.nan))
        return torch.cat([torch.zeros_like(x[:, :-1]), pull], dim=1)

    def distance(self, a: Point, b: Point) -> float:
        """arcosh(1 + |a - b|² / (2 y_a y_b)) as 2 arsinh(|a - b| / (2 sqrt(y_a y_b))), for a and b of shape (d,)."""
        return 2 * float(torch.asinh(linalg.norm(a - b) / (2 * (a[-1] * b[-1]).sqrt())))

    def geodesic(self, a: Point, b: Point, u: Float[Tensor, "m"]) -> Float[Tensor, "m d"]:
        """Points of the circle through a and b that is normal to y = 0, at constant Euclidean speed."""
        across, ground = (torch.cat([part[:-1], torch.zeros_like(a[-1:])]) for part in (b - a, a))
        width = float(linalg.norm(across))
        if width == 0:
            return Euclidean().between(a, b, u)
        centre = (width**2 + float(b[-1]) ** 2 - float(a[-1]) ** 2) / (2 * width)
        radius = math.hypot(centre, float(a[-1]))
        start, end = math.atan2(float(a[-1]), -centre), math.atan2(float(b[-1]), width - centre)
        phase = (start + u * (end - start))[:, None]
        up = torch.zeros_like(a)
        up[-1] = 1
        return ground + (centre + radius * phase.cos()) * linalg.unit(across) + radius * phase.sin() * up


@dataclass(frozen=True)
class SphereChart:
    """p(x) = ((1 + |x|²) / 2)^(1/alpha): flat space as the stereographic chart of a unit sphere of any dimension."""

    alpha: float

    def log_prob(self, x: Rows) -> Float[Tensor, "n"]:
        """log((1 + |x|²) / 2) / alpha."""
        return ((1 + linalg.dot(x, x)) / 2).log().squeeze(-1) / self.alpha

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """The score, 2 x / (alpha (1 + |x|²))."""
        return 2 * x / (self.alpha * (1 + linalg.dot(x, x)))

    def to_sphere(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d+1"]:
        """Inverse stereographic projection from the north pole, (n, d) -> (n, d + 1) on the unit sphere."""
        square = linalg.dot(x, x)
        return torch.cat([2 * x, square - 1], dim=-1) / (1 + square)

    def distance(self, a: Point, b: Point) -> float:
        """The angle between the two points on the unit sphere."""
        return float(linalg.angle(self.to_sphere(a), self.to_sphere(b)))

    def geodesic(self, a: Point, b: Point, u: Float[Tensor, "m"]) -> Float[Tensor, "m d"]:
        """Points of the great circle from a to b in the chart, evenly spaced on the sphere."""
        lifted = linalg.slerp(self.to_sphere(a), self.to_sphere(b), u)
        return lifted[:, :-1] / (1 - lifted[:, -1:])


@dataclass(frozen=True, eq=False)
class Exponential:
    """p(x) = exp(c.x), d >= 2: one slope c everywhere. Restricted to a sphere it is the von Mises-Fisher density."""

    slope: Point

    def log_prob(self, x: Rows) -> Float[Tensor, "n"]:
        """c.x."""
        return x @ self.slope

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """The score, c everywhere."""
        return self.slope.expand_as(x)

    def distance(self, a: Point, b: Point, alpha: float) -> float:
        """The length of the straight line from exp(i beta z_a) / beta to exp(i beta z_b) / beta.

        Raises:
            GeometryError: a and b are pi / (alpha |c|) or more apart across the slope; then no geodesic joins them.
        """
        radius_a, radius_b, width, beta = self._polar(a, b, alpha)
        return math.sqrt((radius_a - radius_b) ** 2 + 4 * radius_a * radius_b * math.sin(width * beta / 2) ** 2)

    def geodesic(self, a: Point, b: Point, u: Float[Tensor, "m"], alpha: float) -> Float[Tensor, "m d"]:
        """Points of the geodesic from a to b, evenly spaced in the flat picture. Raises like `distance`."""
        radius_a, radius_b, width, beta = self._polar(a, b, alpha)
        along = radius_a + u * (radius_b * math.cos(beta * width) - radius_a)
        aside = u * (radius_b * math.sin(beta * width))
        height = -(beta * torch.hypot(along, aside)).log() / beta
        across = torch.atan2(aside, along) / beta
        uphill, sideways = linalg.unit(self.slope), linalg.unit(linalg.reject(b - a, along=self.slope))
        return linalg.reject(a, along=self.slope) + height[:, None] * uphill + across[:, None] * sideways

    def _polar(self, a: Tensor, b: Tensor, alpha: float) -> tuple[float, float, float, float]:
        beta = alpha * float(linalg.norm(self.slope))
        width = float(linalg.norm(linalg.reject(b - a, along=self.slope)))
        if not 0 < beta * width < math.pi and width > 0:
            raise GeometryError(
                f"No geodesic joins points {width:.4g} apart across a slope with alpha |c| = {beta:.4g}: "
                f"they must be less than pi / (alpha |c|) apart.",
                "Lower alpha.",
            )
        uphill = linalg.unit(self.slope)
        radius_a, radius_b = (math.exp(-beta * float(linalg.dot(x, uphill))) / beta for x in (a, b))
        return radius_a, radius_b, width, beta


@dataclass(frozen=True)
class Radial:
    """p(x) = exp(-|x|² / (2 scale²)): an isotropic Gaussian about the origin, in any dimension."""

    scale: float

    def log_prob(self, x: Rows) -> Float[Tensor, "n"]:
        """-|x|² / (2 scale²)."""
        return -linalg.dot(x, x).squeeze(-1) / (2 * self.scale**2)

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """The score, -x / scale²."""
        return -x / self.scale**2


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A mixture of isotropic Gaussians, normalised.

    Args:
        means: (m, d).
        scales: (m,), the standard deviation of a coordinate in each component.
        weights: (m,), positive; they are divided by their sum.

    Raises:
        GeometryError: shapes that do not fit, or scales or weights that are not positive.
    """

    means: Tensor
    scales: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        count = self.means.shape[:1]
        if self.means.ndim != 2 or self.scales.shape != count or self.weights.shape != count:
            raise GeometryError(
                f"A mixture needs means (m, d), scales (m,) and weights (m,), got {tuple(self.means.shape)}, "
                f"{tuple(self.scales.shape)} and {tuple(self.weights.shape)}."
            )
        if not bool((self.scales > 0).all()) or not bool((self.weights > 0).all()):
            raise GeometryError("The scales and weights of a mixture must be positive.")

    def log_prob(self, x: Rows) -> Float[Tensor, "n"]:
        """log p, normalised."""
        return torch.logsumexp(self._log_components(x), dim=-1)

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """The score: the components' scores (mean - x) / scale² weighted by their responsibilities."""
        pull = torch.softmax(self._log_components(x), dim=-1) / self.scales**2
        return pull @ self.means - pull.sum(-1, keepdim=True) * x

    def _log_components(self, x: Tensor) -> Tensor:
        offsets = torch.cat([linalg.norm(x - mean) for mean in self.means], dim=-1) / self.scales
        volume = x.shape[-1] * (self.scales * math.sqrt(2 * math.pi)).log()
        return (self.weights / self.weights.sum()).log() - 0.5 * offsets**2 - volume


def ring(count: int = 24, radius: float = 2.0, scale: float = 0.4) -> GaussianMixture:
    """A ridge along a circle about the origin, with a hollow in the middle."""
    phase = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    return _strung(radius * torch.stack([phase.cos(), phase.sin()], dim=1), scale)


def banana(count: int = 25, width: float = 1.6, scale: float = 0.35) -> GaussianMixture:
    """A ridge along the parabola y = 0.6 x² - 1.6: x is about normal with deviation `width`, cut at 1.6 of them."""
    x = torch.linspace(-1.6 * width, 1.6 * width, count, dtype=torch.float64)
    slowness = (1 + (1.2 * x) ** 2).sqrt()  # the means are evenly spaced in x: the steep part has fewer for its length
    weights = slowness * (-0.5 * (x / width) ** 2).exp()
    return _strung(torch.stack([x, 0.6 * x**2 - 1.6], dim=1), scale, weights)


def moons(count: int = 13, radius: float = 1.5, scale: float = 0.28) -> GaussianMixture:
    """Two ridges along half circles that embrace each other: the upper one opens down, the lower one up."""
    phase = torch.linspace(0, math.pi, count, dtype=torch.float64)
    upper = torch.stack([phase.cos() - 0.5, phase.sin() - 0.25], dim=1)
    return _strung(radius * torch.cat([upper, -upper]), scale)


def _strung(means: Tensor, scale: float, weights: Tensor | None = None) -> GaussianMixture:
    ones = torch.ones_like(means[:, 0])
    return GaussianMixture(means, scale * ones, ones if weights is None else weights)
