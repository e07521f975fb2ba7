"""How each family of networks is called. One signature: latents (n, C, H, W), times (n,) and an embedding of n rows.

The numbers come back as the network gives them; `score.NoisePredictor` knows what they mean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion.conditioning import Embedding

Ask = Callable[[Any, Tensor, Tensor, Embedding], Tensor]
"""Network, latents (n, C, H, W), times (n,), embedding of n rows -> output (n, C, H, W)."""

LATENT_PIXEL = 8
"""Image pixels along each side of a latent pixel, in every model with size conditioning."""


def unet(network: Any, z: Tensor, times: Tensor, condition: Embedding) -> Tensor:
    """Stable Diffusion 1 and 2: text by cross-attention."""
    return network(z, times, encoder_hidden_states=condition.tokens).sample


def unet_with_size(network: Any, z: Tensor, times: Tensor, condition: Embedding) -> Tensor:
    """SDXL: text, its pooled vector, and six numbers: height and width before any crop, the crop's corner, the target.

    The image is said to be of its own size and uncropped, as in the pipeline's own default.
    """
    size = [LATENT_PIXEL * side for side in z.shape[2:]]
    time_ids = torch.tensor([*size, 0, 0, *size], device=z.device, dtype=z.dtype).expand(len(z), -1)
    added = {"text_embeds": condition.pooled, "time_ids": time_ids}
    return network(z, times, encoder_hidden_states=condition.tokens, added_cond_kwargs=added).sample


def transformer(network: Any, z: Tensor, times: Tensor, condition: Embedding) -> Tensor:
    """Stable Diffusion 3: a transformer that reads text and its pooled vector."""
    return network(
        z, timestep=times, encoder_hidden_states=condition.tokens, pooled_projections=condition.pooled
    ).sample


def packed_transformer(network: Any, z: Tensor, times: Tensor, condition: Embedding) -> Tensor:
    """Flux: patches of 2 x 2 latent pixels with their positions; time runs from 0 to 1.

    A network distilled from guidance is told the scale 1, at which it gives the plain conditional prediction.
    """
    n, channels, height, width = z.shape
    rows, columns = height // 2, width // 2
    patches = z.reshape(n, channels, rows, 2, columns, 2).permute(0, 2, 4, 1, 3, 5).reshape(n, rows * columns, -1)
    grid = torch.cartesian_prod(torch.arange(1), torch.arange(rows), torch.arange(columns)).to(z)
    told = torch.ones(n, device=z.device, dtype=z.dtype) if network.config.guidance_embeds else None
    output = network(
        hidden_states=patches,
        timestep=times.to(z.dtype) / 1000,
        guidance=told,
        pooled_projections=condition.pooled,
        encoder_hidden_states=condition.tokens,
        txt_ids=z.new_zeros(condition.tokens.shape[1], 3),
        img_ids=grid.reshape(-1, 3),
    ).sample
    return output.reshape(n, rows, columns, channels, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(z.shape)


@dataclass(frozen=True)
class Preconditioned:
    """A network inside the preconditioning of EDM (Karras et al., NeurIPS 2022, table 1); its answer as noise.

    With x_e = z + sigma eps and data of spread d the network F reads x_e / t, t = sqrt(sigma^2 + d^2), and the clean
    data are D = (d / t)^2 x_e + k (sigma d / t) F. So eps = (x_e - D) / sigma = (sigma / t^2) x_e - k (d / t) F. The
    network's time is log(sigma) / 4. The latents of this program are x = x_e / sqrt(1 + sigma^2), the same density at
    another scale.

    Args:
        ask: how the network itself is called.
        spread: d.
        sign: k; 1 where the configuration says epsilon and -1 where it says v_prediction.
    """

    ask: Ask
    spread: float
    sign: float = 1.0

    def __call__(self, network: Any, z: Tensor, times: Tensor, condition: Embedding) -> Tensor:
        """The predicted noise."""
        wide = torch.promote_types(z.dtype, torch.float32)
        sigma = (4 * times.to(wide)).exp().reshape(-1, 1, 1, 1)
        noisy, total = z.to(wide) * (1 + sigma**2).sqrt(), (sigma**2 + self.spread**2).sqrt()
        output = self.ask(network, (noisy / total).to(z.dtype), times, condition).to(wide)
        return noisy * sigma / total**2 - self.sign * self.spread / total * output


@dataclass(frozen=True)
class ScoreModel:
    """A network that reads x_e = z + sigma eps and sigma, and answers the score of x_e; its answer as noise.

    This is the variance-exploding model of Song et al., ICLR 2021: eps = -sigma score.

    Args:
        ask: how the network itself is called.
    """

    ask: Ask

    def __call__(self, network: Any, z: Tensor, times: Tensor, condition: Embedding) -> Tensor:
        """The predicted noise."""
        wide = torch.promote_types(z.dtype, torch.float32)
        sigma = times.to(wide).reshape(-1, 1, 1, 1)
        noisy = (z.to(wide) * (1 + sigma**2).sqrt()).to(z.dtype)
        return -sigma * self.ask(network, noisy, times, condition).to(wide)
