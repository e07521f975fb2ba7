"""Autoencoders of models that have another kind or none, with the interface of diffusers' ``AutoencoderKL``."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor


class PixelAutoencoder(torch.nn.Module):
    """The identity, as a diffusers autoencoder: the latents of a pixel model are its images in [-1, 1]."""

    def __init__(self, channels: int = 3) -> None:
        from diffusers.configuration_utils import FrozenDict

        super().__init__()
        self._here: Tensor
        self.register_buffer("_here", torch.zeros(()), persistent=False)
        self.config = FrozenDict(latent_channels=channels, block_out_channels=(1,), scaling_factor=1.0)

    @property
    def device(self) -> torch.device:
        """Where it was sent."""
        return self._here.device

    @property
    def dtype(self) -> torch.dtype:
        """What it was sent to."""
        return self._here.dtype

    def encode(self, x: Tensor) -> Any:
        """X as its own mode."""
        return _certain(x)

    def decode(self, z: Tensor) -> Any:
        """Z as the sample."""
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
