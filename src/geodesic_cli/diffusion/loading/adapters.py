"""From an adapter's file to changes of weights: whole or not at all.

Every tool has its own spelling for one thing, a layer and the matrices A and B of its change s B A: peft
(`base_model.model.<layer>.lora_A.weight`), diffusers (`unet.<layer>.lora_A.weight`, and older `lora.down`), kohya
(`lora_unet_<layer with underscores>.lora_down.weight`). A name is split into layer and role, and the layer is looked up
among the layers that the model has, with dots and underscores alike. Names that need more (the original code's blocks,
fused projections) go through the converter of diffusers. A layer that is not found is counted and named.

The scale s is alpha / r; alpha is a tensor of the file, or in the header, or in the `adapter_config.json` beside it,
and r where nothing says it. DoRA (Liu et al., ICML 2024) sets the norms of the changed rows as well.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion.loading.accounts import counted
from geodesic_cli.errors import ModelError
from geodesic_cli.filing import parsed_json, read_object

ROLES = {
    "down": r"(\.lora_A(\.\w+)?|[._]lora[._]down|\.lora_linear_layer\.down)\.weight$",
    "up": r"(\.lora_B(\.\w+)?|[._]lora[._]up|\.lora_linear_layer\.up)\.weight$",
    "norms": r"(\.lora_magnitude_vector(\.\w+)*|\.dora_scale)$",
    "alpha": r"\.alpha$",
    "whole": r"\.diff$",
    "bias": r"\.diff_b$",
}
"""What a tensor is -> how its name ends."""
OTHER_KINDS = {"LoHa": r"\.hada_", "LoKr": r"\.lokr_", "OFT": r"\.oft_|\.boft_", "LoCon with a core": r"\.lora_mid\."}
"""Kinds of adapters that are not read -> what only they have."""
BEGINNINGS = {
    "": ("lora_unet_", "lora_transformer_", "unet.", "transformer.", "model.diffusion_model.", "diffusion_model."),
    "text_encoder": ("lora_te_", "lora_te1_", "text_encoder."),
    "text_encoder_2": ("lora_te2_", "text_encoder_2."),
    "text_encoder_3": ("lora_te3_", "text_encoder_3."),
}
"""Part of a model -> how the names of its layers begin; the network is the part without a name."""


@dataclass(frozen=True, eq=False)
class Change:
    """The change of one layer.

    Args:
        module: the layer.
        tensors: by their role.
        scale: s.
    """

    module: Any
    tensors: Mapping[str, Tensor]
    scale: float

    @torch.no_grad()
    def add(self, weight: float) -> None:
        """Add ``weight`` times the change to the layer, in place.

        Raises:
            ValueError: the shapes do not fit, or there are numbers that are not finite.
        """
        for name, change in (("weight", self._of_weight()), ("bias", self.tensors.get("bias"))):
            if change is None:
                continue
            place = getattr(self.module, name)
            if place is None or change.numel() != place.numel():
                raise ValueError(f"a change of shape {tuple(change.shape)} for {name} of another")
            if not bool(change.isfinite().all()):
                raise ValueError("it holds NaN or infinity")
            place.copy_(place.float() + weight * change.float().reshape(place.shape).to(place.device))

    def _of_weight(self) -> Tensor | None:
        if "whole" in self.tensors:
            return self.tensors["whole"].float()
        if "down" not in self.tensors:
            return None
        old: Tensor = self.module.weight.float().cpu()
        low = self.tensors["up"].float().flatten(1) @ self.tensors["down"].float().flatten(1)
        if low.numel() != old.numel():
            raise ValueError(f"a change of shape {tuple(low.shape)} for weights of {tuple(old.shape)}")
        low = self.scale * low.reshape(old.shape)
        if "norms" not in self.tensors:
            return low
        norms, new = self.tensors["norms"].float(), old + low
        # One norm for each row, or in files of another tool, which have a first axis of length one, for each column.
        rows = norms.ndim == 1 or norms.shape[0] == old.shape[0]
        axes = [axis for axis in range(old.ndim) if axis != (0 if rows else 1)]
        shape = [norms.numel() if axis == (0 if rows else 1) else 1 for axis in range(old.ndim)]
        return new * norms.reshape(shape) / new.norm(dim=axes, keepdim=True) - old


def changes_of(
    file: Path, parts: Mapping[str, Any], convert: Callable[[dict[str, Tensor]], Mapping[str, Tensor]]
) -> list[Change]:
    """The changes that an adapter's file makes to a model.

    Args:
        file: it.
        parts: the network under the empty name, and text encoders by their names in a pipeline.
        convert: renames what is under other names than these, as diffusers does.

    Raises:
        ModelError: it is no adapter, one of a kind that is not read, or not all of its layers are in the model.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(file, "pt") as opened:
        header = opened.metadata() or {}
    tensors = load_file(file)
    for kind, sign in OTHER_KINDS.items():
        if any(re.search(sign, key) for key in tensors):
            raise ModelError(
                f"The adapter {file} is a {kind}, which is not read.",
                "Merge it into a model, or convert it to LoRA, with the tool that made it.",
            )
    layers = _layers(tensors)
    if not layers:
        raise ModelError(
            f"The file {file} holds no adapter for this model.", "Pass one that was trained on a model of its kind."
        )
    placed, lost = _placed(layers, parts)
    if lost:
        placed, lost = _converted(tensors, layers, parts, convert) or (placed, lost)
    if lost and not placed:
        raise ModelError(
            f"The adapter {file} does not fit this model: {counted(lost, 'layer')} not in it.",
            "Pass one that was trained on a model of its kind.",
        )
    if lost:
        raise ModelError(
            f"The adapter {file} fits this model in part: of its {len(placed) + len(lost)} layers "
            f"{counted(lost, 'layer')} not in it.",
            "Pass one that was trained on a model of its kind; half an adapter is not applied.",
        )
    about = _about(header, file)
    return [
        Change(parts[part].get_submodule(name), held, _scale(part or _own(parts), name, held, about))
        for (part, name), held in placed.items()
    ]


