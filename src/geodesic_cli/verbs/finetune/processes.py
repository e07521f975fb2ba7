"""One process or many, as `accelerate launch`, `torchrun` or `mpirun` starts them: who I am, and the sum over all.

Each process holds the whole model and takes its share of every batch. What is averaged over a batch is summed over the
processes, and the sum is the same to the bit in each of them, so that weights which were the same stay the same.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.errors import GeodesicError, InputError
from geodesic_cli.runs.names import claimed

WORLD = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Where launchers say how many processes there are: torch's own, then those of MPI, which accelerate reads as well."""
RANK = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Where they say which of them this one is."""


@dataclass(frozen=True)
class Processes:
    """This process among all. `start` makes it.

    Args:
        rank: 0 is the one that writes and reports.
        count: how many there are.
        device: of this one; None where the user's choice holds.
    """

    rank: int = 0
    count: int = 1
    device: torch.device | None = None

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, in each of them."""
        if self.count == 1:
            return values
        from accelerate.utils import reduce

        summed: Tensor = reduce(values.to(self.device), "sum")
        return summed.to(values.device)

    def agree(self, text: str) -> str:
        """The text of process 0, in each of them."""
        if self.count == 1:
            return text
        from accelerate.utils import broadcast_object_list

        words = [text]
        broadcast_object_list(words, from_process=0)
        return words[0]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()


def launched() -> int:
    """How many processes the launcher started; 1 without one."""
    return max(int(os.environ.get(name) or 1) for name in WORLD)


def speaks() -> bool:
    """Whether this is the process that shows progress; known before any of them has joined."""
    return launched() == 1 or next((os.environ[name] for name in RANK if os.environ.get(name)), "0") == "0"


def start(device: str) -> Processes:
    """Join the processes that `accelerate launch`, `torchrun` or `mpirun` started; alone, if there are none.

    Raises:
        InputError: several processes, and a device for one; or accelerate was asked for several and started one.
    """
    if launched() == 1:
        # Without several GPUs, and without MPI, accelerate starts one process whatever number it was given. It has
        # then named a meeting point for the others and no number of them.
        if {"ACCELERATE_USE_CPU", "MASTER_PORT"} <= os.environ.keys() and not any(name in os.environ for name in WORLD):
            raise InputError(
                "accelerate launch was asked for several processes and started one, as it does on CPUs.",
                "Pass torchrun --nproc-per-node N -m geodesic_cli finetune ..., or leave --num_processes out.",
            )
        return Processes()
    if ":" in device:
        raise InputError(f"Several processes take a device each; got --device {device}.", "Pass --device auto or cpu.")
    from accelerate import PartialState

    state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available())
    return Processes(state.process_index, state.num_processes, state.device)


def common_folder(asked: str | None, stem: str, processes: Processes, stack: ExitStack) -> str:
    """The folder of a run, the same for all processes: the one asked for, or one that the first process makes."""
    chosen = asked or ""
    try:
        if processes.main and not chosen:
            chosen = stack.enter_context(claimed(f"runs/{stem}"))
    except GeodesicError:
        processes.agree("")
        raise
    agreed = processes.agree(chosen)
    if not agreed:  # process 0 can make none, and has said so
        raise SystemExit(1)
    return agreed
