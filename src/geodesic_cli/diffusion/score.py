"""The score of a diffusion model at one noise level: grad_x log p_tau(x | c(u)) = -eps / sigma, in nats per unit of x.

Points are flattened latents (n, d) at noise level tau, x = a z + sigma eps. The network may predict the noise
(epsilon), the velocity v = a eps - sigma z (Salimans & Ho, ICLR 2022), the clean sample z, or the velocity eps - z of
flow matching; all four give the same score.
Classifier-free guidance (Ho & Salimans, 2022) is the score of p(x|c)^g p(x|"")^(1-g): g = 1 is the plain conditional
density, and then the network is called once a point.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion import families
from geodesic_cli.diffusion.batching import Chunks, item_cost
from geodesic_cli.diffusion.conditioning import Conditioning, Embedding
from geodesic_cli.diffusion.holding import Hold
from geodesic_cli.diffusion.schedule import Schedule
from geodesic_cli.errors import ModelError

PREDICTIONS = ("epsilon", "v_prediction", "sample", "flow_prediction")
FAR = 1e4
"""Noisy data are about 1 large, hundreds where noise explodes. What a network says of points with coordinates beyond
this is not its fault: who went there hears NaN, and deals with it."""


@dataclass(frozen=True, eq=False)
class NoisePredictor:
    """A network's output as predicted noise, whatever it was trained to predict; a pure function.

    Args:
        unet: the network, a UNet or a transformer of diffusers (or a callable alike), in evaluation mode.
        schedule: the noise schedule it was trained with.
        prediction: of `PREDICTIONS`.
        chunks: how many latents go through the network at once.
        ask: how this kind of network is called.
        hold: where its sampler holds clean data; for drawing from fresh noise alone, no score is changed by it.
    """

    unet: Any
    schedule: Schedule
    prediction: str = "epsilon"
    chunks: Chunks = field(default_factory=Chunks)
    ask: families.Ask = families.unet
    hold: Hold | None = None

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            raise ModelError(f"A model must predict one of {', '.join(PREDICTIONS)}; got {self.prediction!r}.")

    @torch.no_grad()
    def __call__(self, z: Tensor, timestep: float | Tensor, condition: Embedding) -> Tensor:
        """Predicted noise for noisy latents z (n, C, H, W) with conditions of n rows, in the dtype and device of z.

        Args:
            z: (n, C, H, W).
            timestep: the network's time, one for all rows or (n,).
            condition: n rows.

        Raises:
            ModelError: a prediction that is not finite at a point that is within reach.
        """
        columns = (z, condition, timestep) if isinstance(timestep, Tensor) else (z, condition)
        device, dtype = self.place
        cost = item_cost(self.unet, tuple(z.shape[1:]), dtype)
        made = self.chunks.map(
            lambda part, c, own=timestep: self.traced(part, own, c), *columns, cost=cost, device=device
        )
        # The one place where it is looked at: every score, every way to noise and back, and every search pass here.
        bad = ~made.flatten(1).isfinite().all(1) & (z.detach().flatten(1).abs() < FAR).all(1).to(made.device)
        if bool(bad.any()):
            raise ModelError(
                f"The noise that the model predicts is not finite (NaN or infinity) at {int(bad.sum())} of {len(bad)} "
                "points.",
                "Pass --dtype fp32; if it stays so, the weights are damaged.",
            )
        return made

    @property
    def place(self) -> tuple[torch.device, torch.dtype]:
        """Where the network computes, and in which dtype.

        Read off its first weight, because the properties of diffusers look through all modules: milliseconds a time.
        """
        weights = self.unet.parameters() if isinstance(self.unet, torch.nn.Module) else iter(())
        for first in weights:
            return first.device, first.dtype
        return torch.device(self.unet.device), self.unet.dtype

    def traced(self, z: Tensor, timestep: float | Tensor, condition: Embedding) -> Tensor:
        """The same in one piece, and with gradients where autograd records them."""
        device, dtype = self.place
        if isinstance(timestep, Tensor):
            times = timestep.to(device, torch.float32)
        else:
            times = torch.full((len(z),), timestep, device=device)
        output = self.ask(self.unet, z.to(device, dtype), times, condition.to(device, dtype)).to(z.device, z.dtype)
        return self._noise(output, z, timestep)

    def _noise(self, output: Tensor, z: Tensor, timestep: float | Tensor) -> Tensor:
        """The network's answer as noise."""
        if self.prediction == "epsilon":
            return output
        signal, sigma = self._level(timestep, z)
        if self.prediction == "v_prediction":
            return signal * output + sigma * z
        if self.prediction == "flow_prediction":
            return z + signal * output
        return (z - signal * output) / sigma

    def _level(self, timestep: float | Tensor, z: Tensor) -> tuple[float, float] | tuple[Tensor, Tensor]:
        """(a, sigma) at a network time; of one time a row, as columns (n, 1, 1, 1)."""
        if not isinstance(timestep, Tensor):
            return self.schedule.at(timestep)
        levels = z.new_tensor([self.schedule.at(one) for one in timestep.tolist()])
        return levels[:, 0].reshape(-1, 1, 1, 1), levels[:, 1].reshape(-1, 1, 1, 1)


@dataclass(frozen=True, eq=False)
class DiffusionScore:
    """grad_x log p_tau(x | c(u)) of a latent diffusion model; a `geometry.Score`.

    Args:
        predict: eps(z, timestep, condition).
        shape: (C, H, W) of the latents that x flattens.
        tau: noise level, a fraction of the schedule in (0, 1].
        conditioning: c(u).
        null: the embedding of no prompt, one row; used when guidance is not 1.
        guidance: classifier-free scale g.
    """

    predict: NoisePredictor
    shape: tuple[int, int, int]
    tau: float
    conditioning: Conditioning
    null: Embedding | None = None
    guidance: float = 1.0

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        """The score (n, d) at points x (n, d) and positions u (n,); dtype and device of x."""
        _, sigma, timestep = self.predict.schedule.level(self.tau)
        if sigma == 0:
            raise ModelError("The score is not defined on clean data (tau 0).", "Pass a --tau above 0, such as 0.4.")
        z = x.to(torch.float32).reshape(-1, *self.shape)
        eps = guided(self.predict, self.conditioning(u), self.null, self.guidance)(z, timestep)
        return (-eps / sigma).reshape(len(x), -1).to(x.dtype)


def guided_evaluations(guidance: float) -> int:
    """Network evaluations for one of a guided score: with the prompt and, unless the scale is 1, without it."""
    return 1 if guidance == 1 else 2


def guided(
    predict: NoisePredictor, condition: Embedding, null: Embedding | None, guidance: float
) -> Callable[[Tensor, float], Tensor]:
    """eps_null + g (eps_c - eps_null) as a function of latents and time; both branches go in one batched call.

    At g = 1, or without a null embedding, the null branch is not computed.
    """
    if guidance == 1 or null is None:
        return lambda z, timestep: predict(z, timestep, condition)

    def both(z: Tensor, timestep: float) -> Tensor:
        conditions = Embedding.cat([null.expand(len(condition)).to(condition.tokens.device), condition])
        stacked = predict(torch.cat([z, z]), timestep, conditions)
        without, with_prompt = stacked.chunk(2)
        return without + guidance * (with_prompt - without)

    return both
