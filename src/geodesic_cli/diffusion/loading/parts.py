"""The parts of a model, read from files: network, autoencoder, text encoders, tokenizers and the scheduler's numbers.

Every part is a class of diffusers or transformers that is named here; no code comes with a model.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion.loading.accounts import ModelRemark, read_whole
from geodesic_cli.diffusion.loading.boundary import reading
from geodesic_cli.diffusion.loading.locate import family, lacks, variant_of
from geodesic_cli.diffusion.loading.schedules import NoiseProcess, noise_process
from geodesic_cli.diffusion.loading.shapes import SD15, SDXL
from geodesic_cli.diffusion.loading.vae import read_autoencoder
from geodesic_cli.diffusion.schedule import FlowSchedule, Schedule
from geodesic_cli.errors import ModelError
from geodesic_cli.filing import read_object


@dataclass(frozen=True, eq=False)
class Parts:
    """What a model is made of, before it is wired.

    Args:
        family: of `locate.FAMILIES`.
        network: UNet or transformer.
        vae: the autoencoder.
        encoders: text encoders by their names in a pipeline, in their order.
        tokenizers: of the encoders, in the same order.
        noise: how the network was trained.
        zero_null: whether no prompt means zeros.
    """

    family: str
    network: Any
    vae: Any
    encoders: Mapping[str, Any]
    tokenizers: tuple[Any, ...]
    noise: NoiseProcess
    zero_null: bool = False

    @property
    def schedule(self) -> Schedule:
        """Of the noise."""
        return self.noise.schedule

    @property
    def prediction(self) -> str:
        """What the network predicts."""
        return self.noise.prediction


UNMET = {
    "class_embed_type": "a class or an image's embedding beside the prompt",
    "num_class_embeds": "a class beside the prompt",
    "time_cond_proj_dim": "the guidance as an embedding, as networks distilled for a few steps do",
    "encoder_hid_dim_type": "the prompt through another projection",
    "encoder_hid_dim": "the prompt through another projection",
    "dual_cross_attention": "two prompts at once",
}
"""Numbers of a network's configuration that change what it is asked; a network that sets one is refused."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to themselves what diffusers and transformers have to say to each other while they load."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ModelRemark)
        yield


def read_parts(
    folder: Path, name: str, precision: torch.dtype, variant: str | None = None, vae: str | None = None
) -> Parts:
    """Read a folder in diffusers' layout.

    Args:
        folder: it.
        name: what the user called it, for messages.
        precision: dtype of the weights.
        variant: of the weight files.
        vae: an autoencoder in the place of the folder's own; see `vae.read_autoencoder`.

    Raises:
        ModelError: something is missing, damaged, or of a kind that is not supported.
    """
    wrong = lacks(folder, variant, ("vae",) if vae else ())
    if wrong:
        raise ModelError(f"{name} is no complete model: {wrong}.")
    advice = "Its files may be cut short or of another version: fetch them again. --model clevr-mini works always."
    with reading(f"The model {name!r} could not be read from {folder}", advice), quiet():
        return _read(folder, name, precision, variant, vae)


def _read(folder: Path, name: str, precision: torch.dtype, variant: str | None, vae: str | None) -> Parts:
    import diffusers
    import transformers

    kind = family(folder)
    networks = {"sd3": diffusers.SD3Transformer2DModel, "flux": diffusers.FluxTransformer2DModel}
    network = "transformer" if kind in networks else "unet"
    t5 = {"sd3": "text_encoder_3", "flux": "text_encoder_2"}.get(kind, "")
    names = [f"text_encoder{suffix}" for suffix in ("", "_2", "_3") if (folder / f"text_encoder{suffix}").is_dir()]
    encoders, tokenizers = {}, []
    for part in names:
        model = transformers.CLIPTextModel
        if part == t5:
            model = transformers.T5EncoderModel
        elif kind == "sd3" or part == "text_encoder_2":
            model = transformers.CLIPTextModelWithProjection
        reader = transformers.T5TokenizerFast if part == t5 else transformers.CLIPTokenizer
        encoders[part] = read_whole(
            model,
            folder / part,
            name,
            use_safetensors=True,
            dtype=precision,
            variant=variant_of(folder / part, variant),
        )
        words = folder / part.replace("text_encoder", "tokenizer")
        with reading(f"The model {name!r} could not be read: the tokenizer in {words} is damaged"):
            tokenizers.append(reader.from_pretrained(words))

    def read(part: str, model: Any) -> Any:
        return read_whole(
            model,
            folder / part,
            name,
            use_safetensors=True,
            torch_dtype=precision,
            variant=variant_of(folder / part, variant),
        )

    scheduler = read_object(folder / "scheduler" / "scheduler_config.json")
    index = folder / "model_index.json"
    about = read_object(index) if index.is_file() else {}
    asked = read(network, networks.get(kind, diffusers.UNet2DConditionModel))
    if vae is None:
        autoencoder = read("vae", diffusers.AutoencoderKL)
    else:
        takes = asked.config.in_channels // (4 if kind == "flux" else 1)
        autoencoder = read_autoencoder(vae, takes, precision, _own_shape(folder, kind), variant)
    return Parts(
        family=kind,
        network=asked,
        vae=autoencoder,
        encoders=encoders,
        tokenizers=tuple(tokenizers),
        noise=noise_process(scheduler, name),
        zero_null=kind == "sdxl" and bool(about.get("force_zeros_for_empty_prompt", True)),
    )


