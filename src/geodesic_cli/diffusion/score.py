"""The score of a diffusion model at one noise level: grad_x log p_tau(x | c(u)) = -eps / sigma, in nats per unit of x.

Points are flattened latents (n, d) at noise level tau. The network may predict the noise (epsilon), the velocity
v = sqrt(alpha_bar) eps - sigma z (Salimans & Ho, ICLR 2022) or the clean sample z; all three give the same score.
Classifier-free guidance (Ho & Salimans, 2022) is the score of p(x|c)^g p(x|"")^(1-g): g = 1 is the plain conditional
density, and then the network is called once a point.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion.prompts import Conditioning
from geodesic_cli.diffusion.schedule import NoiseSchedule
from geodesic_cli.errors import ModelError


@dataclass(frozen=True, eq=False)
class NoisePredictor:
    """A network's output as predicted noise, whatever it was trained to predict; a pure function.

    Args:
        unet: a diffusers ``UNet2DConditionModel`` (or a callable alike) in evaluation mode.
        schedule: the noise schedule it was trained with.
        prediction: ``epsilon``, ``v_prediction`` or ``sample``.
        batch: how many latents go through the network at once, at most.
        numbers: how many numbers these latents may hold; it bounds the memory for large images.
    """

    unet: Any
    schedule: NoiseSchedule
    prediction: str = "epsilon"
    batch: int = 64
    numbers: int = 2**18

    def __post_init__(self) -> None:
        if self.prediction not in ("epsilon", "v_prediction", "sample"):
            raise ModelError(
                f"A model must predict epsilon, v_prediction or sample; this one predicts {self.prediction!r}."
            )

    @torch.no_grad()
    def __call__(self, z: Tensor, timestep: float, condition: Tensor) -> Tensor:
        """Predicted noise for noisy latents z (n, C, H, W) with conditions (n, tokens, width), in the dtype of z."""
        at_once = max(1, min(self.batch, self.numbers // z[0].numel()))
        parts = [
            self.unet(
                part.to(self.unet.device, self.unet.dtype),
                torch.full((len(part),), timestep, device=self.unet.device),
                encoder_hidden_states=c.to(self.unet.device, self.unet.dtype),
            ).sample.to(z.device, z.dtype)
            for part, c in zip(z.split(at_once), condition.split(at_once), strict=True)
        ]
        output = torch.cat(parts)
        if self.prediction == "epsilon":
            return output
        s = self._noise_to_signal(timestep)
        signal = (1 + s * s) ** -0.5
        sigma = s * signal
        if self.prediction == "v_prediction":
            return signal * output + sigma * z
        return (z - signal * output) / sigma

    def _noise_to_signal(self, timestep: float) -> float:
        return self.schedule.noise_to_signal((timestep + 1) / len(self.schedule.alpha_bar))


@dataclass(frozen=True, eq=False)
class DiffusionScore:
    """grad_x log p_tau(x | c(u)) of a latent diffusion model; a `geometry.Score`.

    Args:
        predict: eps(z, timestep, condition).
        shape: (C, H, W) of the latents that x flattens.
        tau: noise level, a fraction of the schedule in (0, 1].
        conditioning: c(u).
        null: the embedding of the empty prompt; used when guidance is not 1.
        guidance: classifier-free scale g.
    """

    predict: NoisePredictor
    shape: tuple[int, int, int]
    tau: float
    conditioning: Conditioning
    null: Tensor | None = None
    guidance: float = 1.0

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        """The score (n, d) at points x (n, d) and positions u (n,); dtype and device of x."""
        _, sigma, timestep = self.predict.schedule.level(self.tau)
        if sigma == 0:
            raise ModelError("The score is not defined on clean data (tau 0).", "Pass a --tau above 0, such as 0.4.")
        z = x.to(torch.float32).reshape(-1, *self.shape)
        eps = guided(self.predict, self.conditioning(u), self.null, self.guidance)(z, timestep)
        return (-eps / sigma).reshape(len(x), -1).to(x.dtype)


def guided(
    predict: NoisePredictor, condition: Tensor, null: Tensor | None, guidance: float
) -> Callable[[Tensor, float], Tensor]:
    """eps_null + g (eps_c - eps_null) as a function of latents and time; both branches go in one batched call.

    At g = 1, or without a null embedding, the null branch is not computed.
    """
    if guidance == 1 or null is None:
        return lambda z, timestep: predict(z, timestep, condition)

    def both(z: Tensor, timestep: float) -> Tensor:
        stacked = predict(torch.cat([z, z]), timestep, torch.cat([null.expand_as(condition), condition]))
        without, with_prompt = stacked.chunk(2)
        return without + guidance * (with_prompt - without)

    return both
