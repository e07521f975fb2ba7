"""The two sparse problems of a neighbour graph, by scipy: node potentials and shortest paths.

scipy is imported where it is used: only a global search needs it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

DIRECT = 2000
"""Nodes up to which the least squares are solved by elimination, whose time explodes; beyond by conjugate gradients."""


def potentials(edges: Tensor, increments: Tensor, trust: Tensor, guess: Tensor) -> Tensor:
    """phi by weighted least squares over the edges, 0 at the first node of every connected part, (n,).

    Args:
        edges: (m, 2), indices of nodes.
        increments: wanted differences phi_j - phi_i, (m,).
        trust: weights, (m,).
        guess: where to start iterating, (n,).
    """
    from scipy.sparse import csgraph, csr_array, diags_array
    from scipy.sparse.linalg import cg, spsolve

    n = len(guess)
    i, j = edges.T.cpu().numpy()
    weight, pull = trust.double().cpu().numpy(), (trust * increments).double().cpu().numpy()
    links = csr_array((weight, (i, j)), shape=(n, n))
    links = links + links.T
    _, part = csgraph.connected_components(links, directed=False)
    anchors = torch.zeros(n, dtype=torch.bool)
    seen: set[int] = set()
    for node, label in enumerate(part.tolist()):
        anchors[node] = label not in seen
        seen.add(label)
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
    n: int, edges: Tensor, log_lengths: Tensor, scale: float, sources: Sequence[int] | None
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
