"""The optimiser of a training: AdamW, or the one of bitsandbytes that keeps its memory in 8 bits."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.errors import InputError, first_line
from geodesic_cli.settings import FinetuneSettings


def make_optimiser(weights: Mapping[str, torch.nn.Parameter], settings: FinetuneSettings) -> torch.optim.Optimizer:
    """AdamW over the weights, in their order."""
    s = settings
    kind: Any = _eight_bit() if s.use_8bit_adam else torch.optim.AdamW
    made: torch.optim.Optimizer = kind(
        list(weights.values()),
        lr=s.learning_rate,
        betas=(s.adam_beta1, s.adam_beta2),
        eps=s.adam_epsilon,
        weight_decay=s.adam_weight_decay,
    )
    return made


def require_optimiser(settings: FinetuneSettings) -> None:
    """Refuse 8 bits where the package is not there.

    Raises:
        InputError: it is not.
    """
    if settings.use_8bit_adam:
        _eight_bit()


def remembered_of(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """What an optimiser remembers of one weight, as tensors by name; whole numbers become tensors, too."""
    found = {}
    for name, value in state.items():
        if isinstance(value, Tensor):
            found[name] = value
        elif isinstance(value, int | float):
            found[name] = torch.tensor(value)
    return found


def restored(name: str, value: Tensor, like: Tensor, eight_bit: bool) -> Any:
    """The same back again: AdamW keeps its step counter on the CPU, and the one of 8 bits as a number."""
    if name == "step":
        return value.item() if eight_bit else value.clone()
    return value.to(like.device, copy=True)


def _eight_bit() -> Any:
    try:
        from bitsandbytes.optim import AdamW8bit
    except (ImportError, RuntimeError, OSError) as error:
        raise InputError(
            f"--use-8bit-adam needs the package bitsandbytes, which does not work here ({first_line(error)}).",
            "Install it: pip install bitsandbytes. Or leave the option out.",
        ) from error
    return AdamW8bit
