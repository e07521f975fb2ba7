"""Who writes in a folder: one run at a time, and what a killed one left behind.

The lock is a small file that names the process. A lock whose process has ended counts for nothing.
"""

import json
import os
import platform
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from geodesic_cli import media
from geodesic_cli.errors import OutputError

LOCK = ".geodesic.lock"
LEFT_BEHIND = re.compile(r"\..+\.([0-9]+)\.tmp")
"""The temporary files of `media.replacing`, with the number of the process that wrote them."""


@dataclass(frozen=True)
class Lock:
    """The lock of a folder, held by this process."""

    path: Path

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Lock a folder that is there.

        Raises:
            OutputError: another run that is alive writes there, or the folder cannot be written to.
        """
        path = folder / LOCK
        for _ in range(2):
            try:
                with path.open("x", encoding="utf-8") as file:
                    json.dump(_this_process(), file)
                return cls(path)
            except FileExistsError:
                _refuse_if_alive(folder, path)
                path.unlink(missing_ok=True)  # of a process that has ended
            except OSError as error:
                raise media.cannot_write(folder, error) from error
        raise OutputError(f"Another run has just begun to write in {folder}.", "Pass another --out.")

    def release(self) -> None:
        """Give the folder back."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def _this_process() -> dict[str, object]:
    return {"process": os.getpid(), "begun": _begun(os.getpid()), "machine": platform.node()}


def _begun(process: int) -> float | None:
    """When a process of this machine began, seconds; None where there is none of that number."""
    import psutil

    with suppress(psutil.Error):
        return float(psutil.Process(process).create_time())
    return None


def _refuse_if_alive(folder: Path, path: Path) -> None:
    try:
        holder = json.loads(path.read_text("utf-8"))
        process, begun, machine = int(holder["process"]), float(holder["begun"]), str(holder["machine"])
    except (OSError, ValueError, TypeError, KeyError):
        return  # damaged: a lock is written in one go, so this is not one that is held
    if machine != platform.node():
        raise OutputError(
            f"A run on the machine {machine} writes in {folder}.",
            f"Wait for it or pass another --out. If that run has ended, remove {path}.",
        )
    alive = _begun(process)
    if process != os.getpid() and alive is not None and abs(alive - begun) < 1:
        raise OutputError(
            f"Another run writes in {folder}: process {process}.", "Wait for it, stop it, or pass another --out."
        )


def sweep(folder: Path) -> None:
    """Remove the temporary files that runs left below a folder when they were killed."""
    for path in folder.rglob(".*.tmp"):
        match = LEFT_BEHIND.fullmatch(path.name)
        if match and _begun(int(match[1])) is None and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)
