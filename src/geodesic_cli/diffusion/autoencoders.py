"""Autoencoders of models that have another kind or none, with the interface of diffusers' ``AutoencoderKL``."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""What a gray picture takes of red, green and blue (BT.601, as picture tools do)."""


class PixelAutoencoder(torch.nn.Module):
    """The pixels themselves, as a diffusers autoencoder: the latents of a pixel model are its images in [-1, 1].

    A gray model sees the luma of an image, and shows its own pictures gray. A model with a fourth channel, its alpha,
    sees an opaque image, and shows its own pictures on white.

    Args:
        channels: 1, 3 or 4.
        centred: whether the latents are from -1 to 1; otherwise from 0 to 1.
    """

    def __init__(self, channels: int = 3, centred: bool = True) -> None:
        from diffusers.configuration_utils import FrozenDict

        super().__init__()
        self._here: Tensor
        self.register_buffer("_here", torch.zeros(()), persistent=False)
        self.config = FrozenDict(
            latent_channels=channels,
            block_out_channels=(1,),
            scaling_factor=1.0 if centred else 0.5,
            shift_factor=0.0 if centred else -1.0,
        )

    @property
    def device(self) -> torch.device:
        """Where it was sent."""
        return self._here.device

    @property
    def dtype(self) -> torch.dtype:
        """What it was sent to."""
        return self._here.dtype

    def encode(self, x: Tensor) -> Any:
        """X (n, 3, h, w) as its own mode."""
        channels = self.config["latent_channels"]
        if channels == 1:
            x = torch.einsum("nchw,c->nhw", x, torch.tensor(LUMA).to(x))[:, None]
        elif channels == 4:
            x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        return _certain(x)

    def decode(self, z: Tensor) -> Any:
        """Z as the sample (n, 3, h, w)."""
        if z.shape[1] == 1:
            z = z.expand(-1, 3, -1, -1)
        elif z.shape[1] == 4:
            alpha = (z[:, 3:] / 2 + 0.5).clamp(0, 1)
            z = z[:, :3] * alpha + (1 - alpha)
        return SimpleNamespace(sample=z)


class QuantisedAutoencoder(torch.nn.Module):
    """A diffusers ``VQModel`` with the interface of its ``AutoencoderKL``."""

    def __init__(self, vqvae: Any) -> None:
        super().__init__()
        self.vqvae = vqvae

    @property
    def config(self) -> Any:
        """Of the model inside."""
        return self.vqvae.config

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return torch.device(self.vqvae.device)

    @property
    def dtype(self) -> torch.dtype:
        """Of the model's weights."""
        dtype: torch.dtype = self.vqvae.dtype
        return dtype

    def encode(self, x: Tensor) -> Any:
        """The latents before quantisation, as their own mode."""
        return _certain(self.vqvae.encode(x).latents)

    def decode(self, z: Tensor) -> Any:
        """Quantise and decode."""
        return self.vqvae.decode(z)


def _certain(mode: Tensor) -> Any:
    return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: mode))
