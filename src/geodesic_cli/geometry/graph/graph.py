"""The shortest path between two points among many others: a neighbour graph weighted by the density.

A local solver finds the geodesic next to where it starts. To find the right valley, join every point of a set to its
nearest neighbours by straight lines of the space and look for the shortest path over these edges. The line from x_i to
x_j, of Euclidean length d_ij, is run through at w in [0, 1], and the score along it gives the change of log density

    l(w) = ∫_0^w s(x(w'), u(w')) . x'(w') dw',   l_ij = l(1).

The slopes s . x' are asked for at 2, 5, 9 or 17 equidistant points, as many as it takes until doubling them changes
l(w) by less than a tolerance anywhere; between them they are taken as parabolas. All edges together give the node log
densities phi that agree with them best,

    minimise   sum over edges of   (phi_j - phi_i - l_ij)² / (SURE² + e_ij²),

e_ij being the change of l at the last doubling, in nats, or |l'(1) - l'(0)| / 4 before the first. The median of
|phi_j - phi_i - l_ij|, the *mismatch*, says how far the field of scores is from a gradient; it is 0 for the exact score
of a density. An edge is then as long as

    ∫_0^1 exp(-alpha phi(w)) d_ij dw,   phi(w) = phi_i + l(w) + w (phi_j - phi_i - l_ij),

so that the mismatch is spread along it. Weights are kept as logarithms. One graph serves every alpha.

The density may vary along the path (Blend). A node then has a position u of its own, for example that of the prompt
which it was sampled under, and along an edge u goes linearly from one node's to the other's: l counts what the motion
gains and not what the change of u does, as `DensityMetric.log_density` does. Nodes are neighbours by x alone.

An edge costs as many evaluations as it has points between its nodes, whose scores are shared. Most edges are on no
shortest path. So the graph may be made with no inner points at all, and `sharpened` only along the shortest path until
that no longer changes; the estimates by two slopes tell a valley between two nodes, but not a ridge.

Shortest paths are Dijkstra's, from scipy.sparse.csgraph. Distances over the graph are never below the geodesic ones,
but for quadrature. They converge to them as samples grow if the number of neighbours grows, too (Bernstein et al.,
2000): with a fixed number the zigzag of the path keeps its few per cent, which a local solver removes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry import linalg
from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.graph import edges as quadrature
from geodesic_cli.geometry.graph import sparse
from geodesic_cli.geometry.graph.edges import FINEST, GRID_POINTS
from geodesic_cli.geometry.graph.sparse import keys, nearest, unique_pairs
from geodesic_cli.geometry.space import Space

FEWEST_HALVINGS = 2
"""Doublings before an edge may count as known: between two equal modes the slopes at the ends and the middle are 0."""

SURE = 0.1
"""Nats. An increment that changed by less than this at the last doubling counts as exact."""


@dataclass(frozen=True, eq=False)
class Route:
    """A shortest path over a graph.

    Args:
        nodes: the indices of its nodes, from the first to the last, (k,); empty where the graph does not connect them.
        edges: the indices of its edges, (k - 1,).
        log_lengths: of its edges, with weight 1 at the first node, (k - 1,).
        dips: how far log p falls on each edge below the lower of its two nodes, in nats, (k - 1,).
    """

    nodes: Int[Tensor, "k"]
    edges: Int[Tensor, "e"]
    log_lengths: Float[Tensor, "e"]
    dips: Float[Tensor, "e"]

    @property
    def connected(self) -> bool:
        """Whether there is a path."""
        return len(self.nodes) > 0

    @property
    def log_length(self) -> float:
        """The logarithm of the length, with weight 1 at the first node; infinite where there is no path."""
        return float(torch.logsumexp(self.log_lengths, 0)) if self.connected else math.inf


@dataclass(frozen=True, eq=False)
class Graph:
    """Points, the straight lines between neighbours, and what the score says along them. `connect` makes one.

    Args:
        x: (n, d).
        u: (n,), the path positions of the points.
        scores: (n, d), at the points.
        space: where the points live.
        edges: (m, 2), indices of points, the smaller first.
        slopes: (m, 17), s . x' at w = 0, 1/16, ..., 1; nan where it was not asked for.
        levels: (m,), how often the edge has been halved.
        log_densities: phi, (n,), with 0 at the first node of every connected part.
        score_calls: evaluations of the score at single points.
    """

    x: Float[Tensor, "n d"]
    u: Float[Tensor, "n"]
    scores: Float[Tensor, "n d"]
    space: Space
    edges: Int[Tensor, "m 2"]
    slopes: Float[Tensor, "m 17"]
    levels: Int[Tensor, "m"]
    log_densities: Float[Tensor, "n"]
    score_calls: int

    @property
    def lengths(self) -> Float[Tensor, "m"]:
        """Euclidean lengths of the edges."""
        return self.space.distance(self.x[self.edges[:, 0]], self.x[self.edges[:, 1]])

    @property
    def increments(self) -> Float[Tensor, "m"]:
        """l_ij, the change of log p from the first to the second node of each edge, in nats."""
        return quadrature.profile(self.slopes, self.levels)[:, -1]

    @property
    def errors(self) -> Float[Tensor, "m"]:
        """How much l changed anywhere on each edge when it was last halved, in nats, (m,); nan where it never was."""
        return quadrature.errors(self.slopes, self.levels)

    @property
    def mismatch(self) -> float:
        """The median of |phi_j - phi_i - l_ij| over the edges that were halved, in nats; over all where none was."""
        off = (self._differences() - self.increments).abs()
        known = self.levels > 0
        return float(off[known].median() if bool(known.any()) else off.median())

    def rough(self, edges: Int[Tensor, "k"], tol: float, levels: int = FINEST) -> Bool[Tensor, "k"]:
        """Which of given edges (k,) `sharpened` would halve."""
        return _rough(self.slopes[edges], self.levels[edges], tol, levels)

    def profile(self, edges: Int[Tensor, "k"]) -> Float[Tensor, "k 17"]:
        """log p along given edges (k,) at w = 0, 1/16, ..., 1, relative like `log_densities`."""
        change = quadrature.profile(self.slopes[edges], self.levels[edges])
        w = torch.linspace(0, 1, GRID_POINTS, dtype=change.dtype, device=change.device)
        off = self._differences()[edges] - change[:, -1]
        return self.log_densities[self.edges[edges, 0]][:, None] + change + w * off[:, None]

    def log_lengths(self, alpha: float) -> Float[Tensor, "m"]:
        """The logarithms of the weighted lengths of the edges, (m,), weight 1 where the log density is 0."""
        everything = torch.arange(len(self.edges), device=self.edges.device)
        weights = -alpha * self.profile(everything) + quadrature.simpson(self.x).log()
        return torch.logsumexp(weights, dim=1) + self.lengths.log()

    def log_distances(self, alpha: float, sources: Sequence[int] | None = None) -> Float[Tensor, "k n"]:
        """Logarithms of the geodesic distances over the graph from some nodes (or all) to every node.

        They are -inf from a node to itself, and inf where no path leads. One common scale has to hold all of them:
        edges more than e^690 longer or shorter than the median are taken as no edge, or as ones of that length.
        """
        log_lengths = self.log_lengths(alpha)
        scale = float(log_lengths.median())
        found = sparse.dijkstra(len(self.x), self.edges, log_lengths, scale, sources)[0]
        return torch.as_tensor(found, dtype=self.x.dtype, device=self.x.device).log() + scale

    def nearest(self, alpha: float, source: int, k: int) -> tuple[Int[Tensor, "k"], Float[Tensor, "k"]]:
        """The k nodes nearest to a node by distance over the graph, nearest first, and the log distances, (k,) each.

        Raises:
            GeometryError: k is not from 1 to the number of other nodes.
        """
        if not 1 <= k < len(self.x):
            raise GeometryError(f"Needed a number of neighbours from 1 to {len(self.x) - 1}, got {k}.", "Lower k.")
        distances = self.log_distances(alpha, [source])[0]
        order = distances.argsort(stable=True)
        order = order[order != source][:k]
        return order, distances[order]

    def shortest(self, alpha: float, start: int, end: int) -> Route:
        """The shortest path between two nodes; logarithms of any range are told apart where it matters."""
        log_lengths = self.log_lengths(alpha)
        route, steps = sparse.shortest(len(self.x), self.edges, log_lengths, start, end)
        if len(route) == 0:
            return Route(route, steps, log_lengths[:0], log_lengths[:0])
        profile = self.profile(steps)
        lower = torch.minimum(profile[:, 0], profile[:, -1])
        relative = log_lengths[steps] + alpha * self.log_densities[start]
        return Route(route, steps, relative, lower - profile.min(dim=1).values)

    def sharpened(self, score: Score, edges: Int[Tensor, "k"], *, tol: float = 1.0, levels: int = FINEST) -> "Graph":
        """The graph with given edges (k,) halved until l changes by less than tol nats, at most `levels` times.

        Every edge given is halved at least FEWEST_HALVINGS times. Costs one evaluation for each new point.
        """
        slopes, depth = self.slopes.clone(), self.levels.clone()
        calls, open_edges = 0, edges.unique()
        while True:
            open_edges = open_edges[_rough(slopes[open_edges], depth[open_edges], tol, levels)]
            if len(open_edges) == 0:
                break
            for level in depth[open_edges].unique().tolist():
                which = open_edges[depth[open_edges] == level]
                stride = GRID_POINTS // 2 ** (level + 1)
                columns = torch.arange(stride, GRID_POINTS, 2 * stride, device=slopes.device)
                slopes[which[:, None], columns] = self._slopes_at(score, which, columns)
                calls += len(which) * len(columns)
                depth[which] += 1
        return replace(self, slopes=slopes, levels=depth, score_calls=self.score_calls + calls)._levelled()

    def extended(self, score: Score, x: Tensor, u: Tensor | None = None, *, neighbours: int = 8) -> "Graph":
        """The graph with further points (k, d), each joined to its nearest; what is known of the old edges is kept.

        Costs one evaluation for each new point. New edges are not halved: see `sharpened`.
        """
        u = torch.zeros_like(x[:, 0]) if u is None else u
        _require(x, u, x, self.space, neighbours)
        return self.joined(x, u, score(x, u), neighbours=neighbours, score_calls=len(x))

    def joined(self, x: Tensor, u: Tensor, scores: Tensor, *, neighbours: int = 8, score_calls: int = 0) -> "Graph":
        """As `extended`, with scores (k, d) that are known already."""
        _require(x, u, scores, self.space, neighbours)
        grown = replace(
            self,
            x=torch.cat([self.x, x]),
            u=torch.cat([self.u, u]),
            scores=torch.cat([self.scores, scores]),
            log_densities=torch.cat([self.log_densities, torch.zeros_like(u)]),
            score_calls=self.score_calls + score_calls,
        )
        new = torch.arange(len(self.x), len(grown.x), device=x.device)
        return grown.linked(nearest(grown.x, new, neighbours))

    def linked(self, pairs: Int[Tensor, "k 2"]) -> "Graph":
        """The graph with edges between given pairs of nodes (k, 2), where there are none yet. Costs no evaluation."""
        edges = unique_pairs(pairs, len(self.x))
        edges = edges[~torch.isin(keys(edges, len(self.x)), keys(self.edges, len(self.x)))]
        linked = replace(
            self,
            edges=torch.cat([self.edges, edges]),
            slopes=torch.cat([self.slopes, self.slopes.new_full((len(edges), GRID_POINTS), math.nan)]),
            levels=torch.cat([self.levels, self.levels.new_zeros(len(edges))]),
        )
        rows = torch.arange(len(self.edges), len(linked.edges), device=edges.device)
        ends = torch.stack([_along(linked, rows, end)[2] for end in (0.0, 1.0)])
        columns = torch.tensor([0, GRID_POINTS - 1], device=edges.device)
        linked.slopes[rows[:, None], columns] = linalg.dot(ends, self.scores[edges.T])[..., 0].T
        return linked._levelled()

    def knowing(self, edges: Int[Tensor, "k 2"], slopes: Float[Tensor, "k 17"], levels: Int[Tensor, "k"]) -> "Graph":
        """The graph with what another one knows of edges (k, 2) between the same points: slopes (k, 17), levels (k,).

        The smaller index comes first. Edges that are not there yet are added. Costs no evaluation.
        """
        linked = self.linked(edges)
        rows = sparse.rows_of(edges, linked.edges, len(self.x))
        sharper = levels > linked.levels[rows]
        all_slopes, depth = linked.slopes.clone(), linked.levels.clone()
        all_slopes[rows[sharper]], depth[rows[sharper]] = slopes[sharper], levels[sharper]
        return replace(linked, slopes=all_slopes, levels=depth)._levelled()

    def _slopes_at(self, score: Score, edges: Tensor, columns: Tensor) -> Tensor:
        """s . x' on edges (k,) at columns (c,) of the grid, in one batch, (k, c)."""
        parts = [_along(self, edges, int(column) / (GRID_POINTS - 1)) for column in columns]
        x, u, v = (torch.cat(part) for part in zip(*parts, strict=True))
        return linalg.dot(score(x, u), v)[:, 0].reshape(len(columns), len(edges)).T

    def _differences(self) -> Tensor:
        return self.log_densities[self.edges[:, 1]] - self.log_densities[self.edges[:, 0]]

    def _levelled(self) -> "Graph":
        """The graph with the node log densities that its edges agree with best."""
        off = self.errors
        guessed = (self.slopes[:, -1] - self.slopes[:, 0]).abs() / 4
        trust = 1 / (SURE**2 + torch.where(off.isnan(), guessed, off) ** 2)
        return replace(self, log_densities=sparse.potentials(self.edges, self.increments, trust, self.log_densities))


