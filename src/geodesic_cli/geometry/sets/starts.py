"""Where the search for a mean begins: the best place on all links that are known.

A point is seldom a good place. Points such as pictures with their noise lie beside the valley of the metric in which
the paths between them run, and from there all paths leave the same way, into the valley. The inner nodes of a link lie
in it.

From a node at distance s along the link of i and j, of length D_ij, a point k is no farther than the shorter of two
ways, min(s + D_ik, D_ij - s + D_jk). The place is the node, or the point, whose sum of weighted squared distances
by this bound is least. It costs no evaluation: the scores at the nodes are known from the search for the link.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.metric import DensityMetric
from geodesic_cli.geometry.sets.distances import DistanceMatrix

BROUGHT_ALONG, STEEPEST = 8.0, 0.3
"""A node at the fraction u of a curve moves by (1 - u)^p of what its start moves.

A small power moves all of a curve and brings it out of a narrow valley, to which its solver does not find back: between
images 1.5 apart on a path of 38 the power 1 lost links that the power 8 finds, with half of the evaluations. A long
move with a large power makes a kink: p is 8, or less where p times the move exceeds STEEPEST of the length."""


def best_start(
    metric: DensityMetric, matrix: DistanceMatrix, points: Tensor, shares: Float[Tensor, "n 1"]
) -> tuple[Float[Tensor, "d"], list[Curve]]:
    """The place to begin at, and a guess of the path from there to each point.

    Args:
        metric: it knows the scores at the nodes of the links.
        matrix: the links between the points.
        points: (n, d).
        shares: the weights, of sum 1.
    """
    logs = torch.where(matrix.log_distances.isnan(), math.inf, matrix.log_distances).fill_diagonal_(-math.inf)
    finite = logs[logs.isfinite()]
    far = (logs - (finite.max() if len(finite) else 0.0)).exp()  # relative to the farthest, so that none overflows
    weights = shares[:, 0].to(far)
    at, least = (0, 0, 0, 0.0), math.inf
    for i in range(len(points)):
        total = _squares(far[i], weights)
        if total < least:
            at, least = (i, i, 0, 0.0), total
    for (i, j), link in matrix.links.items():
        if len(matrix.chains[i, j]) > 2 or not math.isfinite(float(logs[i, j])):
            continue
        along = metric.log_distance(link.curve)
        parts = (along - along[-1]).exp().to(far) * far[i, j]
        for node, part in enumerate(parts[2:-2].tolist(), 2):  # a path has three nodes at least
            total = _squares(torch.minimum(part + far[i], far[i, j] - part + far[j]), weights)
            if total < least * (1 - 1e-9):
                at, least = (i, j, node, part), total
    i, j, node, part = at
    if i == j:
        here = Curve(points[i].expand(3, -1), metric.space)
        return points[i], [here if k == i else matrix.path(i, k) for k in range(len(points))]
    curve = matrix.links[i, j].curve
    ends = {i: Curve(curve.x[: node + 1].flip(0), metric.space), j: Curve(curve.x[node:], metric.space)}
    over = [i if part + far[i, k] <= far[i, j] - part + far[j, k] else j for k in range(len(points))]
    return curve.x[node], [
        ends[k] if k in ends else carried(matrix.path(over[k], k), curve.x[node]) for k in range(len(points))
    ]


def carried(curve: Curve, start: Float[Tensor, "d"]) -> Curve:
    """The curve from another start to the same end, of which the first part moves along most; see `BROUGHT_ALONG`."""
    move, length = float((start - curve.x[0]).norm()), float(curve.length)
    power = min(BROUGHT_ALONG, max(1.0, STEEPEST * length / move)) if move > 0 else 1.0
    nodes = curve.x + ((1 - curve.u) ** power)[:, None] * (start - curve.x[0])
    return Curve(torch.cat([start[None], curve.space.project(nodes[1:-1]), curve.x[-1:]]), curve.space)


def _squares(distances: Tensor, weights: Tensor) -> float:
    """sum w d², where what has no weight has no say."""
    return float(torch.where(weights > 0, weights * distances.square(), 0.0).sum())
