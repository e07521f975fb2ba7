"""The geodesic distances among several points: links, chains of links, and one anchor for all of them.

The score tells a density only relative to some point, so distances between several points have to share one anchor.
Along the link from a_i to a_j the score gives the change l_ij of the log density; the potentials phi of the points are
those that agree with all changes best,

    minimise  sum (phi_j - phi_i - l_ij)²,   phi_0 = 0,     D_ij = d_ij exp(-alpha (phi_i + phi_j - l_ij) / 2),

where d_ij is anchored at a_i. For the exact score of a density phi_i + phi_j - l_ij is 2 phi_i, and D_ij the distance
with weight 1 at a_0. In general the anchors at the two ends give two distances, whose logarithms are
alpha |phi_j - phi_i - l_ij| apart. D is their mean, so that it is symmetric, and half of the difference counts as its
uncertainty.

A distance is the least length of all paths, so a chain of links that is shorter than the link itself takes its place.
It has corners at the points that it passes, and is an upper bound: such a link is looked for again from the chain, and
where that does not help its status is SADDLE.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.sets.links import Link, LinkSearch, Survey
from geodesic_cli.geometry.solution import Status

SHORTER_CHAIN = 0.01
"""A chain that is shorter than a link by a smaller share is no other path."""
PER_LINK = 8
"""Nodes, at least, that each link of a chain gives to a guess."""

OnLink = Callable[[int, int, Link], None]
"""Told the two points and their link."""


@dataclass(frozen=True, eq=False)
class DistanceMatrix:
    """Distances between n points, with weight 1 at the first of them.

    Args:
        links: the geodesic from point i to point j, for i < j.
        log_distances: (n, n), symmetric, -inf on the diagonal. Nan where no path with finite scores leads.
        spreads: how far the log distances may be off, (n, n): quadrature, residual and the two anchors.
        chains: the points that the shortest path from i to j passes, ends included, for i < j; two but for a chain.
        log_densities: log p relative to the first point, in nats, (n,).
        mismatch: the root mean square of phi_j - phi_i - l_ij in nats: 0 for the exact score of a density.
        score_calls: evaluations of the score at single points.
    """

    links: dict[tuple[int, int], Link]
    log_distances: Float[Tensor, "n n"]
    spreads: Float[Tensor, "n n"]
    chains: dict[tuple[int, int], tuple[int, ...]]
    log_densities: Float[Tensor, "n"]
    mismatch: float
    score_calls: int

    @property
    def distances(self) -> Float[Tensor, "n n"]:
        """(n, n), symmetric, 0 on the diagonal; infinite where they overflow."""
        return self.log_distances.exp()

    @property
    def statuses(self) -> dict[tuple[int, int], Status]:
        """How the path from point i to point j ended, for i < j; a distance is true if it CONVERGED."""
        return {
            pair: Status.SADDLE if len(self.chains[pair]) > 2 and link.status is Status.CONVERGED else link.status
            for pair, link in self.links.items()
        }

    @property
    def converged(self) -> bool:
        """Whether all paths converged."""
        return all(status is Status.CONVERGED for status in self.statuses.values())

    def path(self, i: int, j: int) -> Curve:
        """The shortest path from point i to point j that was found: a link, or a chain of them."""
        if i > j:
            return self.path(j, i).reversed()
        return chained([self._step(*pair) for pair in pairwise(self.chains[i, j])])

    def _step(self, i: int, j: int) -> Curve:
        return self.links[i, j].curve if i < j else self.links[j, i].curve.reversed()


def distance_matrix(
    metric: DensityMetric,
    points: Tensor,
    *,
    search: LinkSearch | None = None,
    survey: Survey | None = None,
    known: Sequence[Link] = (),
    on_link: OnLink | None = None,
    near: bool = False,
) -> DistanceMatrix:
    """The geodesic distances between all pairs of points (n, d), n >= 1, with one common anchor, the first point.

    At first every pair is linked by its straight line. Then the pair with the shortest chain that is known is linked,
    always the next one, so that the links of a chain are geodesics already; and once more where a chain turned out to
    be shorter than a link. The density must not vary along the path.

    Args:
        search: how to look for each of the n (n - 1) / 2 paths.
        survey: what is known of the metric already; it learns all scores, and its own search counts.
        known: the first links of an earlier call for the same points, in the order in which it found them: they are
            not looked for again, and the rest is the same bit for bit.
        on_link: called with each new link and its pair; it only watches.
        near: leave out the pairs whose straight line is not worth starting from (`LinkSearch.factor`) beside the chain
            over others: their distance is that of the chain, an upper bound, and their link is that line, not solved.

    Raises:
        GeometryError: points that are not a matrix, are not finite, lie off the space or are antipodal.
    """
    require_points(points)
    work = _Matrix(survey or Survey(metric, search), points, list(known), on_link, near)
    return work.run()


class _Matrix:
    """The work on one matrix; its state is the links found so far, at first the straight lines."""

    def __init__(self, survey: Survey, points: Tensor, known: list[Link], on_link: OnLink | None, near: bool) -> None:
        self.survey, self.points, self.known, self.on_link, self.near = survey, points, known, on_link, near
        self.left_out: set[tuple[int, int]] = set()
        self.links: dict[tuple[int, int], Link] = {}
        self.calls = 0

    def run(self) -> DistanceMatrix:
        n, before = self.points.shape[0], self.survey.known
        self.links = {
            (i, j): self.survey.straight(self.points[i], self.points[j]) for i in range(n) for j in range(i + 1, n)
        }
        self.calls = self.survey.known - before
        left = set(self.links)
        while left:
            reach = self._reach()
            pair = min(left, key=lambda pair: (float(reach[pair]), pair))
            left.remove(pair)
            chain = self._chain(pair)
            if self.near and math.isfinite(chain[1]) and not self._worth(pair, chain[1]):
                # What its few nodes say of the density at its end would mislead the other links.
                self.links[pair] = replace(self.links[pair], log_distance=math.nan)
                self.left_out.add(pair)
            else:
                self._find(pair, chain)
        found = self._matrix()
        for pair in [pair for pair, chain in found.chains.items() if len(chain) > 2 and pair not in self.left_out]:
            self._find(pair, self._chain(pair), again=True)
        return self._matrix()

    def _worth(self, pair: tuple[int, int], length: float) -> bool:
        """Whether the straight line of a pair is worth starting from beside a chain of this logarithm of the length."""
        return self.links[pair].log_distance <= length + math.log(self.survey.search.factor)

    def _reach(self) -> Tensor:
        """The logarithms of the shortest chains between all pairs, relative to the longest link; infinite if none."""
        logs, *_ = _anchored(self.survey.metric.alpha, self.points, self.links)
        lengths = _lengths(logs)[0]
        for k in range(len(lengths)):
            lengths = torch.minimum(lengths, lengths[:, k : k + 1] + lengths[k : k + 1])
        return lengths.log()

    def _find(self, pair: tuple[int, int], chain: tuple[Curve, float], again: bool = False) -> None:
        """The link of a pair: that of an earlier call, or the best of those from the guesses that are worth it."""
        if self.known:
            link = self.known.pop(0)
            if link.seen is not None:
                self.survey.learn(link.seen, self.points)
        else:
            before = self.survey.known
            link = (
                min(self.links[pair], self.survey.link(chain[0]), key=Link.rank) if again else self._best(pair, chain)
            )
            link = replace(link, seen=self.survey.since(before))
            if self.on_link is not None:
                self.on_link(*pair, link)
        self.calls += 0 if link.seen is None else len(link.seen.x)
        self.links[pair] = link

    def _best(self, pair: tuple[int, int], chain: tuple[Curve, float]) -> Link:
        straight = self.links[pair]
        guesses = [(straight.curve, straight.log_distance), chain]
        least = min((length for _, length in guesses if not math.isnan(length)), default=math.inf)
        limit = least + math.log(self.survey.search.factor)
        worth = [curve for curve, length in guesses if length <= limit or length == least]
        found = [self.survey.link(curve) for curve in worth or [straight.curve]]
        shortest = min(found, key=Link.rank)
        best = min((link for link in found if link.status is Status.CONVERGED), key=Link.rank, default=shortest)
        return best if best.log_distance <= shortest.log_distance + SHORTER_CHAIN else shortest

    def _chain(self, pair: tuple[int, int]) -> tuple[Curve, float]:
        """The shortest chain from i to j over other points, and the logarithm of its length with weight 1 at i.

        Where there is none the length is infinite.
        """
        alpha, links = self.survey.metric.alpha, self.links
        logs, _, potential, _ = _anchored(alpha, self.points, links)
        logs[pair] = logs[pair[::-1]] = math.nan
        total, chain = _shortest(logs, *pair)
        pieces = [links[a, b].curve if a < b else links[b, a].curve.reversed() for a, b in pairwise(chain)]
        return chained(pieces), total + alpha * float(potential[pair[0]])

    def _matrix(self) -> DistanceMatrix:
        alpha = self.survey.metric.alpha
        logs, spreads, potential, mismatch = _anchored(alpha, self.points, self.links)
        best, wide = logs.clone(), spreads.clone()
        chains = {}
        for i, j in self.links:
            total, chain = _shortest(logs, i, j)
            shorter = (i, j) in self.left_out or total < float(logs[i, j]) - SHORTER_CHAIN
            chains[i, j] = chain if shorter else (i, j)
            if len(chains[i, j]) > 2:
                steps = list(pairwise(chain))
                share = [math.exp(float(logs[step]) - total) * float(spreads[step]) for step in steps]
                best[i, j] = best[j, i] = total
                wide[i, j] = wide[j, i] = sum(share)
        return DistanceMatrix(dict(self.links), best, wide, chains, potential, mismatch, self.calls)


def _anchored(alpha: float, points: Tensor, links: dict[tuple[int, int], Link]) -> tuple[Tensor, Tensor, Tensor, float]:
    """Log distances with weight 1 at the first point, their spreads (n, n), the potentials (n,) and the mismatch."""
    n = points.shape[0]
    change, distance, spread = (torch.zeros(n, n, dtype=torch.float64) for _ in range(3))
    known = torch.eye(n, dtype=torch.bool)
    distance.fill_(math.nan).fill_diagonal_(-math.inf)
    for (i, j), link in links.items():
        change[i, j], change[j, i] = link.log_density, -link.log_density
        distance[i, j] = distance[j, i] = link.log_distance
        spread[i, j] = spread[j, i] = link.spread
        known[i, j] = known[j, i] = math.isfinite(link.log_density) and not math.isnan(link.log_distance)
    # The normal equations of the least squares are those of the graph's Laplacian.
    between = known.double()
    laplacian = between.sum(dim=1).diag() - between
    change = torch.where(known, change, 0.0)
    potential = torch.linalg.pinv(laplacian, hermitian=True) @ change.sum(dim=0)
    reached = known[0]
    for _ in range(n):
        reached = known[reached].any(dim=0)
    potential = torch.where(reached, potential - potential[0], math.nan)
    off = torch.where(known & reached & reached[:, None], potential[None, :] - potential[:, None] - change, 0.0)
    # l_ij is antisymmetric: the anchor of d_ij, the first of the two points, is taken from the upper triangle.
    forward = change.triu() + change.triu().T
    anchor = (potential[:, None] + potential[None, :] - forward) / 2
    logs = (distance - alpha * anchor).fill_diagonal_(-math.inf)
    mismatch = float(off.square().sum().div(max(1, 2 * len(links))).sqrt())
    return logs, torch.hypot(spread, alpha * off.abs() / 2), potential, mismatch


def _lengths(logs: Tensor) -> tuple[Tensor, float]:
    """Lengths relative to the longest, which is 1, infinite where there is none; and the logarithm of the longest."""
    finite = logs[logs.isfinite()]
    top = float(finite.max()) if len(finite) else 0.0
    return torch.where(logs.isnan(), math.inf, (logs - top).exp()), top


def _shortest(logs: Tensor, start: int, goal: int) -> tuple[float, tuple[int, ...]]:
    """The logarithm of the shortest chain from start to goal, and its points; infinite where there is none."""
    lengths, top = _lengths(logs)
    n = lengths.shape[0]
    reach, before = [math.inf] * n, [-1] * n
    reach[start], left = 0.0, set(range(n))
    while left:
        at = min(left, key=lambda node: (reach[node], node))
        left.remove(at)
        if at == goal or math.isinf(reach[at]):
            break
        for node in left:
            longer = reach[at] + float(lengths[at, node])
            if longer < reach[node]:
                reach[node], before[node] = longer, at
    if math.isinf(reach[goal]):
        return math.inf, (start, goal)
    chain = [goal]
    while chain[-1] != start:
        chain.append(before[chain[-1]])
    return (math.log(reach[goal]) if reach[goal] > 0 else -math.inf) + top, tuple(reversed(chain))


def chained(pieces: Sequence[Curve]) -> Curve:
    """Curves one after the other as one, its nodes at about equal steps of arc length."""
    if len(pieces) == 1:
        return pieces[0]
    lengths = torch.stack([piece.length for piece in pieces])
    shortest = lengths[lengths > 0].min() if bool((lengths > 0).any()) else lengths.new_ones(())
    counts = [min(4 * PER_LINK, round(PER_LINK * float(length / shortest))) for length in lengths]
    parts = [piece.at_constant_speed(count + 1).x[:-1] for piece, count in zip(pieces, counts, strict=True) if count]
    return Curve(torch.cat([*parts, pieces[-1].x[-1:]]), pieces[0].space)


def require_points(points: Tensor) -> None:
    """Refuse what is no matrix of points."""
    if points.ndim != 2 or points.shape[0] < 1:
        raise GeometryError(f"Needed at least one point as a tensor of shape (n, d), got {tuple(points.shape)}.")