def _require(x: Tensor, u: Tensor, scores: Tensor, space: Space, neighbours: int) -> None:
    if x.ndim != 2 or u.shape != x.shape[:1] or scores.shape != x.shape:
        raise GeometryError(
            f"Needed points (k, d) with positions (k,) and scores (k, d), got {tuple(x.shape)}, {tuple(u.shape)} and "
            f"{tuple(scores.shape)}.",
            "Pass one row for each point.",
        )
    if not bool(x.isfinite().all() & scores.isfinite().all()) or not bool(space.contains(x).all()):
        raise GeometryError(f"Needed finite points of {space} with finite scores, got others.", "Leave them out.")
    if neighbours < 1:
        raise GeometryError(f"Needed at least one neighbour, got {neighbours}.", "8 is a good start.")


def _rough(slopes: Tensor, levels: Tensor, tol: float, finest: int) -> Tensor:
    return (~(quadrature.errors(slopes, levels) < tol) | (levels < FEWEST_HALVINGS)) & (levels < finest)


def _along(graph: Graph, edges: Tensor, w: float) -> tuple[Tensor, Tensor, Tensor]:
    """Points (k, d), positions (k,) and velocities (k, d) at the fraction w of edges (k,)."""
    first, second = graph.edges[edges].T
    a, b = graph.x[first], graph.x[second]
    towards = graph.space.distance(a, b)[:, None] * linalg.unit(graph.space.tangent(a, b - a))
    x, v = graph.space.move(a, towards, w)
    return x, graph.u[first] + w * (graph.u[second] - graph.u[first]), v
