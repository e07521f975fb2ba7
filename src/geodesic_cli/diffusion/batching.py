"""How many latents go through the network at once: as many as memory holds, found before the first call.

Beside the weights, which are there already, a call takes about `cost` bytes for each item, and runs

    n = min(most, 2^floor(log2(share * free / cost)))   items at once, and at least one.

A power of two, so that the few megabytes by which free memory differs from one run to the next rarely change it. It is
looked up once for each cost and then kept: within a process the same input goes through in the same chunks and gives
the same bits. Should memory run out all the same, the chunk is halved until it fits, and stays so. Rows of a batch do
not interact, so that the chunk never changes a result beyond rounding. A run that goes on takes the chunks that it was
begun with (`Chunks.follow`), so that the last digits stay too.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import psutil
import torch
from torch import Tensor

from geodesic_cli.errors import ModelError

MOST_LATENTS = 64
"""Items at once at most. More bring nothing: a batch of 64 latents fills any device that is in use."""
SHARE = 0.5
"""The part of the free memory that a call may plan with. The rest is for what an estimate does not know."""
MAPS = 80
"""Bytes for an item in units of the network's widest feature map, as the estimate of `item_cost` counts."""


class SmallerBatch(UserWarning):
    """Memory ran out and the batch was halved. The result is the same to rounding; it takes a little longer."""


def free_memory(device: torch.device) -> int:
    """Bytes that a new tensor on the device may take.

    CUDA: what the driver has left and what PyTorch holds in reserve. MPS: the recommended maximum less what is in use.
    CPU: the memory that is available without swapping, as the system tells.
    """
    if device.type == "cuda":
        left, _ = torch.cuda.mem_get_info(device)
        return int(left + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return int(psutil.virtual_memory().available)


def item_cost(network: Any, shape: tuple[int, ...], dtype: torch.dtype) -> int:
    """About how many bytes one latent (C, H, W) takes on its way through a UNet, without gradients.

    A first feature map holds width x H x W numbers; `MAPS` of them cover the skip connections, the widest feed-forward
    and the workspace of convolutions. Growth of the resident memory with the batch and with the area, on a CPU: 50 maps
    for clevr-mini, 65 to 82 for the network of Stable Diffusion 1.5 in bf16, which is 215 MB for a latent of 64 x 64.
    """
    config = getattr(network, "config", None)
    widths = getattr(config, "block_out_channels", None)
    width = int(widths[0]) if widths else 4 * int(shape[0])
    numbers = width * int(torch.Size(shape[1:]).numel())
    return MAPS * numbers * dtype.itemsize


def fitting(cost: int, free: int, most: int = MOST_LATENTS, share: float = SHARE) -> int:
    """How many items of a cost fit into the share of free memory: a power of two up to `most`, and at least 1."""
    room = int(share * max(0, free)) // max(1, cost)
    return max(1, min(most, 1 << (room.bit_length() - 1) if room else 1))


class Chunks:
    """The chunk size of one network, and what was learnt of it.

    The one piece of state is how many items are known to fit, or did when the run was begun. It changes how fast a
    result comes, never the result beyond rounding.

    Args:
        most: items at once at most.
        free: tells the free bytes of a device; another one than `free_memory` is for tests.
        notify: is told once, in a sentence, that memory ran out and how many items go on at once. The default is a
            Python warning of the kind `SmallerBatch`.
    """

    def __init__(
        self,
        most: int = MOST_LATENTS,
        *,
        free: Callable[[torch.device], int] = free_memory,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self.most = most
        self._free = free
        self._notify = notify
        self._sizes: dict[str, int] = {}
        self._told = False
        self.follow()

    def follow(
        self, begun: Mapping[str, int] | None = None, write: Callable[[Mapping[str, int]], None] = lambda sizes: None
    ) -> None:
        """Take the sizes that a run was begun with, where free memory holds them.

        Args:
            begun: what `write` was told when the run was begun; None for a new run.
            write: is told all sizes each time one is decided.
        """
        self._begun = {key: size for key, size in (begun or {}).items() if size in range(1, self.most + 1)}
        self._sizes = {key: size for key, size in self._sizes.items() if key not in self._begun}
        self._write = write
        if self._sizes:
            write(self._sizes)

    def size(self, cost: int, device: torch.device) -> int:
        """How many items of `cost` bytes go at once on the device."""
        key = _key(cost, device)
        if key not in self._sizes:
            free = self._free(device)
            size, begun = fitting(cost, free, self.most), self._begun.get(key)
            if begun is not None and begun <= fitting(cost, free, self.most, share=1.0):
                size = begun
            elif begun is not None:
                self._say(
                    f"{size} latents go through the network at once, and {begun} when this run was begun: "
                    "less memory is free, and last digits may differ."
                )
            self._decide(key, size)
        return self._sizes[key]

    def map(self, call: Callable[..., Tensor], *columns: Any, cost: int, device: torch.device) -> Tensor:
        """torch.cat of ``call(*parts)`` over consecutive parts of the columns, which are as long as each other.

        A column is a tensor, or a value alike that has a length and can be sliced.

        Raises:
            ModelError: a single item does not fit.
        """
        items = len(columns[0])
        done: list[Tensor] = []
        first, planned = 0, self.size(cost, device)
        while first < items or not done:  # no items are one empty call, which knows the shape of nothing
            at_once = max(1, min(self.size(cost, device), items - first))
            made = _attempt(call, [column[first : first + at_once] for column in columns])
            if made is None:
                if device.type == "cuda":
                    torch.cuda.empty_cache()
                if at_once == 1:
                    raise ModelError(
                        f"Memory ran out on {device} with a single latent.",
                        "Pass a smaller --size, --dtype bf16, --low-memory, or --device cpu.",
                    )
                self._decide(_key(cost, device), at_once // 2)
                continue
            done.append(made)
            first += at_once
        if self.size(cost, device) < planned:
            self._tell(planned, self.size(cost, device), device)
        return done[0] if len(done) == 1 else torch.cat(done)

    def _tell(self, planned: int, fits: int, device: torch.device) -> None:
        if self._told:
            return
        self._told = True
        self._say(f"Memory ran out on {device} with {planned} latents at once: going on with {fits}.")

    def _say(self, message: str) -> None:
        if self._notify is not None:
            self._notify(message)
        else:
            warnings.warn(message, SmallerBatch, stacklevel=4)

    def _decide(self, key: str, size: int) -> None:
        self._sizes[key] = size
        self._write(self._sizes)


def _key(cost: int, device: torch.device) -> str:
    return f"{device}, {cost} bytes each"


def _attempt(call: Callable[..., Tensor], parts: list[Any]) -> Tensor | None:
    """What the call gives, or None where memory ran out. It returns before a retry, so that no frame holds tensors."""
    try:
        return call(*parts)
    except torch.OutOfMemoryError:
        return None
    except RuntimeError as error:
        if "out of memory" in str(error).lower() or "not enough memory" in str(error).lower():
            return None  # MPS and the CPU's allocator
        raise
