"""Pairs of points: the nearest others of each, each pair once, and a number for it."""

import math

import torch
from torch import Tensor

ROWS = 1024
"""Points whose distances to all others are computed at once."""


def nearest(x: Tensor, rows: Tensor, neighbours: int) -> Tensor:
    """Pairs of given rows (k,) and their nearest others, (k neighbours, 2)."""
    count = min(neighbours, len(x) - 1)
    pairs = []
    for part in rows.split(ROWS):
        apart = torch.cdist(x[part], x)
        apart[torch.arange(len(part), device=x.device), part] = math.inf
        near = apart.topk(count, largest=False).indices
        pairs.append(torch.stack([part[:, None].expand_as(near), near], dim=-1).flatten(0, 1))
    return torch.cat(pairs)


def unique_pairs(pairs: Tensor, count: int) -> Tensor:
    """Each pair once, the smaller index first, in order; none of a node and itself."""
    pairs = pairs.sort(dim=1).values
    numbers = keys(pairs[pairs[:, 0] < pairs[:, 1]], count).unique()
    return torch.stack([numbers // count, numbers % count], dim=1)


def keys(edges: Tensor, count: int) -> Tensor:
    """A number for each edge (m, 2) between `count` nodes."""
    return edges[:, 0] * count + edges[:, 1]
