"""The average of the weights over the steps of a training: what is kept of it, and what is drawn and saved.

    average_k = r_k average_{k-1} + (1 - r_k) weights_k,   r_k = min(decay, 1 - k^(-power))   at step k = 1, 2, ...

With the power 3/4 the average reaches back over about k^(3/4) steps, so that it forgets where the training began and
yet grows longer with it; the first step takes the weights as they are. (Hahm et al., ICML 2024, train with decay 0.9999
and power 3/4.) The average is a function of the weights alone: processes with the same weights hold the same average.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Average:
    """The averaged weights. Its tensors are its own and are written to in place: there may be billions of them.

    Args:
        weights: the average, by name.
        decay: most that it keeps of itself in one step, in [0, 1).
        power: of the growth of its memory.
    """

    weights: dict[str, Tensor]
    decay: float
    power: float

    @classmethod
    def of(cls, weights: Weights, decay: float, power: float) -> "Average":
        """The average before the first step: a copy of the weights."""
        return cls({name: weight.detach().clone() for name, weight in weights.items()}, decay, power)

    def kept(self, step: int) -> float:
        """How much of itself the average keeps at step 1, 2, ..."""
        return min(self.decay, 1 - step**-self.power)

    @torch.no_grad()
    def update(self, weights: Weights, step: int) -> None:
        """Take in the weights after step 1, 2, ..."""
        share = 1 - self.kept(step)
        for name, mean in self.weights.items():
            mean.lerp_(weights[name].detach(), share)

    @contextmanager
    def in_place_of(self, weights: Weights) -> Iterator[None]:
        """Within the block the weights are the average; afterwards they are what they were, to the bit."""
        self._exchange(weights)
        try:
            yield
        finally:
            self._exchange(weights)

    @torch.no_grad()
    def _exchange(self, weights: Weights) -> None:
        for name, mean in self.weights.items():
            held = mean.clone()
            mean.copy_(weights[name])
            weights[name].copy_(held)
