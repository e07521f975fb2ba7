"""The bottleneck map x -> h: from noisy latents to the output of a UNet's mid block (H-space; Kwon et al., ICLR 2023).

Only the encoder runs: input convolution, time embedding, down blocks, mid block. It is the network's own forward pass,
stopped when the mid block has answered, so that whatever the network does to its inputs (added conditions, class
labels, attention processors, adapters, checkpointing) is done here too, and nothing is copied.

Derivatives of h by differences need float32 and no dropout; autocast is off inside, whatever is on outside.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.errors import ModelError


class _Reached(Exception):
    """Carries h out of a forward pass."""

    def __init__(self, h: Tensor) -> None:
        super().__init__("the mid block has answered")
        self.h = h


@dataclass(frozen=True, eq=False)
class Bottleneck:
    """f: x (k n, C, H, W) -> h (k n, C', H', W') for n points with a timestep and a condition each; a pure function.

    Rows beyond n are the batch again, as an `Encoder` of `distortion` must: row i has the condition of point i mod n.

    Args:
        unet: a diffusers ``UNet2DModel`` or ``UNet2DConditionModel``, unwrapped.
        timestep: (n,), integer or real.
        conditions: further arguments of its forward pass; a tensor has n rows, a mapping holds such tensors (SDXL's
            ``added_cond_kwargs``): ``{"encoder_hidden_states": ...}`` for a text-conditional network.
    """

    unet: Any
    timestep: Tensor
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if getattr(self.unet, "mid_block", None) is None:
            raise ModelError(
                "The isometry loss needs a UNet with a mid block, and this network has none.",
                "Pass a model whose network is a UNet2DModel or UNet2DConditionModel.",
            )
        if self.unet.training and any(isinstance(m, torch.nn.Dropout) and m.p > 0 for m in self.unet.modules()):
            raise ModelError(
                "Derivatives by differences need a deterministic encoder, and this network is training with dropout.",
                "Call unet.eval(), which changes nothing but dropout.",
            )

    def __call__(self, x: Tensor) -> Tensor:
        """h for rows x, in the dtype of the network, which must be float32 or float64.

        Raises:
            ModelError: another dtype; numbers that are not finite.
        """
        if self.unet.dtype not in (torch.float32, torch.float64):
            raise ModelError(
                f"Derivatives of the bottleneck need a network in float32; this one is in {self.unet.dtype}.",
                "Pass --dtype fp32.",
            )
        times, left = divmod(len(x), len(self.timestep))
        if left or not times:
            raise ValueError(f"{len(x)} rows are no multiple of {len(self.timestep)} points")
        x = x.to(self.unet.device, self.unet.dtype)
        with torch.autocast(x.device.type, enabled=False):
            h = self._run(x, times)
        if not bool(h.detach().isfinite().all()):
            raise ModelError(
                "The first half of the network, up to its middle block, gives values that are not finite (NaN or "
                "infinity).",
                "The weights are damaged, or were trained at too high a learning rate: pass other ones.",
            )
        return h

    def _run(self, x: Tensor, times: int) -> Tensor:
        timestep = self.timestep.to(x.device).repeat(times)
        handle = self.unet.mid_block.register_forward_hook(_stop)
        try:
            self.unet(x, timestep, **{name: _tile(value, times, x) for name, value in self.conditions.items()})
        except _Reached as reached:
            return reached.h
        finally:
            handle.remove()
        raise ModelError("The network answered without its mid block.", "Pass a UNet of diffusers.")


@contextmanager
def tapped(unet: Any) -> Iterator[list[Tensor]]:
    """Inside, each forward pass of the network appends its h to the list, with its graph, and goes on."""
    seen: list[Tensor] = []

    def keep(module: Any, inputs: Any, h: Any) -> None:
        seen.append(_alone(h))

    handle = unet.mid_block.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


def _stop(module: Any, inputs: Any, h: Any) -> None:
    raise _Reached(_alone(h))


def _alone(h: Any) -> Tensor:
    """What a mid block answers, without what some of them answer beside it."""
    answer: Tensor = h[0] if isinstance(h, tuple) else h
    return answer


def _tile(value: Any, times: int, like: Tensor) -> Any:
    if isinstance(value, Mapping):
        return {name: _tile(item, times, like) for name, item in value.items()}
    if not isinstance(value, Tensor):
        return value
    value = value.to(like.device, like.dtype if value.is_floating_point() else value.dtype)
    return value.repeat(times, *(1 for _ in value.shape[1:]))


@contextmanager
def twice_differentiable(unet: Any) -> Iterator[None]:
    """Inside, the network has second derivatives: attention in plain mathematics, LayerNorm from elementary operations.

    Only `distortion.exact.exact_loss` needs it; it costs speed and memory.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    norms = [module for module in unet.modules() if isinstance(module, torch.nn.LayerNorm)]
    for norm in norms:
        object.__setattr__(
            norm, "forward", _composite(norm)
        )  # an attribute of the instance, which hides the method of the class
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for norm in norms:
            with suppress(AttributeError):
                del norm.forward


def _composite(norm: torch.nn.LayerNorm) -> Any:
    axes = tuple(range(-len(norm.normalized_shape), 0))

    def forward(x: Tensor) -> Tensor:
        centred = x - x.mean(axes, keepdim=True)
        y = centred * torch.rsqrt((centred**2).mean(axes, keepdim=True) + norm.eps)
        y = y * norm.weight if norm.weight is not None else y
        return y + norm.bias if norm.bias is not None else y

    return forward
