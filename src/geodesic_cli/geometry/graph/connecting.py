"""A graph of points joined to their neighbours."""

import torch
from torch import Tensor

from geodesic_cli.errors import GeometryError
from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.graph.edges import FINEST, GRID_POINTS
from geodesic_cli.geometry.graph.graph import Graph
from geodesic_cli.geometry.space import Euclidean, Space


def connect(
    score: Score,
    x: Tensor,
    u: Tensor | None = None,
    *,
    neighbours: int = 8,
    space: Space | None = None,
    tol: float = 1.0,
    levels: int = FINEST,
    scores: Tensor | None = None,
) -> Graph:
    """Join every point to its nearest neighbours and measure log p along the edges.

    Args:
        x: (n, d), n >= 2, all different.
        u: (n,), the positions of the points; 0 unless given.
        neighbours: how many; two points are joined if either is among the nearest of the other.
        space: flat space unless given.
        tol: nats within which l must be known along an edge.
        levels: how often an edge is halved at most; 0 asks for the scores of the points only, to be `sharpened`.
        scores: (n, d), the scores at the points where they are known already.

    Raises:
        GeometryError: shapes that do not fit, values that are not finite, points off the space, or fewer than two.
    """
    space = Euclidean() if space is None else space
    if x.ndim != 2 or len(x) < 2:
        raise GeometryError(f"Needed at least two points of shape (n, d), got {tuple(x.shape)}.", "Add points.")
    u = torch.zeros_like(x[:, 0]) if u is None else u
    empty = Graph(
        x=x[:0],
        u=u[:0],
        scores=x[:0],
        space=space,
        edges=torch.zeros(0, 2, dtype=torch.long, device=x.device),
        slopes=x.new_zeros(0, GRID_POINTS),
        levels=torch.zeros(0, dtype=torch.long, device=x.device),
        log_densities=u[:0],
        score_calls=0,
    )
    if scores is None:
        graph = empty.extended(score, x, u, neighbours=neighbours)
    else:
        graph = empty.joined(x, u, scores, neighbours=neighbours)
    if levels == 0:
        return graph
    return graph.sharpened(score, torch.arange(len(graph.edges), device=x.device), tol=tol, levels=levels)
