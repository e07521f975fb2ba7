"""The problem zoo: boundary-value problems whose shortest length is known, to measure path solvers with.

Every case has its reference as the logarithm of the length under ds = (p / p_a)^(-alpha) |dx|, with weight 1 at its
first end a, because in many dimensions p^(-alpha) itself overflows. References are closed forms where there are any:
a distance D with the plain weight p^(-alpha) gives log D + alpha log p(a). The others were computed once with nodes to
spare, and say so; `tests/geometry/test_zoo.py` computes them again.

A problem between two points may have several geodesics. The reference is the shortest of those that were found from
the straight line, and in the mixtures of many components that is not a proof that there is no shorter one.

The mixtures on an arc, the latents and the blocks stand in for diffusion models: clean data along a curved manifold,
noised, and on the sphere on which noised data of that dimension concentrate.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.space import Euclidean, Point, Rows, Space, Sphere
from geodesic_cli.geometry.toys import Exponential, GaussianMixture, HalfSpace, Radial, SphereChart
from geodesic_cli.geometry.zoo.densities import BlockMixture, Disk, Kink, Noisy, RoundMixture

MOST_NATS = 700.0
"""Logarithms above this have no exponential in a float."""

GROUPS = ("closed", "mixture", "high", "noisy")

CLOSED, COMPUTED = "closed form", "computed"

REFERENCE: Mapping[str, float] = {
    "radial": 0.1282803,
    "von-mises-fisher": 1.1021062,
    "mixture": 1.6348450,
    "arc-64": -0.1429561,
    "arc-256": -1.1996061,
    "latent-16384-0.002": 3.168135,
    "latent-16384-0.0005": 4.644662,
    "blocks-2048": 3.8564,
}
"""Logarithms of the shortest lengths found, weight 1 at a. All but the last: `Relaxation(order=4)` from the straight
line with 129 nodes to a relative residual of 1e-6, mixtures of one scale in the span of their means and the ends;
`Surrogate` came to the same or to a longer one. The blocks: `Surrogate(batch=8)`, then `Relaxation` with 65 nodes until
it stalled at 0.03; from the straight line `Relaxation` alone comes to rest in another geodesic, 0.27 % longer."""


class KnownDensity(Score, Protocol):
    """A score whose density is known."""

    def log_prob(self, x: Rows) -> Float[Tensor, "n"]:
        """log p up to a constant."""


@dataclass(frozen=True, eq=False)
class Case:
    """A boundary-value problem and its answer.

    Args:
        name: unique in the zoo.
        metric: what a solver gets to see.
        a: the first end.
        b: the last end.
        log_prob: log p up to a constant, (n, d) -> (n,): the judge's, not the solver's.
        log_length: the logarithm of the shortest length, with weight 1 at a.
        source: `CLOSED` or `COMPUTED`.
        exact: points of the geodesic from a to b, where there is a closed form for them.
        clean: the score that the length and the residual are judged by, where the metric's has noise.
    """

    name: str
    metric: DensityMetric
    a: Point
    b: Point
    log_prob: Callable[[Tensor], Tensor]
    log_length: float
    source: str = COMPUTED
    exact: Float[Tensor, "m d"] | None = None
    clean: Score | None = None

    @property
    def truth(self) -> DensityMetric:
        """The metric without noise."""
        return self.metric if self.clean is None else replace(self.metric, score=self.clean)

    def straight(self, nodes: int = 17) -> Curve:
        """The straight line of the space between the ends, to start from."""
        return Curve.straight(self.a, self.b, nodes, self.metric.space)

    def excess(self, curve: Curve, samples: int = 513) -> float:
        """The length of a curve under the true density over the shortest, minus 1; infinite where it is not finite.

        The curve is sampled at so many points, an odd number, uniform in u, and the weight summed by Simpson's rule.
        """
        dense = Curve(curve(torch.linspace(0, 1, samples, dtype=curve.x.dtype)), curve.space)
        weight = -self.metric.alpha * (self.log_prob(dense.x) - self.log_prob(dense.x[:1]))
        simpson = torch.stack([weight[:-2:2], math.log(4) + weight[1:-1:2], weight[2::2]]).logsumexp(0) - math.log(6)
        pieces = dense.segments.unflatten(0, (-1, 2)).sum(1).log() + simpson
        return over(float(torch.logsumexp(pieces, dim=0)), self.log_length)

    def reduced(self) -> "Case":
        """The same problem in the span of its ends and the means of its mixture, in a few dozen dimensions."""
        score = self.metric.score
        assert isinstance(score, RoundMixture), "only a mixture keeps to the span of its means"
        basis = torch.linalg.qr(torch.cat([self.a[None], self.b[None], score.means]).T)[0]
        small = score.rotated(basis)
        metric = replace(self.metric, score=small)
        return replace(self, metric=metric, a=self.a @ basis, b=self.b @ basis, log_prob=small.log_prob, exact=None)


def over(log_length: float, shortest: float) -> float:
    """exp(log_length - shortest) - 1, and infinity where that is too large for a float or not a number."""
    beyond = log_length - shortest
    return math.expm1(beyond) if beyond < MOST_NATS else math.inf


def half_space() -> Case:
    """A half circle over the Poincaré half-plane; 1.5 times shorter than the straight line."""
    a, b, density = _vector(-1, 0.3), _vector(1, 0.6), HalfSpace(0.5)
    exact = density.geodesic(a, b, _uniform(513))
    return _closed("half-space", density, 0.5, a, b, density.distance(a, b), exact)


def sphere_chart(d: int = 10) -> Case:
    """A great circle, seen in the stereographic chart of a sphere of d dimensions."""
    frame = torch.linalg.qr(_normal(_seeded(3), d, d))[0]
    a = 0.9 * frame[:, 0]
    b = 1.08 * (math.cos(2.2) * frame[:, 0] + math.sin(2.2) * frame[:, 1])
    density = SphereChart(0.5)
    exact = density.geodesic(a, b, _uniform(513))
    return _closed("sphere-chart", density, 0.5, a, b, density.distance(a, b), exact)


def disk() -> Case:
    """A hyperbolic line in the Poincaré disk, both ends near its edge."""
    a, b, density = _vector(0.85, 0), 0.9 * _vector(math.cos(1.8), math.sin(1.8)), Disk(0.5)
    return _closed("disk", density, 0.5, a, b, density.distance(a, b))


def exponential() -> Case:
    """Across a slope, at three quarters of the width at which there is no geodesic any more."""
    a, b, density = _vector(-0.6, 0), _vector(0.6, 0), Exponential(_vector(0, 4))
    exact = density.geodesic(a, b, _uniform(513), 0.5)
    return _closed("exponential", density, 0.5, a, b, density.distance(a, b, 0.5), exact)


def radial() -> Case:
    """Around the flank of a Gaussian; the angular momentum of Clairaut is conserved."""
    return _computed("radial", Radial(0.6), 0.5, _vector(1.2, 0), _vector(-0.5, 1.0))


def von_mises_fisher() -> Case:
    """From one flank to the other of a von Mises-Fisher density on the sphere in three dimensions."""
    sphere = Sphere(1.5)
    ends = [(1.3, 0.0), (1.8, 2.0)]
    a, b = sphere.project(
        torch.stack([_vector(math.sin(p) * math.cos(q), math.sin(p) * math.sin(q), math.cos(p)) for p, q in ends])
    )
    return _computed("von-mises-fisher", Exponential(_vector(0, 0, 2 / 1.5)), 0.7, a, b, sphere)


def mixture() -> Case:
    """Six components on an arch in the plane; the straight line crosses the void below it and is 6.7 times longer."""
    means = [(-1.5, -0.6), (-1.15, 0.45), (-0.35, 1.05), (0.6, 1.0), (1.3, 0.35), (1.55, -0.6)]
    scales = _vector(0.38, 0.42, 0.4, 0.45, 0.4, 0.38)
    density = GaussianMixture(torch.stack([_vector(*m) for m in means]), scales, torch.ones_like(scales))
    return _computed("mixture", density, 0.6, _vector(-1.45, -0.75), _vector(1.6, -0.8))


def arc(d: int = 64) -> Case:
    """24 components along a wiggly arc in d dimensions, the ends beside the second and the last but one."""
    source, scale = _seeded(1), 0.7
    axes = torch.linalg.qr(_normal(source, d, 4))[0]
    phase = torch.linspace(0, 2.2, 24, dtype=torch.float64)
    waves = torch.stack([phase.cos(), phase.sin(), 0.25 * (2 * phase).sin(), 0.15 * (3 * phase).cos()], dim=1)
    means = 4 * waves @ axes.T
    a, b = means[[1, -2]] + 0.6 * scale * _normal(source, 2, d)
    return _computed(f"arc-{d}", RoundMixture(means, scale), 0.35, a, b)


def latent_arc(alpha: float, d: int = 16_384) -> Case:
    """64 components along an arc of clean latents, noised to a signal share of 0.13, on the sphere of such latents."""
    source, share, span = _seeded(2), 0.13, 0.9
    axes = torch.linalg.qr(_normal(source, d, 6))[0]
    w = torch.linspace(0, 1, 64, dtype=torch.float64)
    turns = [torch.sin(k * math.pi * w) for k in (1, 2, 3)]
    parts = [(span * w).cos(), (span * w).sin(), 0.35 * turns[0], 0.21 * turns[1], 0.14 * turns[2], 0.5 + 0 * w]
    clean = torch.stack(parts, dim=1) @ axes.T
    means = math.sqrt(share) * 110 * math.sqrt(d / 16_384) * clean / clean.norm(dim=1, keepdim=True)
    scale = math.sqrt(1 - share)
    ends = means[[0, -1]] + scale * _normal(source, 2, d)
    name = f"latent-{d}-{alpha:g}"
    return _on_one_sphere(name, RoundMixture(means, scale), alpha, ends)


def blocks(d: int = 2048, alpha: float = 0.003) -> Case:
    """A mixture of 8 components in each 64 of d coordinates, on the sphere: bent in full rank, with many geodesics."""
    source, count, share = _seeded(5), d // 64, 0.13
    means = math.sqrt(share) * 0.9 * _normal(source, count, 8, 64)
    first = torch.randint(0, 8, (count,), generator=source)
    last = torch.randint(0, 8, (count,), generator=source)
    scale, rows = math.sqrt(1 - share), torch.arange(count)
    ends = torch.stack([means[rows, first].flatten(), means[rows, last].flatten()]) + scale * _normal(source, 2, d)
    return _on_one_sphere(f"blocks-{d}", BlockMixture(means, scale), alpha, ends)


def kink() -> Case:
    """Across the sharp edge of a ridge, where the score jumps to its opposite."""
    a, density = _vector(-0.6, 0.6), Kink(4.0)
    return _closed("kink", density, 0.5, a, -a, density.distance_through_the_origin(a, 0.5))


def noisy(case: Case, ratio: float, seed: int = 0) -> Case:
    """The case with noise on its score, a multiple of the score's tangential norm in the middle of the straight line.

    The tangential norm, because on a sphere of noised data most of a score points at the centre and moves nothing.

    The case's own score judges. With a ratio of 1 there is as much noise as signal.
    """
    middle = case.straight(3).x[1:2]
    score_there = case.metric.scores_at(middle, torch.full_like(middle[:, 0], 0.5))
    size = float(case.metric.space.tangent(middle, score_there).norm())
    score = Noisy(case.metric.score, ratio * size / math.sqrt(middle.shape[1]), seed)
    metric = replace(case.metric, score=score)
    return replace(case, name=f"{case.name}-noise-{ratio:g}", metric=metric, clean=case.metric.score, exact=None)


def cases(group: str, seed: int = 0) -> Iterator[Case]:
    """The cases of one of `GROUPS`, each made when it is its turn.

    The seed is that of the noise, where there is any.
    """
    if group == "closed":
        yield from (make() for make in (half_space, sphere_chart, disk, exponential, radial, von_mises_fisher))
    elif group == "mixture":
        yield mixture()
        yield from (arc(d) for d in (64, 256))
    elif group == "high":
        yield from (latent_arc(alpha) for alpha in (0.002, 0.0005))
        yield blocks()
    elif group == "noisy":
        yield noisy(arc(64), 0.3, seed)
        yield noisy(latent_arc(0.0005), 1.0, seed)
        yield kink()
    else:
        raise GeometryError(f"The zoo's groups are {', '.join(GROUPS)}, got {group!r}.")


def _closed(
    name: str, density: KnownDensity, alpha: float, a: Tensor, b: Tensor, distance: float, exact: Tensor | None = None
) -> Case:
    log_length = math.log(distance) + alpha * float(density.log_prob(a[None]))
    return Case(name, DensityMetric(density, alpha), a, b, density.log_prob, log_length, CLOSED, exact)


def _computed(name: str, density: KnownDensity, alpha: float, a: Tensor, b: Tensor, space: Space = Euclidean()) -> Case:
    metric = DensityMetric(density, alpha, space)
    return Case(name, metric, a, b, density.log_prob, REFERENCE.get(name, math.nan))


def _on_one_sphere(name: str, density: KnownDensity, alpha: float, ends: Tensor) -> Case:
    """Both ends at their mean norm."""
    sphere = Sphere(float(ends.norm(dim=1).mean()))
    a, b = sphere.project(ends)
    return _computed(name, density, alpha, a, b, sphere)


def _vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _uniform(count: int) -> Tensor:
    return torch.linspace(0, 1, count, dtype=torch.float64)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normal(source: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=source, dtype=torch.float64)
