"""Images to noise and back, in memory: what `geodesic invert` reports, and what directions in noise are made of.

    images --encode--> z --up--> x at tau --down--> z' --decode--> images again

The way back is judged twice: against the images, and against what the autoencoder alone makes of them, z decoded.
The second is the transport's own error; the first also has the autoencoder's, which no transport can mend.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion.score import guided, guided_evaluations
from geodesic_cli.diffusion.transport import ddim
from geodesic_cli.errors import ModelError
from geodesic_cli.frames.canvas import Canvas
from geodesic_cli.frames.keyframes import conditions_for


@dataclass(frozen=True, eq=False)
class Journey:
    """How points are carried between clean data and noise level tau.

    Args:
        model: whose probability flow it is.
        canvas: the size of the images.
        tau: the noise level; 1 is pure noise.
        steps: network evaluations on the way up, and about as many down.
        guidance: classifier-free scale, the same both ways.
        scheme: `adams`, of second order on a grid made for it (`diffusion.transport`); `ddim`, as published; or
            `ridge`, which asks no network: x = a z, where the density at level tau puts z itself (a = sqrt(alpha_bar)).
        fresh: whether the points are drawn from fresh noise; then clean data are held where the model's own sampler
            holds them (`diffusion.holding`), and the way down no longer inverts the way up.
    """

    model: LatentDiffusion
    canvas: Canvas
    tau: float = 1.0
    steps: int = 24
    guidance: float = 1.0
    scheme: str = "adams"
    fresh: bool = False

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a latent."""
        return self.model.latent_shape(*self.canvas.padded)

    @property
    def evaluations(self) -> tuple[int, int]:
        """Network evaluations a point, up and down."""
        if self.scheme == "ridge":
            return 0, 0
        branches = guided_evaluations(self.guidance)
        return branches * self.steps, branches * (self.steps + (self.scheme == "adams"))

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, 3, h, w) at the size of the canvas to clean points (n, d)."""
        return self.model.encode(self.canvas.pad(images))

    def decode(self, z: Tensor) -> Tensor:
        """Clean points (n, d) to images at the size of the canvas, on the CPU."""
        return self.canvas.crop(self.model.decode(z, self.shape)).cpu()

    def up(self, z: Tensor, condition: Embedding) -> Tensor:
        """Clean points z (n, d) to noise level tau, each under its row of the condition, or all under its one row."""
        if self.scheme == "ridge":
            return self.model.ridge(z.to(self.model.device), self.tau)
        if self.scheme == "adams":
            return self.model.lift(z, self.shape, condition.expand(len(z)), self.tau, self.steps, self.guidance)
        return self._ddim(z, condition, 0.0, self.tau)

    def down(self, x: Tensor, condition: Embedding) -> Tensor:
        """Points x (n, d) at noise level tau to clean ones."""
        if self.scheme == "ridge":
            return self.model.from_ridge(x, self.tau).float()
        if self.scheme == "adams":
            if self.fresh and self.tau == 1:
                return self.model.generate(x, self.shape, condition.expand(len(x)), self.steps, self.guidance)
            return self.model.drop(x, self.shape, condition.expand(len(x)), self.tau, self.steps, self.guidance)
        return self._ddim(x, condition, self.tau, 0.0)

    def draw(self, x: Tensor, condition: Embedding) -> Tensor:
        """Points at noise level tau to images (n, 3, h, w) on the CPU."""
        return self.decode(self.down(x, condition))

    def _ddim(self, points: Tensor, condition: Embedding, start: float, stop: float) -> Tensor:
        model = self.model
        null = None if self.guidance == 1 else model.prompts.null()
        predict = guided(model.predict, condition.expand(len(points)), null, self.guidance)
        begin = points.to(model.device, torch.float32).reshape(-1, *self.shape)
        hold = model.predict.hold if self.fresh and start > stop else None
        carried = ddim(predict, begin, start, stop, model.predict.schedule, self.steps, hold).flatten(1)
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
    z = journey.encode(images)
    x = journey.up(z, condition)
    again = journey.down(x, condition)
    autoencoded, back = (journey.decode(latent) for latent in (z, again))
    error = (again.cpu() - z.cpu()).square().mean(1)
    return Reconstruction(z.cpu(), x.cpu(), autoencoded, back, error)


def conditions(model: LatentDiffusion, prompts: tuple[str, ...], n: int) -> Embedding:
    """n rows: of no prompt, of one for all, or of one for each.

    Raises:
        InputError: another number of prompts.
    """
    return Embedding.cat(conditions_for(model, prompts, n))
