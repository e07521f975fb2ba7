"""What a run takes beside evaluations: seconds, and the most memory at once."""

import time
from contextlib import suppress
from pathlib import Path

import psutil
import torch

OWN = Path("/proc/self")
"""Where Linux tells a process of itself."""


class RunMeter:
    """Counts from when it is made. On CUDA the memory is that of tensors there; elsewhere that of the whole process.

    Args:
        device: where the model computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._began = device, time.monotonic()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            with suppress(OSError):
                (OWN / "clear_refs").write_text("5")  # Linux forgets the highest mark of before

    @property
    def seconds(self) -> float:
        """Since it was made, by the clock on the wall."""
        return round(time.monotonic() - self._began, 3)

    @property
    def peak_gb(self) -> float:
        """The most memory at once, in 10^9 bytes; where the system has no such mark, what is taken now."""
        if self._device.type == "cuda":
            return round(torch.cuda.max_memory_allocated(self._device) / 1e9, 3)
        with suppress(OSError, StopIteration):
            lines = (OWN / "status").read_text("utf-8").splitlines()
            line = next(line for line in lines if line.startswith("VmHWM:"))
            return round(1024 * int(line.split()[1]) / 1e9, 3)
        return round(psutil.Process().memory_info().rss / 1e9, 3)
