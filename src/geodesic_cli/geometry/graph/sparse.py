"""What a neighbour graph needs to know of pairs of nodes: the nearest, the potentials that fit them, shortest paths.

The two sparse problems are solved by scipy, which is imported where it is used: only a global search needs it.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

DIRECT = 2000
"""Nodes up to which the least squares are solved by elimination, whose time explodes; beyond by conjugate gradients."""

ROWS = 1024
"""Points whose distances to all others are computed at once."""


def potentials(
    edges: Int[Tensor, "m 2"], increments: Float[Tensor, "m"], trust: Float[Tensor, "m"], guess: Float[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """phi by weighted least squares over the edges, 0 at the first node of every connected part.

    The wanted differences phi_j - phi_i are the increments, with the weights `trust`; iterations start from `guess`.
    """
    from scipy.sparse import csgraph, csr_array, diags_array
    from scipy.sparse.linalg import cg, spsolve

    n = len(guess)
    i, j = edges.T.cpu().numpy()
    weight, pull = trust.double().cpu().numpy(), (trust * increments).double().cpu().numpy()
    links = csr_array((weight, (i, j)), shape=(n, n))
    links = links + links.T
    _, part = csgraph.connected_components(links, directed=False)
    first = {label: node for node, label in reversed([*enumerate(part.tolist())])}
    anchors = torch.zeros(n, dtype=torch.bool)
    anchors[list(first.values())] = True
    laplacian = diags_array(links.sum(axis=1)) - links
    right = csr_array((pull, (j, [0] * len(j))), shape=(n, 1)) - csr_array((pull, (i, [0] * len(i))), shape=(n, 1))
    free = (~anchors).nonzero()[:, 0].numpy()
    phi = torch.zeros(n, dtype=torch.float64)
    if len(free):
        inside, pulled = laplacian.tocsc()[free][:, free], right.toarray()[free, 0]
        if len(free) <= DIRECT:
            solved = spsolve(inside, pulled)
        else:
            start = guess.double().cpu().numpy()[free]
            diagonal = diags_array(1 / inside.diagonal())
            solved, _ = cg(inside, pulled, x0=start, M=diagonal, rtol=1e-6, maxiter=2000)
        phi[torch.from_numpy(free)] = torch.from_numpy(solved)
    return phi.to(guess.device, guess.dtype)


def dijkstra(
    n: int, edges: Int[Tensor, "m 2"], log_lengths: Float[Tensor, "m"], scale: float, sources: Sequence[int] | None
) -> tuple[Any, Any]:
    """scipy's Dijkstra on exp(log_lengths - scale) over n nodes: distances and predecessors, (k, n) both."""
    from scipy.sparse import csgraph, csr_array

    relative = log_lengths - scale
    kept = (relative < 690) & ~relative.isnan()
    i, j = edges[kept].T.cpu().numpy()
    weights = relative[kept].clamp(min=-690).exp().double().cpu().numpy()
    links = csr_array((weights, (i, j)), shape=(n, n))
    indices = list(range(n)) if sources is None else list(sources)
    return csgraph.dijkstra(links, directed=False, indices=indices, return_predecessors=True)


def shortest(
    n: int, edges: Int[Tensor, "m 2"], log_lengths: Float[Tensor, "m"], start: int, end: int
) -> tuple[Int[Tensor, "k"], Int[Tensor, "e"]]:
    """The shortest path between two of n nodes: its nodes (k,) and edges (k - 1,), both empty where there is none.

    The scale of the weights is that of the longest edge of the path, found by iteration.
    """
    scale = float(log_lengths.max())
    nodes: list[int] = []
    steps = nothing = edges[:0, 0]
    for _ in range(8):
        before = dijkstra(n, edges, log_lengths, scale, [start])[1][0]
        nodes = [end]
        while nodes[-1] != start and before[nodes[-1]] >= 0:
            nodes.append(int(before[nodes[-1]]))
        if nodes[-1] != start:
            return nothing, nothing
        pairs = torch.tensor(list(pairwise(nodes[::-1])), dtype=torch.long, device=edges.device).reshape(-1, 2)
        steps = rows_of(pairs.sort(dim=1).values, edges, n)
        longest = float(log_lengths[steps].max()) if len(steps) else scale
        if longest == scale:
            break
        scale = longest
    return torch.tensor(nodes[::-1], device=edges.device), steps


def nearest(x: Float[Tensor, "n d"], rows: Int[Tensor, "k"], neighbours: int) -> Int[Tensor, "p 2"]:
    """Pairs of given rows (k,) and their nearest others, (k neighbours, 2)."""
    count = min(neighbours, len(x) - 1)
    pairs = []
    for part in rows.split(ROWS):
        apart = torch.cdist(x[part], x)
        apart[torch.arange(len(part), device=x.device), part] = math.inf
        near = apart.topk(count, largest=False).indices
        pairs.append(torch.stack([part[:, None].expand_as(near), near], dim=-1).flatten(0, 1))
    return torch.cat(pairs)


def bridges(x: Float[Tensor, "n d"], edges: Int[Tensor, "m 2"]) -> Int[Tensor, "p 2"]:
    """The shortest pairs of points that join the connected parts of a graph to one, (parts - 1, 2)."""
    from scipy.sparse import csgraph, csr_array

    i, j = edges.T.cpu().numpy()
    count, labels = csgraph.connected_components(
        csr_array(([1] * len(i), (i, j)), shape=(len(x), len(x))), directed=False
    )
    parts = [torch.from_numpy((labels == part).nonzero()[0]).to(x.device) for part in range(count)]
    between = torch.zeros(count, count, dtype=torch.float64)
    pairs = torch.zeros(count, count, 2, dtype=torch.long)
    for a in range(count):
        for b in range(a + 1, count):
            here = torch.cdist(x[parts[a]], x[parts[b]])
            row, column = divmod(int(here.argmin()), here.shape[1])
            between[a, b] = 1 + here[row, column]  # 0 would be no edge; the order is what counts
            pairs[a, b] = torch.stack([parts[a][row], parts[b][column]])
    chosen = torch.from_numpy(csgraph.minimum_spanning_tree(between.numpy()).toarray()) > 0
    return pairs[chosen].to(edges.device)


def unique_pairs(pairs: Int[Tensor, "p 2"], count: int) -> Int[Tensor, "q 2"]:
    """Each pair once, the smaller index first, in order; none of a node and itself."""
    pairs = pairs.sort(dim=1).values
    numbers = keys(pairs[pairs[:, 0] < pairs[:, 1]], count).unique()
    return torch.stack([numbers // count, numbers % count], dim=1)


def keys(edges: Int[Tensor, "m 2"], count: int) -> Int[Tensor, "m"]:
    """A number for each edge (m, 2) between `count` nodes."""
    return edges[:, 0] * count + edges[:, 1]


def rows_of(edges: Int[Tensor, "k 2"], among: Int[Tensor, "m 2"], count: int) -> Int[Tensor, "k"]:
    """Where edges (k, 2) are among the edges (m, 2) that a graph of `count` nodes has."""
    known = keys(among, count)
    order = known.argsort()
    return order[torch.searchsorted(known[order], keys(edges, count))]
