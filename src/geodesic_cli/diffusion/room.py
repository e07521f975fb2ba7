"""Whether pictures of a size fit into memory on their way through a model; if not, which size would."""

import math
from typing import Any

from geodesic_cli.diffusion.batching import free_memory, item_cost
from geodesic_cli.diffusion.latents import LatentCodec
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.errors import InputError

WIDEST_MAPS = 6
"""Bytes of the autoencoder for an image pixel, in units of its widest map at full size."""
BEYOND_FREE = 1.5
"""So many times the free memory is refused; the estimates are rough, and what is near them is tried."""


def picture_bytes(vae: Any, pixels: int) -> int:
    """About how many bytes so many pixels take on their way through an autoencoder at once."""
    config = getattr(vae, "config", None)
    widths = getattr(config, "block_out_channels", None) or (3,)
    return pixels * int(widths[0]) * WIDEST_MAPS * vae.dtype.itemsize


def require_size(codec: LatentCodec, predict: NoisePredictor, height: int, width: int) -> None:
    """Refuse a size of which not even one picture fits into memory.

    Raises:
        InputError: what it needs, what is free, and a size that would fit.
    """
    device, dtype = predict.place
    step = codec.step
    shape = (codec.channels, -(-height // codec.downsampling), -(-width // codec.downsampling))
    tiled = bool(getattr(codec.vae, "use_tiling", False))
    needed = item_cost(predict.unet, shape, dtype) + (0 if tiled else picture_bytes(codec.vae, height * width))
    free = free_memory(device)
    if needed <= BEYOND_FREE * free:
        return
    scale = math.sqrt(free / needed)
    fits = [max(step, int(side * scale) // step * step) for side in (width, height)]
    raise InputError(
        f"Pictures of {width}x{height} need about {needed / 1e9:.3g} GB of memory on {device}; {free / 1e9:.2g} GB are "
        "free.",
        f"Pass --size {fits[0]}x{fits[1]} or a smaller one.",
    )
