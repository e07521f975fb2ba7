"""Untrained models so small that a step of training takes milliseconds."""

from pathlib import Path

import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.loading.unconditional import load_unconditional

SIDE = 8

AUTOENCODER = {
    "block_out_channels": (8, 8),
    "norm_num_groups": 4,
    "latent_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
}
"""Of a diffusers autoencoder, with a quantiser or without, that takes a few kilobytes."""


def write_pixel_model(folder: Path, side: int = SIDE) -> Path:
    """A pixel DDPM, of 8 x 8 as a rule, in diffusers' layout: two resolutions, attention in the middle."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DModel(
            sample_size=side,
            in_channels=3,
            out_channels=3,
            layers_per_block=1,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
            attention_head_dim=8,
            norm_num_groups=4,
        )
    DDPMPipeline(unet=unet, scheduler=DDPMScheduler()).save_pretrained(folder)
    return folder


def write_latent_model(folder: Path, autoencoder: str) -> Path:
    """A latent diffusion model without text, images of 16 x 16, in the layout of CompVis/ldm-celebahq-256.

    Args:
        folder: where to.
        autoencoder: `VQModel` or `AutoencoderKL`; diffusers calls its folder vqvae in both cases.
    """
    import diffusers

    unet = diffusers.UNet2DModel.from_pretrained(write_pixel_model(folder / "pixels"), subfolder="unet")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        inside = getattr(diffusers, autoencoder)(**AUTOENCODER)
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False
    )
    diffusers.LDMPipeline(vqvae=inside, unet=unet, scheduler=scheduler).save_pretrained(folder / "ldm")
    return folder / "ldm"


def pixel_model(folder: Path) -> LatentDiffusion:
    """The same, loaded."""
    return load_unconditional(str(write_pixel_model(folder)), "cpu", "fp32")
