"""Log density along straight edges, from the slopes of log p that are known on a dyadic grid of each edge.

An edge at level k knows its slopes at 2^k + 1 equidistant points. They are taken as parabolas through triples (as a
line at level 0), whose integral l(w) is wanted on the finest grid; what the last halving changed is its error.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

FINEST = 4
"""Doublings of the first interval: 2^4 + 1 points on an edge at most."""

GRID_POINTS = 2**FINEST + 1


def profile(slopes: Float[Tensor, "m 17"], levels: Int[Tensor, "m"]) -> Float[Tensor, "m 17"]:
    """l(w) on the grid, (m, 17), from the slopes known at each edge's level."""
    change = torch.empty_like(slopes)
    for level in levels.unique().tolist():
        which = levels == level
        change[which] = _integral(slopes[which][:, :: (GRID_POINTS - 1) // 2**level], level)
    return change


def errors(slopes: Float[Tensor, "m 17"], levels: Int[Tensor, "m"]) -> Float[Tensor, "m"]:
    """Largest change of l(w) by the last halving."""
    worst = torch.full_like(slopes[:, 0], math.nan)
    for level in levels.unique().tolist():
        which = levels == level
        if level > 0:
            known = slopes[which][:, :: (GRID_POINTS - 1) // 2**level]
            worst[which] = (_integral(known, level) - _integral(known[:, ::2], level - 1)).abs().amax(dim=1)
    return worst


def _integral(known: Tensor, level: int) -> Tensor:
    """∫_0^w of slopes (m, 2^level + 1) taken as parabolas through triples (a line for a pair), on the grid, (m, 17)."""
    w = torch.linspace(0, 1, GRID_POINTS, dtype=known.dtype, device=known.device)
    if level == 0:
        return known[:, :1] * w + (known[:, 1:] - known[:, :1]) * w**2 / 2
    panels = 2 ** (level - 1)
    first, middle, last = known[:, :-1:2], known[:, 1::2], known[:, 2::2]
    tilt, bow = 4 * middle - 3 * first - last, 2 * (first + last) - 4 * middle
    # Within a panel r in [0, 1] the slope is first + tilt r + bow r².
    whole = (first + tilt / 2 + bow / 3) / panels
    before = torch.cat([torch.zeros_like(whole[:, :1]), whole.cumsum(dim=1)], dim=1)
    panel = (w * panels).floor().clamp(max=panels - 1).long()
    r = w * panels - panel
    return before[:, panel] + (first[:, panel] * r + tilt[:, panel] * r**2 / 2 + bow[:, panel] * r**3 / 3) / panels


def simpson(like: Float[Tensor, "..."]) -> Float[Tensor, "17"]:
    """Simpson's weights on the grid, (17,), with sum 1."""
    weights = like.new_full((GRID_POINTS,), 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return weights / (3 * (GRID_POINTS - 1))
