"""Low memory: only the part of a model that is at work is on the device; the others wait in main memory.

A part moves to the device when it is called, and sends away the one that was there. A network that is called many
times in a row moves once.
"""

from typing import Any

import torch


class Seat:
    """The one place on a device; it remembers who has it.

    Args:
        device: where the part at work is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.taken: Any = None

    def take(self, module: Any) -> None:
        """Bring a module to the device, and the one that was there back to main memory."""
        if self.taken is module:
            return
        if self.taken is not None:
            self.taken.to("cpu")
        module.to(self.device)
        self.taken = module


class Offloaded:
    """A module that comes to the device when it is called, and otherwise is like itself.

    Args:
        module: the part.
        seat: shared by the parts of a model.
    """

    def __init__(self, module: Any, seat: Seat) -> None:
        self.module = module
        self.seat = seat

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    @property
    def device(self) -> torch.device:
        """Where it works, wherever it waits."""
        return self.seat.device

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Move, and compute."""
        self.seat.take(self.module)
        return self.module(*args, **kwargs)

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        """Of an autoencoder."""
        self.seat.take(self.module)
        return self.module.encode(*args, **kwargs)

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        """Of an autoencoder."""
        self.seat.take(self.module)
        return self.module.decode(*args, **kwargs)
