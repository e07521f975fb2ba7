"""A model's outline: its networks without weights, so that a plan of a run is made in seconds at any size.

The shapes are those of the configurations where the model is on this machine, and the published ones where it is not.
Nothing is allocated: the networks stand on PyTorch's device `meta`, where a call counts its operations and computes
nothing.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion.conditioning import Embedding
from geodesic_cli.diffusion.loading.boundary import reading, require_modest
from geodesic_cli.diffusion.loading.hub import cached
from geodesic_cli.diffusion.loading.libraries import set_aside
from geodesic_cli.diffusion.loading.load import kind_of, wire
from geodesic_cli.diffusion.loading.locate import family, local, sources
from geodesic_cli.diffusion.loading.parts import Parts, quiet
from geodesic_cli.diffusion.loading.schedules import noise_process
from geodesic_cli.diffusion.loading.shapes import BETAS, PUBLISHED, Shapes
from geodesic_cli.diffusion.loading.single_file import recognise
from geodesic_cli.diffusion.model import LatentDiffusion
from geodesic_cli.filing import parsed_json, read_object

MANY_WEIGHTS = 100_000_000
"""Weights above which a model is outlined; a smaller one is loaded in a second and can be timed."""
TOKENS = {"sd": 77, "sdxl": 77, "sd3": 77 + 256, "flux": 512}
"""Of a prompt."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A model without weights.

    Args:
        model: on the device `meta`.
        family: of `locate.FAMILIES`.
        text_weights: how many the text encoders have.
    """

    model: LatentDiffusion
    family: str
    text_weights: int

    @property
    def weights(self) -> int:
        """How many weights there are in all."""
        parts = (self.model.predict.unet, self.model.codec.vae)
        return self.text_weights + sum(weight.numel() for part in parts for weight in part.parameters())

    def operations(self, shape: tuple[int, int, int]) -> int:
        """Floating-point operations of a network evaluation for one latent (C, H, W)."""
        from torch.utils.flop_counter import FlopCounterMode

        predict = self.model.predict
        config, (_, dtype) = predict.unet.config, predict.place
        at: dict[str, Any] = {"device": "meta", "dtype": dtype}
        width = config.get("cross_attention_dim") or config.get("joint_attention_dim")
        pooled = config.get("pooled_projection_dim")
        if self.family == "sdxl":
            pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        vector = None if pooled is None else torch.empty(1, pooled, **at)
        condition = Embedding(torch.empty(1, TOKENS[self.family], width, **at), vector)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            predict.ask(predict.unet, torch.empty(1, *shape, **at), torch.empty(1, **at), condition)
        return counter.get_total_flops()


def outline(
    name: str, precision: torch.dtype, revision: str | None = None, variant: str | None = None
) -> Outline | None:
    """The outline of a large model; None for a small one, and where its shapes are not known here.

    Raises:
        ModelError: the name is that of nothing, or of a folder that is incomplete.
    """
    with reading(f"The model {name!r} could not be read"):
        return _outlined(name, precision, revision, variant)


def _outlined(name: str, precision: torch.dtype, revision: str | None, variant: str | None) -> Outline | None:
    if kind_of(name) != "text":
        return None
    set_aside()
    here = local(name, variant)
    if here is not None and here.path.is_file():
        return _of_shapes(recognise(here.path, name, PUBLISHED), name, precision)
    folders = [here.path] if here is not None else [cached(source, revision) for source in sources(name)]
    for folder in filter(None, folders):
        if any((folder / part / "config.json").is_file() for part in ("unet", "transformer")):
            return _of_folder(folder, name, precision)
    return _of_shapes(PUBLISHED[name], name, precision) if name in PUBLISHED else None


def _of_folder(folder: Path, name: str, precision: torch.dtype) -> Outline | None:
    if sum(_weights(folder)) < MANY_WEIGHTS:
        return None
    kind = family(folder)
    network = "transformer" if kind in ("sd3", "flux") else "unet"
    configs = [read_object(folder / part / "config.json") for part in (network, "vae")]
    for part, config in zip((network, "vae"), configs, strict=True):
        require_modest(config, f"{folder / part}", name)
    scheduler = read_object(folder / "scheduler" / "scheduler_config.json")
    return _wired(kind, configs[0], configs[1], scheduler, sum(_weights(folder, "text_encoder*")), name, precision)


def _of_shapes(shapes: Shapes, name: str, precision: torch.dtype) -> Outline:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    with quiet(), torch.device("meta"):
        readers = [CLIPTextModelWithProjection(CLIPTextConfig(**config)) for config in shapes.encoders.values()]
    text = sum(weight.numel() for reader in readers for weight in reader.parameters())
    scheduler = BETAS | {"prediction_type": shapes.prediction}
    return _wired(shapes.family, shapes.unet, shapes.vae, scheduler, text, name, precision)


def _wired(
    kind: str, network: Any, vae: Any, scheduler: Any, text_weights: int, name: str, precision: torch.dtype
) -> Outline:
    import diffusers

    classes = {"sd3": diffusers.SD3Transformer2DModel, "flux": diffusers.FluxTransformer2DModel}
    noise = noise_process(scheduler, name)
    with quiet(), torch.device("meta"):
        made = classes.get(kind, diffusers.UNet2DConditionModel).from_config(network)
        parts = Parts(kind, made, diffusers.AutoencoderKL.from_config(vae), {}, (), noise)
    return Outline(wire(parts, name, torch.device("meta"), precision), kind, text_weights)


def _weights(folder: Path, parts: str = "*") -> Iterator[int]:
    """How many weights are in each file of a model, from the head of the file; of one variant."""
    for part in sorted(folder.glob(parts)):
        files = sorted(part.glob("*.safetensors"))
        plain = [file for file in files if file.name.count(".") == 1]
        for file in plain or files:
            with file.open("rb") as opened:
                (length,) = struct.unpack("<Q", opened.read(8))
                if length > file.stat().st_size:
                    raise ValueError(f"{file} is cut short")
                head = parsed_json(opened.read(length))
            yield sum(math.prod(one["shape"]) for key, one in head.items() if key != "__metadata__")
