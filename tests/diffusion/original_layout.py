"""Weights under the names of Stable Diffusion's original code, from the names of diffusers: the other way round."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geodesic_cli.diffusion.loading.shapes import Shapes

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def unet_names(config: dict[str, Any]) -> dict[str, str]:
    """Names of modules of a UNet -> their original names."""
    names, layers = dict(ENDS), config["layers_per_block"]
    index = 1
    for i, kind in enumerate(config["down_block_types"]):
        for j in range(layers):
            names[f"down_blocks.{i}.resnets.{j}"] = f"input_blocks.{index}.0"
            if "Attn" in kind:
                names[f"down_blocks.{i}.attentions.{j}"] = f"input_blocks.{index}.1"
            index += 1
        names[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{index}.0.op"
        index += 1
    index = 0
    for i, kind in enumerate(config["up_block_types"]):
        for j in range(layers + 1):
            names[f"up_blocks.{i}.resnets.{j}"] = f"output_blocks.{index}.0"
            if "Attn" in kind:
                names[f"up_blocks.{i}.attentions.{j}"] = f"output_blocks.{index}.1"
            index += 1
        names[f"up_blocks.{i}.upsamplers.0.conv"] = f"output_blocks.{index - 1}.{2 if 'Attn' in kind else 1}.conv"
    return names


def vae_names(blocks: int, layers: int) -> dict[str, str]:
    """Names of modules of an autoencoder -> their original names."""
    names = {f"{side}.conv_norm_out": f"{side}.norm_out" for side in ("encoder", "decoder")}
    for side in ("encoder", "decoder"):
        names |= {f"{side}.mid_block.resnets.{k}": f"{side}.mid.block_{k + 1}" for k in (0, 1)}
        names[f"{side}.mid_block.attentions.0"] = f"{side}.mid.attn_1"
    for i in range(blocks):
        for j in range(layers):
            names[f"encoder.down_blocks.{i}.resnets.{j}"] = f"encoder.down.{i}.block.{j}"
        for j in range(layers + 1):
            names[f"decoder.up_blocks.{i}.resnets.{j}"] = f"decoder.up.{blocks - 1 - i}.block.{j}"
        names[f"encoder.down_blocks.{i}.downsamplers.0.conv"] = f"encoder.down.{i}.downsample.conv"
        names[f"decoder.up_blocks.{i}.upsamplers.0.conv"] = f"decoder.up.{blocks - 1 - i}.upsample.conv"
    return names


def renamed(tensors: dict[str, Tensor], names: dict[str, str], inside: dict[str, str]) -> dict[str, Tensor]:
    """Tensors under the original names of their modules and of what is inside these."""
    out = {}
    for name, tensor in tensors.items():
        start = max((known for known in names if name.startswith(known + ".")), key=len, default="")
        rest = name[len(start) :]
        for old, new in inside.items():
            if rest.startswith(f".{old}."):
                rest = f".{new}." + rest[len(old) + 2 :]
        out[names.get(start, "") + rest] = tensor
    return out


def vae(tensors: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    """An autoencoder's weights."""
    inside = {"conv_shortcut": "nin_shortcut", "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v"}
    out = renamed(tensors, vae_names(4, config["layers_per_block"]), {**inside, "to_out.0": "proj_out"})
    return {
        name: tensor[..., None, None] if ".attn_1." in name and tensor.ndim == 2 else tensor
        for name, tensor in out.items()
    }


def open_clip(tensors: dict[str, Tensor], last_layer_too: bool) -> dict[str, Tensor]:
    """A text encoder's weights in the layout of OpenCLIP; Stable Diffusion 2 has one layer more than it uses."""
    tensors = {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
    layers = sorted({int(name.split(".")[2]) for name in tensors if name.startswith("encoder.layers.")})
    out = {
        "token_embedding.weight": tensors["embeddings.token_embedding.weight"],
        "positional_embedding": tensors["embeddings.position_embedding.weight"],
        "ln_final.weight": tensors["final_layer_norm.weight"],
        "ln_final.bias": tensors["final_layer_norm.bias"],
    }
    if "text_projection.weight" in tensors:
        out["text_projection"] = tensors["text_projection.weight"].T.contiguous()
    for k in layers:
        for kind in ("weight", "bias"):
            old, new = f"encoder.layers.{k}", f"transformer.resblocks.{k}"
            joined = [tensors[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            out[f"{new}.attn.in_proj_{kind}"] = torch.cat(joined)
            out |= {f"{new}.{to}.{kind}": tensors[f"{old}.{of}.{kind}"] for of, to in CLIP_LAYER.items()}
    if last_layer_too:  # the 24th of ViT-H, which the converter leaves out by its number
        out |= {name.replace(".0.", ".23."): torch.zeros_like(t) for name, t in out.items() if "resblocks.0." in name}
    return out


def save(folder: Path, shapes: Shapes, path: Path, header: dict[str, str] | None = None) -> None:
    """Write a model in one file."""

    def read(part: str) -> dict[str, Tensor]:
        (file,) = (folder / part).glob("*.safetensors")
        return load_file(file)

    unet = renamed(read("unet"), unet_names(shapes.unet), RESNET)
    out = {f"model.diffusion_model.{name}": tensor for name, tensor in unet.items()}
    out |= {f"first_stage_model.{name}": tensor for name, tensor in vae(read("vae"), shapes.vae).items()}
    text = {name.removeprefix("text_model."): tensor for name, tensor in read("text_encoder").items()}
    if shapes.family == "sdxl":
        out |= {f"conditioner.embedders.0.transformer.text_model.{name}": tensor for name, tensor in text.items()}
        second = open_clip(read("text_encoder_2"), False)
        out |= {f"conditioner.embedders.1.model.{name}": tensor for name, tensor in second.items()}
    elif shapes.pads == ("!",):
        out |= {f"cond_stage_model.model.{name}": tensor for name, tensor in open_clip(text, True).items()}
    else:
        out |= {f"cond_stage_model.transformer.text_model.{name}": tensor for name, tensor in text.items()}
    save_file({name: tensor.contiguous() for name, tensor in out.items()}, path, header)
