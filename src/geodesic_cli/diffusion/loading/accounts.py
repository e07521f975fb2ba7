"""Every weight is accounted for: what a file lacks, what nothing takes, what is no number, and a first call.

The libraries that read weights go on where some are missing, with numbers drawn at random or with none at all. Their
reports are read here, and a model that is not whole is refused in a sentence.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion.loading.boundary import reading, require_modest, require_plain
from geodesic_cli.diffusion.model import LatentDiffusion
from geodesic_cli.errors import GeodesicError, ModelError, first_line

OF_TRAINING = r"(^|\.)position_ids$|^model_ema\.|\.num_batches_tracked$"
"""Numbers that any file may hold and no part has a use for."""
LEFT_OVER = (
    OF_TRAINING + r"|^logit_scale$|^vision_model\.|^visual_projection\.|^text_projection\.weight$"
    r"|^decoder\.|^lm_head\.|(^|\.)embed_tokens\.weight$"
)
"""Those of the larger model that a text encoder may come from."""
TEXT_KINDS = {"clip_text_model": ("clip",)}
"""What a text encoder may call itself beside its own kind: the larger model that it comes from."""
FIRST_SIDE = 64
"""Pixels of the first call's image, about: enough for every network to halve and double it."""


class ModelRemark(UserWarning):
    """Something about a model's parts that may not be meant."""


def read_whole(kind: Any, folder: Path | str, name: str, **options: Any) -> Any:
    """A part as ``kind.from_pretrained`` reads it, if its file holds the weights that it has and no others.

    Raises:
        ModelError: it lacks some, or holds others.
    """
    text = kind.__module__.startswith("transformers")
    place = "/".join(filter(None, (str(folder), options.get("subfolder"))))
    with reading(f"The model {name!r} could not be read from {place}"):
        config = _config(kind, folder, options.get("subfolder"))
        require_plain(config, place, name)
        require_modest(config, place, name)
        _require_kind(kind, config, place, name)
        part, report = kind.from_pretrained(folder, output_loading_info=True, **options)
    require_all(report["missing_keys"], report["unexpected_keys"], place, name, text=text)
    require_finite(part, place, name)
    strange = [] if text else _not_known(kind, config)
    if strange:
        warnings.warn(
            f"The configuration of the model {name} says {', '.join(strange)} for its {kind.__name__}, which the "
            "installed diffusers does not know: the model may have been made for a newer one.",
            ModelRemark,
            stacklevel=2,
        )
    return part


def _config(kind: Any, folder: Path | str, subfolder: str | None) -> Mapping[str, Any]:
    """What the file of a part says."""
    if not kind.__module__.startswith("transformers"):
        return dict(kind.load_config(folder, subfolder=subfolder))
    found, _ = kind.config_class.get_config_dict(folder, **({} if subfolder is None else {"subfolder": subfolder}))
    return dict(found)


def _require_kind(kind: Any, config: Mapping[str, Any], place: str, name: str) -> None:
    """Refuse a part that says itself that it is of another kind than the one it is read as; its weights may fit."""
    family = getattr(getattr(kind, "config_class", None), "model_type", "")
    said = str(config.get("model_type" if family else "_class_name") or "")
    known = {kind.__name__} if not family else {family, *TEXT_KINDS.get(family, ())}
    if said and said not in known:
        raise ModelError(
            f"The model {name} is of a kind that is not supported: {place} says that it is a {said}, and a "
            f"{kind.__name__} is needed.",
            "Pass a model of the kind of Stable Diffusion, SD3 or Flux, or --model clevr-mini.",
        )


def _not_known(kind: Any, config: Mapping[str, Any]) -> list[str]:
    """The numbers of a configuration that its class has no use for, and that are not off."""
    known = inspect.signature(kind.__init__).parameters
    off: tuple[Any, ...] = (None, False, 0, [], {}, "")
    return [
        f"{key} = {value}" for key, value in config.items() if key[0] != "_" and key not in known and value not in off
    ]


def require_all(
    missing: Iterable[str], unexpected: Iterable[str], place: str, name: str, *, text: bool = False
) -> None:
    """Refuse weights that are missing, or that nothing takes.

    Args:
        missing: names that the part has and its file has not.
        unexpected: names that its file has and the part has not.
        place: the folder or file, for the message.
        name: of the model.
        text: whether it is a text encoder, whose file may be that of a larger model (`LEFT_OVER`).

    Raises:
        ModelError: there are some.
    """
    lost = sorted(missing)
    if lost:
        raise ModelError(
            f"The model {name} is not whole: {counted(lost, 'weight')} missing from {place}.",
            "Fetch the file again, or save the model again.",
        )
    strange = sorted(key for key in unexpected if not re.search(LEFT_OVER if text else OF_TRAINING, key))
    if strange:
        raise ModelError(
            f"The model {name} is of another kind than its configuration says: {counted(strange, 'weight')} in {place} "
            "and without a place in it.",
            "Fetch its config.json and its weights from the same source.",
        )


def counted(names: Collection[str], what: str) -> str:
    """``1 weight (conv_in) is``, ``12 weights (a, b, c, ...) are``: how many, and which."""
    shown = ", ".join(list(names)[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} {what}{'s' if len(names) > 1 else ''} ({shown}) {'are' if len(names) > 1 else 'is'}"


def require_finite(part: Any, place: str, name: str) -> None:
    """Refuse a part whose weights are NaN or infinite, or were not read at all.

    Raises:
        ModelError: with the names of some.
    """
    weights: Mapping[str, torch.Tensor] = part.state_dict()
    empty = [key for key, tensor in weights.items() if tensor.is_meta]
    require_all(empty, (), place, name)
    wrong = [key for key, tensor in weights.items() if tensor.is_floating_point() and not _finite(tensor)]
    if wrong:
        raise ModelError(
            f"The weights of the model {name} are damaged: {counted(wrong, 'weight')} NaN or infinite in {place}.",
            "Fetch the file again; if it was cast to fp16, take the file in full precision.",
        )


def _finite(tensor: torch.Tensor) -> bool:
    if not tensor.numel():
        return True
    low, high = tensor.aminmax()  # one pass without a copy; NaN goes through it
    return bool(low.isfinite()) and bool(high.isfinite())


def first_call(model: LatentDiffusion) -> None:
    """Ask every part once, on the smallest image, so that parts that do not fit are found while loading.

    Raises:
        ModelError: a part cannot be asked.
    """
    step = model.codec.step
    side = step * -(-FIRST_SIDE // step)
    shape = model.latent_shape(side, side)
    steps: dict[str, Callable[[Any], Any]] = {
        "autoencoder": lambda _: model.codec.decode(model.codec.encode(torch.full((1, 3, side, side), 0.5))),
        "text encoder": lambda _: model.prompts.embed(""),
        "network": lambda told: model.predict.traced(
            torch.zeros(1, *shape, device=model.device), model.predict.schedule.level(0.5)[2], told
        ),
    }
    last: Any = None
    for part, call in steps.items():
        try:
            with torch.no_grad():
                last = call(last)
        except GeodesicError:
            raise
        except torch.OutOfMemoryError:
            return  # that is not the model's fault, and the run will say what to do
        except Exception as reason:  # whatever a part that is of another kind may throw
            raise ModelError(
                f"The {part} of the model {model.name} cannot be used: a first call of it fails "
                f"({first_line(reason)[:200]}).",
                "Its parts may be of different models, or of a kind that is not supported; --model clevr-mini works "
                "always.",
            ) from reason
