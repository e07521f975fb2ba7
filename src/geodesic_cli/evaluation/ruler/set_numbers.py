"""The numbers of all sequences of a method together: distances of sets of features, each with what it is of.

    fid_diffmorpher   two random frames of each sequence against all inputs, DRAWS times: mean and standard deviation
    fid_pooled        all inner frames against all inputs          fid_mid    the middle frame of each sequence
    fid_clean         the same as pooled, resized as clean-fid does          kid   x 1000, over subsets

A Fréchet distance is biased upwards by about a constant over n (`frechet`): with fewer images than features it says
little, and `caution` says so. Then the kernel distance is the one to read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import torch
from torch import Tensor

from geodesic_cli.evaluation.frechet import frechet, statistics
from geodesic_cli.evaluation.kernel_distance import kernel_distance

DRAWS, FRAMES_DRAWN = 10, 2
THOUSAND = 1000.0


@dataclass(frozen=True)
class SetNumber:
    """A number of two sets of images.

    Args:
        value: of it.
        spread: its standard deviation over draws or subsets; None where there are none.
        images: how many of the method, in each draw.
        inputs: how many it is compared with.
        caution: a sentence where the sets are too small.
    """

    value: float
    spread: float | None
    images: int
    inputs: int
    caution: str = ""


def frechet_number(drawn: Tensor, inputs: Tensor) -> SetNumber:
    """The Fréchet distance of features (n, d) from those of the inputs (m, d)."""
    found = frechet(drawn, inputs)
    return SetNumber(found.value, None, *found.counts, found.caution)


def kernel_number(drawn: Tensor, inputs: Tensor, seed: int) -> SetNumber:
    """The kernel distance of the same, times a thousand."""
    found = kernel_distance(drawn, inputs, torch.Generator().manual_seed(seed))
    return SetNumber(THOUSAND * found.value, THOUSAND * found.std, *found.counts)


def frechet_of_draws(sequences: Sequence[Tensor], inputs: Tensor, seed: int) -> SetNumber:
    """The Fréchet distance of FRAMES_DRAWN random frames of each sequence, over DRAWS draws."""
    generator, of_inputs = torch.Generator().manual_seed(seed), statistics(inputs)
    found = []
    for _ in range(DRAWS):
        rows = [part[torch.randperm(len(part), generator=generator)[:FRAMES_DRAWN]] for part in sequences]
        found.append(frechet(torch.cat(rows), of_inputs))
    values = [each.value for each in found]
    return SetNumber(fmean(values), pstdev(values), *found[0].counts, found[0].caution)


def inner_rows(sequences: Sequence[Tensor]) -> Tensor:
    """The rows of all sequences but their first and last."""
    return torch.cat([part[1:-1] for part in sequences])


def middle(sequences: Sequence[Tensor]) -> Tensor:
    """The middle row of each sequence."""
    return torch.stack([part[len(part) // 2] for part in sequences])
