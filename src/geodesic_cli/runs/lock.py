"""Who writes in a folder: one run at a time, and what a killed one left behind.

The lock is a small file that names the process, and that the process holds by a lock of the operating system. That one
ends with the process, however it ends. So whether a file that is there still counts is not judged from what it says,
which may be half written or of a process long gone: who is given the system's lock holds the folder, and nobody else.
Where a file system has no such locks, and between machines, the words in the file decide.
"""

import json
import os
import platform
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from geodesic_cli import media
from geodesic_cli.errors import OutputError

LOCK = ".geodesic.lock"
LEFT_BEHIND = re.compile(r"\..+\.([0-9]+)\.tmp")
"""The temporary files of `media.replacing`, with the number of the process that wrote them."""


ATTEMPTS = 100
"""At taking a lock while others take theirs and give them back."""


@dataclass(frozen=True)
class Lock:
    """The lock of a folder, held by this process.

    Args:
        path: of the file.
        file: open as long as the lock is held.
    """

    path: Path
    file: IO[str] = field(repr=False, compare=False)

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Lock a folder that is there.

        Raises:
            OutputError: another run that is alive writes there, or the folder cannot be written to.
        """
        path = folder / LOCK
        for _ in range(ATTEMPTS):
            file = _opened(folder, path)
            try:
                if not _held(file):
                    raise _another_run(folder, file)
                if not _is_at(file, path):  # given back and removed between opening and holding it
                    file.close()
                    continue
                _refuse_if_alive(folder, path, file)
                _write(folder, file)
            except BaseException:
                file.close()
                raise
            return cls(path, file)
        raise _another_run(folder, None)

    def release(self) -> None:
        """Give the folder back."""
        if self.file.closed:
            return
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        with suppress(OSError):
            self.file.close()  # only now that nobody can find it


def _opened(folder: Path, path: Path) -> IO[str]:
    """The file, made if need be, and not by way of a link."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        if path.is_symlink():
            raise OutputError(
                f"{path} leads out of the folder of the run through a link.", "Remove it, or pass another --out."
            ) from error
        raise media.cannot_write(folder, error) from error
    return os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace")


def _held(file: IO[str]) -> bool:
    """Whether this process holds the file now; nobody else does then."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except OSError:
        return False


def _write(folder: Path, file: IO[str]) -> None:
    """Name this process in the file."""
    try:
        file.seek(0)
        file.truncate()
        json.dump(_this_process(), file)
        file.flush()
    except OSError as error:
        raise media.cannot_write(folder, error) from error


def _holder(file: IO[str]) -> tuple[int, float, str] | None:
    """Process, when it began, and machine, as the file says; None where it says nothing that can be read."""
    try:
        file.seek(0)
        holder = json.loads(file.read())
        return int(holder["process"]), float(holder["begun"]), str(holder["machine"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _another_run(folder: Path, file: IO[str] | None) -> OutputError:
    holder = None if file is None else _holder(file)
    if holder is None:
        return OutputError(f"Another run has just begun to write in {folder}.", "Wait for it, or pass another --out.")
    return OutputError(
        f"Another run writes in {folder}: process {holder[0]}.", "Wait for it, stop it, or pass another --out."
    )


def _this_process() -> dict[str, object]:
    return {"process": os.getpid(), "begun": _begun(os.getpid()), "machine": platform.node()}


def _begun(process: int) -> float | None:
    """When a process of this machine began, seconds; None where there is none of that number."""
    import psutil

    with suppress(psutil.Error):
        return float(psutil.Process(process).create_time())
    return None


def _refuse_if_alive(folder: Path, path: Path, file: IO[str]) -> None:
    """Where the system's lock says nothing: on another machine, and where there are none."""
    holder = _holder(file)
    if holder is None:
        return  # new, or of a process that was stopped before it had written its name
    process, begun, machine = holder
    if machine != platform.node():
        raise OutputError(
            f"A run on the machine {machine} writes in {folder}.",
            f"Wait for it or pass another --out. If that run has ended, remove {path}.",
        )
    alive = _begun(process)
    if process != os.getpid() and alive is not None and abs(alive - begun) < 1:
        raise _another_run(folder, file)


def sweep(folder: Path) -> None:
    """Remove the temporary files that runs left below a folder when they were killed."""
    for path in folder.rglob(".*.tmp"):
        match = LEFT_BEHIND.fullmatch(path.name)
        if match and _begun(int(match[1])) is None and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)
