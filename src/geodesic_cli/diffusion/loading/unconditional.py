"""Models without text: a UNet on pixels (Ho et al., DDPM, NeurIPS 2020) or on the latents of an autoencoder (Rombach et
al., LDM, CVPR 2022). They become a `LatentDiffusion` whose prompts say nothing, so that every verb takes them.

Pixels are latents of the autoencoder z = 2 image - 1. A vector-quantised autoencoder encodes to what it has before
quantisation and quantises when it decodes. An embedding has n rows and no numbers.
"""

import re
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from geodesic_cli.diffusion.autoencoders import PixelAutoencoder, QuantisedAutoencoder
from geodesic_cli.diffusion.conditioning import Embedding
from geodesic_cli.diffusion.latents import LatentCodec
from geodesic_cli.diffusion.loading.accounts import first_call, read_whole
from geodesic_cli.diffusion.loading.aliases import ALIASES
from geodesic_cli.diffusion.loading.boundary import reading
from geodesic_cli.diffusion.loading.devices import pick_device, pick_dtype
from geodesic_cli.diffusion.loading.locate import HUB_ID, described
from geodesic_cli.diffusion.loading.parts import quiet
from geodesic_cli.diffusion.loading.schedules import NoiseProcess, noise_process
from geodesic_cli.diffusion.model import LatentDiffusion
from geodesic_cli.diffusion.prompts import PromptEncoder
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.diffusion.text_reader import TextReader
from geodesic_cli.errors import InputError, ModelError
from geodesic_cli.filing import read_object

ModelKind = Literal["text", "pixels", "latents"]
"""What a model makes images from: a prompt, or nothing, in pixels or in latents."""

AUTOENCODERS = ("vqvae", "vae")
"""Names of the autoencoder's folder."""


def without_text(network: Any, z: Tensor, times: Tensor, condition: Embedding) -> Tensor:
    """How a network without conditions is called; a `families.Ask`."""
    output: Tensor = network(z, times).sample
    return output


def no_words(readers: tuple[TextReader, ...], prompt: str) -> Embedding:
    """One row of nothing, for the one prompt that such a model takes, the empty one."""
    if prompt:
        raise InputError(f"This model takes no prompt; got {prompt!r}.", "Leave --prompt out.")
    return Embedding(torch.zeros(1, 1, 0))


def kind_of(name: str) -> ModelKind:
    """What kind of model a folder or Hub id holds; `text` for whatever is not clearly without text.

    Reads `model_index.json` or, in the layout of the earliest DDPM models, the one `config.json`.
    """
    index = _index(ALIASES.get(name, name))
    unet = index.get("unet")
    network = unet[-1] if isinstance(unet, list) and unet else index.get("_class_name")
    if "text_encoder" in index or network != "UNet2DModel":
        return "text"
    return "latents" if any(part in index for part in AUTOENCODERS) else "pixels"


def load_unconditional(name: str, device: str = "auto", dtype: str = "auto") -> LatentDiffusion:
    """Load a model without text: a folder or Hub id in the layout of diffusers' ``DDPMPipeline`` or ``LDMPipeline``.

    Args:
        name: the folder or id. The network may lie in `unet/` or in the folder itself.
        device: see `devices.pick_device`.
        dtype: see `devices.pick_dtype`.

    Raises:
        ModelError: it is not there, incomplete or of another kind.
        InputError: the device or dtype cannot be had.
    """
    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    kind = kind_of(name)
    if kind == "text":
        raise ModelError(
            f"A model without text is needed (a UNet2DModel with a scheduler, maybe an autoencoder); {name} is none.",
            "Pass a folder in the layout of diffusers' DDPMPipeline or LDMPipeline.",
        )
    advice = "Pass a folder in diffusers' layout with safetensors; Hub ids are fetched only where the Hub is reachable."
    with reading(f"The model {name!r} could not be read", advice), quiet():
        unet, autoencoder, noise = _read(ALIASES.get(name, name), kind, precision)
    for part in (unet, autoencoder):
        part.to(where, precision).eval().requires_grad_(False)
    # Unlike its sibling with text, a UNet2DModel cannot halve an odd side and come back to it.
    codec = LatentCodec(autoencoder, multiple=2 ** (len(unet.config.block_out_channels) - 1))
    _require_supported(unet, codec, noise, name)
    size = unet.config.sample_size or 32
    model = LatentDiffusion(
        codec=codec,
        prompts=PromptEncoder((), no_words),
        predict=NoisePredictor(unet, noise.schedule, noise.prediction, ask=noise.around(without_text), hold=noise.hold),
        image_size=codec.downsampling * int(size if isinstance(size, int) else size[0]),
        name=name,
    )
    first_call(model)
    return model


