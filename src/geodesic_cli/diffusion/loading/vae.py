"""Another autoencoder in the place of a model's own: a folder, a single .safetensors file, or a Hub id.

A folder or Hub id says in its `config.json` what it is, at its root or, in a whole model, in `vae/`. A file has weights
alone, under the names of diffusers or of the original code; it is read into the shape of the model's own autoencoder,
and into the published shape of the model's kind where the model has none.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion.loading.accounts import ModelRemark, read_whole, require_all, require_finite
from geodesic_cli.diffusion.loading.aliases import ALIASES, sources
from geodesic_cli.diffusion.loading.boundary import reading
from geodesic_cli.diffusion.loading.hub import part_of_any
from geodesic_cli.diffusion.loading.locate import HUB_ID
from geodesic_cli.errors import ModelError
from geodesic_cli.filing import read_object

PREFIXES = ("first_stage_model.", "vae.")
"""What may stand before the names of an autoencoder in a file that holds more."""
ADVICE = "Pass --vae with the folder, the .safetensors file or the Hub id of an AutoencoderKL."
USED = ("config.json", "diffusion_pytorch_model*.safetensors")


def read_autoencoder(
    source: str, channels: int, precision: torch.dtype, shape: Mapping[str, Any] | None, variant: str | None = None
) -> Any:
    """The autoencoder that is to take the place of a model's own.

    Args:
        source: a folder, a .safetensors file, an alias or a Hub id.
        channels: of the latents that the model's network takes.
        precision: dtype of the weights.
        shape: the configuration of the model's own; None where the model has none and its kind has no published one.
        variant: of the weight files in a folder.

    Raises:
        ModelError: it is not there, it is no AutoencoderKL, it is not whole, or it makes other latents.
    """
    path = Path(source).expanduser()
    with reading(f"The autoencoder {source} could not be read", ADVICE):
        vae = _of_file(path, source, precision, shape) if path.is_file() else _of_folder(source, precision, variant)
    made = int(vae.config.latent_channels)
    if made != channels:
        raise ModelError(
            f"The autoencoder {source} makes latents of {made} channels, and the model's network takes {channels}.",
            "Pass --vae with one that was made for models of this kind.",
        )
    own, new = (None if held is None else held.get("scaling_factor") for held in (shape, vae.config))
    if own and new and own != new:
        warnings.warn(
            f"The autoencoder {source} scales its latents by {new:g} and the model's own by {own:g}: it may have been "
            "made for another kind of model.",
            ModelRemark,
            stacklevel=2,
        )
    return vae


def _of_folder(source: str, precision: torch.dtype, variant: str | None) -> Any:
    from diffusers import AutoencoderKL

    root = _place(source)
    folder = next((place for place in (root, root / "vae") if _class_of(place)), None)
    if folder is None:
        raise ModelError(
            f"There is no autoencoder in {source}: neither it nor its folder vae has one's config.", ADVICE
        )
    kind = _class_of(folder)
    if kind != "AutoencoderKL":
        raise ModelError(f"The autoencoder {source} is of the kind {kind}, and only AutoencoderKL is read.", ADVICE)
    names = [path.name for path in folder.glob("*.safetensors")]
    there = {None if name.count(".") == 1 else name.split(".")[1].partition("-")[0] for name in names}
    if not there:
        raise ModelError(f"The autoencoder {source} has no weights (.safetensors).", ADVICE)
    # The variant asked for, else the plain weights, else the one variant that there is.
    held = variant if variant in there else None if None in there else min(filter(None, there))
    return read_whole(AutoencoderKL, folder, source, use_safetensors=True, torch_dtype=precision, variant=held)


def _class_of(folder: Path) -> str:
    """Of the configuration in a folder; empty where there is none."""
    try:
        return str(read_object(folder / "config.json").get("_class_name", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _place(source: str) -> Path:
    """The folder of a source, fetched where it has to be."""
    if Path(source).expanduser().is_dir():
        return Path(source).expanduser()
    if source not in ALIASES and not re.fullmatch(HUB_ID, source):
        raise ModelError(f"There is no autoencoder {source!r}: it is neither a folder nor a file nor a Hub id.", ADVICE)
    place, reason = part_of_any(sources(source), [*USED, *(f"vae/{name}" for name in USED)], _root_of)
    if place is not None:
        return place
    raise ModelError(
        f"The autoencoder {source} is not on this machine, and the Hub cannot be asked ({reason}).",
        "Pass --vae with its folder or its .safetensors file.",
    )


def _root_of(folder: Path) -> Path | None:
    return folder if any(_class_of(place) for place in (folder, folder / "vae")) else None


def _of_file(path: Path, source: str, precision: torch.dtype, shape: Mapping[str, Any] | None) -> Any:
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    from safetensors.torch import load_file

    if path.suffix != ".safetensors":
        raise ModelError(f"The autoencoder {source} is no .safetensors file, and no other kind is read.", ADVICE)
    if shape is None:
        raise ModelError(
            f"The file {source} does not say the shape of its autoencoder, and the model has none of its own.",
            "Pass --vae with a folder that has a config.json.",
        )
    held = load_file(path)
    first = next((begin for begin in PREFIXES if any(key.startswith(begin) for key in held)), "")
    weights = {
        key.removeprefix(first): tensor.to(precision)
        for key, tensor in held.items()
        if key.startswith(first) and not key.removeprefix(first).startswith("loss.")
    }
    entry = weights.get("decoder.conv_in.weight")
    if entry is None or entry.ndim != 4 or "encoder.conv_in.weight" not in weights:
        raise ModelError(f"The file {source} holds no AutoencoderKL.", ADVICE)
    with torch.device("meta"):
        model: Any = AutoencoderKL.from_config({**shape, "latent_channels": entry.shape[1]})
    if any(key.startswith("encoder.down.") for key in weights):
        count = len(weights)
        weights = convert_ldm_vae_checkpoint({f"first_stage_model.{k}": v for k, v in weights.items()}, model.config)
        if len(weights) != count:
            raise ModelError(f"The autoencoder {source} is of another shape than the model's own.", ADVICE)
    report = model.load_state_dict(weights, strict=False, assign=True)
    require_all(report.missing_keys, report.unexpected_keys, str(path), source)
    require_finite(model, str(path), source)
    return model