def _own_shape(folder: Path, kind: str) -> Mapping[str, Any] | None:
    """The configuration of the folder's own autoencoder, or the published one of its kind."""
    own = folder / "vae" / "config.json"
    if own.is_file():
        return read_object(own)
    return {"sd": SD15.vae, "sdxl": SDXL.vae}.get(kind)


def require_supported(parts: Parts, name: str) -> None:
    """Refuse a model whose parts do not fit together as a text-to-image model's.

    Raises:
        ModelError: with the reason.
    """
    wrong = _wrong_network(parts) or (_wrong_text(parts) if parts.family in ("sd", "sdxl") else _wrong_flow(parts))
    if not wrong:
        spread, has_spread = parts.noise.spread, parts.vae.config.get("latents_std") is not None
        if parts.noise.exploding:
            wrong = "its noise explodes, which is known for models of pixels alone"
        elif spread != 1 and not has_spread:
            wrong = f"its noise is made for latents of spread {spread:g}, and its autoencoder does not say theirs"
    if wrong:
        raise ModelError(
            f"A text-to-image model of the kind of Stable Diffusion is needed; {name} is not one: {wrong}.",
            "Pass such a model, or --model clevr-mini.",
        )


def _wrong_network(parts: Parts) -> str:
    """What the network wants or answers that nothing here gives or takes."""
    config = parts.network.config
    latent, takes, gives = parts.vae.config.latent_channels, config.in_channels, config.get("out_channels")
    if parts.family == "flux":
        takes, gives = takes // 4, None if gives is None else gives // 4  # it reads patches of 2 x 2
    if takes != latent:
        return f"its network takes {takes} channels and its autoencoder makes {latent}"
    if gives is not None and gives != takes:
        return f"its network answers {gives} channels for {takes}"
    for key, what in UNMET.items():
        if config.get(key):
            return f"its network wants {what} ({key} is {config[key]})"
    gated = config.get("attention_type", "default") != "default"
    return f"its network wants places of objects (attention_type is {config['attention_type']})" if gated else ""


def _wrong_text(parts: Parts) -> str:
    config, added = parts.network.config, parts.network.config.get("addition_embed_type")
    text = sum(encoder.config.hidden_size for encoder in parts.encoders.values())
    # "text" pools the prompt's own embeddings inside the network and asks for nothing beside them.
    if added and added != {"sd": "text", "sdxl": "text_time"}[parts.family]:
        return f"its network wants {added} embeddings beside the prompt, and it has {len(parts.encoders)} text encoder"
    if parts.family == "sdxl" and not added:
        return "it has two text encoders, and its network wants no pooled embedding"
    if config.cross_attention_dim != text:
        return f"its network reads text of width {config.cross_attention_dim} and its encoder writes {text}"
    return ""


def _wrong_flow(parts: Parts) -> str:
    if not isinstance(parts.schedule, FlowSchedule):
        return "its network is a transformer of flow matching, and its scheduler is of another kind"
    patch = parts.network.config.get("patch_size")
    known = {"sd3": 2, "flux": 1}[parts.family]
    return f"its network reads patches of {patch}" if patch not in (None, known) else ""
