"""Images to latents and back: the autoencoder's posterior mean, scaled to unit variance. The place that knows C, H, W.

Images are (n, 3, h, w) in [0, 1]; latents z are (n, C, h / f, w / f) with f the autoencoder's downsampling.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.errors import InputError

TILE = 1024
"""Side of an image in pixels above which the autoencoder works in overlapping tiles of that side."""
LOW_TILE = 512
"""The same where memory is low."""


def tile_above(vae: Any, side: int) -> None:
    """Let an autoencoder of diffusers work in tiles on images with a side above ``side`` pixels; in place.

    Tiles overlap by a quarter and are blended. Their normalisation sees a tile and not the image, so the result is near
    that of the whole image, not equal to it; smaller images are not touched.
    """
    vae.enable_tiling()
    vae.tile_sample_min_size = side
    vae.tile_latent_min_size = side // 2 ** (len(vae.config.block_out_channels) - 1)


@dataclass(frozen=True, eq=False)
class LatentCodec:
    """A diffusers ``AutoencoderKL`` as a pair of pure functions.

    Args:
        vae: the autoencoder, in evaluation mode.
        pixels: how many pixels go through it at once; it bounds memory and never changes a result beyond rounding.
        multiple: of latent pixels that the sides of a latent are; a transformer reads patches, and a
            network that halves its latents k times may need 2^k.
        most: latent pixels along a side, at most; None is no limit. Stable Diffusion 3 has a table of positions.
    """

    vae: Any
    pixels: int = 2**20
    multiple: int = 1
    most: int | None = None

    @property
    def channels(self) -> int:
        """Latent channels C."""
        return int(self.vae.config.latent_channels)

    @property
    def downsampling(self) -> int:
        """Image pixels per latent pixel, along each side."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def step(self) -> int:
        """The sides of an image are multiples of it, in pixels."""
        return self.downsampling * self.multiple

    def latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(C, H, W) for an image size.

        Raises:
            InputError: a side is no multiple of what the model needs, or longer than it has positions for.
        """
        f = self.step
        if height % f or width % f or min(height, width) < f:
            raise InputError(
                f"This model needs image sides that are multiples of {f}; got {width}x{height}.",
                f"Pass --size {max(f, round(width / f) * f)}x{max(f, round(height / f) * f)}.",
            )
        if self.most is not None and max(height, width) > self.most * self.downsampling:
            raise InputError(
                f"This model knows positions up to {self.most * self.downsampling} pixels; got {width}x{height}.",
                f"Pass a --size of at most {self.most * self.downsampling // f * f} pixels a side.",
            )
        return self.channels, height // self.downsampling, width // self.downsampling

    def tiled(self, height: int, width: int) -> bool:
        """Whether an image of this size goes through in tiles; see `tile_above`."""
        return bool(getattr(self.vae, "use_tiling", False)) and max(height, width) > self.vae.tile_sample_min_size

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Images (n, 3, h, w) in [0, 1] to latents (n, C, H, W), float32."""
        self.latent_shape(*images.shape[2:])
        shift, scale = self._affine(self.vae.device)
        parts = [
            self.vae.encode((2 * part - 1).to(self.vae.device, self.vae.dtype)).latent_dist.mode().float()
            for part in images.split(self._at_once(*images.shape[2:]))
        ]
        return (torch.cat(parts) - shift) * scale

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Latents (n, C, H, W) to images (n, 3, h, w), float32 in [0, 1]."""
        shift, scale = self._affine(z.device)
        parts = [
            self.vae.decode((part / scale + shift).to(self.vae.device, self.vae.dtype)).sample.float()
            for part in z.split(self._at_once(*(side * self.downsampling for side in z.shape[2:])))
        ]
        return (torch.cat(parts) / 2 + 0.5).clamp(0, 1)

    def _at_once(self, height: int, width: int) -> int:
        return max(1, min(64, self.pixels // (height * width)))

    @property
    def statistics(self) -> tuple[float, ...]:
        """The means of the latent channels and then their standard deviations, where the autoencoder has them."""
        return (*(self.vae.config.get("latents_mean") or ()), *(self.vae.config.get("latents_std") or ()))

    def _affine(self, device: torch.device) -> tuple[Tensor | float, Tensor | float]:
        """(shift, scale) of z = (encoded - shift) scale, of all channels or of each, (C, 1, 1).

        diffusers has shift_factor and scaling_factor, or latents_mean and latents_std with scaling_factor on top.
        """
        config = self.vae.config
        factor = config.get("scaling_factor")
        shift, scale = float(config.get("shift_factor") or 0.0), 1.0 if factor is None else float(factor)
        mean, spread = config.get("latents_mean"), config.get("latents_std")
        if mean is None and spread is None:
            return shift, scale

        def column(values: Any, otherwise: float) -> Tensor:
            return torch.tensor(values or [otherwise] * self.channels, device=device).reshape(-1, 1, 1)

        return column(mean, 0.0) + shift, scale / column(spread, 1.0)
