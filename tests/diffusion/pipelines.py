"""Models with random weights, built from tables of numbers and saved in the layout of the Hub.

`tiny` makes one of each family in a few milliseconds and kilobytes; `published` makes the real shapes.
"""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel
from tokenizers import Tokenizer, models
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from geodesic_cli.diffusion.loading.shapes import BETAS, Shapes

VAE = {
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [8, 8, 8, 8],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "latent_channels": 4,
    "sample_size": 32,
    "scaling_factor": 0.5,
}
UNET = {
    "sample_size": 4,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "cross_attention_dim": 16,
    "attention_head_dim": 4,
}
WORDS = 520


def clip(width: int, words: int = WORDS, **changes: Any) -> dict[str, Any]:
    """A small CLIP text encoder's configuration."""
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "max_position_embeddings": 77,
        "hidden_act": "quick_gelu",
        "projection_dim": width,
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
        "pad_token_id": words - 1,
        **changes,
    }


SD1 = Shapes("sd", UNET, VAE, {"text_encoder": clip(16)}, ("<|endoftext|>",))
SD2V = Shapes(
    "sd", {**UNET, "use_linear_projection": True}, VAE, {"text_encoder": clip(16)}, ("!",), prediction="v_prediction"
)
XL = Shapes(
    "sdxl",
    {
        **UNET,
        "cross_attention_dim": 24,
        "transformer_layers_per_block": [1, 2],
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 2,
        "projection_class_embeddings_input_dim": 16 + 6 * 2,
    },
    VAE,
    {"text_encoder": clip(8), "text_encoder_2": clip(16)},
    ("<|endoftext|>", "!"),
)


def tokenizer(folder: Path, pad: str = "<|endoftext|>", words: int = WORDS) -> None:
    """CLIP's tokenizer with bytes for words, in the two files of the Hub, filled up to a number of words."""
    code = {chr(k): k for k in [*range(33, 127), *range(161, 173), *range(174, 256)]}
    letters = [*code, *(chr(256 + k) for k in range(256 - len(code)))]
    vocabulary = [*letters, *(letter + "</w>" for letter in letters)]
    vocabulary += [f"<|{k}|>" for k in range(words - 2 - len(vocabulary))] + ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(vocabulary)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": pad}
    about |= {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), "utf-8")


def filled(model: Any) -> Any:
    """A model whose weights are random of the size that keeps numbers near 1; fast for billions of them."""
    pool = torch.randn(2**22 + 1, generator=torch.Generator().manual_seed(0))
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            n = weight.numel()
            numbers = pool.repeat(-(-n // len(pool)))[:n] if n > len(pool) else pool[:n].roll(len(name))
            with torch.no_grad():
                weight.copy_(numbers.view(weight.shape) * (weight.numel() / weight.shape[0]) ** -0.5)
        else:
            torch.nn.init.constant_(weight, 0.0 if name.endswith("bias") else 1.0)
    return model


def build(shapes: Shapes, folder: Path, dtype: torch.dtype = torch.float32, variant: str | None = None) -> Path:
    """A model of the shapes with random weights, saved part by part; the folder."""
    torch.manual_seed(0)

    def made(kind: Any, config: Any) -> Any:
        with torch.device("meta"):
            model = kind.from_config(config) if isinstance(config, dict) else kind(config)
        return filled(model.to_empty(device="cpu").to(dtype))

    index: dict[str, Any] = {
        "_class_name": {"sd": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"}[shapes.family],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "PNDMScheduler"],
        **{part: ["transformers", "CLIPTextModel"] for part in shapes.encoders},
        **{part.replace("text_encoder", "tokenizer"): ["transformers", "CLIPTokenizer"] for part in shapes.encoders},
    }
    folder.mkdir(parents=True, exist_ok=True)
    made(UNet2DConditionModel, shapes.unet).save_pretrained(folder / "unet", variant=variant)
    made(AutoencoderKL, shapes.vae).save_pretrained(folder / "vae", variant=variant)
    for (part, config), pad in zip(shapes.encoders.items(), shapes.pads, strict=True):
        kind = CLIPTextModel if part == "text_encoder" else CLIPTextModelWithProjection
        made(kind, CLIPTextConfig(**config)).save_pretrained(folder / part, variant=variant)
        tokenizer(folder / part.replace("text_encoder", "tokenizer"), pad, config["vocab_size"])
    noise = {"_class_name": "PNDMScheduler", "prediction_type": shapes.prediction, "steps_offset": 1, **BETAS}
    _write(folder / "scheduler" / "scheduler_config.json", noise)
    _write(folder / "model_index.json", index)
    return folder


def build_sd3(folder: Path, t5: bool = True) -> Path:
    """A tiny Stable Diffusion 3, with or without its T5 encoder."""
    torch.manual_seed(0)
    SD3Transformer2DModel(
        sample_size=4,
        patch_size=2,
        in_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=16,
        pooled_projection_dim=24,
        out_channels=16,
        pos_embed_max_size=16,
    ).save_pretrained(folder / "transformer")
    _flow_vae(folder)
    for part, width in (("text_encoder", 8), ("text_encoder_2", 16)):
        CLIPTextModelWithProjection(CLIPTextConfig(**clip(width))).save_pretrained(folder / part)
        tokenizer(folder / part.replace("text_encoder", "tokenizer"))
    if t5:
        _t5(folder, "3", 32)
    _write(
        folder / "scheduler" / "scheduler_config.json", {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
    )
    _write(folder / "model_index.json", {"_class_name": "StableDiffusion3Pipeline"})
    return folder


def build_flux(folder: Path) -> Path:
    """A tiny Flux, distilled from guidance."""
    torch.manual_seed(0)
    FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=8,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    ).save_pretrained(folder / "transformer")
    _flow_vae(folder)
    CLIPTextModel(CLIPTextConfig(**clip(8))).save_pretrained(folder / "text_encoder")
    tokenizer(folder / "tokenizer")
    _t5(folder, "2", 32)
    noise = {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True, "max_shift": 1.15}
    _write(folder / "scheduler" / "scheduler_config.json", noise)
    _write(folder / "model_index.json", {"_class_name": "FluxPipeline"})
    return folder


def _flow_vae(folder: Path) -> None:
    changes = {"latent_channels": 16, "shift_factor": 0.06, "use_quant_conv": False, "use_post_quant_conv": False}
    AutoencoderKL(**{**VAE, **changes}).save_pretrained(folder / "vae")


def _t5(folder: Path, number: str, width: int) -> None:
    config = T5Config(vocab_size=64, d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(folder / f"text_encoder_{number}")
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((chr(k), -float(k)) for k in range(97, 123))]
    backend = Tokenizer(models.Unigram(words, unk_id=2))
    T5TokenizerFast(tokenizer_object=backend, extra_ids=0).save_pretrained(folder / f"tokenizer_{number}")


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")
