"""Low-rank adapters: W + (alpha / r) B A beside the frozen weights W (Hu et al., LoRA, ICLR 2022).

The file is the one that other tools read and write: `pytorch_lora_weights.safetensors`, keys `unet.<module>.lora_A...`
and the adapter's configuration in the header. Files of kohya's trainer are read too. A tool that does not look at the
header takes alpha = r, so that is what `attach` does unless told otherwise.
"""

import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion.loading.adapters import changes_of
from geodesic_cli.diffusion.loading.boundary import reading
from geodesic_cli.errors import InputError, ModelError
from geodesic_cli.filing import sort_header, written_whole

FILE = "pytorch_lora_weights.safetensors"
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""The projections of every attention layer, the usual place of an adapter."""
CONVOLUTIONS = ("conv1", "conv2")
"""Those of the residual blocks. A UNet without text has little or no attention, and its adapter is on them, too."""


def attach(
    network: Any, rank: int, alpha: float | None = None, targets: Iterable[str] | None = None
) -> tuple[torch.nn.Parameter, ...]:
    """Put a fresh adapter on a network, in place, and return what is to be trained; the network's answers stay.

    Args:
        network: a UNet or transformer of diffusers.
        rank: r.
        alpha: its scale; None is r.
        targets: names of the layers, or the ends of their names; None is the attention, and in a UNet without text
            the convolutions as well.

    Raises:
        InputError: a rank below 1, or no layer of these names.
    """
    from peft import LoraConfig, inject_adapter_in_model

    if rank < 1:
        raise InputError(f"An adapter needs a rank of at least 1; got {rank}.")
    of_diffusers = hasattr(network, "add_adapter")
    names = list(targets or (ATTENTION if of_diffusers else (*ATTENTION, *CONVOLUTIONS)))
    scale: Any = rank if alpha is None else alpha  # peft says int and takes any number
    config = LoraConfig(r=rank, lora_alpha=scale, target_modules=names)
    network.requires_grad_(False)
    try:
        if of_diffusers:
            network.add_adapter(config)
        else:
            inject_adapter_in_model(config, network)
    except ValueError as reason:
        raise InputError(
            f"The network has no layers called {', '.join(names)}.", f"The usual ones are {', '.join(ATTENTION)}."
        ) from reason
    return tuple(parameter for parameter in network.parameters() if parameter.requires_grad)


def save(network: Any, folder: str | Path) -> Path:
    """Write the adapter of a network into a folder, which is made; the file's path."""
    from peft.utils import get_peft_model_state_dict
    from safetensors.torch import save_file

    (config,) = network.peft_config.values()
    prefix = _prefix(network)
    about = {
        f"{prefix}.{key}": sorted(value) if isinstance(value, set) else value for key, value in config.to_dict().items()
    }
    weights = {
        f"{prefix}.{key}": tensor.detach().cpu().contiguous()
        for key, tensor in get_peft_model_state_dict(network).items()
    }
    path = Path(folder) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(about, default=str, sort_keys=True)
    with written_whole(path) as part:
        save_file(weights, part, {"format": "pt", "lora_adapter_metadata": text})
        sort_header(part)
    return path


def apply(network: Any, path: str | Path, weight: float = 1.0, encoders: Mapping[str, Any] | None = None) -> None:
    """Add an adapter from a file to the weights of a network and of text encoders, in place; whole or not at all.

    Args:
        network: a UNet or transformer of diffusers.
        path: the file, or a folder that holds one.
        weight: what multiplies its change of the weights; 1 is as trained.
        encoders: text encoders by their names in a pipeline, such as `text_encoder`.

    Raises:
        ModelError: there is no such file, it is no adapter, or one of another kind of model.
    """
    file = adapter_file(path)
    advice = "Pass one that was trained on a model of its kind."
    with reading(f"The adapter {file} does not fit this model", advice), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what these libraries have to say to each other
        for change in changes_of(file, {"": network, **(encoders or {})}, _converter(network)):
            change.add(weight)


def merge(network: Any, encoders: Iterable[Any] = ()) -> None:
    """Add all adapters to the weights that they change, in place: the same answers, without their cost."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for part in (network, *encoders):
        if any(isinstance(module, BaseTunerLayer) for module in part.modules()):
            _merge(part)


def parse(text: str) -> tuple[str, float]:
    """Path and weight of `PATH` or `PATH:WEIGHT`.

    Raises:
        InputError: the weight is not finite.
    """
    path, colon, tail = text.rpartition(":")
    try:
        weight = float(tail)
    except ValueError:
        return text, 1.0  # a colon of the path itself
    if not colon or not path:
        return text, 1.0
    if not abs(weight) < float("inf"):
        raise InputError(f"The weight of an adapter is a number; got {tail}.", "Pass --lora PATH:0.8, for example.")
    return path, weight


def adapter_file(path: str | Path) -> Path:
    """The adapter's file: the path itself, or in a folder `FILE` or else the only .safetensors file.

    Raises:
        ModelError: there is none, or several.
    """
    place = Path(path).expanduser()
    if place.is_file() and place.suffix == ".safetensors":
        return place
    if (place / FILE).is_file():
        return place / FILE
    several = sorted(place.glob("*.safetensors")) if place.is_dir() else []
    if len(several) == 1:
        return several[0]
    if several:
        raise ModelError(f"The folder {place} holds {len(several)} .safetensors files.", "Pass one of them to --lora.")
    what = f"the folder {place} holds none" if place.is_dir() else f"{place} is none"
    if place.is_file():
        what = f"{place} is of another kind"
    raise ModelError(f"An adapter is a .safetensors file; {what}.", f"Pass the file, or a folder with {FILE}.")


def _prefix(network: Any) -> str:
    return "unet" if "UNet" in type(network).__name__ else "transformer"


def _loader(network: Any) -> Any:
    from diffusers.loaders import (
        FluxLoraLoaderMixin,
        SD3LoraLoaderMixin,
        StableDiffusionLoraLoaderMixin,
        StableDiffusionXLLoraLoaderMixin,
    )

    if _prefix(network) == "transformer":
        return FluxLoraLoaderMixin if "Flux" in type(network).__name__ else SD3LoraLoaderMixin
    large = network.config.get("addition_embed_type") == "text_time"
    return StableDiffusionXLLoraLoaderMixin if large else StableDiffusionLoraLoaderMixin


def _converter(network: Any) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    """The renaming of diffusers, with the alphas among the tensors again."""
    loader = _loader(network)
    flux = "Flux" in type(network).__name__
    unet = {"unet_config": network.config} if _prefix(network) == "unet" else {}
    options = {**unet, **({"return_alphas": True} if flux else {})}

    def convert(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        state, *rest = loader.lora_state_dict(tensors, return_lora_metadata=True, **options)
        alphas = rest[0] or {} if len(rest) > 1 else {}  # Stable Diffusion 3 has none
        return {**state, **{key: torch.tensor(float(alpha)) for key, alpha in alphas.items()}}

    return convert


def _merge(part: Any) -> None:
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(part.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, own = name.rpartition(".")
            setattr(part.get_submodule(parent), own, module.get_base_layer())
    for attribute in ("peft_config", "_hf_peft_config_loaded"):
        if attribute in vars(part):
            delattr(part, attribute)
