"""The noises that a verb begins with: those of images, or random ones, which two models of one shape have in common."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.frames.canvas import Canvas, fit
from geodesic_cli.frames.journey import Journey
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import CombineSettings, LineSettings
from geodesic_cli.verbs.latent.beside import stage_of
from geodesic_cli.verbs.latent.survival import warn_of_structure


@dataclass(frozen=True, eq=False)
class Noises:
    """Points at the noise level of a run.

    Args:
        journey: the way between them and images.
        x: (n, d), on the CPU; None before they are known.
        condition: one row, or n of them.
        images: (n, 3, h, w), what they are of; None of random ones.
        name: of the model, where there are two.
    """

    journey: Journey
    condition: Embedding
    images: Tensor | None
    name: str
    x: Tensor | None = None

    @property
    def points(self) -> Tensor:
        """The points, which are known by now."""
        assert self.x is not None
        return self.x


def made_ready(
    settings: LineSettings | CombineSettings,
    model: LatentDiffusion,
    read: Sequence[Tensor | media.Still],
    condition: Embedding,
    observer: Observer,
    name: str,
) -> Noises:
    """What noises are to be made of; all that may be refused is refused here.

    Args:
        settings: of the run.
        model: whose noises they are.
        read: the images; none for random noises.
        condition: one row, or one for each noise.
        observer: told what is cut off of images.
        name: of the model, where there are two.
    """
    s = settings
    images, canvas = fit(read, s.images, s.size, model, observer) if read else (None, Canvas.of(model, s.size))
    model.latent_shape(*canvas.padded)  # refuses a size that the model cannot take
    journey = Journey(model, canvas, s.tau, s.steps, s.guidance, s.scheme, fresh=images is None)
    return Noises(journey, condition, images, name)


def noises_of(ready: Noises, settings: LineSettings | CombineSettings, count: int, observer: Observer) -> Noises:
    """The noises themselves: of the images, with a warning where they are none, or so many random ones."""
    s, journey = settings, ready.journey
    if ready.images is None:
        drawn = torch.randn(count, *journey.shape, generator=torch.Generator().manual_seed(s.seed))
        return replace(ready, x=drawn.flatten(1))
    observer.stage(stage_of("Inverting", ready.name), journey.evaluations[0] * len(ready.images))
    x = journey.up(journey.encode(ready.images), ready.condition.expand(len(ready.images))).cpu()
    observer.advance(journey.evaluations[0] * len(ready.images))
    if s.tau == 1:
        warn_of_structure(x, journey.shape, s.images, observer, ready.name)
    return replace(ready, x=x)
