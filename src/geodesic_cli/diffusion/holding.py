"""Where a sampler holds clean data: in a fixed range, or by dynamic thresholding (Saharia et al., Imagen, 2022).

A network's estimate of the clean data may leave the range that pixels have, most of all near pure noise. Many samplers
bring it back before they take their step: `clip_sample` cuts it off at a bound; `thresholding` cuts it off at a
quantile s of the absolute values of one image, where that is above 1, and divides by s. The noise stays what the
network said, so that each step moves a point that was outside (`transport`).

This is a rule of sampling and not of the flow: a point that was moved has forgotten where it came from. So only what is
drawn from fresh noise is held; the flow that inverts images, renders points between them, or gives scores is not.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Hold:
    """How far clean data may go.

    Args:
        bound: of the range [-bound, bound].
        quantile: of the absolute values of an image that takes the place of the bound; None is a fixed range.
        most: the quantile counts for at most this.
    """

    bound: float = 1.0
    quantile: float | None = None
    most: float = 1.0

    def __call__(self, clean: Tensor) -> Tensor:
        """Clean latents (n, C, H, W), held."""
        if self.quantile is None:
            return clean.clamp(-self.bound, self.bound)
        # A quantile of all numbers of one image by sorting: torch.quantile takes at most 16 million of them.
        values = clean.detach().float().abs().flatten(1).sort(dim=1).values
        place = self.quantile * (values.shape[1] - 1)
        below = min(int(place), values.shape[1] - 2) if values.shape[1] > 1 else 0
        above = min(below + 1, values.shape[1] - 1)
        reach = torch.lerp(values[:, below], values[:, above], place - below)
        reach = reach.clamp(1.0, max(1.0, self.most)).to(clean).reshape(-1, *(1 for _ in clean.shape[1:]))
        return torch.minimum(torch.maximum(clean, -reach), reach) / reach
