"""The examples of one step: noised latents that are a function of the seed, the step and the place in the batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.diffusion import Embedding
from geodesic_cli.diffusion.tuning.trainee import Trainee
from geodesic_cli.verbs.finetune.data import Data
from geodesic_cli.verbs.finetune.deck import generator


@dataclass(frozen=True, eq=False)
class Batch:
    """Noised examples: n rows of everything.

    Args:
        x: noisy latents (n, C, H, W).
        z: clean ones.
        noise: what was added.
        timestep: (n,), integers.
        condition: n rows.
        places: of the rows among all examples of the step.
        noisy: (n,), whether the regulariser looks at the row.
    """

    x: Tensor
    z: Tensor
    noise: Tensor
    timestep: Tensor
    condition: Embedding
    places: tuple[int, ...]
    noisy: Tensor

    @property
    def rows(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Embedding]:
        """What `Trainee.errors` asks for."""
        return self.x, self.z, self.noise, self.timestep, self.condition

    def only(self, which: Tensor) -> "Batch":
        """The rows where (n,) is true."""
        rows = which.to(self.x.device)
        places = tuple(place for place, wanted in zip(self.places, which.tolist(), strict=True) if wanted)
        x, z, noise = (part[rows] for part in (self.x, self.z, self.noise))
        return Batch(x, z, noise, self.timestep[which], self.condition[rows], places, self.noisy[which])


@dataclass(frozen=True)
class Noising:
    """How examples are noised.

    Args:
        gamma: the regulariser looks at timesteps above this fraction of all.
        offset: of the noise: so many times a standard normal number for each image and channel is added to it, which
            teaches a model to be dark or bright all over (Guttenberg & CrossLabs, 2023).
    """

    gamma: float
    offset: float = 0.0


def timesteps(seed: int, step: int, count: int, levels: int) -> Tensor:
    """Integer timesteps (count,) in range(levels), one in each count-th part of the range, in random order."""
    source = generator(seed, "timesteps", step)
    spread = torch.randperm(count, generator=source) + torch.rand(count, generator=source, dtype=torch.float64)
    return (spread / count * levels).long().clamp(max=levels - 1)


def examples(trainee: Trainee, data: Data, seed: int, step: int, total: int, places: range, how: Noising) -> Batch:
    """The examples at some places among all of a step, noised."""
    images, captions = data.batch(step, total, places)
    return noised(trainee, trainee.latents(images), captions, seed, step, total, places, how)


def noised(
    trainee: Trainee, z: Tensor, captions: list[str], seed: int, step: int, total: int, places: range, how: Noising
) -> Batch:
    """Clean latents z (n, C, H, W) with their captions as the examples at some places among all of a step."""
    levels = timesteps(seed, step, total, trainee.timesteps)[list(places)]
    draws = [torch.randn(z.shape[1:], generator=generator(seed, "noise", step, k)) for k in places]
    if how.offset:
        shape = (z.shape[1], 1, 1)
        shifts = (torch.randn(shape, generator=generator(seed, "noise offset", step, k)) for k in places)
        draws = [noise + how.offset * shift for noise, shift in zip(draws, shifts, strict=True)]
    noise = torch.stack(draws).to(z.device)
    condition = trainee.embed(captions)
    noisy = levels > how.gamma * trainee.timesteps
    return Batch(trainee.noised(z, noise, levels), z, noise, levels, condition, tuple(places), noisy)
