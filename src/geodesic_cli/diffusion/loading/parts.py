"""The parts of a model, read from files: network, autoencoder, text encoders, tokenizers and the scheduler's numbers.

Every part is a class of diffusers or transformers that is named here; no code comes with a model.
"""

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion.loading.locate import family, lacks, variant_of
from geodesic_cli.diffusion.schedule import FlowSchedule, NoiseSchedule, Schedule
from geodesic_cli.errors import ModelError, first_line


@dataclass(frozen=True, eq=False)
class Parts:
    """What a model is made of, before it is wired.

    Args:
        family: of `locate.FAMILIES`.
        network: UNet or transformer.
        vae: the autoencoder.
        encoders: text encoders by their names in a pipeline, in their order.
        tokenizers: of the encoders, in the same order.
        schedule: of the noise.
        prediction: what the network predicts, of `score.PREDICTIONS`.
        zero_null: whether no prompt means zeros.
    """

    family: str
    network: Any
    vae: Any
    encoders: Mapping[str, Any]
    tokenizers: tuple[Any, ...]
    schedule: Schedule
    prediction: str
    zero_null: bool = False


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
        yield


def read_parts(folder: Path, name: str, precision: torch.dtype, variant: str | None = None) -> Parts:
    """Read a folder in diffusers' layout.

    Args:
        folder: it.
        name: what the user called it, for messages.
        precision: dtype of the weights.
        variant: of the weight files.

    Raises:
        ModelError: something is missing, damaged, or of a kind that is not supported.
    """
    wrong = lacks(folder, variant)
    if wrong:
        raise ModelError(f"{name} is no complete model: {wrong}.")
    try:
        with quiet():
            return _read(folder, precision, variant)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as reason:
        raise ModelError(
            f"The model {name!r} could not be read from {folder} ({first_line(reason)}).",
            "Its files may be cut short or of another version: fetch them again. --model clevr-mini works always.",
        ) from reason


def _read(folder: Path, precision: torch.dtype, variant: str | None) -> Parts:
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
        encoders[part] = model.from_pretrained(
            folder / part, use_safetensors=True, dtype=precision, variant=variant_of(folder / part, variant)
        )
        tokenizers.append(reader.from_pretrained(folder / part.replace("text_encoder", "tokenizer")))

    def read(part: str, model: Any) -> Any:
        return model.from_pretrained(
            folder / part, use_safetensors=True, torch_dtype=precision, variant=variant_of(folder / part, variant)
        )

    schedule, prediction = read_schedule(folder / "scheduler")
    index = folder / "model_index.json"
    about = json.loads(index.read_text("utf-8")) if index.is_file() else {}
    return Parts(
        family=kind,
        network=read(network, networks.get(kind, diffusers.UNet2DConditionModel)),
        vae=read("vae", diffusers.AutoencoderKL),
        encoders=encoders,
        tokenizers=tuple(tokenizers),
        schedule=schedule,
        prediction=prediction,
        zero_null=kind == "sdxl" and bool(about.get("force_zeros_for_empty_prompt", True)),
    )


def read_schedule(folder: Path) -> tuple[Schedule, str]:
    """The schedule in a scheduler's folder, and what the network predicts.

    A flow whose shift depends on the image gets the one of the largest images that it names.
    """
    from diffusers import DDIMScheduler

    config = json.loads((folder / "scheduler_config.json").read_text("utf-8"))
    if str(config.get("_class_name", "")).startswith("FlowMatch"):
        dynamic = config.get("use_dynamic_shifting", False)
        shift = math.exp(config.get("max_shift", 1.15)) if dynamic else float(config.get("shift", 1.0))
        return FlowSchedule(shift, float(config.get("num_train_timesteps", 1000))), "flow_prediction"
    scheduler = DDIMScheduler.from_pretrained(folder)
    return NoiseSchedule(scheduler.alphas_cumprod), str(scheduler.config.prediction_type)


def require_supported(parts: Parts, name: str) -> None:
    """Refuse a model whose parts do not fit together as a text-to-image model's.

    Raises:
        ModelError: with the reason.
    """
    config = parts.network.config
    latent, takes = parts.vae.config.latent_channels, config.in_channels
    if parts.family == "flux":
        takes //= 4  # it reads patches of 2 x 2
    wrong = ""
    if takes != latent:
        wrong = f"its network takes {takes} channels and its autoencoder makes {latent}"
    elif parts.family in ("sd", "sdxl"):
        text = sum(encoder.config.hidden_size for encoder in parts.encoders.values())
        added = config.get("addition_embed_type")
        # "text" pools the prompt's own embeddings inside the network and asks for nothing beside them.
        if added and added != {"sd": "text", "sdxl": "text_time"}[parts.family]:
            wrong = (
                f"its network wants {added} embeddings beside the prompt, and it has {len(parts.encoders)} text encoder"
            )
        elif parts.family == "sdxl" and not added:
            wrong = "it has two text encoders, and its network wants no pooled embedding"
        elif config.cross_attention_dim != text:
            wrong = f"its network reads text of width {config.cross_attention_dim} and its encoder writes {text}"
    if wrong:
        raise ModelError(
            f"A text-to-image model of the kind of Stable Diffusion is needed; {name} is not one: {wrong}.",
            "Pass such a model, or --model clevr-mini.",
        )
