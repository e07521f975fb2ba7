"""Small networks of diffusers with attention and LayerNorm, in double precision and with random weights."""

from typing import Any

import torch
from diffusers import UNet2DConditionModel, UNet2DModel
from diffusers.utils import logging

logging.set_verbosity_error()


def pixel_network(seed: int = 0) -> UNet2DModel:
    torch.manual_seed(seed)
    return (
        UNet2DModel(
            sample_size=8,
            in_channels=3,
            out_channels=3,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            attention_head_dim=4,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        )
        .double()
        .eval()
    )


def text_network(seed: int = 0, **more: Any) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    return (
        UNet2DConditionModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            attention_head_dim=2,
            cross_attention_dim=12,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            **more,
        )
        .double()
        .eval()
    )