def _own(parts: Mapping[str, Any]) -> str:
    return "unet" if "UNet" in type(parts[""]).__name__ else "transformer"


def _layers(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Layer -> its tensors by role; a name without a role is a layer of its own. Empty where nothing has a role."""
    layers: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        for role, ending in ROLES.items():
            found = re.search(ending, key)
            if found:
                # Where diffusers has renamed them, alphas bear the name of the matrix A.
                layer = re.sub(ROLES["down"], "", key[: found.start()])
                layers.setdefault(layer, {})[role] = tensor
                break
        else:
            layers.setdefault(key, {})["unknown"] = tensor
    layers = {layer: held for layer, held in layers.items() if set(held) != {"alpha"}}
    return layers if any("unknown" not in held for held in layers.values()) else {}


def _placed(
    layers: Mapping[str, dict[str, Tensor]], parts: Mapping[str, Any]
) -> tuple[dict[tuple[str, str], dict[str, Tensor]], list[str]]:
    """(part, module) -> tensors by role; and the layers that have no place or are not whole."""
    tables = {part: _names(module) for part, module in parts.items()}
    placed: dict[tuple[str, str], dict[str, Tensor]] = {}
    lost = []
    for layer, held in layers.items():
        place = None if "unknown" in held or ("down" in held) != ("up" in held) else _place(layer, held, tables, parts)
        if place is None or place in placed:
            lost.append(layer)
        else:
            placed[place] = held
    return placed, lost


def _converted(
    tensors: Mapping[str, Tensor],
    layers: Mapping[str, dict[str, Tensor]],
    parts: Mapping[str, Any],
    convert: Callable[[dict[str, Tensor]], Mapping[str, Tensor]],
) -> tuple[dict[tuple[str, str], dict[str, Tensor]], list[str]] | None:
    """The same after the converter has renamed all; None where it cannot, or has dropped something."""
    try:
        renamed = _layers(convert(dict(tensors)))
    except (ValueError, KeyError, RuntimeError, AttributeError, IndexError, TypeError):  # it is no such file
        return None
    for role in ("up", "norms", "unknown"):
        if sum(role in held for held in renamed.values()) < sum(role in held for held in layers.values()):
            return None
    return _placed(renamed, parts)


def _names(module: Any) -> dict[str, str]:
    """Names of the layers with weights, with underscores for dots, as they are and without `text_model` -> names."""
    names = [name for name, layer in module.named_modules() if isinstance(getattr(layer, "weight", None), Tensor)]
    table: dict[str, str] = {}
    for name in names:
        plain = name.removeprefix("text_model.")
        table |= dict.fromkeys((_flat(name), _flat(plain), _flat(f"text_model.{plain}")), name)
    return table


def _flat(name: str) -> str:
    return name.replace(".", "_")


def _place(
    layer: str, held: Mapping[str, Tensor], tables: Mapping[str, Mapping[str, str]], parts: Mapping[str, Any]
) -> tuple[str, str] | None:
    """The part and the module of a layer; without a part in its name, the first part that it fits."""
    while layer.startswith("base_model.model."):
        layer = layer.removeprefix("base_model.model.")
    among: Iterable[str] = tables
    for part, beginnings in BEGINNINGS.items():
        begins = next((begin for begin in beginnings if layer.startswith(begin)), None)
        if begins is not None:
            layer, among = layer.removeprefix(begins), [part]
            break
    layer = layer.removeprefix("base_model.model.")
    flat = _flat(layer)
    spellings = [flat, flat.replace("_processor_", "_"), f"{flat.replace('_processor_', '_')}_0"]
    spellings += [re.sub(r"self_attn_to_(q|k|v|out)$", r"self_attn_\1_proj", flat)]
    for part in among:
        for spelling in spellings:
            name = tables.get(part, {}).get(spelling)
            if name is not None and (among is not tables or _fits(parts[part].get_submodule(name), held)):
                return part, name
    return None


def _fits(module: Any, held: Mapping[str, Tensor]) -> bool:
    if "down" not in held:
        return True
    return bool(module.weight[0].numel() == held["down"][0].numel() and len(module.weight) == len(held["up"]))


def _about(header: Mapping[str, str], file: Path) -> dict[str, Any]:
    """The adapter's own configuration; names of peft's file have no part before them."""
    told = parsed_json(header.get("lora_adapter_metadata") or "{}")
    beside = file.parent / "adapter_config.json"
    if not told and beside.is_file():
        told = read_object(beside)
    return dict(told)


def _scale(part: str, name: str, held: Mapping[str, Tensor], about: Mapping[str, Any]) -> float:
    if "down" not in held:
        return 1.0
    rank = len(held["down"])
    if "alpha" in held:
        return float(held["alpha"]) / rank

    def told(key: str) -> Any:
        return about.get(f"{part}.{key}", about.get(key))

    alpha = told("lora_alpha")
    for pattern, own in (told("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", name):
            alpha = own
    if alpha is None:
        return 1.0
    return float(alpha) / (rank**0.5 if told("use_rslora") else rank)
