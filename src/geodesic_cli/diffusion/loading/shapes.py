"""The published shapes of Stable Diffusion 1.5, 2.1 and XL: numbers of blocks, widths and heads, as plain tables.

A single .safetensors file holds weights and no configuration; these are what they are weights of. They are also what
the tests build full-size models with random weights from.
"""

from dataclasses import dataclass
from typing import Any

_BLOCK, _DOWN, _UP = "CrossAttn", "DownBlock2D", "UpBlock2D"
_CROSS_DOWN, _CROSS_UP = f"{_BLOCK}{_DOWN}", f"{_BLOCK}{_UP}"


@dataclass(frozen=True)
class Shapes:
    """A published architecture.

    Args:
        family: of `locate.FAMILIES`.
        unet: arguments of a UNet2DConditionModel.
        vae: arguments of an AutoencoderKL.
        encoders: configurations of the CLIP text encoders, by their names in a pipeline.
        pads: the padding tokens of their tokenizers.
        prediction: of the network.
    """

    family: str
    unet: dict[str, Any]
    vae: dict[str, Any]
    encoders: dict[str, dict[str, Any]]
    pads: tuple[str, ...]
    prediction: str = "epsilon"


BETAS = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
"""The noise of all of them."""


def _vae(side: int, scale: float) -> dict[str, Any]:
    return {
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "block_out_channels": [128, 256, 512, 512],
        "layers_per_block": 2,
        "latent_channels": 4,
        "sample_size": side,
        "scaling_factor": scale,
    }


def _four_blocks(side: int, text: int, heads: int | list[int], linear: bool) -> dict[str, Any]:
    return {
        "sample_size": side,
        "in_channels": 4,
        "out_channels": 4,
        "down_block_types": [_CROSS_DOWN, _CROSS_DOWN, _CROSS_DOWN, _DOWN],
        "up_block_types": [_UP, _CROSS_UP, _CROSS_UP, _CROSS_UP],
        "block_out_channels": [320, 640, 1280, 1280],
        "layers_per_block": 2,
        "cross_attention_dim": text,
        "attention_head_dim": heads,
        "use_linear_projection": linear,
    }


def _clip(width: int, layers: int, heads: int, act: str, projection: int, pad: int) -> dict[str, Any]:
    return {
        "vocab_size": 49408,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": 77,
        "hidden_act": act,
        "projection_dim": projection,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": pad,
    }


_END = 49407
CLIP_L = _clip(768, 12, 12, "quick_gelu", 768, _END)
"""OpenAI's CLIP ViT-L/14."""
OPENCLIP_H = _clip(1024, 23, 16, "gelu", 512, 0)
"""OpenCLIP ViT-H/14 without its last layer."""
OPENCLIP_BIGG = _clip(1280, 32, 20, "gelu", 1280, 0)
"""OpenCLIP ViT-bigG/14."""

SD15 = Shapes("sd", _four_blocks(64, 768, 8, False), _vae(512, 0.18215), {"text_encoder": CLIP_L}, ("<|endoftext|>",))
SD21_BASE = Shapes(
    "sd", _four_blocks(64, 1024, [5, 10, 20, 20], True), _vae(512, 0.18215), {"text_encoder": OPENCLIP_H}, ("!",)
)
SD21 = Shapes(
    "sd",
    {**_four_blocks(96, 1024, [5, 10, 20, 20], True), "upcast_attention": True},
    _vae(768, 0.18215),
    {"text_encoder": OPENCLIP_H},
    ("!",),
    "v_prediction",
)
SDXL = Shapes(
    "sdxl",
    {
        "sample_size": 128,
        "in_channels": 4,
        "out_channels": 4,
        "down_block_types": [_DOWN, _CROSS_DOWN, _CROSS_DOWN],
        "up_block_types": [_CROSS_UP, _CROSS_UP, _UP],
        "block_out_channels": [320, 640, 1280],
        "layers_per_block": 2,
        "transformer_layers_per_block": [1, 2, 10],
        "cross_attention_dim": 2048,
        "attention_head_dim": [5, 10, 20],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    _vae(1024, 0.13025),
    {"text_encoder": CLIP_L, "text_encoder_2": OPENCLIP_BIGG},
    ("<|endoftext|>", "!"),
)
PUBLISHED = {"sd15": SD15, "sd21-base": SD21_BASE, "sd21": SD21, "sdxl": SDXL}
