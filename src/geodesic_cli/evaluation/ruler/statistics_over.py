"""Errors of means over sequences, and the comparison of two methods sequence by sequence.

The interval of a mean is that of the percentile bootstrap (Efron, 1979): the sequences are drawn again with
replacement, RESAMPLES times. Two methods are compared on the sequences that both have: the mean of the differences with
its interval, the share of sequences that the first one wins, and the p-value of Wilcoxon's signed-rank test (1945). It
asks whether the differences lie evenly around 0, and knows nothing of normality. A method against itself has p = 1.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from geodesic_cli.evaluation.ruler.catalogue import HIGH, LOW

RESAMPLES = 2000
INSIDE = 0.95
LEAST_DECIDED = 6
"""Sequences below which even differences of one sign have a p-value above 0.05."""


@dataclass(frozen=True)
class Aggregate:
    """A mean over n values, its standard error (None of one value), and the bounds of its interval."""

    n: int
    mean: float
    se: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One method less another, on the n sequences that both have.

    Args:
        n: how many.
        difference: the mean of the differences.
        low: the lower bound of its interval.
        high: the upper bound.
        p: Wilcoxon's p-value.
        won: the share of sequences on which the first is better, an equal one counting as a half.
    """

    n: int
    difference: float
    low: float
    high: float
    p: float
    won: float | None

    @property
    def decided(self) -> bool:
        """Whether the interval of the difference leaves out 0, on so many sequences that a test could tell."""
        return self.n >= LEAST_DECIDED and (self.low > 0 or self.high < 0)


def aggregate(values: Sequence[float]) -> Aggregate:
    """The mean of one value or more, with its errors."""
    x = torch.tensor(values, dtype=torch.float64)
    se = float(x.std()) / math.sqrt(len(x)) if len(x) > 1 else None
    return Aggregate(len(x), float(x.mean()), se, *_interval(x))


def compared(first: Mapping[str, float], second: Mapping[str, float], good: str) -> Comparison | None:
    """Two methods by the name of the sequence; None where they share none."""
    from scipy.stats import wilcoxon

    names = [name for name in first if name in second]
    if not names:
        return None
    d = torch.tensor([first[name] - second[name] for name in names], dtype=torch.float64)
    p = float(wilcoxon(d.numpy()).pvalue) if bool((d != 0).any()) else 1.0
    won = None
    if good in (LOW, HIGH):
        better = (d < 0) if good == LOW else (d > 0)
        won = float((better.double() + (d == 0).double() / 2).mean())
    return Comparison(len(d), float(d.mean()), *_interval(d), p, won)


def _interval(x: torch.Tensor) -> tuple[float, float]:
    """Of the mean of x (n,); the same draws for the same n, so that a run can be repeated."""
    drawn = torch.randint(len(x), (RESAMPLES, len(x)), generator=torch.Generator().manual_seed(len(x)))
    means = x[drawn].mean(1)
    edge = (1 - INSIDE) / 2
    low, high = torch.quantile(means, torch.tensor([edge, 1 - edge], dtype=torch.float64)).tolist()
    return low, high
