"""How sure a share is that was counted: so many of so many."""

import math

NORMAL = 1.959964
"""Standard deviations of the normal distribution that hold 95%."""


def share_interval(count: int, total: int) -> tuple[float, float]:
    """The interval that holds a share of `count` in `total` with 95% (Wilson, 1927); it is [0, 1] of nothing."""
    if total <= 0:
        return 0.0, 1.0
    share, square = count / total, NORMAL**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = NORMAL / (1 + square / total) * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)
