"""Which part of the work this process does: `--part K/N`, or what a launcher says in the environment.

torchrun and accelerate set RANK and WORLD_SIZE, a SLURM array SLURM_ARRAY_TASK_ID with its least number, its step and
its count. Rows are dealt out in turn, so that any number of processes does the same rows, and each by itself.
"""

import os
from collections.abc import Mapping

from geodesic_cli.errors import InputError
from geodesic_cli.settings.evaluate import share_of

SLURM = "SLURM_ARRAY_TASK_"


def my_share(part: str | None, environment: Mapping[str, str] | None = None) -> tuple[int, int]:
    """The number of this process, from 0, and how many there are.

    Args:
        part: `K/N`, which overrides the environment.
        environment: variables; None are those of the process.

    Raises:
        InputError: neither part nor variables make sense.
    """
    if part is not None:
        first, count = share_of(part)
        return first - 1, count
    known = os.environ if environment is None else environment
    try:
        if "RANK" in known and "WORLD_SIZE" in known:
            number, count = int(known["RANK"]), int(known["WORLD_SIZE"])
        elif f"{SLURM}ID" in known and f"{SLURM}COUNT" in known:
            step, least = int(known.get(f"{SLURM}STEP", "1")), int(known.get(f"{SLURM}MIN", "0"))
            number, count = (int(known[f"{SLURM}ID"]) - least) // step, int(known[f"{SLURM}COUNT"])
        else:
            return 0, 1
    except ValueError as error:
        raise InputError(
            f"The launcher's variables for the number of this process are no numbers ({error}).", "Pass --part K/N."
        ) from error
    if not 0 <= number < count:
        raise InputError(f"The launcher says that this is process {number} of {count}.", "Pass --part K/N.")
    return number, count