def _index(name: str) -> dict[str, Any]:
    folder: Path | None = Path(name)
    if not Path(name).exists():
        folder = described(name) if re.fullmatch(HUB_ID, name) else None
    if folder is None or not folder.is_dir():
        return {}
    found: dict[str, Any] = {}
    for file in ("model_index.json", "config.json"):
        try:
            found |= read_object(folder / file)
        except (OSError, ValueError):
            continue
        break
    for part in ("unet", *AUTOENCODERS, "text_encoder"):  # a folder need not have an index
        try:
            config = read_object(folder / part / "config.json")
        except (OSError, ValueError):
            continue
        found[part] = ["diffusers", config.get("_class_name")]
    return found


def _read(name: str, kind: ModelKind, precision: torch.dtype) -> tuple[Any, Any, NoiseProcess]:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel, VQModel

    how: dict[str, Any] = {"use_safetensors": True, "torch_dtype": precision, "low_cpu_mem_usage": False}
    local = Path(name).is_dir()
    flat = local and not (Path(name) / "unet").is_dir()
    try:
        unet = read_whole(UNet2DModel, name, name, subfolder=None if flat else "unet", **how)
    except ModelError as error:
        if local or not isinstance(error.__cause__, OSError):
            raise
        flat = True  # the earliest DDPM models on the Hub have all files in one place
        unet = read_whole(UNet2DModel, name, name, **how)
    told = DDIMScheduler.load_config(name, subfolder=None if flat else "scheduler")
    noise = noise_process(told, name)
    if kind == "pixels":
        return unet, PixelAutoencoder(int(unet.config.in_channels), centred=not noise.exploding), noise
    part = next(part for part in AUTOENCODERS if part in _index(name))
    if _index(name)[part][1] == "VQModel":
        return unet, QuantisedAutoencoder(read_whole(VQModel, name, name, subfolder=part, **how)), noise
    return unet, read_whole(AutoencoderKL, name, name, subfolder=part, **how), noise


def _require_supported(unet: Any, codec: LatentCodec, noise: NoiseProcess, name: str) -> None:
    wrong, pixels = "", isinstance(codec.vae, PixelAutoencoder)
    if unet.config.get("class_embed_type") or unet.config.get("num_class_embeds"):
        wrong = "its network wants a class label"
    elif pixels and codec.channels not in (1, 3, 4):
        wrong = f"its pictures have {codec.channels} channels, and pictures have 1, 3 or 4"
    elif unet.config.in_channels != codec.channels:
        wrong = f"its network takes {unet.config.in_channels} channels and its autoencoder makes {codec.channels}"
    elif unet.config.out_channels != unet.config.in_channels:
        wrong = f"its network answers {unet.config.out_channels} channels for {unet.config.in_channels}"
    elif unet.config.get("time_embedding_type") == "learned":
        wrong = "its network knows whole steps only (time_embedding_type learned)"
    elif unet.config.get("time_embedding_type") == "fourier" and not noise.exploding:
        wrong = "its network divides by sigma (time_embedding_type fourier), and its scheduler counts steps"
    elif codec.vae.config.get("lookup_from_codebook"):
        wrong = "its autoencoder decodes numbers of a codebook (lookup_from_codebook)"
    elif noise.exploding and not pixels:
        wrong = "its noise explodes, which is known for pixels alone, and it has an autoencoder"
    elif noise.spread != 1 and not pixels and codec.vae.config.get("latents_std") is None:
        wrong = f"its noise is made for latents of spread {noise.spread:g}, and its autoencoder does not say theirs"
    if wrong:
        raise ModelError(
            f"The unconditional model {name} is of a kind that is not supported: {wrong}.",
            "Pass a DDPM or a latent diffusion model without labels, or --model scenes-ddpm.",
        )
