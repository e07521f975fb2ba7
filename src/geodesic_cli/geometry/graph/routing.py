"""The shortest path over a graph whose edges are known as well as they need to be, and no better.

A route is found with what is known, its edges are looked at more closely, and it is found again, until it stays.
"""

from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.graph.edges import FINEST
from geodesic_cli.geometry.graph.graph import FEWEST_HALVINGS, Graph, Route

STAGES = (1, FEWEST_HALVINGS)
"""How often all edges of a shortest path are halved before any is more: most turn out not to be on it."""

SHARPENED_AT_ONCE = 3
"""Edges of a shortest path that are sharpened before it is looked for again."""


def shortest_path(
    graph: Graph,
    score: Score,
    alpha: float,
    start: int,
    end: int,
    *,
    tol: float = 1.0,
    levels: int = FINEST,
    most: int = 500,
) -> tuple[Graph, Route]:
    """The shortest path between two nodes, asking for scores along it alone until it stays: the graph so far, and it.

    Args:
        tol: nats within which l must be known along the edges of the path.
        levels: how often such an edge is halved at most.
        most: rounds at each of STAGES.
    """
    route = graph.shortest(alpha, start, end)
    for stage in [stage for stage in STAGES if stage < levels] + [levels]:
        for _ in range(most):
            # The costliest decide whether the path stays.
            order = route.log_lengths.argsort(descending=True, stable=True)
            rough = route.edges[order][graph.rough(route.edges[order], tol, stage)]
            if len(rough) == 0:
                break
            graph = graph.sharpened(score, rough[:SHARPENED_AT_ONCE], tol=tol, levels=stage)
            route = graph.shortest(alpha, start, end)
    return graph, route
