"""Attention of two ends mixed into what lies between them: the idea of AID (He et al., NeurIPS 2024), fused and inner.

At every attention layer of a UNet a query Q at the share u of the way reads

    K = [(1 - u) K_0 + u K_1, K_u],    V = [(1 - u) V_0 + u V_1, V_u],    softmax(Q K^T / sqrt(d)) V,

with the keys and values of the two ends at the same time of the flow, and its own behind them. So it is for attention
to the picture itself and to the text. An end gets its own keys and values twice, which changes nothing: it stays what
it is. Every line here is ours, from these formulas.

Keys and values are mixed where the layers compute them (`to_k` and `to_v`, as all attention of diffusers has them), by
hooks that are taken off again also after an error. The processors, which compute the softmax, stay as they are.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion.batching import item_cost
from geodesic_cli.diffusion.conditioning import Embedding
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.errors import ModelError


def attention_layers(network: Any) -> list[Any]:
    """The layers of a UNet that compute keys and values; none of a network of another kind."""
    if getattr(network, "mid_block", None) is None:
        return []
    found = [layer for layer in network.modules() if _has(layer, "to_k") and _has(layer, "to_v")]
    return [layer for layer in found if not getattr(layer, "fused_projections", False)]


def _has(layer: Any, name: str) -> bool:
    return isinstance(getattr(layer, name, None), torch.nn.Module)


def require_attention(network: Any, name: str) -> None:
    """Refuse a network whose attention cannot be mixed.

    Raises:
        ModelError: it is no UNet, or has no attention.
    """
    if not attention_layers(network):
        raise ModelError(
            f"Mixed attention needs a UNet with attention layers, and the network of {name} has none.",
            "Leave attention out of the methods.",
        )


@contextmanager
def mixing(predict: NoisePredictor, u: Tensor) -> Iterator[Callable[[Tensor, float, Embedding], Tensor]]:
    """Predicted noise of two ends and what lies between them, with attention mixed.

    Args:
        predict: the network.
        u: shares of the way (m,) from the first end to the second.

    Yields:
        a function of latents (2 + m, C, H, W), the ends first, of a time and of conditions of as many rows.

    Raises:
        ModelError: a network without attention; one that did not ask its layers for keys.
    """
    require_attention(predict.unet, "this model")
    mixer = _Mixer()
    handles = [
        projection.register_forward_hook(mixer)
        for layer in attention_layers(predict.unet)
        for projection in (layer.to_k, layer.to_v)
    ]
    # A compiled network would not hear of a hook that comes later.
    compiled = hasattr(predict.unet, "_orig_mod")

    @torch.no_grad()
    def noise(z: Tensor, timestep: float, condition: Embedding) -> Tensor:
        device, dtype = predict.place
        ends = []
        for k in range(2):
            mixer.begin(k)
            ends.append(predict.traced(z[k : k + 1], timestep, condition[k : k + 1]))
        if not mixer.kept[0]:
            raise ModelError("The network does not ask its attention layers for keys, so none can be mixed.")

        def between(part: Tensor, own: Embedding, shares: Tensor) -> Tensor:
            mixer.begin(None, shares)
            return predict.traced(part, timestep, own)

        cost = 2 * item_cost(predict.unet, tuple(z.shape[1:]), dtype)  # twice as many keys
        inner = predict.chunks.map(between, z[2:], condition[2:], u, cost=cost, device=device)
        return torch.cat([*ends, inner])

    try:
        with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
            yield noise
    finally:
        for handle in handles:
            handle.remove()


class _Mixer:
    """A forward hook of all projections: keeps what an end has, or puts the mixture before what is between them."""

    def __init__(self) -> None:
        self.kept: tuple[dict[tuple[int, int], Tensor], ...] = ({}, {})
        self._end: int | None = None
        self._shares = torch.zeros(0)
        self._calls = Counter[int]()

    def begin(self, end: int | None, shares: Tensor | None = None) -> None:
        """A pass of the network begins: of an end, or of rows with these shares of the way."""
        self._end, self._calls = end, Counter()
        self._shares = self._shares if shares is None else shares

    def __call__(self, module: Any, given: Any, made: Tensor) -> Tensor:
        """Keys or values (n, tokens, width) to those that are read."""
        key = id(module), self._calls[id(module)]  # a layer may be asked more than once in a pass
        self._calls[id(module)] += 1
        if self._end is not None:
            self.kept[self._end][key] = made
            return made
        first, last = (ends[key].expand(len(made), -1, -1) for ends in self.kept)
        shares = self._shares.to(made.device, made.dtype)[:, None, None]
        return torch.cat([torch.lerp(first, last, shares), made], dim=1)
