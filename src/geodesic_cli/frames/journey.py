"""Images to noise and back, in memory: what `geodesic invert` reports, and what directions in noise are made of.

    images --encode--> z --up--> x at tau --down--> z' --decode--> images again

The way back is judged twice: against the images, and against what the autoencoder alone makes of them, z decoded.
The second is the transport's own error; the first also has the autoencoder's, which no transport can mend.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion.score import guided, guided_evaluations
from geodesic_cli.diffusion.transport import ddim
from geodesic_cli.errors import ModelError
from geodesic_cli.frames.keyframes import conditions_for
from geodesic_cli.runs.observer import Observer


def fitted(
    read: list[Tensor], names: tuple[str, ...], model: LatentDiffusion, size: str | None, observer: Observer
) -> Tensor:
    """Images of any sizes at the size of the run, (n, 3, h, w), with a warning where they are cropped."""
    height, width = (model.image_size, model.image_size) if size is None else media.parse_size(size)
    model.latent_shape(height, width)
    cropped = [
        f"{name} ({image.shape[2]}x{image.shape[1]})"
        for name, image in zip(names, read, strict=True)
        if abs(image.shape[1] / image.shape[2] - height / width) > 0.01
    ]
    if cropped:
        several = f" and {len(cropped) - 1} more" if len(cropped) > 1 else ""
        observer.warn(f"Of {cropped[0]}{several} the middle is used, at {width}x{height}.")
    return torch.stack([media.resize(image, height, width) for image in read])


@dataclass(frozen=True, eq=False)
class Journey:
    """How points are carried between clean data and noise level tau.

    Args:
        model: whose probability flow it is.
        shape: (C, H, W) of a latent.
        tau: the noise level; 1 is pure noise.
        steps: network evaluations on the way up, and about as many down.
        guidance: classifier-free scale, the same both ways.
        scheme: `adams`, of second order on a grid made for it (`diffusion.transport`), or `ddim`, as published.
    """

    model: LatentDiffusion
    shape: tuple[int, int, int]
    tau: float = 1.0
    steps: int = 24
    guidance: float = 1.0
    scheme: str = "adams"

    @property
    def evaluations(self) -> tuple[int, int]:
        """Network evaluations a point, up and down."""
        branches = guided_evaluations(self.guidance)
        return branches * self.steps, branches * (self.steps + (self.scheme == "adams"))

    def up(self, z: Tensor, condition: Embedding) -> Tensor:
        """Clean points z (n, d) to noise level tau, each under its row of the condition, or all under its one row."""
        if self.scheme == "adams":
            return self.model.lift(z, self.shape, condition.expand(len(z)), self.tau, self.steps, self.guidance)
        return self._ddim(z, condition, 0.0, self.tau)

    def down(self, x: Tensor, condition: Embedding) -> Tensor:
        """Points x (n, d) at noise level tau to clean ones."""
        if self.scheme == "adams":
            return self.model.drop(x, self.shape, condition.expand(len(x)), self.tau, self.steps, self.guidance)
        return self._ddim(x, condition, self.tau, 0.0)

    def draw(self, x: Tensor, condition: Embedding) -> Tensor:
        """Points at noise level tau to images (n, 3, h, w) on the CPU."""
        return self.model.decode(self.down(x, condition), self.shape).cpu()

    def _ddim(self, points: Tensor, condition: Embedding, start: float, stop: float) -> Tensor:
        model = self.model
        null = None if self.guidance == 1 else model.prompts.null()
        predict = guided(model.predict, condition.expand(len(points)), null, self.guidance)
        begin = points.to(model.device, torch.float32).reshape(-1, *self.shape)
        carried = ddim(predict, begin, start, stop, model.predict.schedule, self.steps).flatten(1)
        if not bool(torch.isfinite(carried).all()):
            raise ModelError(
                f"The noise predicted by {model.name} is not finite (NaN or infinity).", "Pass --dtype fp32."
            )
        return carried


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Images carried to noise and back.

    Args:
        z: (n, d), clean latents.
        x: (n, d), the same at noise level tau.
        autoencoded: (n, 3, h, w), z decoded: what the autoencoder alone makes of the images.
        back: (n, 3, h, w), x carried down and decoded.
        latent_error: (n,), mean squared error of the clean latents that came back.
    """

    z: Tensor
    x: Tensor
    autoencoded: Tensor
    back: Tensor
    latent_error: Tensor


def reconstruct(journey: Journey, images: Tensor, condition: Embedding) -> Reconstruction:
    """Carry images (n, 3, h, w) to noise and back, each under its row of the condition, or all under its one row."""
    z = journey.model.encode(images)
    if not bool(torch.isfinite(z).all()):
        raise ModelError(f"The autoencoder of {journey.model.name} gives NaN or infinity.", "Pass --dtype fp32.")
    x = journey.up(z, condition)
    again = journey.down(x, condition)
    autoencoded, back = (journey.model.decode(latent, journey.shape).cpu() for latent in (z, again))
    error = (again.cpu() - z.cpu()).square().mean(1)
    return Reconstruction(z.cpu(), x.cpu(), autoencoded, back, error)


def conditions(model: LatentDiffusion, prompts: tuple[str, ...], n: int) -> Embedding:
    """n rows: of no prompt, of one for all, or of one for each.

    Raises:
        InputError: another number of prompts.
    """
    return Embedding.cat(conditions_for(model, prompts, n))
